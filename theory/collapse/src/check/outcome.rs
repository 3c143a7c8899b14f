//! One comparison of a simulation with its prediction.

use crate::prediction::Kind;
use crate::stats::{KS_LIMIT, Z_LIMIT, ks_distance, mean, variance};
use serde::Serialize;
use statrs::distribution::{Binomial, ChiSquared, ContinuousCDF, DiscreteCDF};

/// False-alarm rate of an exact test, and the bound taken for a normal statistic beyond
/// [`Z_LIMIT`]: 8.0e-11 for the normal law, with room for a skewness that inflates it fifty-fold.
pub const LEVEL: f64 = 4e-9;

/// How a simulation is compared with its prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistic {
    /// `(x̄ − predicted)/√(variance/R)` with the variance that theory gives.
    ZKnown,
    /// The same with the variance of the sample.
    ZEmpirical,
    /// Kolmogorov and Smirnov's distance of an exact pivot from its law; `z` is `D√R`.
    KolmogorovSmirnov,
    /// Pearson's χ² of counts; `z` is the statistic.
    ChiSquare,
    /// The exact two-sided binomial tail; `z` is the normal score.
    Binomial,
    /// A simulated mean against a prediction that leaves a stated term out: the difference over a
    /// tolerance of [`Z_LIMIT`] standard errors and that term is `z`.
    Near,
    /// No randomness: the difference over its tolerance is `z`.
    Deterministic,
}

/// A prediction with a planted mistake, put to the same test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mistake {
    /// What is wrong with it, such as "n for n − 1".
    pub name: String,
    /// The statistic under it.
    pub z: f64,
    /// Whether the test refuses it, as it must.
    pub rejected: bool,
}

/// The comparison, as `theory check --json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// What is compared.
    pub name: String,
    /// The predicted value (for a law: that of the distance or of χ² is 0).
    pub predicted: f64,
    /// The simulated value.
    pub measured: f64,
    /// The standard error of the simulated value; the tolerance of a comparison that is near or
    /// deterministic.
    pub standard_error: f64,
    /// The test statistic.
    pub z: f64,
    /// Which one it is.
    pub statistic: Statistic,
    /// What the prediction claims to be.
    pub kind: Kind,
    /// Whether the prediction stands.
    pub passed: bool,
    /// The statistic's limit.
    pub limit: f64,
    /// Probability that a true prediction fails this test.
    pub false_alarm: f64,
    /// The power test.
    pub mistakes: Vec<Mistake>,
}

impl Outcome {
    /// The mean of independent samples whose variance is known.
    pub fn known(name: impl Into<String>, samples: &[f64], predicted: f64, variance: f64) -> Self {
        let error = (variance / samples.len() as f64).sqrt();
        Self::normal(name.into(), mean(samples), predicted, error, Statistic::ZKnown)
    }

    /// The mean of independent samples; their own variance stands for the unknown one, so there
    /// must be many.
    pub fn empirical(name: impl Into<String>, samples: &[f64], predicted: f64) -> Self {
        let error = (variance(samples) / samples.len() as f64).sqrt();
        Self::normal(name.into(), mean(samples), predicted, error, Statistic::ZEmpirical)
    }

    /// The mean of independent samples against a prediction that is off by `left_out` at most.
    pub fn near(name: impl Into<String>, samples: &[f64], predicted: f64, left_out: f64) -> Self {
        let error = (variance(samples) / samples.len() as f64).sqrt();
        let computed =
            Self::deterministic(name, mean(samples), predicted, Z_LIMIT * error + left_out);
        Self { statistic: Statistic::Near, false_alarm: LEVEL, ..computed }
    }

    /// Any asymptotically normal estimate with its standard error.
    pub fn normal(
        name: String,
        measured: f64,
        predicted: f64,
        standard_error: f64,
        statistic: Statistic,
    ) -> Self {
        let z = (measured - predicted) / standard_error;
        Self {
            predicted,
            measured,
            standard_error,
            passed: z.abs() <= Z_LIMIT,
            limit: Z_LIMIT,
            false_alarm: LEVEL,
            ..Self::bare(name, z, statistic)
        }
    }

    /// Independent samples of a continuous law. `wrong` are laws with planted mistakes.
    pub fn law(
        name: impl Into<String>,
        samples: &[f64],
        cdf: impl Fn(f64) -> f64,
        wrong: &[(&str, &dyn Fn(f64) -> f64)],
    ) -> Self {
        let root = (samples.len() as f64).sqrt();
        let distance = ks_distance(samples, cdf);
        let mistakes = wrong.iter().map(|(name, cdf)| {
            let z = ks_distance(samples, cdf) * root;
            Mistake { name: (*name).to_owned(), z, rejected: z > KS_LIMIT }
        });
        Self {
            measured: distance,
            standard_error: 1.0 / root,
            passed: distance * root <= KS_LIMIT,
            limit: KS_LIMIT,
            false_alarm: LEVEL,
            mistakes: mistakes.collect(),
            ..Self::bare(name.into(), distance * root, Statistic::KolmogorovSmirnov)
        }
    }

