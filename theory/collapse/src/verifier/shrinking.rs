//! A hard verifier with `σ` refitted: V5.

use super::positive;
use super::truncated::rho;
use crate::refusal::{Refusal, require};

/// The largest number of rounds of [`shrunk_std_dev_after`], which takes time proportional to it.
const LARGEST: usize = 1_000_000;

/// V5, one round at `θ = c`: `s′ = s√ρ(r/s)`, `ρ(u) = 1 − 2uφ(u)/(2Φ(u) − 1)`.
///
/// *Derivation.* The variance of the accepted samples. *Domain.* `r, s > 0`, infinite data.
/// *Source.* Derived here. *Guard.* `verifier-shrinking`.
///
/// ```
/// let narrow = fortifai_collapse::verifier::shrunk_std_dev(1.0, 0.9)?;
/// assert!((narrow - 0.242_018_041_655_182_73f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn shrunk_std_dev(s: f64, r: f64) -> Result<f64, Refusal> {
    shrunk_std_dev_after(s, r, 1)
}

/// V5, `t` rounds of [`shrunk_std_dev`].
///
/// *Derivation, domain, source, guard.* As [`shrunk_std_dev`]; `t ≤ 10⁶`.
///
/// ```
/// use fortifai_collapse::verifier::{shrunk_std_dev, shrunk_std_dev_after};
/// let twice = shrunk_std_dev(shrunk_std_dev(1.0, 2.0)?, 2.0)?;
/// assert_eq!(shrunk_std_dev_after(1.0, 2.0, 2)?, twice);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn shrunk_std_dev_after(s0: f64, r: f64, t: usize) -> Result<f64, Refusal> {
    let (s0, r) = (positive("s0", s0)?, positive("r", r)?);
    positive("r/s0", r / s0)?;
    require(t <= LARGEST, "t", t, "t ≤ 1000000")?;
    Ok((0..t).fold(s0, |s, _| s * rho(r / s).sqrt()))
}

/// V5, the ratio `u_t = r/s_t` after many rounds: the larger root of
/// `u² = 2 ln t + 6 ln u − ln 2π`. The spread shrinks like `r/√(2 ln t)`, logarithmically slowly.
///
/// *Derivation.* `ln u_{t+1} − ln u_t ≈ u φ(u)`, so `√(2π) e^(u²/2)/u³ ≈ t`. The next factor of the left
/// side is `1 + 3/u²`, which lowers `u²` by about `6/u²`.
/// *Domain.* `t → ∞`; `t ≥ 3`. *Source.* Derived here. *Guard.* `verifier-shrinking`.
///
/// ```
/// let u = fortifai_collapse::verifier::shrinking_ratio(1000)?;
/// let right = 2.0 * 1000f64.ln() + 6.0 * u.ln() - std::f64::consts::TAU.ln();
/// assert!((u * u - right).abs() < 1e-13);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn shrinking_ratio(t: usize) -> Result<f64, Refusal> {
    require(t >= 3, "t", t, "t ≥ 3")?;
    let level = 2.0 * (t as f64).ln() - std::f64::consts::TAU.ln();
    // u² − 6 ln u is convex and grows from √3 on: Newton's method descends from any point above.
    let mut u = level.max(0.0).sqrt() + 5.0;
    for _ in 0..100 {
        let next = u - (u * u - 6.0 * u.ln() - level) / (2.0 * u - 6.0 / u);
        if next >= u {
            break;
        }
        u = next;
    }
    Ok(u)
}
