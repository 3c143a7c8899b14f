//! `fortifai onset`: the paper's times to failure, and refusals.

use super::{fortifai, last_line, refused, words};
use std::path::Path;

#[test]
fn the_paper_s_table_gives_its_times_to_failure() {
    let folder = tempfile::tempdir().unwrap();
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kr-split-0.csv");
    let table = table.to_str().unwrap();
    let asked = ["onset", table, "--threshold", "75", "--json"];
    let output = fortifai(folder.path(), &asked);
    let text = words(&output.stdout);
    let row = text.lines().find(|line| line.starts_with("Llama WikiText-2 TCE .9 ")).unwrap();
    assert!(row.ends_with("2.38"), "{text}");
    let line = last_line(&output);
    assert_eq!((&line["axis"], &line["curves"][0]["ratio"]["is"]), (&"tokens".into(), &1.0.into()));
    let at = line["curves"][1]["first"]["at"].as_f64().unwrap();
    assert!((at / 91.4e6 - 1.0).abs() < 1e-3, "{at}");
    let stages = ["--axis", "generations", "--measure", "Gemma IoW CE", "Gemma IoW TCE .99"];
    let line = last_line(&fortifai(folder.path(), &[&asked[..], &stages].concat()));
    let ratio = line["curves"][1]["ratio"]["is"].as_f64().unwrap();
    assert!((ratio - 1.92).abs() < 0.005, "{ratio}");
}

#[test]
fn what_is_never_reached_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), "stage,CE,TCE\n0,80,80\n1,70,79\n2,60,78\n")
        .unwrap();
    let output = fortifai(folder.path(), &["onset", "t.csv", "--threshold", "75", "--json"]);
    let text = words(&output.stdout);
    assert!(text.lines().any(|line| line.starts_with("TCE") && line.ends_with("≥ 4.00")), "{text}");
    let line = last_line(&output);
    assert_eq!(line["curves"][1]["first"], serde_json::json!({ "censored": "right", "at": 2.0 }));
    assert_eq!(line["curves"][1]["ratio"], serde_json::json!({ "at-least": 4.0 }));
}

#[test]
fn bad_tables_and_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("unsorted.csv"), "stage,CE\n1,80\n0,70\n").unwrap();
    std::fs::write(dir.join("t.csv"), "stage,CE\n0,80\n1,70\n").unwrap();
    let case: [(&[&str], &str); 5] = [
        (&["none.csv", "--threshold", "75"], "does not exist"),
        (&["unsorted.csv", "--threshold", "75"], "sort its rows"),
        (&["t.csv", "--threshold", "nan"], "no finite number"),
        (&["t.csv", "--threshold", "75", "--axis", "tokens"], "no axis of tokens"),
        (&["t.csv", "--threshold", "75", "--baseline", "TCE"], "there are: CE"),
    ];
    for (arguments, part) in case {
        refused(dir, &[&["onset"], arguments].concat(), part);
    }
}
