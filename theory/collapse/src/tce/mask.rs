//! T1, refit: a Gaussian whose confident samples are masked, and the fit of those that are kept.
//!
//! A sample is masked where the density exceeds `γ`, that is `|x − μ| < cσ` with
//! `c(σ) = √(2 ln(σ_γ/σ))` below the floor `σ_γ = 1/(γ√(2π))`, and `c = 0` above it. All scales are
//! given as `ratio = σ/σ_γ`; `h = φ/Q` is the hazard with the one-sided tail `Q`.

use super::{GAMMA, OWN, RATIO, require_count, require_gamma, require_positive};
use crate::prediction::{Digits, Entry, Input};
use crate::refusal::Refusal;
use crate::special::hazard::{hazard, hazard_excess};
use crate::special::root::root;
use libm::erf;
use std::f64::consts::{PI, SQRT_2};

/// The floor `σ_γ = 1/(γ√(2π))`: the standard deviation whose peak density is `γ`.
///
/// Domain: `0 < γ ≤ 1` (a density threshold above 1 only rescales the unit of the data).
///
/// ```
/// let floor = fortifai_collapse::tce::mask::floor(1.0)?;
/// assert!((floor - 0.398_942_280_401_432_7).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-mask`.
///
/// # Errors
/// If `gamma` is outside its domain.
pub fn floor(gamma: f64) -> Result<f64, Refusal> {
    require_gamma(gamma)?;
    Ok(1.0 / (gamma * (2.0 * PI).sqrt()))
}

/// T1-1: the half-width `c` of the masked interval in standard deviations,
/// `c = √(2 ln(σ_γ/σ))` for `σ < σ_γ`, else 0.
///
/// *Derivation.* `exp(−c²/2)/(σ√(2π)) = γ`.
///
/// ```
/// let c = fortifai_collapse::tce::mask::threshold((-0.5f64).exp())?;
/// assert!((c - 1.0).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-mask`.
///
/// # Errors
/// If `ratio` is not positive.
pub fn threshold(ratio: f64) -> Result<f64, Refusal> {
    require_positive("sigma/sigma_gamma", ratio)?;
    Ok(if ratio < 1.0 { (-2.0 * ratio.ln()).sqrt() } else { 0.0 })
}

/// T1-1: the share of samples that is masked, `2Φ(c) − 1 = erf(√(ln(σ_γ/σ)))`.
///
/// ```
/// assert_eq!(fortifai_collapse::tce::mask::masked_share(1.5)?, 0.0);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-mask`.
///
/// # Errors
/// If `ratio` is not positive.
pub fn masked_share(ratio: f64) -> Result<f64, Refusal> {
    Ok(erf(threshold(ratio)? / SQRT_2))
}

/// T1-2: `A(c) = 1 + c h(c)`, the factor by which the fit of the kept samples raises the variance.
///
/// *Derivation.* `E[z²; |z| > c] = 2(cφ(c) + Q(c))` over `P(|z| > c) = 2Q(c)`. Hence
/// `σ'² = σ² A(c(σ))`, with every `σ ≥ σ_γ` fixed and none below. `A = 1 + 0.798c` near zero and
/// `c² + 2` far out.
///
/// ```
/// let factor = fortifai_collapse::tce::mask::refit_factor(0.9)?;
/// assert!((factor - 1.510_114_468_007_683).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guards `tce-mask` and `tce-refit-map`.
///
/// # Errors
/// If `ratio` is not positive.
pub fn refit_factor(ratio: f64) -> Result<f64, Refusal> {
    let c = threshold(ratio)?;
    Ok(1.0 + c * hazard(c))
}

/// T1-2: the refit map in units of the floor, `σ'/σ_γ = (σ/σ_γ) √A(c)`.
///
/// ```
/// let next = fortifai_collapse::tce::mask::refit(0.7)?;
/// assert!(next > 1.0 && next < 1.107);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-refit-map`.
///
/// # Errors
/// If `ratio` is not positive.
pub fn refit(ratio: f64) -> Result<f64, Refusal> {
    Ok(ratio * refit_factor(ratio)?.sqrt())
}

/// T1-2: after how many refits `σ ≥ σ_γ`.
///
/// It is finite from every start, since `A(c) > 1 + c²` and the map has no fixed point below 1.
///
/// ```
/// assert_eq!(fortifai_collapse::tce::mask::refit_steps(1e-8)?, 15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-refit-map`.
///
/// # Errors
/// If `ratio` is not positive.
pub fn refit_steps(ratio: f64) -> Result<usize, Refusal> {
    let (mut ratio, mut steps) = (ratio, 0);
    require_positive("sigma/sigma_gamma", ratio)?;
    while ratio < 1.0 {
        ratio = refit(ratio)?;
        steps += 1;
    }
    Ok(steps)
}

