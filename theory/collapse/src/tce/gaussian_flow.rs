//! T1-5, gradient flow: where descent on the loss ends for Gaussian data of fixed scale `s`.
//!
//! In units of the floor, `ratio = s/σ_γ`.

use super::{OWN, require_positive};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::special::hazard::{density, hazard, upper_tail};
use crate::special::root::root;
use std::f64::consts::PI;

/// The standard deviation that gradient flow reaches, over the floor: the solution of
/// `σ² = s²(1 + u h(u))`, `u = c(σ) σ/s`; it is `s` itself at or above the floor.
///
/// *Derivation.* The force `E[m(x²/σ² − 1)]` vanishes where the kept second moment is `σ²`; the mask
/// is `u` wide in units of the data. Put `e = ln(σ_γ/σ)`, `δ = ln(σ_γ/s)`: the root of
/// `F(e) = 2(δ − e) − ln(1 + u h(u))`, `u = √(2e) exp(δ − e)`, in `(0, δ)`. It is the only one:
/// `d ln A/d ln u` lies in `(0, 2)` because `h − u < 1/u`, and `d ln u/de = 1/(2e) − 1`, so
/// `F' < 0` everywhere; and there the force changes from inward to outward, so it attracts.
///
/// The end lies above `exp(−½) σ_γ` for every `s`: with `u h(u) > u²` the equation gives `c < 1`.
/// Near the floor `e ≈ πδ²`: quadratic convergence over generations, without overshoot.
///
/// ```
/// let end = fortifai_collapse::tce::gaussian_flow::end(0.4)?;
/// assert!((end - 0.760_627_787_281_814_5).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-gaussian-flow`.
///
/// # Errors
/// If `ratio` is not positive.
pub fn end(ratio: f64) -> Result<f64, Refusal> {
    require_positive("s/sigma_gamma", ratio)?;
    if ratio >= 1.0 {
        return Ok(ratio);
    }
    Ok((-depth(-ratio.ln())?).exp())
}

/// `e = ln(σ_γ/σ)` at the end of the flow for data at the depth `δ = ln(σ_γ/s) > 0`.
fn depth(delta: f64) -> Result<f64, Refusal> {
    let force = |e: f64| {
        let u = (2.0 * e).sqrt() * (delta - e).exp();
        2.0 * (delta - e) - (u * hazard(u)).ln_1p()
    };
    // The root is below ½ (`c < 1`) and below δ.
    root(force, 0.0, delta.min(0.5))
}

/// `ln(σ_γ/σ)` at the end of the flow, without the rounding of its exponential near the floor.
///
/// ```
/// let gap = fortifai_collapse::tce::gaussian_flow::end_gap(1e-6)?;
/// assert!((gap / (std::f64::consts::PI * 1e-12) - 1.0).abs() <= 2e-5);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-gaussian-flow`.
///
/// # Errors
/// If `delta = ln(σ_γ/s)` is not positive.
pub fn end_gap(delta: f64) -> Result<f64, Refusal> {
    require_positive("delta", delta)?;
    depth(delta)
}

/// The mean force `−dL/d ln σ = E[m(x²/σ² − 1)]` on a model `σ` with data of scale `s`, both over the
/// floor: `2(s²/σ²)(w φ(w) + Q(w)) − 2Q(w)` with `w = c(σ) σ/s`. At `σ = s` it is `2cφ(c)`.
///
/// ```
/// use fortifai_collapse::tce::gaussian_flow::{end, force};
/// assert!(force(end(0.4)?, 0.4)?.abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-gaussian-flow`.
///
/// # Errors
/// If either scale is not positive.
pub fn force(model: f64, data: f64) -> Result<f64, Refusal> {
    require_positive("s/sigma_gamma", data)?;
    let w = super::mask::threshold(model)? * model / data;
    let scale = (data / model).powi(2);
    Ok(2.0 * scale * (w * density(w) + upper_tail(w)) - 2.0 * upper_tail(w))
}

const DATA: Input = Input {
    name: "s/sigma_gamma",
    meaning: "standard deviation of the data over the floor",
    example: "0.4",
};

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "end of gradient flow on data of fixed scale",
        formula: "gradient-flow fixed point sigma_GF/sigma_gamma",
        domain: "s/sigma_gamma > 0",
        inputs: &[DATA],
        value: |inputs| end(inputs.number(DATA.name)?),
        ..OWN
    },
    Entry {
        name: "lowest end of gradient flow, whatever the data",
        formula: "sigma_GF/sigma_gamma > exp(-1/2)",
        kind: Kind::Bound,
        digits: Digits::Elementary,
        value: |_| Ok((-0.5f64).exp()),
        ..OWN
    },
    Entry {
        name: "end of gradient flow near the floor",
        formula: "ln(sigma_gamma/sigma_GF) ~ pi ln(sigma_gamma/s)^2",
        kind: Kind::Asymptotic,
        domain: "0 < s/sigma_gamma < 1; relative error about 10 ln(sigma_gamma/s)",
        digits: Digits::Elementary,
        inputs: &[DATA],
        value: |inputs| {
            let ratio = inputs.number(DATA.name)?;
            require(ratio > 0.0 && ratio < 1.0, DATA.name, ratio, "0 < s/sigma_gamma < 1")?;
            Ok(PI * ratio.ln().powi(2))
        },
        ..OWN
    },
    Entry {
        name: "force of the loss on ln sigma",
        formula: "-dL/d ln sigma = 2(s/sigma)^2(w phi(w)+Q(w))-2Q(w), w=c(sigma)sigma/s",
        domain: "both scales > 0",
        inputs: &[super::RATIO, DATA],
        value: |inputs| force(inputs.number(super::RATIO.name)?, inputs.number(DATA.name)?),
        ..OWN
    },
];
