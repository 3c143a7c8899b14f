//! `fortifai onset`: time to failure from any table.

use super::{Common, say, say_json};
use crate::measure::onset::{Axis, Failing, Onset, Onsets, Ratio, onsets, read};
use crate::{Error, Result};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Say when each curve of a table fails: where it first, and last, passes a threshold.
///
/// The table is a CSV file with a header. Wide: a column `generation` and/or `tokens`, every other
/// column is a curve. Long, as `fortifai report` writes it in metrics.csv: columns that name a run,
/// then generation, metric, value. Between two rows the curve is a straight line; a value equal to
/// the threshold has not failed. A curve that has failed in the first row already is marked with
/// ≤, one that never fails with >, one whose run diverged fails there at the latest, and the ratios say
/// which bound is left of them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai onset retention.csv --threshold 75
      fails below 75; in tokens if the table has them, else in generations
  fortifai onset retention.csv --threshold 75 --axis generations --baseline CE
  fortifai onset runs/toy-replace/metrics.csv --threshold 3.2 --above --measure heldout_nats")]
pub struct Arguments {
    /// The table
    #[arg(value_name = "TABLE.csv")]
    table: PathBuf,
    /// The value that a curve must pass, strictly, to have failed
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    threshold: f64,
    /// What to count in [default: tokens if the table has them, else generations]
    #[arg(long, value_enum)]
    axis: Option<AxisWord>,
    /// Above the threshold is failure (perplexity, divergence), not below (retention)
    #[arg(long)]
    above: bool,
    /// Only these columns, or these metrics of a long table
    #[arg(long, value_name = "NAME", num_args = 1..)]
    measure: Vec<String>,
    /// The curve that the others are divided by [default: the first]
    #[arg(long, value_name = "CURVE")]
    baseline: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AxisWord {
    /// Synthetic tokens trained on
    Tokens,
    /// Generations
    Generations,
}

impl Arguments {
    /// Whether a line of JSON is asked for.
    pub fn json(&self) -> bool {
        self.common.json
    }
}

impl From<AxisWord> for Axis {
    fn from(word: AxisWord) -> Self {
        match word {
            AxisWord::Tokens => Self::Tokens,
            AxisWord::Generations => Self::Generations,
        }
    }
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    let threshold = arguments.threshold;
    if !threshold.is_finite() {
        return Err(Error::input(format!(
            "--threshold {threshold} is no finite number; give one."
        )));
    }
    let failing = if arguments.above { Failing::Above } else { Failing::Below };
    let axis = arguments.axis.map(Axis::from);
    let (axis, curves) = read(&arguments.table, axis, &arguments.measure)?;
    let found: Vec<Onsets> = (curves.iter())
        .map(|curve| match (onsets(&curve.points, threshold, failing), curve.diverged) {
            (Onsets { first: Onset::Right(_), .. }, Some(place)) => {
                Onsets { first: Onset::At(place), last: Onset::At(place), recovered: false }
            }
            (found, _) => found,
        })
        .collect();
    let baseline = match &arguments.baseline {
        None => 0,
        Some(name) => curves.iter().position(|curve| curve.name == *name).ok_or_else(|| {
            let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
            Error::input(format!(
                "--baseline {name:?} is no curve of the table; there are: {}.",
                names.join(", ")
            ))
        })?,
    };
    let ratios: Vec<Option<Ratio>> =
        found.iter().map(|one| one.first.ratio(found[baseline].first)).collect();

    let width = curves.iter().map(|curve| curve.name.chars().count()).max().unwrap_or(0).max(5);
    let side = if arguments.above { "above" } else { "below" };
    say(&format!("First and last crossing to {side} {threshold}, in {}\n\n", axis.word()));
    say(&format!("{:<width$} {:>12} {:>12} {:>10}\n", "curve", "first", "last", "ratio"));
    for ((curve, onsets), ratio) in curves.iter().zip(&found).zip(&ratios) {
        let ratio = ratio.map_or("-".into(), ratio_word);
        let (first, last) = (place_word(onsets.first), place_word(onsets.last));
        let recovered = if onsets.recovered { "  recovered at the end" } else { "" };
        say(&format!("{:<width$} {first:>12} {last:>12} {ratio:>10}{recovered}\n", curve.name));
    }
    say(&format!("\nRatio: first crossing over that of {:?}.\n", curves[baseline].name));
    if arguments.common.json {
        let each = curves.iter().zip(&found).zip(&ratios).map(|((curve, onsets), ratio)| {
            serde_json::json!({
                "name": curve.name, "first": onsets.first, "last": onsets.last,
                "recovered": onsets.recovered, "ratio": ratio,
            })
        });
        say_json(&serde_json::json!({
            "exit_code": 0, "threshold": threshold, "failing": side, "axis": axis.word(),
            "baseline": curves[baseline].name, "curves": each.collect::<Vec<_>>(),
        }));
    }
    Ok(())
}

fn place_word(onset: Onset) -> String {
    match onset {
        Onset::At(x) => digits(x),
        Onset::Left(x) => format!("≤ {}", digits(x)),
        Onset::Right(x) => format!("> {}", digits(x)),
    }
}

/// Four decimals; large and small numbers with an exponent.
fn digits(x: f64) -> String {
    match x.abs() {
        size if size != 0.0 && !(1e-3..1e5).contains(&size) => format!("{x:.4e}"),
        _ => format!("{x:.4}"),
    }
}

fn ratio_word(ratio: Ratio) -> String {
    match ratio {
        Ratio::Is(x) => format!("{x:.2}"),
        Ratio::AtLeast(x) => format!("≥ {x:.2}"),
        Ratio::AtMost(x) => format!("≤ {x:.2}"),
    }
}
