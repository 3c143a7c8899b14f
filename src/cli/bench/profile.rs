//! Where a training step's time goes.

use fortifai_kernels::Record;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Launches of one kernel, or of one kernel in one shape.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    kernel: &'static str,
    /// Empty where shapes are put together.
    sizes: Vec<i32>,
    calls: usize,
    time_ms: f64,
}

/// The launches of one step, against the time of steps without a profile.
#[derive(Debug)]
pub(super) struct Profile {
    step_ms: f64,
    kernels_ms: f64,
    kernels: Vec<Line>,
    shapes: Vec<Line>,
}

/// Shapes with less than this share of a step have no line.
const LEAST: f64 = 0.005;

impl Profile {
    /// Of the records of one step, where steps take `step_ms`.
    pub fn of(records: &[Record], step_ms: f64) -> Self {
        let mut shapes = sum(records, |record| record.sizes.clone());
        shapes.retain(|line| line.time_ms >= LEAST * step_ms);
        let kernels_ms = records.iter().map(|record| record.time_ms).sum();
        Self { step_ms, kernels_ms, kernels: sum(records, |_| Vec::new()), shapes }
    }

    pub fn json(&self) -> Value {
        let lines = |lines: &[Line]| -> Vec<Value> {
            let line = |line: &Line| {
                json!({
                    "kernel": line.kernel,
                    "sizes": line.sizes,
                    "calls": line.calls,
                    "time_ms": line.time_ms,
                    "share": line.time_ms / self.step_ms,
                })
            };
            lines.iter().map(line).collect()
        };
        json!({
            "step_ms": self.step_ms,
            "kernels_ms": self.kernels_ms,
            "rest_ms": self.step_ms - self.kernels_ms,
            "kernels": lines(&self.kernels),
            "shapes": lines(&self.shapes),
        })
    }
}

/// Equal kernels with equal sizes together, the longest first.
fn sum(records: &[Record], sizes: impl Fn(&Record) -> Vec<i32>) -> Vec<Line> {
    let mut sums: BTreeMap<(&'static str, Vec<i32>), (usize, f64)> = BTreeMap::new();
    for record in records {
        let sum = sums.entry((record.kernel, sizes(record))).or_default();
        *sum = (sum.0 + 1, sum.1 + record.time_ms);
    }
    let line = |((kernel, sizes), (calls, time_ms))| Line { kernel, sizes, calls, time_ms };
    let mut lines: Vec<Line> = sums.into_iter().map(line).collect();
    lines.sort_by(|a, b| b.time_ms.total_cmp(&a.time_ms));
    lines
}

/// From [`Profile::json`].
pub(super) fn text(profile: &Value) -> String {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let step_ms = number(&profile["step_ms"]);
    let mut out = format!(
        "One more step, with an event before and behind every launch: {:.2} ms in kernels, copies and \
         fills, where a step takes {step_ms:.2} ms; the rest, {:.2} ms, is the device waiting (below \
         zero where the events cost more). Sizes are the kernel's own, in the order of its parameters.\n\n",
        number(&profile["kernels_ms"]),
        number(&profile["rest_ms"]),
    );
    for (list, sizes) in [("kernels", ""), ("shapes", " and sizes")] {
        out += &format!(
            "| kernel{sizes} | calls | time, ms | share of the step |\n|---|---|---|---|\n"
        );
        for line in profile[list].as_array().into_iter().flatten() {
            let sizes: Vec<String> =
                line["sizes"].as_array().into_iter().flatten().map(Value::to_string).collect();
            out += &format!(
                "| {} {} | {} | {:.3} | {:.1} % |\n",
                line["kernel"].as_str().unwrap_or_default(),
                sizes.join(" "),
                line["calls"],
                number(&line["time_ms"]),
                100.0 * number(&line["share"]),
            );
        }
        out += "\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_launches_are_one_line_and_the_longest_is_first() {
        let record = |kernel, size, time_ms| Record { kernel, sizes: vec![size], time_ms };
        let records =
            [record("a", 1, 1.0), record("b", 1, 5.0), record("a", 1, 1.5), record("a", 2, 0.01)];
        let profile = Profile::of(&records, 10.0);
        let line = |kernel, sizes, calls, time_ms| Line { kernel, sizes, calls, time_ms };
        assert_eq!(profile.kernels, [line("b", vec![], 1, 5.0), line("a", vec![], 3, 2.51)]);
        assert_eq!(profile.shapes, [line("b", vec![1], 1, 5.0), line("a", vec![1], 2, 2.5)]);
        let json = profile.json();
        assert!((json["rest_ms"].as_f64().unwrap() - 2.49).abs() < 1e-12);
        assert!(text(&json).contains("| a 1 | 2 | 2.500 | 25.0 % |"));
    }
}
