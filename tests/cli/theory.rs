//! `fortifai theory`: values, verdicts, pictures and refusals.

use super::{fortifai, last_line, refused, words};
use std::path::Path;

fn golden(dir: &Path, cases: &str) -> std::process::Output {
    std::fs::write(dir.join("golden.json"), format!("{{\"golden\":[{cases}]}}")).unwrap();
    fortifai(dir, &["theory", "golden", "golden.json", "--json"])
}

const RISK: &str = "\"id\":\"R1\",\"formula\":\"OLS replace n sig^2 d/(T-d-1)\",\
                    \"inputs\":{\"d\":3,\"T\":9,\"n\":4,\"sigma\":0.7}";

#[test]
fn everything_that_can_be_asked_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let all = last_line(&fortifai(dir, &["theory", "list", "--json"]));
    let entries = all["entries"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["formula"] == "OLS replace n sig^2 d/(T-d-1)"));
    for entry in entries {
        for name in ["id", "name", "formula", "kind", "source", "domain", "digits", "family"] {
            assert!(entry[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {entry}");
        }
        assert!(entry["inputs"].is_array());
    }
    let family = entries[0]["family"].as_str().unwrap();
    let text = words(&fortifai(dir, &["theory", "list", "--family", family]).stdout);
    assert!(text.contains(entries[0]["formula"].as_str().unwrap()), "{text}");
    refused(dir, &["theory", "list", "--family", "astrology"], "there are: ");
}

#[test]
fn a_prediction_says_value_kind_formula_and_source() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let ask = |set: &[&str]| {
        fortifai(dir, &[&["theory", "predict", "R1", "--json", "--set"], set].concat())
    };
    let said = ask(&["d=3", "T=9", "n=4", "sigma=0.7"]);
    assert_eq!(said.status.code(), Some(0), "{}", words(&said.stderr));
    let line = last_line(&said);
    let predictions = line["predictions"].as_array().unwrap();
    let risk = predictions.iter().find(|p| p["formula"] == "OLS replace n sig^2 d/(T-d-1)");
    let risk = risk.expect("R1");
    // 4·0.49·3/5.
    assert!((risk["value"].as_f64().unwrap() - 1.176).abs() <= 1e-12 * 1.176);
    assert_eq!((risk["id"].as_str(), risk["kind"].as_str()), (Some("R1"), Some("exact")));
    assert_eq!(risk["inputs"]["T"], 9.0);
    assert!(!risk["source"].as_str().unwrap().is_empty());
    assert!(!risk["name"].as_str().unwrap().is_empty());

    let case: [(&[&str], &str); 9] = [
        (&["R1", "--set", "d=3"], "T: "),
        (&["R1"], "No input is set."),
        (&["R1", "--set", "d=3", "T=9", "n=4", "sigma=0.7", "x=1"], "takes exactly"),
        (&["R1", "--set", "d=3", "T=4", "n=4", "sigma=0.7"], "needed"),
        (&["R1", "--set", "d=3", "T=9", "n=many", "sigma=0.7"], "many"),
        (&["R1", "--set", "d"], "equals sign"),
        (&["R1", "--set", "d=3", "d=4"], "set twice"),
        (&["R1", "--formula", "phlogiston", "--set", "d=3"], "No formula here"),
        (&["RR1"], "The nearest names are: "),
    ];
    for (arguments, part) in case {
        refused_aloud(dir, &[&["theory", "predict"], arguments].concat(), part);
    }
}

/// As `refused`; with `--json` the error is the line of JSON.
fn refused_aloud(dir: &Path, arguments: &[&str], part: &str) {
    refused(dir, arguments, part);
    let output = fortifai(dir, &[arguments, &["--json"]].concat());
    assert_eq!(last_line(&output)["exit_code"], 2, "{arguments:?}");
}

#[test]
fn checks_pass_and_do_not_depend_on_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let run = |threads: &str| {
        let arguments = ["theory", "check", "R1", "--seed", "3", "--json", "--threads", threads];
        let output = fortifai(dir, &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
        output
    };
    let one = run("1");
    assert_eq!(one.stdout, run("2").stdout);
    let report = last_line(&one);
    assert_eq!(report["passed"], true);
    let alarm = report["family_false_alarm"].as_f64().unwrap();
    assert!(alarm > 0.0 && alarm <= 1e-6, "{alarm}");
    for check in report["checks"].as_array().unwrap() {
        for name in ["predicted", "measured", "standard_error", "z"] {
            assert!(check[name].is_number(), "{name}: {check}");
        }
        for name in ["name", "statistic", "kind"] {
            assert!(check[name].is_string(), "{name}: {check}");
        }
        assert_eq!(check["passed"], true);
        assert!(check["mistakes"].is_array());
    }
    let soak = fortifai(dir, &["theory", "check", "R1", "--until", "2", "--json"]);
    assert_eq!(soak.status.code(), Some(0), "{}", words(&soak.stderr));
    let soak = last_line(&soak);
    assert_eq!((soak["batches"].as_u64(), soak["passed"].as_bool()), (Some(2), Some(true)));
    refused_aloud(dir, &["theory", "check", "R77"], "The nearest names are: ");
    refused(dir, &["theory", "check", "--until", "soon"], "neither `significant`");
    refused(dir, &["theory", "check", "--replicates", "3"], "100");
}

