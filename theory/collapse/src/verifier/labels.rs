//! Labels that are wrong with probability `p` and accepted with a probability that depends on it: V6.

use crate::refusal::{Refusal, require};

/// V6, the share of right labels among the accepted ones: `(1 − p)φ/((1 − p)φ + pψ)` with acceptance
/// `φ` of right labels and `ψ` of wrong ones.
///
/// *Derivation.* Bayes. *Domain.* Probabilities, not all accepted mass 0. *Source.* Elementary; setting
/// of Feng et al. 2024, arXiv 2406.07515. *Guard.* `verifier-labels`.
///
/// ```
/// let purity = fortifai_collapse::verifier::purity(0.3, 0.8, 0.5)?;
/// assert!((purity - 0.788_732_394_366_197_2).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn purity(p: f64, phi: f64, psi: f64) -> Result<f64, Refusal> {
    purity_after(p, phi, psi, 1)
}

/// V6, the same after `t` independent rounds: `(1 − p)φ^t/((1 − p)φ^t + pψ^t)`.
///
/// *Derivation, domain, source, guard.* As [`purity`].
///
/// ```
/// // Odds 1 and a factor 2 per round: 4 : 1 after two.
/// let purity = fortifai_collapse::verifier::purity_after(0.5, 0.8, 0.4, 2)?;
/// assert!((purity - 0.8).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn purity_after(p: f64, phi: f64, psi: f64, t: usize) -> Result<f64, Refusal> {
    for (name, value) in [("p", p), ("phi", phi), ("psi", psi)] {
        require((0.0..=1.0).contains(&value), name, value, "a probability")?;
    }
    let t = t as f64;
    // Relative to the larger acceptance, so that many rounds do not underflow both.
    let top = phi.max(psi);
    require(top > 0.0 || t == 0.0, "phi and psi", 0, "phi > 0 or psi > 0")?;
    let power = |share: f64| if t == 0.0 { 1.0 } else { (share / top).powf(t) };
    let (right, wrong) = ((1.0 - p) * power(phi), p * power(psi));
    require(right + wrong > 0.0, "the accepted share", 0, "a positive one")?;
    Ok(right / (right + wrong))
}

/// V6, the factor by which a round multiplies the odds of a right label: `φ/ψ`.
///
/// *Derivation, source, guard.* As [`purity`]. *Domain.* `ψ > 0`.
///
/// ```
/// assert_eq!(fortifai_collapse::verifier::odds_factor(0.75, 0.5)?, 1.5);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn odds_factor(phi: f64, psi: f64) -> Result<f64, Refusal> {
    require((0.0..=1.0).contains(&phi), "phi", phi, "a probability")?;
    require(psi > 0.0 && psi <= 1.0, "psi", psi, "0 < psi ≤ 1")?;
    let factor = phi / psi;
    require(factor.is_finite(), "phi/psi", factor, "a larger psi")?;
    Ok(factor)
}

/// V6, the rate of wrong labels below which the accepted labels are right by majority: `φ/(φ + ψ)`.
///
/// *Derivation.* [`purity`] equals 1/2. *Source.* Feng et al. 2024, arXiv 2406.07515.
/// *Domain.* Probabilities, not both 0. *Guard.* `verifier-labels`.
///
/// ```
/// use fortifai_collapse::verifier::{majority_threshold, purity};
/// assert!((purity(majority_threshold(0.8, 0.5)?, 0.8, 0.5)? - 0.5).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn majority_threshold(phi: f64, psi: f64) -> Result<f64, Refusal> {
    for (name, value) in [("phi", phi), ("psi", psi)] {
        require((0.0..=1.0).contains(&value), name, value, "a probability")?;
    }
    require(phi + psi > 0.0, "phi + psi", 0, "phi > 0 or psi > 0")?;
    Ok(phi / (phi + psi))
}
