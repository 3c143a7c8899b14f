//! Guards that run on and on: tests that may be looked at after every batch.
//!
//! A fixed test that is repeated until it fails will fail. Here the evidence of all batches is
//! added up and compared with a boundary that a true prediction ever crosses with probability at
//! most [`LEVEL`], however long the run is.
//!
//! - Normal scores: `S_n = Σ z_b √R_b` over batches of `R_b` replicates, `n = Σ R_b`, crosses
//!   `s √((n + r) ln((n + r)/(r a²)))` with probability at most `a` for sub-Gaussian terms of
//!   variance proxy `s²`: the likelihood ratio of a drift mixed over `N(0, 1/(r s²))` is a martingale of
//!   mean 1, and Ville's inequality bounds its supremum (Robbins 1970). `s = 1` for means; for
//!   hits of probability `p`, bounded between 0 and 1, `s = ½/√(p(1 − p))`.
//! - χ²: the sum over batches is χ² with all their degrees of freedom; batch `b` may use the share
//!   `6/(π²b²)` of the level, which adds up to all of it.
//! - Kolmogorov and Smirnov's distance: every batch by itself, with the same shares.

use crate::check::{Guard, LEVEL, Outcome, Plan, Statistic};
use crate::prediction::Kind;
use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// The `r` of the boundary: it is tightest where `n` is some tens of thousands.
const MIXTURE: f64 = 1000.0;

/// All evidence on one comparison so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// The guard's name.
    pub guard: &'static str,
    /// What is compared.
    pub name: String,
    /// How.
    pub statistic: Statistic,
    /// What the prediction claims to be.
    pub kind: Kind,
    /// The predicted value.
    pub predicted: f64,
    /// The mean of the measured values.
    pub measured: f64,
    /// The standard error of that mean; the tolerance of a deterministic comparison.
    pub standard_error: f64,
    /// The statistic of all batches together (for a distance, of the worst batch).
    pub z: f64,
    /// What a true prediction's statistic ever exceeds with probability [`LEVEL`] at most.
    pub boundary: f64,
    /// Whether the boundary was never crossed.
    pub passed: bool,
    /// The share of false alarms, 0 for a deterministic comparison.
    pub false_alarm: f64,
    /// The sums behind `z`: `Σ z√R` or `Σ χ²`, and `Σ R` or the degrees of freedom.
    #[serde(skip)]
    sums: (f64, f64),
}

/// A run of batches.
#[derive(Clone, Debug)]
pub struct Soak {
    guards: Vec<&'static Guard>,
    replicates: Option<u64>,
    seed: u64,
    /// Batches so far.
    pub batches: u64,
    /// The evidence, in the order of the guards.
    pub evidence: Vec<Evidence>,
}

impl Soak {
    /// A run that has not begun; batch `b` will use the seed `seed + b`.
    pub fn new(guards: Vec<&'static Guard>, seed: u64, replicates: Option<u64>) -> Self {
        Self { guards, replicates, seed, batches: 0, evidence: Vec::new() }
    }

    /// Runs one more batch; whether nothing is significant so far.
    pub fn batch(&mut self) -> bool {
        let seed = self.seed.wrapping_add(self.batches);
        let report = crate::check::run(&self.guards, seed, self.replicates, |_, _| ());
        self.batches += 1;
        for (index, check) in report.checks.into_iter().enumerate() {
            if self.batches == 1 {
                self.evidence.push(Evidence::new(check.guard, &check.outcome));
            }
            let evidence = &mut self.evidence[index];
            assert_eq!(evidence.name, check.outcome.name, "a guard's outcomes keep their order");
            evidence.add(&check.outcome, check.replicates as f64, self.batches as f64);
        }
        !self.evidence.is_empty() && self.evidence.iter().all(|evidence| evidence.passed)
    }

    /// The seed with which another run would go on.
    pub fn next_seed(&self) -> u64 {
        self.seed.wrapping_add(self.batches)
    }

    /// Bound of the probability that true predictions ever fail any of these tests.
    pub fn family_false_alarm(&self) -> f64 {
        self.evidence.iter().fold(0.0, |sum, evidence| sum + evidence.false_alarm)
    }

    /// The guards of the run, each with its plan for batch `b`.
    pub fn plan(&self, guard: &Guard, batch: u64) -> Plan {
        let replicates = self.replicates.unwrap_or(guard.replicates);
        Plan { seed: self.seed.wrapping_add(batch), replicates }
    }
}

impl Evidence {
    fn new(guard: &'static str, outcome: &Outcome) -> Self {
        let random = outcome.statistic != Statistic::Deterministic;
        Self {
            guard,
            name: outcome.name.clone(),
            statistic: outcome.statistic,
            kind: outcome.kind,
            predicted: outcome.predicted,
            measured: 0.0,
            standard_error: 0.0,
            z: 0.0,
            boundary: 0.0,
            passed: true,
            false_alarm: if random { LEVEL } else { 0.0 },
            sums: (0.0, 0.0),
        }
    }

    fn add(&mut self, outcome: &Outcome, replicates: f64, batch: f64) {
        self.measured += (outcome.measured - self.measured) / batch;
        self.standard_error = outcome.standard_error / batch.sqrt();
        let level = LEVEL * 6.0 / (std::f64::consts::PI * batch).powi(2);
        match self.statistic {
            Statistic::ZKnown | Statistic::ZEmpirical | Statistic::Binomial => {
                self.sums.0 += outcome.z * replicates.sqrt();
                self.sums.1 += replicates;
                self.z = self.sums.0 / self.sums.1.sqrt();
                self.boundary = proxy(outcome) * mixture_boundary(self.sums.1);
            }
            Statistic::ChiSquare => {
                self.sums.0 += outcome.z;
                // The predicted value of a χ² test is its degrees of freedom.
                self.sums.1 += outcome.predicted;
                let law = ChiSquared::new(self.sums.1).expect("degrees of freedom are positive");
                (self.z, self.boundary) = (self.sums.0, law.inverse_cdf(1.0 - level));
            }
            Statistic::KolmogorovSmirnov => {
                self.z = self.z.max(outcome.z);
                self.boundary = (0.5 * (2.0 / level).ln()).sqrt();
                self.passed &= outcome.z <= self.boundary;
            }
            Statistic::Near => {
                // The mean over all batches: its own error shrinks, so that the first look is the
                // likeliest to fail a true prediction.
                self.standard_error = outcome.standard_error;
                self.z = (self.measured - outcome.predicted) / outcome.standard_error;
                self.boundary = outcome.limit;
            }
            Statistic::Deterministic => {
                self.standard_error = outcome.standard_error;
                (self.z, self.boundary) = (outcome.z, outcome.limit);
            }
        }
        if self.statistic != Statistic::KolmogorovSmirnov {
            // Also false where the statistic is not a number.
            self.passed &= self.z.abs() <= self.boundary;
        }
    }
}

/// `√((1 + r/n) ln((n + r)/(r a²)))`: the boundary of `S_n/√n` for `s = 1`.
fn mixture_boundary(n: f64) -> f64 {
    let log = ((n + MIXTURE) / MIXTURE).ln() - 2.0 * LEVEL.ln();
    ((1.0 + MIXTURE / n) * log).sqrt()
}

/// The `s` of one standardised term.
fn proxy(outcome: &Outcome) -> f64 {
    let p = outcome.predicted;
    match outcome.statistic {
        Statistic::Binomial => 0.5 / (p * (1.0 - p)).sqrt(),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests;
