//! The table on the terminal.

use fortifai_kernels::Precision;
use fortifai_kernels::bench::{Bound, Entry, Report};
use std::fmt::Write;

/// What must be known of the shim's times.
pub const HOST: &str = "THESE TIMES SAY NOTHING ABOUT A GPU: the kernels run on the CPU, thread by \
                        thread, in tiny shapes. This run tests the benches.";

/// What an entry is called: kernel, variant, precision and shape.
pub fn name(entry: &Entry) -> String {
    let shape: Vec<String> =
        entry.shape.iter().map(|(letter, size)| format!("{letter} {size}")).collect();
    let variant = if entry.variant.is_empty() { "" } else { " " };
    let (kernel, variant) = (entry.kernel, format!("{variant}{}", entry.variant));
    format!("{kernel}{variant}, {}, {}", precision(entry.precision), shape.join(" "))
}

pub fn precision(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
    }
}

/// Speed in the unit of what bounds it.
pub fn speed(entry: &Entry) -> String {
    let seconds = entry.times.median_ms * 1e-3;
    match entry.bound {
        Bound::Memory => format!("{:.1} GB/s", entry.bytes as f64 / seconds / 1e9),
        Bound::Arithmetic => format!("{:.2} TFLOP/s", entry.flops as f64 / seconds / 1e12),
    }
}

/// Of the copy's bandwidth or of the peak; a dash where no peak is known.
pub fn share(report: &Report, entry: &Entry) -> String {
    let of = if entry.bound == Bound::Memory { "of copy" } else { "of peak" };
    report.share(entry).map_or("–".into(), |share| format!("{:.1} % {of}", 100.0 * share))
}

/// Memory beside inputs and parameters.
pub fn memory(entry: &Entry) -> String {
    format!("{:.1}", entry.memory_bytes as f64 / (1u64 << 20) as f64)
}

/// How many times faster than the rung before and than the first one.
pub fn ratios(rungs: &[&Entry], place: usize) -> String {
    let times = |at: usize| rungs[at].times.median_ms;
    match place {
        0 => String::new(),
        1 => format!("{:.2} ×", times(0) / times(1)),
        _ => format!(
            "{:.2} × ({:.2} × the last)",
            times(0) / times(place),
            times(place - 1) / times(place)
        ),
    }
}

/// Entries of one case together, in their order.
pub fn cases(report: &Report) -> Vec<Vec<&Entry>> {
    let mut cases: Vec<Vec<&Entry>> = Vec::new();
    for entry in &report.entries {
        match cases.last_mut().filter(|case| name(case[0]) == name(entry)) {
            Some(case) => case.push(entry),
            None => cases.push(vec![entry]),
        }
    }
    cases
}

/// The whole table.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes every write");
    if report.host {
        line(HOST.to_owned());
    }
    line(header(report));
    line(format!(
        "{:<13} {:>11} {:>22} {:>16} {:>15} {:>11}  {}",
        "", "median ms", "5 to 95 % of calls", "speed", "share", "extra MiB", "faster than naive"
    ));
    for case in cases(report) {
        line(format!("\n{}", name(case[0])));
        for (place, entry) in case.iter().enumerate() {
            let times = entry.times;
            line(format!(
                "  {:<11} {:>11.4} {:>10.4} – {:>9.4} {:>16} {:>15} {:>11}  {}",
                entry.rung,
                times.median_ms,
                times.p5_ms,
                times.p95_ms,
                speed(entry),
                share(report, entry),
                memory(entry),
                ratios(&case, place)
            ));
        }
    }
    for refusal in &report.refused {
        line(format!("\nnot on this device: {refusal}"));
    }
    for failure in &report.failed {
        line(format!("\nWRONG: {failure}"));
    }
    out
}

/// One sentence on the device.
pub fn header(report: &Report) -> String {
    let (major, minor) = report.compute_capability;
    let peak = match report.peak {
        Some(peak) => format!(
            "peak {:.0} TFLOP/s in bf16, {:.1} in f32 ({})",
            peak.bf16_flops_per_s / 1e12,
            peak.f32_flops_per_s / 1e12,
            peak.source
        ),
        None => "no peak known of it".into(),
    };
    format!(
        "{}, compute capability {major}.{minor}, {} multiprocessors; copy {:.1} GB/s; {peak}.",
        report.device,
        report.multiprocessors,
        report.copy_bytes_per_s / 1e9
    )
}
