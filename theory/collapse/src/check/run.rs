//! Runs guards and judges them together.

use crate::check::{Guard, LEVEL, Outcome, Plan};
use rayon::prelude::*;
use serde::Serialize;

/// The share of false alarms that all guards together may raise.
pub const FAMILY_LEVEL: f64 = 1e-6;

/// An outcome and the guard it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checked {
    /// The guard's name.
    pub guard: &'static str,
    /// The sections it guards.
    pub covers: &'static [&'static str],
    /// The replicates it ran with.
    pub replicates: u64,
    /// The comparison.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Whether every planted mistake was rejected.
    pub powerful: bool,
}

impl Checked {
    fn new(guard: &Guard, replicates: u64, outcome: Outcome) -> Self {
        let powerful = outcome.mistakes.iter().all(|mistake| mistake.rejected);
        Self { guard: guard.name, covers: guard.covers, replicates, outcome, powerful }
    }

    /// Whether the prediction stands and, at the guard's own size or above, the test has shown its
    /// power. Fewer replicates may be too few to reject the planted mistakes.
    fn passed(&self, guard: &Guard) -> bool {
        self.outcome.passed && (self.powerful || self.replicates < guard.replicates)
    }
}

/// What a run of guards found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Whether every prediction stands and every planted mistake was rejected.
    pub passed: bool,
    /// Bound of the probability that true predictions fail any of these tests: the sum of their
    /// levels.
    pub family_false_alarm: f64,
    /// Every comparison, in the order of the guards.
    pub checks: Vec<Checked>,
}

/// Runs the guards, all cores at work; the result has the same bits for any number of them.
///
/// | argument | meaning |
/// |---|---|
/// | `replicates` | of every guard, in place of its own number |
/// | `done` | is told of every guard that has ended, in any order |
pub fn run(
    guards: &[&'static Guard],
    seed: u64,
    replicates: Option<u64>,
    done: impl Fn(&'static Guard, &[Checked]) + Sync,
) -> Report {
    let judge = |guard: &&'static Guard| {
        let plan = Plan { seed, replicates: replicates.unwrap_or(guard.replicates) };
        let outcomes = (guard.run)(&plan);
        let checked = |outcome| Checked::new(guard, plan.replicates, outcome);
        let checks: Vec<Checked> = outcomes.into_iter().map(checked).collect();
        done(guard, &checks);
        let passed = checks.iter().all(|check| check.passed(guard));
        (passed && !checks.is_empty(), checks)
    };
    let judged: Vec<(bool, Vec<Checked>)> = guards.par_iter().map(judge).collect();
    // Nothing checked is nothing shown.
    let passed = !judged.is_empty() && judged.iter().all(|(passed, _)| *passed);
    let checks: Vec<Checked> = judged.into_iter().flat_map(|(_, checks)| checks).collect();
    // From zero: the sum of nothing would be −0.
    let family_false_alarm = checks.iter().fold(0.0, |sum, check| sum + check.outcome.false_alarm);
    Report { passed, family_false_alarm, checks }
}

/// How many tests at [`LEVEL`] the family can hold.
pub fn room_for_tests() -> usize {
    (FAMILY_LEVEL / LEVEL).round() as usize
}

#[cfg(test)]
mod tests;
