//! `fortifai theory golden`: the closed forms beside values that were computed elsewhere.

use crate::cli::{say, say_json};
use crate::{Error, Result};
use clap::Args;
use fortifai_collapse::inputs::shown;
use fortifai_collapse::prediction::Digits;
use fortifai_collapse::{Inputs, Value, catalogue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::path::{Path, PathBuf};

/// The largest file that is read.
const MAX_BYTES: u64 = 256 << 20;

/// Compare the closed forms with golden values, such as digits of mpmath.
///
/// The file holds {"golden": [{"id": "G1", "formula": "c4(n)", "inputs": {"n": 2}, "value":
/// "0.797…"}, …]}; values are numbers or strings of digits, inputs numbers, lists of numbers or
/// words. Entries are found by id and formula together. A value passes within 1e-12 of the golden
/// one, relative (absolute where it is zero); where special functions, quadrature, roots or linear
/// solves are used, within 1e-10.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai theory golden formulas.json
  fortifai theory golden formulas.json --json | tail -n 1 | jq '.checks[] | select(.passed | not)'")]
pub struct Arguments {
    /// File of golden values
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print all comparisons as one line of JSON instead of the summary
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Deserialize)]
struct File {
    golden: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    formula: String,
    inputs: Map<String, Json>,
    value: Json,
}

/// One comparison.
#[derive(Debug, Serialize)]
struct Comparison {
    id: String,
    formula: String,
    inputs: Inputs,
    expected: f64,
    value: Option<f64>,
    /// Relative, or absolute where the expected value is zero.
    error: Option<f64>,
    tolerance: Option<f64>,
    digits: Option<Digits>,
    passed: bool,
    /// Why there is no value.
    reason: Option<String>,
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    let cases = read(&arguments.file)?;
    let comparisons: Vec<Comparison> = cases.into_iter().map(compare).collect();
    let failed = comparisons.iter().filter(|comparison| !comparison.passed).count();
    let worst = comparisons.iter().filter(|c| c.error.is_some());
    let worst = worst.max_by(|a, b| a.error.unwrap_or(0.0).total_cmp(&b.error.unwrap_or(0.0)));
    let mut special: Vec<(&str, &str)> = comparisons
        .iter()
        .filter(|c| c.digits == Some(Digits::Special))
        .map(|c| (c.id.as_str(), c.formula.as_str()))
        .collect();
    special.sort_unstable();
    special.dedup();
    if arguments.json {
        say_json(&serde_json::json!({
            "exit_code": u8::from(failed > 0), "passed": failed == 0,
            "count": comparisons.len(), "failed": failed,
            "worst_relative_error": worst.and_then(|c| c.error),
            "special_functions": special.iter()
                .map(|(id, formula)| serde_json::json!({ "id": id, "formula": formula }))
                .collect::<Vec<_>>(),
            "checks": comparisons,
        }));
    } else {
        summarise(&comparisons, &special, worst);
    }
    match failed {
        0 => Ok(()),
        _ => Err(Error::Check(format!(
            "{failed} of {} golden values are not met.",
            comparisons.len()
        ))),
    }
}

fn summarise(all: &[Comparison], special: &[(&str, &str)], worst: Option<&Comparison>) {
    for c in all.iter().filter(|c| !c.passed) {
        let why = match (&c.reason, c.value, c.error) {
            (None, Some(value), Some(error)) => {
                let tolerance = c.tolerance.unwrap_or_default();
                let (value, expected) = (shown(value), shown(c.expected));
                format!("{value} instead of {expected}: error {error:.1e} > {tolerance:.0e}")
            }
            (reason, ..) => reason.clone().unwrap_or_default(),
        };
        say(&format!("FAILED {} {} at {}: {why}\n", c.id, c.formula, c.inputs));
    }
    say(&format!(
        "Held to 1e-10 (special functions, quadrature, roots, solves): {} formulas\n",
        special.len()
    ));
    special.iter().for_each(|(id, formula)| say(&format!("  {id} {formula}\n")));
    if let Some((worst, error)) = worst.and_then(|worst| Some((worst, worst.error?))) {
        say(&format!(
            "Worst relative error: {error:.1e} ({} {} at {})\n",
            worst.id, worst.formula, worst.inputs
        ));
    }
    let passed = all.iter().filter(|c| c.passed).count();
    let verdict = if passed == all.len() { "passed" } else { "FAILED" };
    say(&format!("{passed} of {} golden values are met: {verdict}\n", all.len()));
}

