//! Bandwidths that follow the spread: K4 and K5.

use super::{GENERATION, SAMPLES, SIGMA0, distinct, length, samples};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

/// K4, the factor of `E s_t²` per generation with the bandwidth `h = c s n^(−1/5)`:
/// `(1 − 1/n)(1 + c²n^(−2/5))`.
///
/// *Derivation.* `E s_t² = (1 − 1/n)(s² + h²)` with `h² = c²n^(−2/5) s²`. With `c = 1.06` it exceeds 1
/// for every `n ≥ 3`: the spread **explodes**. *Domain.* `n ≥ 1`, `c ≥ 0`. *Source.* Derived here.
/// *Guard.* `kde-adaptive`.
///
/// ```
/// let growth = fortifai_collapse::kde::adaptive_growth(10, 1.06)?;
/// assert!((growth - 1.302_581_895_150_518_6).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn adaptive_growth(n: usize, c: f64) -> Result<f64, Refusal> {
    let (n, c) = (samples(n)?, length("c", c, true)?);
    Ok((1.0 - 1.0 / n) * (1.0 + c * c * n.powf(-0.4)))
}

/// K4, the spread of the samples: `E s_t² = (1 − 1/n)σ_0² [(1 − 1/n)(1 + c²n^(−2/5))]^t`.
///
/// *Derivation, domain, source, guard.* As [`adaptive_growth`].
///
/// ```
/// use fortifai_collapse::kde::{adaptive_growth, adaptive_variance};
/// let (variance, growth) = (adaptive_variance(10, 1.06, 2, 1.0)?, adaptive_growth(10, 1.06)?);
/// assert!((variance - 0.9 * growth * growth).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain, or if the spread exceeds every number.
pub fn adaptive_variance(n: usize, c: f64, t: usize, sigma0: f64) -> Result<f64, Refusal> {
    let (n, c, sigma0) = (samples(n)?, length("c", c, true)?, length("sigma0", sigma0, true)?);
    let steps = t as f64;
    let wide = (steps * (c * c * n.powf(-0.4)).ln_1p()).exp();
    // One logarithm for both factors, so that neither overflows alone.
    let value = if wide.is_finite() {
        distinct(n, steps + 1.0) * wide
    } else {
        (steps * (c * c * n.powf(-0.4)).ln_1p() + (steps + 1.0) * (-1.0 / n).ln_1p()).exp()
    };
    let variance = value * sigma0 * sigma0;
    require(variance.is_finite(), "E s_t²", variance, "fewer generations, so that a finite value")?;
    Ok(variance)
}

/// K5, the spread of the samples with the variance-corrected ("shrunk") smoothed bootstrap,
/// `X = x̄ + (X_i − x̄ + hZ)/√(1 + h²/s²)`: `E s_t² = (1 − 1/n)^(t+1) σ_0²` for every bandwidth rule.
///
/// *Derivation.* The corrected density has the variance `s²`. *Domain.* `n ≥ 1`.
/// *Source.* Derived here. *Guard.* `kde-adaptive`.
///
/// ```
/// let variance = fortifai_collapse::kde::shrunk_variance(10, 3, 1.0)?;
/// assert!((variance - 0.9f64.powi(4)).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn shrunk_variance(n: usize, t: usize, sigma0: f64) -> Result<f64, Refusal> {
    let (n, sigma0) = (samples(n)?, length("sigma0", sigma0, true)?);
    Ok(distinct(n, t as f64 + 1.0) * sigma0 * sigma0)
}

const RULE: Input =
    Input {
        name: "c", meaning: "bandwidth over s n^(−1/5); 1.06 is Silverman's", example: "1.06"
    };

/// The closed forms of K4 and K5.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "K4",
        name: "growth of the variance per generation, bandwidth c s n^(−1/5)",
        formula: "adaptive growth (1-1/n)(1+c^2 n^-0.4)",
        kind: Kind::Exact,
        source: "derived here",
        domain: "n ≥ 1, c ≥ 0, s with divisor n",
        digits: Digits::Elementary,
        inputs: &[SAMPLES, RULE],
        value: |inputs| adaptive_growth(inputs.count("n")?, inputs.number("c")?),
    },
    Entry {
        id: "K4",
        name: "variance of the samples, bandwidth c s n^(−1/5)",
        formula: "E s_t² = (1−1/n) σ0² [(1−1/n)(1+c² n^−0.4)]^t",
        kind: Kind::Exact,
        source: "derived here",
        domain: "n ≥ 1, c ≥ 0, s with divisor n",
        digits: Digits::Elementary,
        inputs: &[SAMPLES, RULE, GENERATION, SIGMA0],
        value: |inputs| {
            let (c, sigma0) = (inputs.number("c")?, inputs.number("sigma0")?);
            adaptive_variance(inputs.count("n")?, c, inputs.count("t")?, sigma0)
        },
    },
    Entry {
        id: "K5",
        name: "variance of the samples, variance-corrected smoothed bootstrap",
        formula: "E s_t² = (1−1/n)^(t+1) σ0²",
        kind: Kind::Exact,
        source: "derived here",
        domain: "n ≥ 1, any bandwidth",
        digits: Digits::Elementary,
        inputs: &[SAMPLES, GENERATION, SIGMA0],
        value: |inputs| {
            let (n, t) = (inputs.count("n")?, inputs.count("t")?);
            shrunk_variance(n, t, inputs.number("sigma0")?)
        },
    },
];
