//! `fortifai verify`: what it refuses, a shape of one's own, and what it says of what it left out.

use super::{fortifai, last_line, refused, words};

#[test]
fn options_that_cannot_be_meant_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], part: &str| {
        refused(dir.path(), &[&["verify"], arguments].concat(), part);
    };
    refused(&["--operator", ""], "they are: embedding, linear");
    refused(&["--operator", " "], "they are: embedding, linear");
    refused(&["--operator", "conv"], "they are: embedding, linear");
    refused(&["--markdown", "--json"], "--json");
    refused(&["--shape", "n=1"], "--operator");
    refused(&["--operator", "norm", "--shape", "n=1"], "layernorm, residual_layernorm");
    for (shape, part) in [
        ("n=7,c=3", "oc is missing; linear has the letters n, c, oc, such as n=5,c=5,oc=5"),
        ("n=7,c=3,v=2", "\"v\" is no letter of it; linear has the letters n, c, oc"),
        ("n=7,c=0,oc=2", "c is not a whole number from 1"),
        ("n=7,c=many,oc=2", "c is not a whole number from 1"),
        ("n=7,c=3,oc=2,n=8", "n is given twice"),
        ("n=1024,c=1024,oc=1024", "the product of the sizes is 1073741824, more than 67108864"),
        ("7x3x2", "\"7x3x2\" is not LETTER=N"),
    ] {
        refused(&["--operator", "linear", "--shape", shape], part);
    }
    refused(&["--operator", "linear", "--shape", "n=1,c=1,oc=1", "--cases", "0"], "--cases 0");
}

#[test]
fn every_operator_is_checked_in_a_shape_of_ones_own() {
    let dir = tempfile::tempdir().unwrap();
    for (operator, shape) in [
        ("embedding", "v=11,context=7,c=19,n=5"),
        ("linear", "n=7,c=76,oc=5"),
        ("gelu_linear", "n=3,c=67,oc=5"),
        ("layernorm", "n=3,c=76"),
        ("residual_layernorm", "n=3,c=76"),
        ("attention", "t=9,b=2,nh=3,hs=5"),
        ("classifier", "n=5,c=3,v=70"),
        ("adamw", "len=100"),
        ("squared_norm", "len=100"),
        ("attention_decode", "t=9,b=2,nh=3,hs=5"),
        ("packed_linear", "n=7,c=76,oc=5"),
        ("model", "layers=2,nh=2,hs=4,b=2,t=5,v=11"),
    ] {
        let own = ["verify", "--operator", operator, "--shape", shape, "--cases", "3", "--json"];
        let output = fortifai(dir.path(), &own);
        assert_eq!(output.status.code(), Some(0), "{operator}: {}", words(&output.stdout));
        let checks = last_line(&output)["checks"].as_array().unwrap().clone();
        let named = |check: &serde_json::Value| {
            let name = check["name"].as_str().unwrap();
            name.starts_with(&format!("{operator}/")) || name.starts_with(&format!("{operator} "))
        };
        assert!(checks.iter().all(named), "{operator}: {checks:?}");
        let value = checks.iter().find(|check| check["name"].as_str().unwrap().ends_with("value"));
        // Three points for every loss.
        assert_eq!(value.unwrap()["cases"].as_u64().unwrap() % 3, 0, "{operator}");
        assert!(checks.iter().all(|check| !check["name"].as_str().unwrap().ends_with("branches")));
    }
}

#[test]
fn too_few_cases_for_all_branches_are_said_and_no_gradient_is_not_counted() {
    let dir = tempfile::tempdir().unwrap();
    let verify = |cases: &str| {
        let output = fortifai(dir.path(), &["verify", "--operator", "adamw", "--cases", cases]);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output.stdout));
        words(&output.stdout)
    };
    let few = verify("3");
    assert!(
        few.contains("skipped branches: they are counted but demanded only from --cases 16 up")
    );
    assert!(few.contains(": 4 checks passed"), "value, guards, f32 twice: {few}");
    let enough = verify("16");
    assert!(!enough.contains("skipped") && enough.contains(": 5 checks passed"), "{enough}");
    let row = enough.lines().find(|line| line.starts_with("adamw")).unwrap();
    assert_eq!(row.split_whitespace().nth(3), Some("·"), "no adjoint: {row}");
}

#[test]
fn golden_vectors_that_are_not_there_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let Some(golden) = crate::golden::shared("golden") else { return };
    std::fs::copy(golden.join("losses.json"), dir.path().join("losses.json")).unwrap();
    let output = fortifai(dir.path(), &["verify", "--golden", "."]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
    let text = words(&output.stdout);
    assert!(text.contains("skipped gpt2: the directory has no such file"), "{text}");
    assert!(text.contains(" checks passed"), "{text}");
}
