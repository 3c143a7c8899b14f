//! A verifier that accepts with probability `exp(−(x − c)²/2τ²)`: V4.

use super::positive;
use crate::refusal::Refusal;

/// V4, one round: `θ′ = (θτ² + cσ²)/(τ² + σ²)`.
///
/// *Derivation.* The accepted samples have a density proportional to the product of two normal ones.
/// *Domain.* `σ, τ > 0`. *Source.* Derived here. *Guard.* `verifier-soft`.
///
/// ```
/// assert_eq!(fortifai_collapse::verifier::soft_mean(3.0, 1.0, 1.0, 1.0)?, 2.0);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn soft_mean(theta: f64, c: f64, tau: f64, sigma: f64) -> Result<f64, Refusal> {
    soft_mean_after(theta, c, tau, sigma, 1)
}

/// V4, `t` rounds with known `σ`: `θ_t = c + (θ − c)(τ²/(τ² + σ²))^t`.
///
/// *Derivation.* [`soft_mean`] shrinks the distance to `c` by one factor.
/// *Domain, source, guard.* As [`soft_mean`].
///
/// ```
/// assert_eq!(fortifai_collapse::verifier::soft_mean_after(3.0, 1.0, 1.0, 1.0, 2)?, 1.5);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn soft_mean_after(theta: f64, c: f64, tau: f64, sigma: f64, t: usize) -> Result<f64, Refusal> {
    let ratio = positive("sigma", sigma)? / positive("tau", tau)?;
    let kept = (-(t as f64) * (ratio * ratio).ln_1p()).exp();
    // A convex combination, whichever of both weighs more.
    Ok(if kept > 0.5 { theta + (c - theta) * (1.0 - kept) } else { c + (theta - c) * kept })
}

/// V4, `t` rounds with `σ` refitted: `1/s_t² = 1/s_0² + t/τ²`.
///
/// *Derivation.* Precisions of normal densities add. *Domain, source, guard.* As [`soft_mean`].
///
/// ```
/// assert_eq!(fortifai_collapse::verifier::soft_std_dev_after(1.0, 1.0, 3)?, 0.5);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn soft_std_dev_after(sigma0: f64, tau: f64, t: usize) -> Result<f64, Refusal> {
    let ratio = positive("sigma0", sigma0)? / positive("tau", tau)?;
    Ok(sigma0 / (1.0 + t as f64 * ratio * ratio).sqrt())
}

/// V4, the share of samples that is accepted: `τ/√(τ² + σ²) exp(−(θ − c)²/(2(τ² + σ²)))`.
///
/// *Derivation.* The integral of the product of both. *Domain, source, guard.* As [`soft_mean`].
///
/// ```
/// let share = fortifai_collapse::verifier::soft_acceptance(1.0, 1.0, 3.0, 4.0)?;
/// assert!((share - 0.6).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn soft_acceptance(theta: f64, c: f64, tau: f64, sigma: f64) -> Result<f64, Refusal> {
    let total = positive("tau", tau)?.hypot(positive("sigma", sigma)?);
    let distance = (theta - c) / total;
    Ok(tau / total * (-0.5 * distance * distance).exp())
}
