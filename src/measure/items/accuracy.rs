//! The metrics that follow from the scores of items.

use super::{CHOICE, ItemScore, RETENTION};
use std::collections::BTreeMap;

/// How often the right answer came first.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracy {
    /// The metric's name.
    pub metric: String,
    /// Items that count.
    pub items: usize,
    /// Those in which the right answer has strictly the largest score.
    pub right: usize,
}

impl Accuracy {
    /// The share that is right.
    pub fn share(&self) -> f64 {
        self.right as f64 / self.items as f64
    }
}

/// Whether the score at `right` is strictly the largest. Ties are wrong, and so is a NaN anywhere.
pub(super) fn ranked_first(scores: &[f64], right: usize) -> bool {
    let others = scores.iter().enumerate().filter(|(index, _)| *index != right);
    others.into_iter().all(|(_, other)| scores[right] > *other)
}

/// The accuracies, measure by measure in the order of the scores: `retention_accuracy` (by the mean),
/// `retention_sum_accuracy`, `retention_split_0` … (by the mean); `blimp_NAME` (by the sum);
/// `choice_accuracy` (by the sum), `choice_normalised_accuracy`.
pub fn accuracies(scores: &[ItemScore]) -> Vec<Accuracy> {
    let mut all: Vec<Accuracy> = Vec::new();
    for some in scores.chunk_by(|a, b| a.measure == b.measure) {
        let name = some[0].measure.as_str();
        let of = |metric: String, outcomes: Vec<bool>| Accuracy {
            metric,
            items: outcomes.len(),
            right: outcomes.into_iter().filter(|right| *right).count(),
        };
        let by_sum = || some.iter().map(|score| score.right).collect();
        let by_mean = || some.iter().filter_map(|score| score.right_by_mean).collect();
        match name {
            RETENTION => {
                all.push(of("retention_accuracy".into(), by_mean()));
                all.push(of("retention_sum_accuracy".into(), by_sum()));
                let mut splits: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
                for score in some {
                    if let (Some(split), Some(right)) = (score.split, score.right_by_mean) {
                        splits.entry(split).or_default().push(right);
                    }
                }
                let splits = splits.into_iter();
                all.extend(splits.map(|(j, right)| of(format!("retention_split_{j}"), right)));
            }
            CHOICE => {
                all.push(of("choice_accuracy".into(), by_sum()));
                all.push(of("choice_normalised_accuracy".into(), by_mean()));
            }
            _ => all.push(of(name.into(), by_sum())),
        }
    }
    all
}

/// The accuracies by name, and `items_cut`.
pub fn metrics(scores: &[ItemScore]) -> BTreeMap<String, f64> {
    let mut metrics: BTreeMap<String, f64> =
        accuracies(scores).into_iter().map(|of| (of.metric.clone(), of.share())).collect();
    if !scores.is_empty() {
        let cut = scores.iter().filter(|score| score.cut).count();
        metrics.insert("items_cut".into(), cut as f64);
    }
    metrics
}
