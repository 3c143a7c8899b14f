//! Linear and ridge regression on labels that the model before has made.
//!
//! `y_k = X_k w_{k−1} + σε` with fresh Gaussian inputs `X_k` (`T × d`); the risk is the squared error
//! of the weights in the norm of the inputs' covariance. Least squares has exact risks at every
//! size; ridge regression has exact recursions whose coefficients are moments of the resolvent.

mod equivalent;
mod figures;
mod guards;
mod linear;
mod marchenko_pastur;
mod ols;
mod power_law;
mod ridge;
mod strong_collapse;

pub use equivalent::Equivalent;
pub use figures::FIGURES;
pub use guards::GUARDS;
pub use linear::{Linear, Pool};
pub use marchenko_pastur::Resolvent;
pub use ols::{
    accumulate_bound, accumulate_limit, accumulate_risk, accumulate_risk_of_blocks, replace_risk,
    replace_risk_of_blocks,
};
pub use power_law::{best_ridge, best_risk, effective_rows, power_law_bias, power_law_df2};
pub use ridge::{
    IteratedLabels, iterated_ridge, iterated_ridge_at, ridge_on_iterated_labels, signal_kept,
};
pub use strong_collapse::{
    mixed_limit, mixed_risk, strong_collapse_factor, strong_collapse_plateau,
    strong_collapse_ridge_factor, strong_collapse_ridge_risk, strong_collapse_risk,
};

use crate::catalogue::Family;
use crate::inputs::Inputs;
use crate::prediction::Input;
use crate::refusal::{Refusal, require};

/// Regression with iterated synthetic labels: R1 to R8.
pub const FAMILY: Family = Family {
    name: "Regression",
    about: "Linear and ridge regression fitted to labels that the generation before has made, \
            and to mixtures of real and synthetic rows (strong model collapse).",
    entries: &[
        ols::ENTRIES,
        marchenko_pastur::ENTRIES,
        ridge::ENTRIES,
        equivalent::ENTRIES,
        power_law::ENTRIES,
        strong_collapse::ENTRIES,
    ],
    guards: &[GUARDS],
    figures: &[FIGURES],
};

const DIMENSION: Input = Input { name: "d", meaning: "input dimensions", example: "3" };
const ROWS: Input = Input { name: "T", meaning: "rows per generation", example: "9" };
const GENERATIONS: Input = Input { name: "n", meaning: "generations", example: "4" };
const NOISE: Input = Input { name: "sigma", meaning: "label noise, label unit", example: "0.7" };
const RATIO: Input = Input { name: "phi", meaning: "dimensions per row, d/T", example: "0.5" };
const PENALTY: Input =
    Input { name: "lambda", meaning: "ridge, per row and input variance", example: "0.3" };
const SIGNAL: Input =
    Input { name: "|w0|^2", meaning: "squared length of the true weights", example: "1" };

/// Rows, dimensions and noise.
fn size_of(inputs: &Inputs) -> Result<(usize, usize, f64), Refusal> {
    Ok((inputs.count("T")?, inputs.count("d")?, noise_of(inputs)?))
}

fn noise_of(inputs: &Inputs) -> Result<f64, Refusal> {
    let noise = inputs.number("sigma")?;
    require(noise >= 0.0, "sigma", noise, "sigma ≥ 0")?;
    Ok(noise)
}

fn signal_of(inputs: &Inputs) -> Result<f64, Refusal> {
    let signal = inputs.number("|w0|^2")?;
    require(signal >= 0.0, "|w0|^2", signal, "a number that is not negative")?;
    Ok(signal)
}

#[cfg(test)]
mod tests;
