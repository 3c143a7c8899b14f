//! What is kept of every item: one JSON object per line.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The scores of one item; numbers are read back with the bits that were written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemScore {
    /// `retention`, `choice`, or `blimp_` and a name.
    pub measure: String,
    /// Number of the item in its file, from 0.
    pub item: usize,
    /// Its part of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<usize>,
    /// Which answer is right; that of a pair is 0.
    pub answer: usize,
    /// Whether the right answer's sum is strictly the largest.
    pub right: bool,
    /// Whether its mean is strictly the largest, where there are means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_by_mean: Option<bool>,
    /// Log-probability of each answer, nats: the sum over its tokens.
    #[serde(with = "numbers")]
    pub sums: Vec<f64>,
    /// Retention: nats per token up to the length of the shorter answer. Choice: nats per byte of the
    /// ending.
    #[serde(default, with = "numbers", skip_serializing_if = "Vec::is_empty")]
    pub means: Vec<f64>,
    /// Scored tokens of each answer.
    pub tokens: Vec<usize>,
    /// Whether it was longer than the context, so that only the last tokens were read.
    pub cut: bool,
}

/// The content of a file of scores.
pub fn lines(scores: &[ItemScore]) -> String {
    let line = |score| serde_json::to_string(score).expect("a score is plain data") + "\n";
    scores.iter().map(line).collect()
}

/// Reads a file of scores.
///
/// # Errors
/// A file that cannot be read, or a line that is no score.
pub fn read_scores(path: &Path) -> Result<Vec<ItemScore>> {
    let text = crate::text::reader::read_text(path)?;
    let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let scores: Vec<ItemScore> = numbered
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|cause| {
                Error::input(format!(
                    "{}, line {}: this is no item score ({cause}); give a file that evaluate \
                     --items-out wrote, or one of a run's folder items.",
                    path.display(),
                    index + 1
                ))
            })
        })
        .collect::<Result<_>>()?;
    match scores.is_empty() {
        false => Ok(scores),
        true => Err(Error::input(format!("The file {} holds no item scores.", path.display()))),
    }
}

/// JSON has no number that is not finite: such a score stands as `null`, and is NaN again when read.
mod numbers {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(values: &[f64], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(values.iter().map(|value| value.is_finite().then_some(*value)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Option<f64>>::deserialize(input)?;
        Ok(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }
}