    /// Counts against expected counts (each at least 5) with `freedom` degrees of freedom. `wrong`
    /// are expectations with planted mistakes.
    ///
    /// # Panics
    /// If the lengths differ or `freedom` is zero.
    pub fn counts(
        name: impl Into<String>,
        observed: &[f64],
        expected: &[f64],
        freedom: usize,
        wrong: &[(&str, Vec<f64>)],
    ) -> Self {
        let law = ChiSquared::new(freedom as f64).expect("Outcome::counts: freedom is positive");
        let limit = law.inverse_cdf(1.0 - LEVEL);
        let statistic = |expected: &[f64]| {
            assert_eq!(observed.len(), expected.len(), "Outcome::counts: numbers of cells");
            observed.iter().zip(expected).map(|(o, e)| (o - e) * (o - e) / e).sum::<f64>()
        };
        let z = statistic(expected);
        let mistakes = wrong.iter().map(|(name, expected)| {
            let z = statistic(expected);
            Mistake { name: (*name).to_owned(), z, rejected: z > limit }
        });
        Self {
            predicted: freedom as f64,
            measured: z,
            standard_error: (2.0 * freedom as f64).sqrt(),
            passed: z <= limit,
            limit,
            false_alarm: LEVEL,
            mistakes: mistakes.collect(),
            ..Self::bare(name.into(), z, Statistic::ChiSquare)
        }
    }

    /// The number of hits in independent trials of known probability, by the exact tails.
    ///
    /// # Panics
    /// If `p` is no probability.
    pub fn binomial(name: impl Into<String>, hits: u64, trials: u64, p: f64) -> Self {
        let error = (p * (1.0 - p) / trials as f64).sqrt();
        let share = hits as f64 / trials as f64;
        Self {
            predicted: p,
            measured: share,
            standard_error: error,
            passed: binomial_passes(hits, trials, p),
            limit: LEVEL,
            false_alarm: LEVEL,
            ..Self::bare(name.into(), (share - p) / error, Statistic::Binomial)
        }
    }

    /// Two computed numbers; the tolerance is absolute and has a reason beside it in the code.
    pub fn deterministic(
        name: impl Into<String>,
        measured: f64,
        predicted: f64,
        tolerance: f64,
    ) -> Self {
        let z = (measured - predicted) / tolerance;
        Self {
            predicted,
            measured,
            standard_error: tolerance,
            passed: z.abs() <= 1.0,
            limit: 1.0,
            ..Self::bare(name.into(), z, Statistic::Deterministic)
        }
    }

    /// The same comparison of a prediction that is not exact.
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Puts a prediction with a planted mistake to the same test (not for laws and counts, which
    /// take theirs when they are made).
    #[must_use]
    pub fn mistake(mut self, name: &str, predicted: f64) -> Self {
        let (z, rejected) = match self.statistic {
            Statistic::Binomial => {
                let trials = self.predicted * (1.0 - self.predicted) / self.standard_error.powi(2);
                let trials = trials.round();
                let hits = (self.measured * trials).round() as u64;
                let z = (self.measured - predicted) / self.standard_error;
                (z, !binomial_passes(hits, trials as u64, predicted))
            }
            _ => {
                let z = (self.measured - predicted) / self.standard_error;
                (z, z.abs() > self.limit)
            }
        };
        self.mistakes.push(Mistake { name: name.to_owned(), z, rejected });
        self
    }

    fn bare(name: String, z: f64, statistic: Statistic) -> Self {
        Self {
            name,
            predicted: 0.0,
            measured: 0.0,
            standard_error: 0.0,
            z,
            statistic,
            kind: Kind::Exact,
            passed: false,
            limit: 0.0,
            false_alarm: 0.0,
            mistakes: Vec::new(),
        }
    }
}

/// Whether neither tail of `Binomial(trials, p)` at `hits` is below half of [`LEVEL`].
fn binomial_passes(hits: u64, trials: u64, p: f64) -> bool {
    let law = Binomial::new(p, trials).expect("Outcome::binomial: p is a probability");
    let at_least = if hits == 0 { 1.0 } else { law.sf(hits - 1) };
    law.cdf(hits) >= 0.5 * LEVEL && at_least >= 0.5 * LEVEL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_by_hand() {
        // Mean 3 of three samples, variance 3: the standard error is 1.
        let outcome = Outcome::known("x", &[1.0, 2.0, 6.0], 2.0, 3.0).mistake("far", 20.0);
        assert!(outcome.passed && outcome.z == 1.0);
        assert!(outcome.mistakes[0].rejected && outcome.mistakes[0].z == -17.0);
        // (3 − 2)²/2 + (1 − 2)²/2.
        let outcome = Outcome::counts("c", &[3.0, 1.0], &[2.0, 2.0], 1, &[("w", vec![90.0, 1.0])]);
        assert_eq!(outcome.z, 1.0);
        assert!(outcome.passed && outcome.mistakes[0].rejected);
    }

    #[test]
    fn the_binomial_test_uses_both_exact_tails() {
        assert!(Outcome::binomial("b", 500, 1000, 0.5).passed);
        assert!(!Outcome::binomial("b", 600, 1000, 0.5).passed);
        assert!(!Outcome::binomial("b", 400, 1000, 0.5).passed);
        // P(X = 0) = 0.5^20 = 9.5e-7 is above the level, 0.5^40 is not.
        assert!(Outcome::binomial("b", 0, 20, 0.5).passed);
        assert!(!Outcome::binomial("b", 0, 40, 0.5).passed);
        let power = Outcome::binomial("b", 300, 1000, 0.3).mistake("half", 0.5);
        assert!(power.mistakes[0].rejected);
    }

    #[test]
    fn a_statistic_that_is_not_a_number_fails() {
        assert!(!Outcome::known("x", &[f64::NAN], 0.0, 1.0).passed);
        assert!(!Outcome::deterministic("x", f64::NAN, 0.0, 1.0).passed);
    }
}
