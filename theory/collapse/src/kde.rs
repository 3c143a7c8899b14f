//! Recursive kernel density estimation: the smoothed bootstrap, with a Gaussian kernel.
//!
//! `X^(0)` are `n` real samples. The density fitted to `X^(t)` is
//! `f̂_t(x) = (1/n) Σ_i φ_h(x − X_i^(t))`, and `X^(t+1)` are `n` draws from it. `s_t²` is the variance of
//! `X^(t)` with divisor `n`.

mod adaptive;
mod figures;
mod guards;
mod mise;
mod mixed;
mod model;
mod moments;

pub use adaptive::{adaptive_growth, adaptive_variance, shrunk_variance};
pub use figures::FIGURES;
pub use guards::GUARDS;
pub use mise::{expected_density, mise};
pub use mixed::{mixed_density, mixed_drift, mixed_total, mixed_variance};
pub use model::{Bandwidth, Kde};
pub use moments::{drift_of_the_mean, limit_of_the_variance, mean_square, sample_variance};

use crate::catalogue::Family;
use crate::inputs::Inputs;
use crate::prediction::Input;
use crate::refusal::{Refusal, require};

/// Recursive kernel density estimation: K1 to K5.
pub const FAMILY: Family = Family {
    name: "Kernel density",
    about: "A kernel density estimate that is refitted to its own samples: with a fixed bandwidth \
            it diffuses, with one that follows the spread it explodes.",
    entries: &[moments::ENTRIES, mise::ENTRIES, mixed::ENTRIES, adaptive::ENTRIES],
    guards: &[GUARDS],
    figures: &[FIGURES],
};

const SAMPLES: Input = Input { name: "n", meaning: "samples per generation", example: "10" };
const BANDWIDTH: Input =
    Input { name: "h", meaning: "kernel standard deviation, data unit", example: "0.5" };
const GENERATION: Input = Input { name: "t", meaning: "generation; 0 is real data", example: "4" };
const SIGMA0: Input =
    Input { name: "sigma0", meaning: "standard deviation of the truth, data unit", example: "1" };
const ALPHA: Input =
    Input { name: "alpha", meaning: "probability that a sample is real", example: "0.3" };

/// `n`, `h` and `t`.
fn size_of(inputs: &Inputs) -> Result<(usize, f64, usize), Refusal> {
    Ok((inputs.count("n")?, inputs.number("h")?, inputs.count("t")?))
}

fn samples(n: usize) -> Result<f64, Refusal> {
    require(n >= 1, "n", n, "n ≥ 1")?;
    Ok(n as f64)
}

/// Squares of lengths stay finite between these limits.
fn length(name: &str, value: f64, zero: bool) -> Result<f64, Refusal> {
    let inside = (zero && value == 0.0) || (1e-100..=1e100).contains(&value);
    let zero = if zero { "0 or " } else { "" };
    require(inside, name, value, &format!("{name} = {zero}1e-100 to 1e100"))?;
    Ok(value)
}

/// `1 − (1 − 1/n)^t`.
fn coalesced(n: f64, t: f64) -> f64 {
    match (n, t) {
        (_, 0.0) => 0.0,
        (1.0, _) => 1.0,
        _ => -(t * (-1.0 / n).ln_1p()).exp_m1(),
    }
}

/// `(1 − 1/n)^t`.
fn distinct(n: f64, t: f64) -> f64 {
    match (n, t) {
        (_, 0.0) => 1.0,
        (1.0, _) => 0.0,
        _ => (t * (-1.0 / n).ln_1p()).exp(),
    }
}

#[cfg(test)]
mod tests;