/// A case with its inputs and value understood.
struct Known {
    id: String,
    formula: String,
    inputs: Inputs,
    expected: f64,
}

fn compare(case: Known) -> Comparison {
    let Known { id, formula, inputs, expected } = case;
    let entry = catalogue::entries().find(|entry| entry.id == id && entry.formula == formula);
    let predicted = match entry {
        Some(entry) => entry.predict(&inputs).map_err(|refusal| refusal.to_string()),
        None => Err("not known".to_string()),
    };
    let value = predicted.as_ref().ok().map(|prediction| prediction.value);
    let error = value.map(|value| match expected {
        0.0 => value.abs(),
        _ => ((value - expected) / expected).abs(),
    });
    let tolerance = entry.map(|entry| entry.digits.tolerance());
    let passed = error.zip(tolerance).is_some_and(|(error, tolerance)| error <= tolerance);
    let digits = entry.map(|entry| entry.digits);
    let reason = predicted.err();
    Comparison { id, formula, inputs, expected, value, error, tolerance, digits, passed, reason }
}

fn read(path: &Path) -> Result<Vec<Known>> {
    let size = std::fs::metadata(path).map_err(|cause| Error::reading(path, cause))?.len();
    if size > MAX_BYTES {
        return Err(Error::input(format!(
            "{} has {size} bytes; golden files of at most {MAX_BYTES} bytes are read.",
            path.display()
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|cause| Error::reading(path, cause))?;
    let file: File = serde_json::from_str(&text).map_err(|cause| {
        Error::input(format!(
            "{} is no file of golden values: {cause}. It should hold {{\"golden\": [{{\"id\", \
             \"formula\", \"inputs\", \"value\"}}, …]}}.",
            path.display()
        ))
    })?;
    if file.golden.is_empty() {
        return Err(Error::input(format!(
            "{} holds an empty list of golden values: nothing can be compared.",
            path.display()
        )));
    }
    let cases = file.golden.into_iter().enumerate();
    cases
        .map(|(index, case)| {
            let place =
                format!("{}, golden[{index}] ({} {})", path.display(), case.id, case.formula);
            understand(case).map_err(|why| Error::input(format!("{place}: {why}")))
        })
        .collect()
}

fn understand(case: Case) -> std::result::Result<Known, String> {
    let mut inputs = Inputs::default();
    for (name, value) in &case.inputs {
        inputs.set(name, input(name, value)?);
    }
    let number = match &case.value {
        Json::Number(number) => number.as_f64(),
        Json::String(digits) => digits.trim().parse().ok(),
        _ => None,
    };
    let expected = number.filter(|number| number.is_finite()).ok_or_else(|| {
        format!("the value {} is not a finite number, nor a string of digits.", case.value)
    })?;
    Ok(Known { id: case.id, formula: case.formula, inputs, expected })
}

fn input(name: &str, value: &Json) -> std::result::Result<Value, String> {
    let number = |value: &Json| value.as_f64().filter(|number| number.is_finite());
    match value {
        Json::Number(_) => number(value).map(Value::Number),
        Json::Array(items) => items.iter().map(number).collect::<Option<_>>().map(Value::List),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| {
        format!("the input {name} is {value}, but a number, a list of numbers or a word is needed.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("golden.json");
        std::fs::write(&path, json).unwrap();
        match read(&path) {
            Ok(cases) => format!("{} cases", cases.len()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn files_are_read_strictly_and_errors_name_the_place() {
        let case = |inputs: &str, value: &str| {
            told(&format!(
                "{{\"golden\":[{{\"id\":\"G1\",\"formula\":\"f\",\"inputs\":{inputs},\"value\":{value}}}]}}"
            ))
        };
        assert_eq!(case("{\"n\":2,\"p\":[0.5,0.5],\"d\":\"n-1\"}", "\"0.25\""), "1 cases");
        assert_eq!(case("{}", "1e-3"), "1 cases");
        assert!(case("{}", "\"many\"").contains("golden[0] (G1 f): the value"));
        assert!(case("{}", "\"inf\"").contains("not a finite number"));
        assert!(case("{\"n\":null}", "1").contains("the input n is null"));
        assert!(case("{\"n\":[1,[2]]}", "1").contains("the input n"));
        assert!(case("[]", "1").contains("line 1 column"));
        assert!(told("{\"golden\":[]}").contains("empty list"));
        assert!(told("{\"golden\":").contains("line 1 column"));
        assert!(told("{}").contains("missing field `golden`"));
    }
}
