//! `--device`: refusals, and a run on the CUDA kernels from the first command to the report.

use super::{TINY, fortifai, last_line, refused, words};
use std::path::Path;
use std::process::Command;

/// Whether the shim is asked for and can run here; says so loudly where not.
pub fn shim(dir: &Path) -> bool {
    if !crate::cuda::shim_asked() {
        return false;
    }
    let probe = ["verify", "--device", "cuda-host", "--operator", "squared_norm", "--cases", "0"];
    let output = fortifai(dir, &probe);
    if output.status.code() == Some(3) {
        let asked = std::env::var("REQUIRE_CUDA_HOST").is_ok_and(|value| value == "1");
        assert!(!asked, "REQUIRE_CUDA_HOST=1 but: {}", words(&output.stderr));
        eprintln!("SKIPPED the CUDA kernels on the CPU: {}", words(&output.stderr));
        return false;
    }
    assert_eq!(output.status.code(), Some(0), "{}{}", words(&output.stdout), words(&output.stderr));
    true
}

#[test]
fn a_device_that_does_not_exist_is_refused_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    for bad in ["gpu", "cuda:x", "cuda:-1", "CUDA"] {
        refused(dir.path(), &["verify", "--device", bad], "cpu, cuda, cuda:N, cuda-host or auto");
    }
    refused(dir.path(), &["verify", "--precision", "bf16"], "add --device cuda or cuda-host");
    refused(dir.path(), &["verify", "--device", "cuda-host", "--self-test"], "--device");
    for command in ["verify", "collapse", "train"] {
        let output = fortifai(dir.path(), &[command, "--device", "cuda:97"]);
        let sentence = words(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{command}: {sentence}");
        assert!(sentence.contains("No CUDA device can be used"), "{command}: {sentence}");
        assert_eq!(sentence.trim_end().lines().count(), 1, "{command}: {sentence}");
        assert!(!dir.path().join("runs").exists(), "{command} left something behind");
    }
}

#[test]
fn kernel_files_that_cannot_be_read_are_the_environments_fault() {
    let dir = tempfile::tempdir().unwrap();
    if !shim(dir.path()) {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_fortifai"))
        .args(["verify", "--device", "cuda-host", "--operator", "gelu", "--cases", "0"])
        .env("FORTIFAI_KERNEL_SOURCES", dir.path().join("nowhere"))
        .output()
        .unwrap();
    let sentence = words(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{sentence}");
    assert!(sentence.contains("nowhere") && sentence.contains("or be unset"), "{sentence}");
    assert!(!words(&output.stdout).contains("FAILED"), "{}", words(&output.stdout));
}

#[test]
fn losses_that_are_functions_are_refused_before_anything_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    if !shim(dir.path()) {
        return;
    }
    for (loss, protocol) in [("ce,ce+real=0.6", "mix:0.5"), ("ce+grammar+unlearn=0.1", "replace")] {
        let mut arguments =
            vec!["collapse", "--device", "cuda-host", "--loss", loss, "--protocol", protocol];
        arguments.extend(TINY);
        refused(dir.path(), &arguments, "runs on the CPU only");
    }
}

/// The reference that curves in bf16 are held to: other numbers than in f32, but near them.
#[test]
fn the_cpu_trains_with_tensors_stored_in_bf16() {
    let dir = tempfile::tempdir().unwrap();
    let nats = |precision: &str| {
        let mut arguments = vec!["train", "--json", "--out", precision, "--precision", precision];
        // One model has one generation.
        arguments.extend(&TINY[..TINY.len() - 2]);
        let output = fortifai(dir.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
        last_line(&output)["metrics"]["heldout_nats"].as_f64().unwrap()
    };
    let (single, narrow) = (nats("f32"), nats("bf16"));
    assert!(single != narrow && (single - narrow).abs() < 0.02 * single, "{single} and {narrow}");
}

#[test]
fn a_run_on_the_kernels_reaches_its_report_with_the_same_bits_twice() {
    let dir = tempfile::tempdir().unwrap();
    if !shim(dir.path()) {
        return;
    }
    let run = |out: &str, more: &[&str]| {
        let mut arguments = vec!["collapse", "--json", "--out", out, "--seeds", "1"];
        arguments.extend(["--loss", "ce,tce:0.9"]);
        arguments.extend(TINY);
        arguments.extend(more);
        let output = fortifai(dir.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
        assert!(dir.path().join(out).join("report.html").exists());
        last_line(&output)["chains"].clone()
    };
    let heldout = |chains: &serde_json::Value| chains[0]["metrics"]["heldout_nats"].as_f64();
    let kernels = run("kernels", &["--device", "cuda-host"]);
    assert_eq!(kernels, run("again", &["--device", "cuda-host", "--threads", "1"]));
    let cpu = run("cpu", &[]);
    // The texts of generation 0 may differ in a token that stood at a boundary.
    let (kernels, cpu) = (heldout(&kernels).unwrap(), heldout(&cpu).unwrap());
    assert!((kernels - cpu).abs() < 0.05 * cpu, "{kernels} nats, on the CPU {cpu}");
    let narrow = run("narrow", &["--device", "cuda-host", "--precision", "bf16"]);
    let narrow = heldout(&narrow).unwrap();
    assert!((narrow - cpu).abs() < 0.1 * cpu, "{narrow} nats in bf16, on the CPU {cpu}");

    std::fs::write(dir.path().join("words.txt"), "apples wagons weary broken").unwrap();
    let model = ["evaluate", "kernels", "words.txt", "--chain", "ce-seed1", "--json"];
    let score = |device: &str| {
        let output = fortifai(dir.path(), &[&model[..], &["--device", device]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
        last_line(&output)["nats_per_token"].as_f64().unwrap()
    };
    let (here, there) = (score("cpu"), score("cuda-host"));
    assert!((here - there).abs() <= 1e-5 * here, "{here} on the CPU, {there} on the kernels");
}
