//! A verifier that accepts `|x − c| ≤ r`, Gaussian data with known `σ`: V1 and V2.

use super::positive;
use super::truncated::{Truncated, rho, symmetric};
use crate::refusal::{Refusal, require};

/// V1, one round on infinite data: `M(θ) = θ + σ(φ(A) − φ(B))/(Φ(B) − Φ(A))` with
/// `A = (c − r − θ)/σ`, `B = (c + r − θ)/σ`, the mean of the accepted samples.
///
/// *Derivation.* The mean of a normal variable between two limits. Its only fixed point is `c`:
/// `M(θ) − c` has the sign of `θ − c` and is smaller, as `0 < M′ < 1` ([`hard_slope`]). Computed about
/// `c`, so that neither a narrow window nor a far one loses digits.
/// *Domain.* `r, σ > 0`, `|θ − c| ≤ 1e6 σ`. *Source.* Derived here; setting of Yi et al. 2025, arXiv
/// 2510.16657, and Feng et al. 2024, arXiv 2406.07515. *Guard.* `verifier-hard`.
///
/// ```
/// let mean = fortifai_collapse::verifier::hard_mean(1.3, 0.2, 0.9, 1.0)?;
/// assert!((mean - 0.453_115_422_157_332_35).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn hard_mean(theta: f64, c: f64, r: f64, sigma: f64) -> Result<f64, Refusal> {
    Ok(c + sigma * window(theta, c, r, sigma)?.offset)
}

/// V1, the share of samples that is accepted: `Φ(B) − Φ(A)`.
///
/// *Derivation.* By definition. *Domain, source, guard.* As [`hard_mean`]; the value must exceed the
/// smallest number.
///
/// ```
/// let share = fortifai_collapse::verifier::acceptance(1.3, 0.2, 0.9, 1.0)?;
/// assert!((share - 0.397_990_158_612_717_7).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn acceptance(theta: f64, c: f64, r: f64, sigma: f64) -> Result<f64, Refusal> {
    let ln = window(theta, c, r, sigma)?.ln_probability;
    require(ln > -700.0, "the logarithm of the acceptance", ln, "one above -700")?;
    Ok(ln.exp())
}

/// V1, the slope of the map: `M′(θ) = Var(x | accepted)/σ²`, inside `(0, 1)`.
///
/// *Derivation.* The accepted samples form an exponential family with the natural parameter `θ/σ²`,
/// for any set of accepted values. *Domain, source, guard.* As [`hard_mean`].
///
/// ```
/// let slope = fortifai_collapse::verifier::hard_slope(1.3, 0.2, 0.9, 1.0)?;
/// assert!((slope - 0.207_977_138_798_937_32).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn hard_slope(theta: f64, c: f64, r: f64, sigma: f64) -> Result<f64, Refusal> {
    Ok(window(theta, c, r, sigma)?.variance)
}

/// V1, the rate at the fixed point: `ρ(u) = 1 − 2uφ(u)/(2Φ(u) − 1)`, `u = r/σ`; `u²/3` for a strict
/// verifier, 1 for a lenient one. Errors of the model shrink by `ρ` per round.
///
/// *Derivation.* [`hard_slope`] at `θ = c`; computed as `(S − 1)/S`, `S = Σ_k u^(2k)/(2k + 1)!!`.
/// *Domain.* `u > 0`. *Source, guard.* As [`hard_mean`].
///
/// ```
/// let rho = fortifai_collapse::verifier::contraction(0.05)?;
/// assert!((rho - 0.000_833_055_588_629_848).abs() < 1e-17);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn contraction(u: f64) -> Result<f64, Refusal> {
    Ok(rho(positive("u", u)?))
}

/// V2, the stationary variance of `θ` about `c` with `m` accepted samples per generation:
/// `(ρσ²/m)/(1 − ρ²)`. The mean is exactly `c`, by symmetry.
///
/// *Derivation.* `θ′ = M(θ) + noise`, `M(c + e) ≈ c + ρe`, noise variance `≈ ρσ²/m`. The next term is
/// that of [`stationary_variance_corrected`]. *Domain.* `m → ∞`; `m ≥ 1`, `r, σ > 0`.
/// *Source.* Derived here. *Guard.* `verifier-stationary`.
///
/// ```
/// use fortifai_collapse::verifier::{contraction, stationary_variance};
/// let rho = contraction(2.0)?;
/// assert!((stationary_variance(40, 2.0, 1.0)? - rho / 40.0 / (1.0 - rho * rho)).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn stationary_variance(m: usize, r: f64, sigma: f64) -> Result<f64, Refusal> {
    require(m >= 1, "m", m, "m ≥ 1")?;
    let u = positive("u = r/sigma", positive("r", r)? / positive("sigma", sigma)?)?;
    let (_, rho, rest) = symmetric(u);
    require(rest > 1e-300, "1 − ρ", rest, "a verifier that rejects something: a smaller r")?;
    Ok(sigma * sigma * rho / m as f64 / (rest * (1.0 + rho)))
}

/// V2 with its next term: `V + κ₄(ρV² + Vσ²/2m)/((1 − ρ²)σ⁴)`, `V` that of [`stationary_variance`] and
/// `κ₄` the fourth cumulant of an accepted sample over `σ⁴` at `θ = c`.
///
/// *Derivation.* `M‴ = κ₄` and `Var(x | accepted)″ = κ₄` in units of `σ` (cumulants of an exponential
/// family), so `V(1 − ρ²) = ρ/m + κ₄ρV² + κ₄V/2m + O(m⁻³)`.
/// *Domain.* As [`stationary_variance`]. *Source.* Derived here. *Guard.* `verifier-stationary`.
///
/// ```
/// use fortifai_collapse::verifier::{stationary_variance, stationary_variance_corrected};
/// let (first, second) = (stationary_variance(400, 2.0, 1.0)?, stationary_variance_corrected(400, 2.0, 1.0)?);
/// assert!((second / first - 1.0).abs() < 0.01);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn stationary_variance_corrected(m: usize, r: f64, sigma: f64) -> Result<f64, Refusal> {
    let unit = sigma * sigma;
    let first = stationary_variance(m, r, sigma)? / unit;
    let u = r / sigma;
    let (_, rho, rest) = symmetric(u);
    let kappa = Truncated::new(0.0, u).fourth_cumulant;
    let bracket = rho * first * first + first / (2.0 * m as f64);
    Ok(unit * (first + kappa * bracket / (rest * (1.0 + rho))))
}

/// The accepted values in units of `σ` about `θ`.
fn window(theta: f64, c: f64, r: f64, sigma: f64) -> Result<Truncated, Refusal> {
    let half = positive("u = r/sigma", positive("r", r)? / positive("sigma", sigma)?)?;
    let middle = (c - theta) / sigma;
    require(middle.abs() <= 1e6, "(c − theta)/sigma", middle, "|theta − c| ≤ 1e6 sigma")?;
    Ok(Truncated::new(middle, half))
}
