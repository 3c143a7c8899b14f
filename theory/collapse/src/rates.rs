//! Rates that are fitted to their own counts: the Bernoulli and the Poisson law.
//!
//! Both are ruled by the survival function of a critical Poisson branching process,
//! `g_1 = 1`, `g_{k+1} = 1 − exp(−g_k)` ([`survival`]).

mod bernoulli;
mod branching;
mod guards;
mod model;
mod poisson;

pub use bernoulli::{bernoulli_moment, bernoulli_survival, suresh_lower, suresh_upper};
pub use branching::{survival, survival_asymptotic, survival_lower, survival_upper};
pub use guards::{FIGURES, GUARDS};
pub use model::{Bernoulli, Counts, Poisson, Tally};
pub use poisson::{
    extinct, laplace, mean_given_survival, median_time, rate_variance, third_cumulant,
};

use crate::catalogue::Family;
use crate::prediction::Entry;

/// What the catalogue shows of this room.
pub const FAMILY: Family = Family {
    name: "Bernoulli and Poisson rates",
    about: "A rate that is fitted to its own counts is a branching process: it dies out for sure.",
    entries: &[bernoulli::ENTRIES, branching::ENTRIES, poisson::ENTRIES],
    guards: &[GUARDS],
    figures: &[FIGURES],
};

/// All entries of this room, in order.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    FAMILY.entries.iter().copied().flatten()
}

#[cfg(test)]
mod tests;
