//! Means over seeds with Student-t intervals, plain and paired.
//!
//! With five seeds a bootstrap interval that promises 95 % covers about 83 %; Student's t holds its
//! promise for values that are roughly normal. Comparisons are paired by seed because chains with
//! the same seed share their random numbers.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, StudentsT};

/// The coverage of every interval here.
pub const LEVEL: f64 = 0.95;

/// An interval as narrow as this share of its place is one of equal values, rounded.
const ROUNDING: f64 = 1e-12;

/// A mean over seeds and what is known about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The two ends of the 95 % interval; `None` for a single value.
    pub interval: Option<(f64, f64)>,
    /// The two-sided p-value of "the mean is 0"; `None` for a single value.
    pub p_value: Option<f64>,
    /// Values used.
    pub n: usize,
    /// Values left out because they (or their logarithm) are not finite.
    pub left_out: usize,
}

impl Estimate {
    /// Whether the interval lies strictly on one side of `value`; `None` without an interval.
    pub fn excludes(&self, value: f64) -> Option<bool> {
        self.interval.map(|(low, high)| value < low || value > high)
    }

    /// The same without interval and p-value where all values are equal: no spread is seen, and
    /// Student's t has nothing to say of other seeds.
    pub fn without_point(self) -> Self {
        match self.interval {
            Some((low, high)) if high - low <= ROUNDING * (1.0 + self.mean.abs()) => {
                Self { interval: None, p_value: None, ..self }
            }
            _ => self,
        }
    }

    /// The same estimate through a monotone function, for example `f64::exp` after
    /// [`paired_log_ratio`].
    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            mean: f(self.mean),
            interval: self.interval.map(|(low, high)| {
                let (low, high) = (f(low), f(high));
                (low.min(high), low.max(high))
            }),
            ..self
        }
    }
}

/// The two-sided quantile `t` with `P(|T| ≤ t) = 0.95` at `freedom` degrees of freedom.
///
/// # Panics
/// `freedom` is 0.
pub fn t_quantile(freedom: usize) -> f64 {
    student(freedom).inverse_cdf(0.5 + LEVEL / 2.0)
}

fn student(freedom: usize) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom as f64).expect("interval::student takes freedom of 1 or more")
}

/// `mean ± t · sd / √n` with the unbiased variance; values that are not finite are left out and
/// counted. `None` where nothing remains.
pub fn mean(values: &[f64]) -> Option<Estimate> {
    let finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    let n = finite.len();
    if n == 0 {
        return None;
    }
    // Each value is divided first, so that no sum of finite values overflows.
    let mean: f64 = finite.iter().map(|x| x / n as f64).sum();
    let mut estimate =
        Estimate { mean, interval: None, p_value: None, n, left_out: values.len() - n };
    if n > 1 {
        let squares: f64 = finite.iter().map(|x| (x - mean) * (x - mean)).sum();
        let error = (squares / (n - 1) as f64 / n as f64).sqrt();
        let half = t_quantile(n - 1) * error;
        estimate.interval = Some((mean - half, mean + half));
        estimate.p_value = Some(match (error > 0.0, mean == 0.0) {
            (true, _) => 2.0 * student(n - 1).sf((mean / error).abs()),
            (false, true) => 1.0,
            (false, false) => 0.0,
        });
    }
    Some(estimate)
}

