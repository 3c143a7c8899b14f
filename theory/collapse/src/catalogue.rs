//! Every closed form that the crate knows.

use crate::check::Guard;
use crate::figure::Figure;
use crate::prediction::Entry;

/// What a family of models brings: its closed forms, what guards them, and what is drawn of them.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The heading, such as "Gaussian".
    pub name: &'static str,
    /// One sentence for those who see it for the first time.
    pub about: &'static str,
    /// The tables of its entries.
    pub entries: &'static [&'static [Entry]],
    /// The tables of its checks.
    pub guards: &'static [&'static [Guard]],
    /// Its figures.
    pub figures: &'static [&'static [Figure]],
}

/// All families, in the order of the theory.
pub const FAMILIES: &[Family] = &[
    crate::conservation::FAMILY,
    crate::gaussian::FAMILY,
    crate::categorical::FAMILY,
    crate::ngram::FAMILY,
    crate::rates::FAMILY,
    crate::regression::FAMILY,
    crate::kde::FAMILY,
    crate::stability::FAMILY,
    crate::verifier::FAMILY,
    crate::tce::FAMILY,
    crate::metrics::FAMILY,
    crate::gaussian::METRICS,
];

/// All entries, in the order of the theory.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    FAMILIES.iter().flat_map(|family| family.entries.iter().copied().flatten())
}

/// All checks, in the order of the theory.
pub fn guards() -> impl Iterator<Item = &'static Guard> {
    FAMILIES.iter().flat_map(|family| family.guards.iter().copied().flatten())
}

/// All figures, in the order of the theory.
pub fn figures() -> impl Iterator<Item = &'static Figure> {
    FAMILIES.iter().flat_map(|family| family.figures.iter().copied().flatten())
}
