//! Items on the command line: scored, kept, compared, refused.

use super::{fortifai, last_line, refused, words};
use std::path::Path;

const QUESTIONS: &str = r#"[
 {"context": "line 1", "sentence_true": "of the text", "sentence_false": "qzx jkv", "location": 1},
 {"context": "line 2", "sentence_true": "of the text", "sentence_false": "of", "location": 5},
 {"context": "line 3 of the text, which is longer than what the model can read",
  "sentence_true": "of", "sentence_false": "zz zz zz", "location": 9}
]"#;
const PAIRS: &str =
    "{\"sentence_good\": \"line 4 of the text\", \"sentence_bad\": \"zqxj 4 vk wqz jxkv\"}\n";
const CHOICE: &str =
    "{\"ctx\": \"line 5\", \"endings\": [\"zq zq xj zq\", \"of the text\"], \"label\": \"1\"}\n";

fn train(dir: &Path, name: &str, seed: &str) {
    let settings = ["model.layers=1", "model.channels=16", "model.context=32"];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let mut arguments =
        vec!["train", "--corpus", "text.txt", "--tokenizer", "byte", "--epochs", "1"];
    arguments.extend(["--max-new-tokens", "20", "--seed", seed, "--out", name]);
    arguments.extend(settings);
    let trained = fortifai(dir, &arguments);
    assert_eq!(trained.status.code(), Some(0), "{}", words(&trained.stderr));
}

#[test]
fn items_are_scored_kept_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    write("text.txt", &(0..400).map(|n| format!("line {n} of the text\n\n")).collect::<String>());
    write("questions.json", QUESTIONS);
    write("pairs.jsonl", PAIRS);
    write("choice.jsonl", CHOICE);
    train(dir, "model", "1");
    train(dir, "other", "2");

    let evaluate = |model: &str, out: &str, threads: &str| {
        let items = ["--retention", "questions.json", "--splits", "3", "--blimp", "pairs.jsonl"];
        let more = ["--choice", "choice.jsonl", "--items-out", out, "--threads", threads, "--json"];
        let output = fortifai(dir, &[&["evaluate", model], &items[..], &more[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
        output
    };
    let output = evaluate("model", "a.jsonl", "1");
    let text = words(&output.stdout);
    for part in
        ["retention_accuracy", "retention_split_2", "blimp_pairs", "1 of 5 items are longer"]
    {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    let result = last_line(&output);
    assert_eq!(result["items"]["retention_accuracy"]["items"], 3);
    assert_eq!(result["items"]["blimp_pairs"]["right"], 1);
    assert_eq!(result["items"]["choice_normalised_accuracy"]["accuracy"], 1.0);
    assert_eq!(result["items"]["items_cut"], 1);
    assert!(result.get("tokens").is_none());
    let scores = std::fs::read_to_string(dir.join("a.jsonl")).unwrap();
    assert_eq!(scores.lines().count(), 5);
    evaluate("model", "again.jsonl", "3");
    assert_eq!(std::fs::read_to_string(dir.join("again.jsonl")).unwrap(), scores);

    // A text beside the items.
    let both =
        fortifai(dir, &["evaluate", "model", "text.txt", "--blimp", "pairs.jsonl", "--json"]);
    let both = last_line(&both);
    assert!(both["nats_per_token"].as_f64().is_some() && both["items"]["blimp_pairs"].is_object());
    let lines = ["--retention", "questions.json", "--split-lines", "1,6,8", "--json"];
    let lines = last_line(&fortifai(dir, &[&["evaluate", "model"], &lines[..]].concat()));
    assert_eq!(lines["items"]["retention_accuracy"]["items"], 2);
    assert_eq!(lines["items"]["retention_split_0"]["items"], 2);

    evaluate("other", "b.jsonl", "2");
    let compared = fortifai(dir, &["compare", "a.jsonl", "b.jsonl", "--json"]);
    assert_eq!(compared.status.code(), Some(0), "{}", words(&compared.stderr));
    let metrics = last_line(&compared)["metrics"].as_array().unwrap().clone();
    assert_eq!(metrics.len(), 8);
    for metric in metrics {
        let p = metric["p_value"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&p), "{metric}");
    }
    let same = last_line(&fortifai(dir, &["compare", "a.jsonl", "a.jsonl", "--json"]));
    assert!(same["metrics"].as_array().unwrap().iter().all(|metric| metric["p_value"] == 1.0));

    write("bad.json", "[\n {\"context\": \"a\", \"sentence_true\": \"b\"}\n]");
    write(
        "half.jsonl",
        &scores.lines().take(3).map(|line| format!("{line}\n")).collect::<String>(),
    );
    refused(dir, &["evaluate", "model"], "--retention");
    refused(dir, &["evaluate", "model", "text.txt", "--items-out", "c.jsonl"], "no items");
    refused(dir, &["evaluate", "model", "--retention", "bad.json"], "bad.json, line 2");
    refused(
        dir,
        &["evaluate", "model", "--retention", "bad.json"],
        "\"sentence_false\" is missing",
    );
    refused(dir, &["evaluate", "model", "--blimp", "none.jsonl"], "none.jsonl does not exist");
    refused(dir, &["evaluate", "model", "--blimp", "pairs.jsonl", "--splits", "2"], "--retention");
    let many = ["--retention", "questions.json", "--splits", "9"];
    refused(dir, &[&["evaluate", "model"], &many[..]].concat(), "fewer than the 9 splits");
    refused(dir, &["compare", "a.jsonl", "half.jsonl"], "5 item scores and the second 3");
    refused(dir, &["compare", "a.jsonl", "pairs.jsonl"], "this is no item score");
}
