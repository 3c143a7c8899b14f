//! Metrics of laws on tokens, with their values for the laws that experiments use.
//!
//! | file | sections |
//! |---|---|
//! | [`laws`] | M1 entropy, Gini–Simpson, Hill numbers, Gini coefficient; M2 divergence, surplexity |
//! | [`named`] | M1 for the geometric law, Zipf's law, and a spike on a uniform law |
//! | [`estimators`] | M3 the unbiased estimate of `Σp²`, singletons and unseen tokens |

pub mod estimators;
mod figures;
mod guards;
pub mod laws;
pub mod named;

use crate::catalogue::Family;

/// The metrics of laws: sections M1 to M3.
pub const FAMILY: Family = Family {
    name: "Metrics of laws",
    about: "Entropy, effective sizes and their estimates, with exact values for common laws.",
    entries: &[laws::ENTRIES, named::ENTRIES, estimators::ENTRIES],
    guards: &[guards::GUARDS],
    figures: &[figures::FIGURES],
};

#[cfg(test)]
mod tests;
