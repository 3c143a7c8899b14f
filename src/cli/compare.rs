//! `fortifai compare`: two models on the same items.

use super::{Common, say, say_json};
use crate::Result;
use crate::measure::items::{Paired, paired, read_scores};
use clap::Args;
use std::path::PathBuf;

/// Compare two models item by item: which is right more often, and could chance do that?
///
/// The files hold the item scores of `fortifai evaluate --items-out`, or of a run's folder `items`.
/// McNemar's exact test looks at the items that only one of the two got right. It knows the noise of
/// the items only: two models say nothing of what another seed would have given. The p-values are
/// not adjusted for their number.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai compare a.jsonl b.jsonl
  fortifai compare runs/wiki/items/ce-seed1-gen5.jsonl runs/wiki/items/tce-0.9-seed1-gen5.jsonl")]
pub struct Arguments {
    /// Item scores of the first model
    #[arg(value_name = "A.jsonl")]
    a: PathBuf,
    /// Item scores of the second model, on the same items
    #[arg(value_name = "B.jsonl")]
    b: PathBuf,
    #[command(flatten)]
    common: Common,
}

impl Arguments {
    /// Whether a line of JSON is asked for.
    pub fn json(&self) -> bool {
        self.common.json
    }
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    let all = paired(&read_scores(&arguments.a)?, &read_scores(&arguments.b)?)?;
    say(&table(&all));
    if arguments.common.json {
        let metrics: Vec<_> = all
            .iter()
            .map(|of| {
                serde_json::json!({
                    "metric": of.metric, "items": of.items, "right_a": of.right_a,
                    "right_b": of.right_b, "only_a": of.only_a, "only_b": of.only_b,
                    "p_value": of.p_value,
                })
            })
            .collect();
        say_json(&serde_json::json!({ "exit_code": 0, "metrics": metrics }));
    }
    Ok(())
}

fn table(all: &[Paired]) -> String {
    let widest = all.iter().map(|of| of.metric.len()).max().unwrap_or(0).max("metric".len());
    let mut text = format!(
        "{:widest$} {:>7} {:>8} {:>8} {:>7} {:>7} {:>9}\n",
        "metric", "items", "A right", "B right", "only A", "only B", "p"
    );
    for of in all {
        let share = |right: usize| format!("{:.4}", right as f64 / of.items as f64);
        text += &format!(
            "{:widest$} {:>7} {:>8} {:>8} {:>7} {:>7} {:>9.4}\n",
            of.metric,
            of.items,
            share(of.right_a),
            share(of.right_b),
            of.only_a,
            of.only_b,
            of.p_value
        );
    }
    text
}
