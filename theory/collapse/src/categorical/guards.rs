//! Guards of the categorical sections.

mod draws;
mod fixation;
mod mixing;
mod moments;
mod pools;
mod settings;
mod tails;
mod vocabulary;

use crate::check::Guard;

pub(super) const GUARDS: &[&[Guard]] = &[
    draws::GUARDS,
    moments::GUARDS,
    vocabulary::GUARDS,
    fixation::GUARDS,
    mixing::GUARDS,
    pools::GUARDS,
    settings::GUARDS,
    tails::GUARDS,
];

/// One measured quantity of all replicates.
pub(crate) fn column<const M: usize>(runs: &[[f64; M]], which: usize) -> Vec<f64> {
    runs.iter().map(|run| run[which]).collect()
}

/// How far the left sides are above the right sides, relative to them; 0 where every bound holds.
pub(crate) fn violation(bounds: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    bounds.into_iter().fold(0.0, |worst, (low, high)| worst.max((low - high) / high.abs()))
}

/// What a guard says when a formula refuses its own inputs.
pub(crate) const INSIDE: &str = "guard: inside the domain";

#[cfg(test)]
mod tests;
