//! Synthetic data that a verifier filters before they are learned from.

mod entries;
mod figures;
mod guards;
mod hard;
mod labels;
mod models;
mod regression;
mod shrinking;
mod soft;
mod truncated;

pub use entries::ENTRIES;
pub use figures::FIGURES;
pub use guards::GUARDS;
pub use hard::{
    acceptance, contraction, hard_mean, hard_slope, stationary_variance,
    stationary_variance_corrected,
};
pub use labels::{majority_threshold, odds_factor, purity, purity_after};
pub use models::{Rule, Verified, VerifiedLinear};
pub use regression::{regression_acceptance, regression_step};
pub use shrinking::{shrinking_ratio, shrunk_std_dev, shrunk_std_dev_after};
pub use soft::{soft_acceptance, soft_mean, soft_mean_after, soft_std_dev_after};

use crate::catalogue::Family;
use crate::refusal::{Refusal, require};

/// Verifier-filtered data: V1 to V6.
pub const FAMILY: Family = Family {
    name: "Verifier",
    about: "Models refitted to those of their samples that a verifier accepts: they converge to what \
            the verifier believes, at a known rate.",
    entries: &[ENTRIES],
    guards: &[GUARDS],
    figures: &[FIGURES],
};

/// A length whose square is an ordinary number.
fn positive(name: &str, value: f64) -> Result<f64, Refusal> {
    let inside = (1e-100..=1e100).contains(&value);
    require(inside, name, value, &format!("{name} from 1e-100 to 1e100"))?;
    Ok(value)
}

#[cfg(test)]
mod tests;