#[test]
fn golden_values_are_met_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let right = golden(dir, &format!("{{{RISK},\"value\":\"1.176\"}}"));
    assert_eq!(right.status.code(), Some(0), "{}", words(&right.stderr));
    let line = last_line(&right);
    assert_eq!((line["count"].as_u64(), line["passed"].as_bool()), (Some(1), Some(true)));
    assert!(line["worst_relative_error"].as_f64().unwrap() <= 1e-12);
    assert!(line["special_functions"].is_array());

    let wrong = golden(dir, &format!("{{{RISK},\"value\":1.1760001}},{{{RISK},\"value\":1.176}}"));
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(last_line(&wrong)["failed"], 1);
    let unknown =
        golden(dir, "{\"id\":\"R1\",\"formula\":\"phlogiston\",\"inputs\":{},\"value\":1}");
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(last_line(&unknown)["checks"][0]["reason"], "not known");
    let outside = golden(dir, &format!("{{{},\"value\":1}}", RISK.replace("\"T\":9", "\"T\":4")));
    assert_eq!(outside.status.code(), Some(1));

    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    write("empty.json", "{\"golden\":[]}");
    write("cut.json", "{\"golden\":[{\"id\":\"R1\",\n\"formula\"");
    write("words.json", &format!("{{\"golden\":[{{{RISK},\"value\":\"many\"}}]}}"));
    write("list.json", "[1,2]");
    for (file, part) in [
        ("empty.json", "empty list"),
        ("cut.json", "line 2"),
        ("words.json", "golden[0] (R1 OLS"),
        ("list.json", "no file of golden values"),
        ("none.json", "does not exist"),
    ] {
        refused_aloud(dir, &["theory", "golden", file], part);
    }
}

#[test]
fn the_projects_golden_values_are_met() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden/formulas.json");
    if !path.is_file() {
        eprintln!("SKIPPED: {} does not exist", path.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = path.display().to_string();
    let output = fortifai(folder.path(), &["theory", "golden", &file]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output.stdout));
}

#[test]
fn figures_and_the_page_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let plot = fortifai(dir, &["theory", "plot", "R1", "-o", "risk.svg", "--json"]);
    assert_eq!(plot.status.code(), Some(0), "{}", words(&plot.stderr));
    assert!(!last_line(&plot)["figures"].as_array().unwrap().is_empty());
    let svg = std::fs::read_to_string(dir.join("risk.svg")).unwrap();
    assert!(svg.starts_with("<svg xmlns=") && svg.contains("<polyline"));
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    refused_aloud(dir, &["theory", "plot", "R1", "-o", "risk.png"], "does not end in .svg");
    refused_aloud(dir, &["theory", "plot", "R1", "-o", "none/risk.svg"], "no directory none");
    refused_aloud(dir, &["theory", "plot", "R77", "-o", "x.svg"], "The nearest names are: ");
    refused_aloud(dir, &["theory", "report", "-o", "theory.pdf"], "does not end in .html");

    let report = fortifai(dir, &["theory", "report", "-o", "theory.html", "--json"]);
    assert_eq!(report.status.code(), Some(0), "{}", words(&report.stderr));
    let page = std::fs::read_to_string(dir.join("theory.html")).unwrap();
    assert!(page.contains("Every test passed.") && page.contains("<svg"));
    for outside in ["http://", "https://", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn a_text_declines_as_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let text: String = (0..600u32).map(|i| format!("w{} ", i * i % 61 % 23)).collect();
    std::fs::write(dir.join("text.txt"), text).unwrap();
    std::fs::write(dir.join("empty.txt"), "").unwrap();
    let ask = ["theory", "corpus", "text.txt", "--order", "2", "--generations", "4"];
    let output = fortifai(dir, &[&ask[..], &["-o", "text.svg", "--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
    let found = last_line(&output);
    let generations = found["generations"].as_array().unwrap();
    assert_eq!(generations.len(), 5);
    for generation in generations {
        for name in ["vocabulary", "entropy_nats", "contexts", "ngrams"] {
            assert!(generation[name]["predicted"].is_number(), "{name}: {generation}");
        }
    }
    let alive = |g: usize| generations[g]["ngrams"]["predicted"].as_f64().unwrap();
    assert!(alive(4) < alive(0));
    assert!(std::fs::read_to_string(dir.join("text.svg")).unwrap().contains("<polyline"));
    let again = fortifai(dir, &[&ask[..], &["--threads", "1", "--json"]].concat());
    assert_eq!(last_line(&again)["generations"], found["generations"]);
    refused_aloud(dir, &["theory", "corpus", "none.txt", "--order", "2"], "does not exist");
    refused_aloud(dir, &["theory", "corpus", "empty.txt", "--order", "2"], "holds no text");
    refused(dir, &["theory", "corpus", "text.txt", "--order", "0"], "order");
    refused(dir, &["theory", "corpus", "text.txt"], "--order");
}

#[test]
fn help_teaches_the_theory() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["list", "predict", "check", "golden", "plot", "report", "corpus"] {
        let help = fortifai(folder.path(), &["theory", command, "--help"]);
        assert_eq!(help.status.code(), Some(0));
        assert!(words(&help.stdout).contains("Examples:"), "{command}");
    }
    let help = words(&fortifai(folder.path(), &["theory", "--help"]).stdout);
    assert!(help.contains("Examples:") && help.contains("theory predict G1 --set n=10"));
}
