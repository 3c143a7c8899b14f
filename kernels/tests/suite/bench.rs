//! Tests of the benches: what they measure, not how long it takes.

use crate::support::devices;
use fortifai_kernels::Precision;
use fortifai_kernels::bench::{Bound, KERNELS, Plan, Size, run};

#[test]
fn every_kernel_is_checked_and_timed_in_every_storage() {
    let Some(device) = devices().into_iter().next() else { return };
    let precisions = vec![Precision::F32, Precision::Bf16];
    let plan = Plan { kernels: Vec::new(), precisions, size: Size::Tiny };
    let mut begun = Vec::new();
    let report = run(&device, &plan, |kernel| begun.push(kernel.to_owned())).expect("the benches");
    assert_eq!(report.failed, [""; 0]);
    for &kernel in KERNELS {
        assert!(begun.iter().any(|name| name == kernel), "{kernel}");
        let entries = || report.entries.iter().filter(|entry| entry.kernel == kernel);
        assert!(entries().count() >= 1, "{kernel}");
        for entry in entries() {
            let times = entry.times;
            assert!(0.0 < times.p5_ms && times.p5_ms <= times.median_ms, "{entry:?}");
            assert!(times.median_ms <= times.p95_ms && times.runs >= 3, "{entry:?}");
            assert!(
                entry.bytes > 0 && (entry.bound == Bound::Memory || entry.flops > 0),
                "{entry:?}"
            );
            assert!(entry.error < 0.03, "{entry:?}");
        }
    }
    for kernel in ["matmul", "attention_forward", "gelu_backward", "classifier_forward_backward"] {
        for precision in [Precision::F32, Precision::Bf16] {
            let here = |ladder: &&Vec<&fortifai_kernels::bench::Entry>| {
                ladder[0].kernel == kernel && ladder[0].precision == precision
            };
            let ladders = report.ladders();
            let ladder = ladders.iter().find(here).expect("a ladder");
            assert_eq!(ladder[0].rung, "naive", "{kernel}");
        }
    }
    // Chunks need less memory than all logits at once, and dropped rows cost no products.
    let classifier = |variant: &str, rung: &str| {
        let fits = |entry: &&fortifai_kernels::bench::Entry| {
            entry.kernel == "classifier_forward_backward"
                && entry.variant == variant
                && entry.rung == rung
        };
        report.entries.iter().find(fits).expect("a rung of the classifier").clone()
    };
    assert!(classifier("ce", "fast").memory_bytes < classifier("ce", "naive").memory_bytes);
    let (all, quarter) = (classifier("ce", "fast").flops, classifier("tce 1/4", "fast").flops);
    assert!(quarter < all * 6 / 10, "{quarter} of {all}");
}

#[test]
fn a_part_of_a_name_chooses_kernels() {
    let Some(device) = devices().into_iter().next() else { return };
    let precisions = vec![Precision::F32];
    let plan = Plan { kernels: vec!["gelu".into()], precisions, size: Size::Tiny };
    let report = run(&device, &plan, |_| {}).expect("the benches");
    let names: Vec<&str> = report.entries.iter().map(|entry| entry.kernel).collect();
    // The copy is what the others are measured by.
    assert_eq!(
        names,
        ["copy", "copy", "gelu_forward", "gelu_forward", "gelu_backward", "gelu_backward"]
    );
    assert!(report.copy_bytes_per_s > 0.0 && report.peak.is_none() == device.is_host());
}
