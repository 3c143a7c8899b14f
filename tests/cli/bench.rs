//! `bench`: refusals, and a run on the shim to its record.

use super::device::shim;
use super::{fortifai, last_line, refused, words};

#[test]
fn what_cannot_be_measured_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    refused(dir, &["bench", "--device", "cpu"], "cargo bench");
    refused(dir, &["bench", "--device", "cpu", "--step", "toy"], "cargo bench");
    refused(dir, &["bench", "--device", "gpu"], "cpu, cuda, cuda:N, cuda-host or auto");
    refused(dir, &["bench", "--kernel", "gelo"], "gelu_forward");
    refused(dir, &["bench", "--step", "gpt5"], "toy, small, gpt2");
    refused(dir, &["bench", "--step", "gpt2", "--kernel", "gelu"], "--kernel");
    refused(dir, &["bench", "--batch", "4"], "--step");
    refused(dir, &["bench", "--step", "gpt2", "--batch", "0"], "--batch");
    for more in [&[][..], &["--step", "gpt2"], &["--out", "record"]] {
        let output = fortifai(dir, &[&["bench", "--device", "cuda:97"], more].concat());
        let sentence = words(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{sentence}");
        assert_eq!(sentence.trim_end().lines().count(), 1, "{sentence}");
        assert!(output.stdout.is_empty() && !dir.join("record").exists());
    }
}

#[test]
fn the_help_teaches_how_times_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let help = words(&fortifai(folder.path(), &["bench", "--help"]).stdout);
    for part in ["naive", "second-level cache", "tokens/s ·", "rivals.py", "--quick", "Examples"] {
        assert!(help.contains(part), "{part} is not in {help}");
    }
}

#[test]
fn benches_on_the_shim_leave_a_record_that_says_what_it_is_worth() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    if !shim(dir) {
        return;
    }
    let kernels = ["bench", "--device", "cuda-host", "--kernel", "gelu", "--out", "record"];
    let output = fortifai(dir, &[&kernels[..], &["--json"]].concat());
    let said = words(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("SAY NOTHING ABOUT A GPU"), "{said}");
    let result = last_line(&output);
    assert_eq!(result["times_mean_something"], false);
    let entries = result["entries"].as_array().unwrap();
    let is = |entry: &serde_json::Value, kernel: &str, rung: &str| {
        entry["kernel"] == kernel && entry["rung"] == rung && entry["precision"] == "bf16"
    };
    for rung in ["naive", "fast"] {
        let entry = entries.iter().find(|entry| is(entry, "gelu_backward", rung)).unwrap();
        assert!(entry["time_ms"].as_f64().unwrap() > 0.0 && entry["bytes"].as_u64() > Some(0));
    }
    let read = |name: &str| std::fs::read_to_string(dir.join("record").join(name)).unwrap();
    assert!(read("kernels.md").contains("SAY NOTHING ABOUT A GPU"));
    assert!(
        read("kernels.json").contains("\"gelu_forward\"") && read("ladder.svg").contains("<svg")
    );
    refused(dir, &kernels, "never overwritten");

    let step = ["bench", "--device", "cuda-host", "--step", "gpt2", "--out", "record"];
    for precision in ["f32", "bf16"] {
        let output = fortifai(dir, &[&step[..5], &["--precision", precision, "--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
        let result = last_line(&output);
        assert_eq!(
            (&result["size"], result["runs"].as_array().unwrap().len()),
            (&"tiny".into(), 2)
        );
        assert!(result["runs"][0]["tokens_per_s"].as_f64().unwrap() > 0.0);
        assert!(result["runs"][0]["model_flops_utilisation"].is_null());
    }
    let table = words(&fortifai(dir, &step).stdout);
    assert!(table.contains("half of the rows kept") && table.contains("tokens/s"), "{table}");
    assert!(read("step.md").contains("SAY NOTHING ABOUT A GPU"));
}
