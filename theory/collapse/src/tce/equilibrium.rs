//! T1-4: the refit against a contraction of the variance by `lambda`: a balance, and whether it is
//! stable.
//!
//! Two contractions must be told apart: of the **model** (its variance is multiplied by `lambda`
//! before samples are drawn and masked), and of the **samples** alone (the mask still looks at the
//! density of the uncontracted model).

use super::mask::{slope, stability_threshold, steepness};
use super::{OWN, SAMPLES, require_count};
use crate::prediction::{Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::special::hazard::hazard;
use crate::special::root::root;
use std::f64::consts::PI;

/// The half-width `c*` of balance: `lambda A(c*) = 1`, that is `c* h(c*) = 1/lambda − 1`.
///
/// Domain: `0 < lambda < 1`. `c h` grows from 0 and exceeds `c²`, so there is one root, below
/// `√(1/lambda − 1)`.
///
/// ```
/// use fortifai_collapse::tce::equilibrium::balance;
/// let c = balance(0.5)?;
/// let factor = fortifai_collapse::tce::mask::refit_factor((-0.5 * c * c).exp())?;
/// assert!((0.5 * factor - 1.0).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-equilibrium`.
///
/// # Errors
/// If `lambda` is outside its domain.
pub fn balance(lambda: f64) -> Result<f64, Refusal> {
    require_lambda(lambda)?;
    balance_of((1.0 - lambda) / lambda)
}

/// The root of `c h(c) = excess`, for `excess > 0`.
fn balance_of(excess: f64) -> Result<f64, Refusal> {
    root(|c| c * hazard(c) - excess, 0.0, excess.sqrt())
}

/// The balance of a contracted model: its standard deviation when samples are masked,
/// `σ*/σ_γ = exp(−c*²/2)`.
///
/// ```
/// let ratio = fortifai_collapse::tce::equilibrium::contracted_model(0.8)?;
/// assert!(ratio > 0.9 && ratio < 1.0);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-equilibrium`.
///
/// # Errors
/// If `lambda` is outside `(0, 1)`.
pub fn contracted_model(lambda: f64) -> Result<f64, Refusal> {
    Ok((-0.5 * balance(lambda)?.powi(2)).exp())
}

/// The balance of contracted samples, `σ*/σ_γ = exp(−lambda c*²/2)` with the same `c*`.
///
/// *Derivation.* In units of the samples' own `√lambda σ` the mask is `u = c(σ)/√lambda` wide, and
/// `σ'² = lambda σ² A(u)` is fixed where `u = c*`.
///
/// ```
/// let ratio = fortifai_collapse::tce::equilibrium::contracted_samples(0.8)?;
/// assert!(ratio > 0.9 && ratio < 1.0);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-equilibrium`.
///
/// # Errors
/// If `lambda` is outside `(0, 1)`.
pub fn contracted_samples(lambda: f64) -> Result<f64, Refusal> {
    Ok((-0.5 * lambda * balance(lambda)?.powi(2)).exp())
}

/// The slope at the balance of a contracted model, `S(c*)`; stable where it is above −1.
///
/// ```
/// use fortifai_collapse::tce::equilibrium::{largest_stable_model, slope_of_model};
/// assert!((slope_of_model(largest_stable_model()?)? + 1.0).abs() <= 1e-11);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-equilibrium`.
///
/// # Errors
/// If `lambda` is outside `(0, 1)`.
pub fn slope_of_model(lambda: f64) -> Result<f64, Refusal> {
    slope(balance(lambda)?)
}

/// The slope at the balance of contracted samples, `1 − h(1 + c*(h − c*))/(2c*)`.
///
/// *Derivation.* As [`slope`] with `du/d ln σ = −1/(lambda u)` and `lambda A(c*) = 1`.
///
/// ```
/// use fortifai_collapse::tce::equilibrium::{largest_stable_samples, slope_of_samples};
/// assert!((slope_of_samples(largest_stable_samples()?)? + 1.0).abs() <= 1e-11);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-equilibrium`.
///
/// # Errors
/// If `lambda` is outside `(0, 1)`.
pub fn slope_of_samples(lambda: f64) -> Result<f64, Refusal> {
    let c = balance(lambda)?;
    Ok(1.0 - steepness(c) / (2.0 * c))
}

/// The largest contraction factor of the model whose balance is stable, `1/A(c)` at `S(c) = −1`.
///
/// ```
/// let lambda = fortifai_collapse::tce::equilibrium::largest_stable_model()?;
/// assert!((lambda - 0.823_026_409_007_253_9).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-equilibrium`.
///
/// # Errors
/// Never: the bracket holds one root.
pub fn largest_stable_model() -> Result<f64, Refusal> {
    let c = stability_threshold()?;
    Ok(1.0 / (1.0 + c * hazard(c)))
}

/// The same where only the samples are contracted: `h(1 + c(h − c)) = 4c`.
///
/// ```
/// let lambda = fortifai_collapse::tce::equilibrium::largest_stable_samples()?;
/// assert!((lambda - 0.767_531).abs() <= 1e-6);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-equilibrium`.
///
/// # Errors
/// Never: the bracket holds one root.
pub fn largest_stable_samples() -> Result<f64, Refusal> {
    let c = root(|c| steepness(c) - 4.0 * c, 0.01, 1.0)?;
    Ok(1.0 / (1.0 + c * hazard(c)))
}

/// `δ* = ln(σ_γ/σ*) = c*²/2` where the contraction is that of a maximum-likelihood fit to `n`
/// samples, `(1 − 1/n) A(c*) = 1`.
///
/// It is about `π/(4n²)`, far inside the sampling noise `1/√(2n)`, and unstable from `n = 6` on:
/// see [`super::walk`] for what happens instead.
///
/// ```
/// let delta = fortifai_collapse::tce::equilibrium::sampling_balance(50)?;
/// assert!((delta / 0.000_314_354_206_536_011_6 - 1.0).abs() <= 1e-12);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-equilibrium`.
///
/// # Errors
/// If `n` is below 2.
pub fn sampling_balance(n: usize) -> Result<f64, Refusal> {
    require_count("n", n, 2)?;
    Ok(0.5 * balance_of(1.0 / (n as f64 - 1.0))?.powi(2))
}

/// The slope of the map at that balance, about `−0.3 n`.
///
/// ```
/// use fortifai_collapse::tce::equilibrium::sampling_slope;
/// assert!(sampling_slope(5)? > -1.0 && sampling_slope(6)? < -1.0);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-equilibrium`.
///
/// # Errors
/// If `n` is below 2.
pub fn sampling_slope(n: usize) -> Result<f64, Refusal> {
    require_count("n", n, 2)?;
    slope(balance_of(1.0 / (n as f64 - 1.0))?)
}

fn require_lambda(lambda: f64) -> Result<(), Refusal> {
    require(lambda > 0.0 && lambda < 1.0, "lambda", lambda, "0 < lambda < 1")
}

const LAMBDA: Input = Input {
    name: "lambda",
    meaning: "factor of the variance per generation, in (0, 1)",
    example: "0.8",
};
const DOMAIN: &str = "0 < lambda < 1";

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "balance of a contracted model, masked half-width",
        formula: "c* with c* h(c*) = 1/lambda-1",
        domain: DOMAIN,
        inputs: &[LAMBDA],
        value: |inputs| balance(inputs.number("lambda")?),
        ..OWN
    },
    Entry {
        name: "balance of a contracted model, standard deviation over the floor",
        formula: "sigma*/sigma_gamma = exp(-c*^2/2)",
        domain: DOMAIN,
        inputs: &[LAMBDA],
        value: |inputs| contracted_model(inputs.number("lambda")?),
        ..OWN
    },
    Entry {
        name: "balance of contracted samples, standard deviation over the floor",
        formula: "sigma*/sigma_gamma = exp(-lambda c*^2/2)",
        domain: DOMAIN,
        inputs: &[LAMBDA],
        value: |inputs| contracted_samples(inputs.number("lambda")?),
        ..OWN
    },
    Entry {
        name: "slope at the balance of a contracted model",
        formula: "S(c*)",
        domain: DOMAIN,
        inputs: &[LAMBDA],
        value: |inputs| slope_of_model(inputs.number("lambda")?),
        ..OWN
    },
    Entry {
        name: "slope at the balance of contracted samples",
        formula: "1-h(1+c*(h-c*))/(2 lambda c*(1+c*h))",
        domain: DOMAIN,
        inputs: &[LAMBDA],
        value: |inputs| slope_of_samples(inputs.number("lambda")?),
        ..OWN
    },
    Entry {
        name: "largest stable contraction of the model",
        formula: "largest stable sampling bias lambda",
        value: |_| largest_stable_model(),
        ..OWN
    },
    Entry {
        name: "largest stable contraction of the samples alone",
        formula: "largest stable lambda, mask at the model density",
        value: |_| largest_stable_samples(),
        ..OWN
    },
    Entry {
        name: "balance with the loss of the maximum-likelihood fit",
        formula: "balance delta*=c^2/2 with (1-1/n)A(c)=1",
        domain: "n ≥ 2",
        inputs: &[SAMPLES],
        value: |inputs| sampling_balance(inputs.count("n")?),
        ..OWN
    },
    Entry {
        name: "the same for many samples",
        formula: "delta* ~ pi/(4n^2)",
        kind: Kind::Asymptotic,
        domain: "n ≥ 2",
        inputs: &[SAMPLES],
        value: |inputs| {
            let n = inputs.count("n")?;
            require_count("n", n, 2)?;
            Ok(0.25 * PI / (n as f64 * n as f64))
        },
        ..OWN
    },
    Entry {
        name: "slope at the balance with the maximum-likelihood fit",
        formula: "S(c*) with (1-1/n)A(c*)=1",
        domain: "n ≥ 2",
        inputs: &[SAMPLES],
        value: |inputs| sampling_slope(inputs.count("n")?),
        ..OWN
    },
];