/// The mean of `a − b` over pairs `(a, b)`, with its paired t interval.
pub fn paired_difference(pairs: &[(f64, f64)]) -> Option<Estimate> {
    mean(&pairs.iter().map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// The mean of `ln(a / b)` over pairs `(a, b)`, with its paired t interval. Its exponential (see
/// [`Estimate::map`]) is the geometric mean ratio. Pairs that are not both positive are left out
/// and counted.
pub fn paired_log_ratio(pairs: &[(f64, f64)]) -> Option<Estimate> {
    let logs = pairs.iter().map(|&(a, b)| match a > 0.0 && b > 0.0 {
        true => a.ln() - b.ln(),
        false => f64::NAN,
    });
    mean(&logs.collect::<Vec<_>>())
}

/// The smallest mean that a two-sided paired t test at level `alpha` finds in four of five studies like this
/// one: `(t_{1−α/2} + t₀.₈)·sd/√n` at `n − 1` degrees of freedom, the usual approximation. Of log-ratios, its
/// exponential is "the ratio that can be seen with so many seeds". `None` for fewer than two values.
pub fn detectable(values: &[f64], alpha: f64) -> Option<f64> {
    let n = values.len();
    if n < 2 || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    let error = (squares / (n - 1) as f64 / n as f64).sqrt();
    let law = student(n - 1);
    Some((law.inverse_cdf(1.0 - alpha / 2.0) + law.inverse_cdf(POWER)) * error)
}

/// The share of studies in which [`detectable`] finds what is there.
pub const POWER: f64 = 0.8;

/// McNemar's exact test: of items that two models answered, `only_a` were right with the first alone
/// and `only_b` with the second alone. The two-sided p-value of "neither is better", from the binomial
/// law with one half; twice the smaller tail, at most 1.
///
/// It knows the noise of the items only: two models of one seed each say nothing of other seeds.
///
/// Source: McNemar 1947, Psychometrika 12, 153–157.
pub fn mcnemar(only_a: u64, only_b: u64) -> f64 {
    let n = only_a + only_b;
    if n == 0 {
        return 1.0;
    }
    let law = Binomial::new(0.5, n).expect("interval::mcnemar has a valid law");
    (2.0 * law.cdf(only_a.min(only_b))).min(1.0)
}

/// Holm's step-down adjustment: with the returned p-values the chance of even one false finding
/// among all of them stays below the level. Order is kept; a NaN counts as 1.
///
/// Source: Holm 1979, Scandinavian Journal of Statistics 6, 65–70.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let p = |i: usize| if p_values[i].is_nan() { 1.0 } else { p_values[i] };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p(a).total_cmp(&p(b)));
    let (mut adjusted, mut running) = (vec![1.0; p_values.len()], 0.0f64);
    for (rank, &i) in order.iter().enumerate() {
        running = running.max(p(i) * (p_values.len() - rank) as f64).min(1.0);
        adjusted[i] = running;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_equal_the_published_table() {
        // NIST/SEMATECH e-Handbook, section 1.3.6.7.2, further digits from closed forms for 1 and 2:
        // tan(0.475 π) and 0.95·√(2 / (1 − 0.95²)).
        let one = (0.475 * std::f64::consts::PI).tan();
        let two = 0.95 * (2.0f64 / (1.0 - 0.95 * 0.95)).sqrt();
        assert!((t_quantile(1) / one - 1.0).abs() <= 1e-9, "{} {one}", t_quantile(1));
        assert!((t_quantile(2) / two - 1.0).abs() <= 1e-9, "{} {two}", t_quantile(2));
        for (freedom, t) in [(3, 3.182), (4, 2.776), (9, 2.262), (19, 2.093), (30, 2.042)] {
            assert!((t_quantile(freedom) - t).abs() <= 5e-4, "{freedom}: {}", t_quantile(freedom));
        }
    }

    #[test]
    fn the_interval_of_two_values_equals_the_one_worked_out_by_hand() {
        // Mean 2, sd √2, error 1: 2 ± 12.7062; t = 2 at one degree of freedom has the two-sided
        // p-value 1 − (2/π)·arctan 2 = 0.2951672.
        let estimate = mean(&[1.0, 3.0]).unwrap();
        let (low, high) = estimate.interval.unwrap();
        assert!((low + 10.706_204_736).abs() <= 1e-6 && (high - 14.706_204_736).abs() <= 1e-6);
        assert!((estimate.p_value.unwrap() - 0.295_167_235).abs() <= 1e-8);
        assert_eq!((estimate.mean, estimate.n, estimate.excludes(0.0)), (2.0, 2, Some(false)));
    }

    #[test]
    fn a_single_value_has_no_interval_and_none_has_no_mean() {
        let one = mean(&[3.0, f64::NAN, f64::INFINITY]).unwrap();
        assert_eq!((one.mean, one.interval, one.n, one.left_out), (3.0, None, 1, 2));
        assert_eq!(one.excludes(0.0), None);
        assert_eq!(mean(&[f64::NAN]), None);
        assert_eq!(mean(&[]), None);
    }

    #[test]
    fn equal_values_give_a_point() {
        let same = mean(&[0.25; 4]).unwrap();
        assert_eq!((same.interval, same.p_value), (Some((0.25, 0.25)), Some(0.0)));
        assert_eq!(mean(&[0.0; 4]).unwrap().p_value, Some(1.0));
        assert_eq!((same.without_point().interval, same.without_point().p_value), (None, None));
        let some = mean(&[1.0, 3.0]).unwrap();
        assert_eq!(some.without_point(), some);
    }

    #[test]
    fn pairing_removes_what_the_seeds_share() {
        let pairs = [(1.0, 0.5), (11.0, 10.5), (101.0, 100.5)];
        let difference = paired_difference(&pairs).unwrap();
        assert_eq!((difference.mean, difference.interval), (0.5, Some((0.5, 0.5))));
        let ratio = paired_log_ratio(&[(2.0, 1.0), (8.0, 4.0), (-1.0, 1.0), (1.0, 0.0)]).unwrap();
        assert_eq!((ratio.n, ratio.left_out), (2, 2));
        assert!((ratio.map(f64::exp).mean - 2.0).abs() <= 1e-15);
    }

    #[test]
    fn holm_equals_the_textbook_steps() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (a, b) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((a - b).abs() <= 1e-15);
        }
        assert_eq!(holm(&[f64::NAN, 0.9]), [1.0, 1.0]);
    }

    #[test]
    fn mcnemar_equals_the_binomial_tail_worked_out_by_hand() {
        // 1 against 5: 2·(1 + 6)/64. 0 against 3: 2/8.
        assert!((mcnemar(1, 5) - 14.0 / 64.0).abs() < 1e-12);
        assert!((mcnemar(3, 0) - 0.25).abs() < 1e-12);
        assert_eq!((mcnemar(0, 0), mcnemar(4, 4)), (1.0, 1.0));
    }

    /// 4,000 studies of eight seeds whose true mean is what the spread makes detectable.
    #[test]
    fn what_is_called_detectable_is_found_four_times_in_five() {
        let mut stream = crate::Stream::new(1, "power", 0, 0);
        // With a true spread of 1 the mean that the formula names is (2.3646 + 0.8960)/√8.
        let truth = (2.364_624 + 0.896_030) / 8f64.sqrt();
        let found = (0..4000).filter(|_| {
            let seeds: Vec<f64> = (0..8).map(|_| truth + stream.normal()).collect();
            mean(&seeds).unwrap().excludes(0.0) == Some(true)
        });
        let share = found.count() as f64 / 4000.0;
        assert!((0.77..0.85).contains(&share), "{share}");
        let at = |values: [f64; 2]| detectable(&values, 0.05).unwrap();
        let (low, high) = (at([-1.0, 1.0]), at([1.0, 3.0]));
        // sd/√n is 1; t quantiles at one degree of freedom are tan(π(q − ½)).
        let wanted = (0.475 * std::f64::consts::PI).tan() + (0.3 * std::f64::consts::PI).tan();
        assert!((low - wanted).abs() < 1e-6 && (high - low).abs() < 1e-12);
        // At the first of Holm's four steps.
        let first = detectable(&[-1.0, 1.0], 0.0125).unwrap();
        let wanted = (0.49375 * std::f64::consts::PI).tan() + (0.3 * std::f64::consts::PI).tan();
        assert!((first / wanted - 1.0).abs() < 1e-6, "{first} {wanted}");
        assert_eq!(detectable(&[1.0], 0.05), None);
    }

    /// 2,000 sweeps of five normal seeds. At a true coverage of 95 % the count has a standard
    /// deviation of 0.49 %, so the band 93.5–96.5 % is left once in 450 streams; one fixed stream
    /// is tried.
    #[test]
    fn intervals_cover_the_truth_as_often_as_they_say() {
        let mut stream = crate::Stream::new(1, "coverage", 0, 0);
        let covered = (0..2000).filter(|_| {
            let seeds: Vec<f64> = (0..5).map(|_| 0.7 + 0.3 * stream.normal()).collect();
            mean(&seeds).unwrap().excludes(0.7) == Some(false)
        });
        let share = covered.count() as f64 / 2000.0;
        assert!((0.935..=0.965).contains(&share), "{share}");
    }

    proptest! {
        #[test]
        fn no_input_gives_a_mean_that_is_not_finite(values in proptest::collection::vec(any::<f64>(), 0..9)) {
            if let Some(estimate) = mean(&values) {
                prop_assert!(estimate.mean.is_finite());
                prop_assert_eq!(estimate.n + estimate.left_out, values.len());
            }
        }
    }
}