/// T1-2: `E[z⁴ | kept] = 3 + (c³ + 3c) h(c)`, for `c ≥ 0`.
///
/// *Derivation.* Twice by parts: `∫_c^∞ z⁴φ = (c³ + 3c)φ(c) + 3Q(c)`.
///
/// ```
/// assert_eq!(fortifai_collapse::tce::mask::kept_fourth(0.0)?, 3.0);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-mask`.
///
/// # Errors
/// If `c` is negative.
pub fn kept_fourth(c: f64) -> Result<f64, Refusal> {
    require_threshold(c)?;
    Ok(3.0 + (c * c * c + 3.0 * c) * hazard(c))
}

/// T1-2: the variance, in units of `σ⁴`, of the unbiased variance of `k` kept samples about their
/// own mean, `(m₄ − A²)/k + 2A²/(k(k − 1))`; its mean is `A`.
///
/// *Derivation.* `Var s² = (m₄ − A²(k−3)/(k−1))/k` for any law of variance `A` and fourth central
/// moment `m₄`; `m₄ − A² = 2 + ch(1 − c(h − c))`, which does not cancel for large `c`.
///
/// ```
/// // Nothing masked: 2/(k − 1).
/// let spread = fortifai_collapse::tce::mask::kept_spread(0.0, 11)?;
/// assert!((spread - 0.2).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-mask`.
///
/// # Errors
/// If `c` is negative or `k` below 2.
pub fn kept_spread(c: f64, k: usize) -> Result<f64, Refusal> {
    require_threshold(c)?;
    require_count("k", k, 2)?;
    let (h, k) = (hazard(c), k as f64);
    let factor = 1.0 + c * h;
    let excess = 2.0 + c * h * (1.0 - c * hazard_excess(c));
    Ok(excess / k + 2.0 * factor * factor / (k * (k - 1.0)))
}

/// T1-3: the slope `d ln σ'/d ln σ = S(c) = 1 − h(1 + c(h − c))/(2c(1 + ch))` of the refit map at
/// the masked half-width `c > 0`.
///
/// *Derivation.* `dc/d ln σ = −1/c` and `h' = h(h − c)`, so `d ln A/dc = h(1 + c(h − c))/A`.
/// `S → −h(0)/(2c)` at the floor (infinitely steep) and `S → 1` far below it.
///
/// ```
/// let slope = fortifai_collapse::tce::mask::slope(0.5)?;
/// assert!((slope - 0.040_560_166_319_245_8).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-refit-map`.
///
/// # Errors
/// If `c` is not positive.
pub fn slope(c: f64) -> Result<f64, Refusal> {
    require_positive("c", c)?;
    Ok(1.0 - steepness(c) / (2.0 * c * (1.0 + c * hazard(c))))
}

/// `A'(c) = h(1 + c(h − c))`.
pub(super) fn steepness(c: f64) -> f64 {
    hazard(c) * (1.0 + c * hazard_excess(c))
}

/// T1-3: where the map overshoots most: the root of `S(c) = 0`.
///
/// ```
/// let c = fortifai_collapse::tce::mask::overshoot_threshold()?;
/// assert!((c - 0.478_971_562_405_873_26).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-refit-map`.
///
/// # Errors
/// Never: the bracket holds one root.
pub fn overshoot_threshold() -> Result<f64, Refusal> {
    threshold_of_slope(0.0)
}

/// T1-2: the largest value of `σ'/σ_γ` that one refit from below the floor can reach.
///
/// ```
/// let most = fortifai_collapse::tce::mask::largest_overshoot()?;
/// assert!((most - 1.106_190_707_299_08).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-refit-map`.
///
/// # Errors
/// Never: the bracket holds one root.
pub fn largest_overshoot() -> Result<f64, Refusal> {
    refit((-0.5 * overshoot_threshold()?.powi(2)).exp())
}

/// T1-3: the half-width at which the slope is −1; below it the map's fixed points repel.
///
/// ```
/// let c = fortifai_collapse::tce::mask::stability_threshold()?;
/// assert!((c - 0.226_890_588_442_162_9).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-equilibrium`.
///
/// # Errors
/// Never: the bracket holds one root.
pub fn stability_threshold() -> Result<f64, Refusal> {
    threshold_of_slope(-1.0)
}

/// The root of `S(c) = slope`, for `slope ≤ 0`.
fn threshold_of_slope(slope: f64) -> Result<f64, Refusal> {
    root(|c| steepness(c) - (1.0 - slope) * 2.0 * c * (1.0 + c * hazard(c)), 0.01, 1.0)
}

