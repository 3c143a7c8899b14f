//! Linear regression on rows whose label a verifier accepts: V3.

use super::positive;
use super::truncated::{rho, symmetric};
use crate::refusal::Refusal;

/// V3, one round on infinite data, accepting `|y − x′θ_c| ≤ r`: the error `δ = θ − θ_c` becomes
/// `M(δ) = δ ρ(u) (σ² + D)/(σ² + ρ(u) D)` with `D = δ′Σδ`, `u = r/√(σ² + D)`, for Gaussian inputs of
/// any dimension and covariance `Σ`. The argument and the value are lengths, `√D`.
///
/// *Derivation.* `e = y − x′θ_c ~ N(0, v²)`, `v² = σ² + D`, and given `e` the inputs have the mean
/// `Σδ e/v²` and the covariance `Σ − Σδδ′Σ/v²`. With `E (e² | accepted) = ρv²` the normal equations are
/// `[Σ − (1 − ρ)Σδδ′Σ/v²] M = ρΣδ`, solved by Sherman and Morrison's formula: `M` is parallel to `δ`.
/// So `0 < M/δ < 1` and `M = ρ(r/σ) δ + O(δ³)`.
///
/// *Domain.* `σ, r > 0`, `δ ≥ 0`. *Source.* Derived here; setting of Yi et al. 2025, arXiv 2510.16657.
/// *Guard.* `verifier-regression`.
///
/// ```
/// use fortifai_collapse::verifier::{contraction, regression_step};
/// let slope = regression_step(1e-8, 1.0, 0.9)? / 1e-8;
/// assert!((slope - contraction(0.9)?).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn regression_step(delta: f64, sigma: f64, r: f64) -> Result<f64, Refusal> {
    let (sigma, r) = (positive("sigma", sigma)?, positive("r", r)?);
    if delta == 0.0 {
        return Ok(0.0);
    }
    let delta = positive("delta", delta)?;
    let total = sigma.hypot(delta);
    let rho = rho(positive("u", r / total)?);
    let (noise, error) = ((sigma / total).powi(2), (delta / total).powi(2));
    Ok(delta * rho / (noise + rho * error))
}

/// V3, the share of rows that is accepted: `2Φ(r/√(σ² + D)) − 1`.
///
/// *Derivation, domain, source, guard.* As [`regression_step`].
///
/// ```
/// use fortifai_collapse::verifier::{acceptance, regression_acceptance};
/// let share = regression_acceptance(0.6, 0.8, 0.5)?;
/// assert!((share - acceptance(0.0, 0.0, 0.5, 1.0)?).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn regression_acceptance(delta: f64, sigma: f64, r: f64) -> Result<f64, Refusal> {
    let total = positive("sigma", sigma)?.hypot(delta);
    let u = positive("u", positive("r", r)? / positive("delta", total)?)?;
    Ok(symmetric(u).0)
}
