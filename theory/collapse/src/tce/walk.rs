//! T1-6: with finitely many samples the variance above its floor is a reflected random walk.
//!
//! `y = ln(σ²/σ_γ²)` moves by `ξ = ln(X/m)`, `X ~ χ²_ν`, `ν = n − 1`, with the divisor `m`, while
//! nothing is masked; below zero gradient flow lifts it to `G(y) ∈ (y, 0)`. The floor map (Lindley's
//! recursion) `y' = max(0, y + ξ)` lies above that chain path by path: `G(z) ≤ max(0, z)`.

use super::{DIVISOR, OWN, SAMPLES, divisor, require_count, require_positive};
use crate::prediction::{Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::special::deviance::stirling_error;
use crate::special::power_moment::{ln_moment, ln_power_moment};
use crate::special::root::root_above;
use crate::special::trigamma;
use statrs::function::gamma::digamma;
use std::f64::consts::PI;

/// `−ζ(½)/√(2π)`: the mean overshoot of a normal walk over a far boundary, in standard deviations
/// of its step (Chernoff 1965, Siegmund 1985).
pub const SIEGMUND: f64 = 0.582_597_157_939_010_6;

/// The drift `E ξ = ψ(ν/2) − ln(m/2)` of `ln σ²` per generation above the floor.
///
/// ```
/// let drift = fortifai_collapse::tce::walk::drift(3, 2.0)?;
/// assert!((drift + 0.577_215_664_901_532_9).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-hitting-time`.
///
/// # Errors
/// If `n` is below 2 or `m` is so small that the walk does not drift down.
pub fn drift(n: usize, m: f64) -> Result<f64, Refusal> {
    require_count("n", n, 2)?;
    require_positive("divisor", m)?;
    let nu = n as f64 - 1.0;
    let drift = ln_moment(0.5 * nu) + (nu / m).ln();
    require(drift < 0.0, "divisor", m, "a larger one (ln sigma² must fall on average)")?;
    Ok(drift)
}

/// `ln E exp(θξ) = ln[(2/m)^θ Γ(ν/2 + θ)/Γ(ν/2)]`.
pub(super) fn cumulant(n: usize, m: f64, theta: f64) -> f64 {
    let nu = n as f64 - 1.0;
    ln_power_moment(0.5 * nu, theta) + theta * ((nu - m) / m).ln_1p()
}

/// Where `E exp(θξ)` is smallest: `ψ(ν/2 + θ) = ln(m/2)`.
fn lowest(n: usize, m: f64) -> Result<f64, Refusal> {
    drift(n, m)?;
    let a = 0.5 * (n as f64 - 1.0);
    root_above(|theta| digamma(a + theta) - (0.5 * m).ln(), 0.0, 1.0)
}

/// The exponent `κ > 0` of the stationary tail `P(σ²/σ_γ² > r) ~ C r^(−κ)`: the root of
/// `(2/m)^κ Γ(ν/2 + κ)/Γ(ν/2) = 1`.
///
/// It is 1 for the unbiased divisor, because `E X/ν = 1`: the stationary variance has no finite
/// mean. For the MLE it lies in `(2, 3)`, at about `2 + 1/(2n)`: the mean is finite, the second
/// moment barely. *Derivation.* Kesten 1973 and Lundberg: the tilt `exp(κξ)` makes the walk a
/// martingale. `E (X/n)² = (n² − 1)/n² < 1 < E (X/n)³`.
///
/// ```
/// use fortifai_collapse::tce::walk::tail_exponent;
/// assert_eq!(tail_exponent(20, 19.0)?, 1.0);
/// assert!((tail_exponent(20, 20.0)? - 2.025_851_471_412_117_7).abs() <= 1e-13);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-floor-tail`.
///
/// # Errors
/// If `n` is below 2 or the walk does not drift down.
pub fn tail_exponent(n: usize, m: f64) -> Result<f64, Refusal> {
    let low = lowest(n, m)?;
    if m == n as f64 - 1.0 {
        return Ok(1.0);
    }
    root_above(|kappa| cumulant(n, m, kappa), low, low)
}

/// The bound `P(σ²/σ_γ² > r) ≤ r^(−κ)` of the stationary floor map, for `r ≥ 1`.
///
/// *Derivation.* The stationary `y` is the maximum of the walk, and `exp(κS)` is a martingale.
///
/// ```
/// let bound = fortifai_collapse::tce::walk::tail_bound(20, 19.0, 4.0)?;
/// assert!((bound - 0.25).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-floor-tail`.
///
/// # Errors
/// If `r < 1`, or as [`tail_exponent`].
pub fn tail_bound(n: usize, m: f64, r: f64) -> Result<f64, Refusal> {
    require(r >= 1.0 && r.is_finite(), "r", r, "r ≥ 1")?;
    Ok(r.powf(-tail_exponent(n, m)?))
}

/// `E max(1, X/ν)`, `X ~ χ²_ν`: the expected variance one unbiased generation after the floor, over
/// `σ_γ²`; more than 1, so `E σ²` rises for ever.
///
/// *Derivation.* `P(X ≤ ν) + E[X/ν; X > ν] = 1 + P(χ²_{ν+2} > ν) − P(χ²_ν > ν)`, and the two tails
/// differ by `(ν/2)^{ν/2} e^{−ν/2}/Γ(ν/2 + 1) = exp(−δ(ν/2))/√(πν)` with Stirling's error `δ`.
///
/// ```
/// let mean = fortifai_collapse::tce::walk::floored_mean(19)?;
/// assert!((mean - 1.128_303_961_287_533_3).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-mean-drift`.
///
/// # Errors
/// If `nu` is 0.
pub fn floored_mean(nu: usize) -> Result<f64, Refusal> {
    require_count("nu", nu, 1)?;
    let nu = nu as f64;
    Ok(1.0 + (-stirling_error(0.5 * nu)).exp() / (PI * nu).sqrt())
}

/// The relaxation rate `ρ = min_θ E (X/m)^θ`: deviations from the stationary law fade as `ρ^t`.
///
/// ```
/// let rho = fortifai_collapse::tce::walk::relaxation_rate(20, 19.0)?;
/// assert!((rho - 0.986_933_271_381_884_5).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-relaxation`.
///
/// # Errors
/// If `n` is below 2 or the walk does not drift down.
pub fn relaxation_rate(n: usize, m: f64) -> Result<f64, Refusal> {
    Ok(cumulant(n, m, lowest(n, m)?).exp())
}

/// The relaxation time `−1/ln ρ` in generations: about `4n` (unbiased) or `n` (MLE).
///
/// ```
/// let time = fortifai_collapse::tce::walk::relaxation_time(1000, 999.0)?;
/// assert!((time / 4000.0 - 1.0).abs() <= 0.01);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-relaxation`.
///
/// # Errors
/// As [`relaxation_rate`].
pub fn relaxation_time(n: usize, m: f64) -> Result<f64, Refusal> {
    Ok(-1.0 / cumulant(n, m, lowest(n, m)?))
}

const THRESHOLD: Input =
    Input { name: "r", meaning: "variance over the floor's, at least 1", example: "4" };
const START: Input =
    Input { name: "L", meaning: "ln(sigma0^2/sigma_gamma^2), at least 0", example: "2" };
const DOMAIN: &str = "n ≥ 2, divisor > 2 exp(psi((n-1)/2))";

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "exponent of the stationary tail, maximum likelihood",
        formula: "Kesten exponent kappa (MLE)",
        domain: "n ≥ 2",
        inputs: &[SAMPLES],
        value: |inputs| {
            let n = inputs.count("n")?;
            tail_exponent(n, n as f64)
        },
        ..OWN
    },
    Entry {
        name: "exponent of the stationary tail",
        formula: "kappa > 0 with (2/m)^kappa Gamma(nu/2+kappa)/Gamma(nu/2) = 1",
        domain: DOMAIN,
        inputs: &[SAMPLES, DIVISOR],
        value: |inputs| {
            let n = inputs.count("n")?;
            tail_exponent(n, divisor(inputs, n)?)
        },
        ..OWN
    },
    Entry {
        name: "bound of the stationary tail",
        formula: "P(sigma^2/sigma_gamma^2 > r) <= r^-kappa",
        kind: Kind::Bound,
        domain: "r ≥ 1",
        inputs: &[SAMPLES, DIVISOR, THRESHOLD],
        value: |inputs| {
            let n = inputs.count("n")?;
            tail_bound(n, divisor(inputs, n)?, inputs.number("r")?)
        },
        ..OWN
    },
    Entry {
        name: "constant of the stationary tail for many samples",
        formula: "C ~ exp(-0.5826 kappa sqrt(2/nu))",
        kind: Kind::Asymptotic,
        domain: DOMAIN,
        inputs: &[SAMPLES, DIVISOR],
        value: |inputs| {
            let n = inputs.count("n")?;
            let kappa = tail_exponent(n, divisor(inputs, n)?)?;
            Ok((-SIEGMUND * kappa * (2.0 / (n as f64 - 1.0)).sqrt()).exp())
        },
        ..OWN
    },
    Entry {
        name: "expected variance one unbiased generation after the floor",
        formula: "E max(1,chi2_nu/nu)",
        domain: "nu ≥ 1",
        inputs: &[Input { name: "nu", meaning: "samples less one, at least 1", example: "19" }],
        value: |inputs| floored_mean(inputs.count("nu")?),
        ..OWN
    },
    Entry {
        name: "generations until the floor, by Wald's identity and the normal overshoot",
        formula: "E T ~ (L+0.5826 sqrt(psi1(nu/2)))/|rate|",
        kind: Kind::Asymptotic,
        domain: "L ≥ 0",
        inputs: &[SAMPLES, DIVISOR, START],
        value: |inputs| {
            let n = inputs.count("n")?;
            let start = inputs.number("L")?;
            require(start >= 0.0, "L", start, "L ≥ 0")?;
            let rate = -drift(n, divisor(inputs, n)?)?;
            Ok((start + SIEGMUND * trigamma(0.5 * (n as f64 - 1.0)).sqrt()) / rate)
        },
        ..OWN
    },
    Entry {
        name: "relaxation rate per generation, unbiased",
        formula: "relaxation rate rho=min E(chi2/nu)^theta",
        domain: "n ≥ 2",
        inputs: &[SAMPLES],
        value: |inputs| {
            let n = inputs.count("n")?;
            relaxation_rate(n, n as f64 - 1.0)
        },
        ..OWN
    },
    Entry {
        name: "relaxation time in generations",
        formula: "-1/ln min E(chi2_nu/m)^theta",
        domain: DOMAIN,
        inputs: &[SAMPLES, DIVISOR],
        value: |inputs| {
            let n = inputs.count("n")?;
            relaxation_time(n, divisor(inputs, n)?)
        },
        ..OWN
    },
];
