//! The two comparisons of the report: with generation 0 of the same chain, and with `ce`.

use super::number::{count, short, signed};
use super::view::{Series, pairs};
use crate::collapse::record;
use crate::measure::interval::{self, Estimate};

/// The measures of the tables and of the verdict, in this order.
pub const KEY: &[&str] = &[
    "heldout_nats",
    "excess_nats",
    "facts_accuracy",
    "agreement_accuracy",
    "tail_mass",
    "kl_synthetic_real_nats",
    "vocabulary_alive",
    "distinct_2",
    "token_entropy_nats",
];

/// A metric of one loss at generation 0 and at its last generation.
pub struct Change {
    /// The last generation at which some chain has a finite value.
    pub last: usize,
    /// The mean at generation 0, over all chains.
    pub start: Option<Estimate>,
    /// The mean at the last generation, over the chains that reach it.
    pub end: Estimate,
    /// The mean over seeds of (last − generation 0), paired within chains; `None` where the last
    /// generation is 0 or no chain has both.
    pub change: Option<Estimate>,
}

/// A loss against `ce`, paired by seed.
pub struct Versus {
    /// The last generation at which both have a value for the same seed.
    pub generation: usize,
    /// The mean over seeds of (loss − `ce`).
    pub difference: Estimate,
    /// The mean over seeds of `ln(loss / ce)`, as a ratio; `None` where a pair is not positive.
    pub ratio: Option<Estimate>,
}

/// How a metric of one loss moved; `None` where the loss has no finite value of it.
pub fn change(series: &Series, metric: &str) -> Option<Change> {
    let last = series.last(metric)?;
    let both: Vec<(f64, f64)> = series
        .chains
        .iter()
        .filter_map(|chain| Some((chain.value(metric, last)?, chain.value(metric, 0)?)))
        .collect();
    Some(Change {
        last,
        start: series.estimate(metric, 0),
        end: series.estimate(metric, last)?,
        change: if last > 0 { interval::paired_difference(&both) } else { None },
    })
}

/// A loss against a baseline at the last generation that both have; `None` where no seed has both.
pub fn versus(series: &Series, base: &Series, metric: &str) -> Option<Versus> {
    let generations = series.generations().into_iter().rev();
    let (generation, pairs) = generations
        .map(|generation| (generation, pairs(series, base, metric, generation)))
        .find(|(_, pairs)| !pairs.is_empty())?;
    let ratio = interval::paired_log_ratio(&pairs).filter(|ratio| ratio.left_out == 0);
    Some(Versus {
        generation,
        difference: interval::paired_difference(&pairs)?,
        ratio: ratio.map(|ratio| ratio.map(f64::exp)),
    })
}

/// What a metric means, from [`record::METRICS`]; its name where it is not listed.
pub fn meaning(metric: &str) -> &str {
    record::metric(metric).map_or(metric, |entry| entry.1)
}

/// +1 where larger is better, −1 where smaller is, 0 where neither is.
pub fn direction(metric: &str) -> i8 {
    record::metric(metric).map_or(0, |entry| entry.2)
}

/// `better`, `worse`, or nothing where the metric has no good side or the value is 0.
pub fn judged(metric: &str, difference: f64) -> Option<&'static str> {
    match f64::from(direction(metric)) * difference {
        x if x > 0.0 => Some("better"),
        x if x < 0.0 => Some("worse"),
        _ => None,
    }
}

/// `[low, high]`, or why there is none.
pub fn bracket(estimate: &Estimate) -> String {
    match estimate.interval {
        Some((low, high)) => format!("[{}, {}]", signed(low), signed(high)),
        None => "no interval: 1 seed".into(),
    }
}

/// `2.31 (95 % t interval 2.1 to 2.5, 5 seeds)`.
pub fn described(estimate: &Estimate) -> String {
    let (mean, seeds) = (short(estimate.mean), count(estimate.n, "seed"));
    match estimate.interval {
        Some((low, high)) => {
            format!("{mean} (95 % t interval {} to {}, {seeds})", short(low), short(high))
        }
        None => format!("{mean} ({seeds})"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::demo;
    use super::super::view::Study;
    use super::*;

    #[test]
    fn changes_and_differences_equal_the_values_worked_out_by_hand() {
        // heldout_nats, ce: seeds 1, 2 go 2 → 3 and 2 → 5; tce: 2 → 2.5 and 2 → 4.
        let runs = [demo::table(&[
            ("ce", 1, &[2.0, 3.0]),
            ("ce", 2, &[2.0, 5.0]),
            ("tce:0.9", 1, &[2.0, 2.5]),
            ("tce:0.9", 2, &[2.0, 4.0]),
        ])];
        let study = Study::new(&runs);
        let moved = change(&study.series[0], "heldout_nats").unwrap();
        let step = moved.change.unwrap();
        assert_eq!((moved.last, moved.start.unwrap().mean, moved.end.mean), (1, 2.0, 4.0));
        // Changes 1 and 3: 2 ± 12.7062.
        assert_eq!((step.mean, step.n), (2.0, 2));
        assert!((step.interval.unwrap().0 + 10.706_204_7).abs() <= 1e-6);
        let against = versus(&study.series[1], &study.series[0], "heldout_nats").unwrap();
        // Differences −0.5 and −1: −0.75 ± 12.7062 · 0.25; ratios 5/6 and 4/5.
        assert_eq!((against.generation, against.difference.mean), (1, -0.75));
        assert!((against.difference.interval.unwrap().1 - 2.426_551_18).abs() <= 1e-6);
        let ratio = (5.0f64 / 6.0 * 0.8).sqrt();
        assert!((against.ratio.unwrap().mean - ratio).abs() <= 1e-12);
        assert_eq!(judged("heldout_nats", -0.75), Some("better"));
        assert_eq!(judged("distinct_2", -0.75), None);
    }

    #[test]
    fn a_chain_that_diverged_is_left_out_of_the_last_generation() {
        let nan = f64::NAN;
        let runs = [demo::table(&[
            ("ce", 1, &[2.0, 3.0, 4.0]),
            ("ce", 2, &[2.0, nan]),
            ("ce", 3, &[nan]),
        ])];
        let study = Study::new(&runs);
        let moved = change(&study.series[0], "heldout_nats").unwrap();
        assert_eq!((moved.last, moved.end.n, moved.start.unwrap().n), (2, 1, 2));
        assert_eq!(moved.change.unwrap().interval, None);
        assert!(change(&study.series[0], "tail_mass").is_none());
    }

    #[test]
    fn one_generation_has_no_change() {
        let runs = [demo::table(&[("ce", 1, &[2.0])])];
        let study = Study::new(&runs);
        assert!(change(&study.series[0], "heldout_nats").unwrap().change.is_none());
    }
}
