//! Whether retraining on a mixture of real and synthetic data is stable, without sampling noise.
//!
//! Every round fits the model by maximum likelihood to real data and `λ` times as much synthetic data
//! of the round before.

mod exponential;
mod figures;
mod guards;
mod local;
mod mixture;

pub use exponential::{contraction, gap_after, rounds_to};
pub use figures::FIGURES;
pub use guards::GUARDS;
pub use local::{
    eigenvalue, logistic_hessian, logistic_jacobian, sufficient_norm, sufficient_share,
};
pub use mixture::{Component, Mixture};

use crate::catalogue::Family;
use crate::prediction::Input;
use crate::refusal::{Refusal, require};

/// Stability of iterative retraining: S1 and S2.
pub const FAMILY: Family = Family {
    name: "Stability",
    about: "How fast retraining on real and synthetic data forgets where it began: exactly by \
            λ/(1 + λ) per round for exponential families, and locally for every model.",
    entries: &[exponential::ENTRIES, local::ENTRIES],
    guards: &[GUARDS],
    figures: &[FIGURES],
};

const RATIO: Input =
    Input { name: "lambda", meaning: "synthetic samples per real one", example: "3" };

fn ratio(lambda: f64) -> Result<f64, Refusal> {
    require((0.0..=1e15).contains(&lambda), "lambda", lambda, "0 ≤ lambda ≤ 1e15")?;
    Ok(lambda)
}

#[cfg(test)]
mod tests;
