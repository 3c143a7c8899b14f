//! The binary: exit codes, sentences, and that bad input overwrites nothing.

mod bench;
mod device;
mod items;
mod onset;
mod theory;
mod verify;

use std::path::Path;
use std::process::{Command, Output};

const TINY: [&str; 20] = [
    "--set",
    "model.layers=1",
    "--set",
    "model.channels=8",
    "--set",
    "model.heads=2",
    "--set",
    "model.context=48",
    "--set",
    "toy.train_tokens=800",
    "--set",
    "toy.heldout_tokens=400",
    "--max-new-tokens",
    "40",
    "--epochs",
    "1",
    "--set",
    "train.warmup=2",
    "--generations",
    "2",
];

fn fortifai(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fortifai"));
    command.current_dir(dir).args(arguments).output().unwrap()
}

fn words(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// The last line of stdout as JSON.
fn last_line(output: &Output) -> serde_json::Value {
    let text = words(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap()
}

/// Fails with exit code 2, a full sentence that holds `part`, and leaves the directory as it was.
fn refused(dir: &Path, arguments: &[&str], part: &str) {
    let before = listing(dir);
    let output = fortifai(dir, arguments);
    let sentence = words(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {sentence}");
    assert!(sentence.contains(part), "{arguments:?}: {part:?} is not in {sentence:?}");
    assert!(!sentence.contains("panicked"), "{sentence}");
    assert!(output.stdout.is_empty(), "{}", words(&output.stdout));
    assert_eq!(listing(dir), before, "{arguments:?}");
}

fn listing(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.push((path.clone(), Vec::new()));
            files.extend(listing(&path));
        } else {
            files.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn bad_input_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).unwrap();
    write("empty.txt", b"");
    write("short.txt", b"Too short to train on.\n\nReally.\n");
    write("bad.txt", b"good\nbad \xff\xfe\n");
    write("good.txt", "a line of text\n".repeat(400).as_bytes());
    write("typo.toml", b"generatoins = 3\n");
    write("nested.toml", b"[train]\nepoch = 3\n");
    write("broken.toml", b"generations = \n");
    let cases: [(&[&str], &str); 30] = [
        (&["--corpus", "none.txt"], "none.txt does not exist"),
        (&["--corpus", "."], "directory"),
        (&["--corpus", "empty.txt"], "empty.txt holds no text"),
        (&["--corpus", "short.txt"], "fewer than one block"),
        (&["--corpus", "short.txt", "--heldout", "good.txt"], "fewer than one block"),
        (&["--corpus", "bad.txt"], "line 2"),
        (&["--loss", "crossentropy"], "Unknown loss \"crossentropy\""),
        (&["--loss", "tce:1.5"], "outside [0, 1]"),
        (&["--loss", "tce:-0.1"], "outside [0, 1]"),
        (&["--loss", "ce,ce"], "named twice"),
        (&["--protocol", "mix:2"], "outside [0, 1]"),
        (&["--protocol", "swap"], "Unknown protocol"),
        (&["--seeds", "many"], "--seeds 3"),
        (&["--seeds", "0"], "seeds is empty"),
        (&["--seeds", "4,4,"], "named twice"),
        (&["--generations", "0"], "generations is 0"),
        (&["--config", "none.toml"], "no settings file none.toml"),
        (&["--config", "typo.toml"], "generatoins"),
        (&["--config", "nested.toml"], "epoch"),
        (&["--config", "broken.toml"], "broken.toml is not TOML"),
        (&["--set", "train.betta1=0.5"], "betta1"),
        (&["--set", "train"], "equals sign"),
        (&["--heldout", "good.txt"], "heldout"),
        (&["--tokenizer", "char"], "tokenizer"),
        (&["--beams", "4"], "does not sample"),
        (&["--learning-rate", "-1"], "learning_rate"),
        (&["--protocol", "fractions", "--synthetic-tokens", "500"], "fractions"),
        (&["--model", "enormous"], "enormous"),
        (&["--out", "good.txt/run"], "cannot be written"),
        (&["--out", "good.txt"], "is a file"),
    ];
    for (arguments, part) in cases {
        refused(dir, &[&["collapse"], arguments].concat(), part);
    }
    refused(dir, &["collapse", "--resume", "--out", "nowhere"], "no directory nowhere");
    refused(dir, &["collapse", "--resume", "--dry-run"], "--dry-run");
    refused(dir, &["collapse", "--seed", "1", "--seeds", "2"], "--seeds");
    refused(dir, &["train", "--loss", "ce,tce:0.5"], "one loss");
    refused(dir, &["generate", "nowhere"], "no directory nowhere");
    refused(dir, &["evaluate", "nowhere", "good.txt"], "no directory nowhere");
    refused(dir, &["report", "nowhere"], "no directory nowhere");
    refused(dir, &["report", "a", "b"], "--out");
    refused(dir, &["retrain"], "retrain");
}

#[test]
fn a_run_is_made_resumed_reported_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let tiny = |more: &[&'static str]| [&["collapse"], &TINY[..], more].concat();
    let options = ["--loss", "ce,tce:0.5", "--seeds", "1", "--out", "run", "--json"];
    let stopped =
        fortifai(dir, &tiny(&[&options[..], &["--stop-after", "1", "--jobs", "1"]].concat()));
    assert_eq!(stopped.status.code(), Some(75), "{}", words(&stopped.stderr));
    assert_eq!(last_line(&stopped)["exit_code"], 75);
    refused(dir, &tiny(&["--out", "run"]), "--resume");
    refused(dir, &["collapse", "--out", "run", "--resume", "--batch", "5"], "train.batch");
    let resumed = fortifai(dir, &["collapse", "--out", "run", "--resume", "--json"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", words(&resumed.stderr));
    // Where stderr is no terminal, one line per generation that this process finished.
    assert_eq!(words(&resumed.stderr).lines().count(), 3, "{}", words(&resumed.stderr));
    assert!(words(&resumed.stdout).contains("excess_nats"));
    let result = last_line(&resumed);
    assert_eq!(result["chains"].as_array().unwrap().len(), 2);
    assert_eq!(result["chains"][1]["loss"], "tce:0.5");

    let reported = fortifai(dir, &["report", "run", "--out", "page", "--json"]);
    assert_eq!(reported.status.code(), Some(0), "{}", words(&reported.stderr));
    assert!(dir.join("page/report.html").is_file() && dir.join("page/metrics.csv").is_file());
    refused(dir, &["generate", "run"], "ce-seed1, tce-0.5-seed1");
    let texts =
        fortifai(dir, &["generate", "run", "--chain", "ce-seed1", "--count", "3", "--json"]);
    assert_eq!(last_line(&texts)["texts"].as_array().unwrap().len(), 3);
}

#[test]
fn a_model_is_trained_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let text: String = (0..400).map(|n| format!("line {n} of the text\n\n")).collect();
    std::fs::write(dir.join("text.txt"), &text).unwrap();
    let train = fortifai(
        dir,
        &[
            "train",
            "--corpus",
            "text.txt",
            "--tokenizer",
            "byte",
            "--loss",
            "tce:0.9",
            "--epochs",
            "1",
            "--set",
            "model.layers=1",
            "--set",
            "model.channels=16",
            "--set",
            "model.context=32",
            "--max-new-tokens",
            "20",
            "--out",
            "model",
            "--json",
        ],
    );
    assert_eq!(train.status.code(), Some(0), "{}", words(&train.stderr));
    let trained = last_line(&train)["metrics"]["heldout_nats"].as_f64().unwrap();
    assert!(trained < 5.5, "{trained}");
    let generate = ["generate", "model", "--prompt", "line 7", "--max-new-tokens", "9", "--json"];
    let first = fortifai(dir, &generate);
    assert_eq!(first.status.code(), Some(0), "{}", words(&first.stderr));
    assert!(words(&first.stdout).starts_with("line 7"));
    assert_eq!(fortifai(dir, &generate).stdout, first.stdout);
    let evaluated = fortifai(dir, &["evaluate", "model", "text.txt", "--json"]);
    let scores = last_line(&evaluated);
    // One end token per document follows its bytes.
    assert_eq!(scores["tokens"].as_u64().unwrap() as usize, text.len() - 400 + 400);
    let (nats, bits) = (&scores["nats_per_token"], &scores["bits_per_byte"]);
    let bytes = scores["bytes"].as_f64().unwrap();
    let expected = nats.as_f64().unwrap() / std::f64::consts::LN_2 * text.len() as f64 / bytes;
    assert!((bits.as_f64().unwrap() / expected - 1.0).abs() <= 1e-12);
    refused(dir, &["generate", "model", "--prompt", &"x".repeat(40)], "shorten the prompt");
    refused(dir, &["generate", "model", "--beams", "3"], "does not sample");
    refused(dir, &["evaluate", "model", "none.txt"], "none.txt does not exist");
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_it_would_cost() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let plan = fortifai(dir, &[&["collapse"], &TINY[..], &["--dry-run", "--json"]].concat());
    assert_eq!(plan.status.code(), Some(0), "{}", words(&plan.stderr));
    assert!(listing(dir).is_empty());
    let result = last_line(&plan);
    assert_eq!(result["chains"], 9);
    for name in ["time_s", "memory_bytes", "disk_bytes"] {
        assert!(result[name].as_f64().unwrap() > 0.0, "{name}");
    }
}

#[test]
fn help_teaches() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["collapse", "train", "generate", "evaluate", "compare", "report"] {
        let help = fortifai(folder.path(), &[command, "--help"]);
        assert_eq!(help.status.code(), Some(0));
        assert!(words(&help.stdout).contains("Examples:"), "{command}");
    }
}
