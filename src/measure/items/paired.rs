//! Two models on the same items: McNemar's test.

use super::{ItemScore, accuracies};
use crate::measure::interval::mcnemar;
use crate::{Error, Result};

/// What two models did with the items of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// The metric's name.
    pub metric: String,
    /// Items that both answered.
    pub items: usize,
    /// Those that the first got right.
    pub right_a: usize,
    /// Those that the second got right.
    pub right_b: usize,
    /// Those that only the first got right.
    pub only_a: usize,
    /// Those that only the second got right.
    pub only_b: usize,
    /// McNemar's exact two-sided p-value of "neither is better": see [`mcnemar`].
    pub p_value: f64,
}

/// Compares two models item by item, metric by metric.
///
/// # Errors
/// If they were not given the same items.
pub fn paired(a: &[ItemScore], b: &[ItemScore]) -> Result<Vec<Paired>> {
    let place = |score: &ItemScore| (score.measure.clone(), score.item, score.split, score.answer);
    let mut pairs: Vec<(&ItemScore, &ItemScore)> = a.iter().zip(b).collect();
    if let Some((x, y)) = pairs.iter().find(|(x, y)| place(x) != place(y)) {
        return Err(Error::input(format!(
            "The files do not hold the same items in the same order: where the first has item {} of {}, \
             the second has item {} of {}, or splits and right answers differ. Score both models on the \
             same files.",
            x.item, x.measure, y.item, y.measure
        )));
    }
    if a.len() != b.len() {
        return Err(Error::input(format!(
            "The first file holds {} item scores and the second {}; score both models on the same \
             files.",
            a.len(),
            b.len()
        )));
    }
    pairs.sort_by(|x, y| x.0.measure.cmp(&y.0.measure));
    let mut all = Vec::new();
    for some in pairs.chunk_by(|x, y| x.0.measure == y.0.measure) {
        // One item alone has the metrics that it counts in, each 0 or 1.
        let outcomes = some.iter().flat_map(|(x, y)| {
            let of = |score: &ItemScore| accuracies(std::slice::from_ref(score));
            of(x).into_iter().zip(of(y)).collect::<Vec<_>>()
        });
        let mut metrics: Vec<Paired> = Vec::new();
        for (x, y) in outcomes.filter(|(x, _)| x.items > 0) {
            let (x, y, metric) = (x.right > 0, y.right > 0, x.metric);
            let place = metrics.iter().position(|paired| paired.metric == metric);
            let place = place.unwrap_or_else(|| {
                metrics.push(Paired {
                    metric,
                    items: 0,
                    right_a: 0,
                    right_b: 0,
                    only_a: 0,
                    only_b: 0,
                    p_value: 1.0,
                });
                metrics.len() - 1
            });
            let paired = &mut metrics[place];
            paired.items += 1;
            paired.right_a += usize::from(x);
            paired.right_b += usize::from(y);
            paired.only_a += usize::from(x && !y);
            paired.only_b += usize::from(y && !x);
        }
        all.extend(metrics);
    }
    for paired in &mut all {
        paired.p_value = mcnemar(paired.only_a as u64, paired.only_b as u64);
    }
    Ok(all)
}