/// T1-2: the half-width `c₀` up to which one refit reaches the floor: the root of
/// `1 + c h(c) = exp(c²)`.
///
/// ```
/// let c = fortifai_collapse::tce::mask::one_step_threshold()?;
/// assert!((c - 0.926_227_073_507_365_2).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-refit-map`.
///
/// # Errors
/// Never: the bracket holds one root.
pub fn one_step_threshold() -> Result<f64, Refusal> {
    root(|c| (c * hazard(c)).ln_1p() - c * c, 0.5, 2.0)
}

fn require_threshold(c: f64) -> Result<(), Refusal> {
    crate::refusal::require(c >= 0.0 && c.is_finite(), "c", c, "c ≥ 0")
}

const HALF_WIDTH: Input =
    Input { name: "c", meaning: "half-width of the masked interval, in sigma", example: "0.5" };
const DOMAIN: &str = "sigma/sigma_gamma > 0";

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "floor of the standard deviation",
        formula: "sigma_gamma = 1/(gamma sqrt(2 pi))",
        domain: "0 < gamma ≤ 1",
        digits: Digits::Elementary,
        inputs: &[GAMMA],
        value: |inputs| floor(inputs.number("gamma")?),
        ..OWN
    },
    Entry {
        name: "masked half-width in standard deviations",
        formula: "c(sigma)",
        domain: DOMAIN,
        digits: Digits::Elementary,
        inputs: &[RATIO],
        value: |inputs| threshold(inputs.number(RATIO.name)?),
        ..OWN
    },
    Entry {
        name: "masked share of the samples",
        formula: "masked fraction erf(sqrt(ln(sg/s)))",
        domain: DOMAIN,
        inputs: &[RATIO],
        value: |inputs| masked_share(inputs.number(RATIO.name)?),
        ..OWN
    },
    Entry {
        name: "variance factor of the refit",
        formula: "A(c)=1+c h(c)",
        domain: DOMAIN,
        inputs: &[RATIO],
        value: |inputs| refit_factor(inputs.number(RATIO.name)?),
        ..OWN
    },
    Entry {
        name: "standard deviation after one refit, over the floor",
        formula: "sigma'/sigma_gamma = (sigma/sigma_gamma) sqrt(A(c))",
        domain: DOMAIN,
        inputs: &[RATIO],
        value: |inputs| refit(inputs.number(RATIO.name)?),
        ..OWN
    },
    Entry {
        name: "refits until the floor is reached",
        formula: "min{k: sigma_k >= sigma_gamma}",
        domain: DOMAIN,
        inputs: &[RATIO],
        value: |inputs| Ok(refit_steps(inputs.number(RATIO.name)?)? as f64),
        ..OWN
    },
    Entry {
        name: "fourth moment of the kept samples",
        formula: "E[z^4|kept] = 3+(c^3+3c)h(c)",
        domain: "c ≥ 0",
        inputs: &[HALF_WIDTH],
        value: |inputs| kept_fourth(inputs.number("c")?),
        ..OWN
    },
    Entry {
        name: "variance of the variance of k kept samples",
        formula: "Var s^2/sigma^4 = (m4-A^2)/k + 2A^2/(k(k-1))",
        domain: "c ≥ 0, k ≥ 2",
        inputs: &[
            HALF_WIDTH,
            Input { name: "k", meaning: "kept samples, at least 2", example: "12" },
        ],
        value: |inputs| kept_spread(inputs.number("c")?, inputs.count("k")?),
        ..OWN
    },
    Entry {
        name: "slope of the refit map",
        formula: "slope S(c)",
        domain: "c > 0",
        inputs: &[HALF_WIDTH],
        value: |inputs| slope(inputs.number("c")?),
        ..OWN
    },
    Entry {
        name: "half-width of the largest overshoot",
        formula: "c of maximal overshoot",
        value: |_| overshoot_threshold(),
        ..OWN
    },
    Entry {
        name: "largest overshoot",
        formula: "maximal overshoot factor",
        value: |_| largest_overshoot(),
        ..OWN
    },
    Entry {
        name: "half-width from which one refit reaches the floor",
        formula: "one-jump threshold c0",
        value: |_| one_step_threshold(),
        ..OWN
    },
    Entry {
        name: "standard deviation from which one refit reaches the floor",
        formula: "one-jump threshold sigma/sigma_gamma",
        value: |_| Ok((-0.5 * one_step_threshold()?.powi(2)).exp()),
        ..OWN
    },
    Entry {
        name: "half-width below which fixed points repel",
        formula: "stability threshold c (S=-1)",
        value: |_| stability_threshold(),
        ..OWN
    },
];
