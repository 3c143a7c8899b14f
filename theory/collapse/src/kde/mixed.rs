//! Real samples in every generation: K3.
//!
//! Each of the `n` samples of a generation is real with probability `α`, and else drawn from the
//! density before. So a sample is a real one plus `J` kernels with `P(J = j) = α(1 − α)^j`.

use super::{ALPHA, BANDWIDTH, SAMPLES, SIGMA0, length, samples};
use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use std::f64::consts::TAU;

/// K3, the stationary mean square about the true mean: `M = σ_0² + h²(1 − α)/α`.
///
/// *Derivation.* `E J = (1 − α)/α` kernels. *Domain.* `0 < α ≤ 1`, `h ≥ 0`.
/// *Source.* Derived here. *Guard.* `kde-mixed`.
///
/// ```
/// assert_eq!(fortifai_collapse::kde::mixed_total(0.5, 0.5, 1.0)?, 1.25);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn mixed_total(h: f64, alpha: f64, sigma0: f64) -> Result<f64, Refusal> {
    let (h, sigma0) = (length("h", h, true)?, length("sigma0", sigma0, true)?);
    require(alpha > 0.0 && alpha <= 1.0, "alpha", alpha, "0 < alpha ≤ 1")?;
    Ok(sigma0 * sigma0 + h * h * (1.0 - alpha) / alpha)
}

/// K3, the stationary variance of the mean: `D = M/(n − (n − 1)(1 − α)²)`.
///
/// *Derivation.* Two samples are both synthetic with probability `(1 − α)²`, and then their covariance
/// is `D`: `D = M/n + (1 − 1/n)(1 − α)²D`. The denominator is `1 + (n − 1)α(2 − α)`.
/// *Domain.* As [`mixed_total`], `n ≥ 1`. *Source.* Derived here. *Guard.* `kde-mixed`.
///
/// ```
/// let drift = fortifai_collapse::kde::mixed_drift(12, 0.4, 0.3, 1.0)?;
/// assert!((drift - 1.373_333_333_333_333_3 / 6.61).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn mixed_drift(n: usize, h: f64, alpha: f64, sigma0: f64) -> Result<f64, Refusal> {
    let n = samples(n)?;
    Ok(mixed_total(h, alpha, sigma0)? / (1.0 + (n - 1.0) * alpha * (2.0 - alpha)))
}

/// K3, the stationary spread of the samples: `E s² = M − D = M (n − 1)α(2 − α)/(1 + (n − 1)α(2 − α))`.
///
/// *Derivation, domain, source, guard.* As [`mixed_drift`].
///
/// ```
/// let variance = fortifai_collapse::kde::mixed_variance(12, 0.4, 0.3, 1.0)?;
/// assert!((variance - 1.165_567_322_239_031_8).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn mixed_variance(n: usize, h: f64, alpha: f64, sigma0: f64) -> Result<f64, Refusal> {
    let real = (samples(n)? - 1.0) * alpha * (2.0 - alpha);
    Ok(mixed_total(h, alpha, sigma0)? * real / (1.0 + real))
}

/// K3, the stationary mean of the estimate for a normal truth:
/// `E f̂(x) = Σ_j α(1 − α)^j φ(x; 0, σ_0² + (j + 1)h²)`.
///
/// *Derivation.* A sample of age `J`, and one kernel more. The sum ends where `(1 − α)^j` is
/// below 1e-18 of the sum so far. *Domain.* `1e-5 ≤ α ≤ 1`, `h ≥ 0`, `σ_0 > 0`.
/// *Source.* Derived here. *Guard.* `kde-mixed`.
///
/// ```
/// use fortifai_collapse::kde::{expected_density, mixed_density};
/// let (mixed, fresh) = (mixed_density(0.3, 0.4, 1.0, 1.0)?, expected_density(0.3, 0.4, 0, 1.0)?);
/// assert!((mixed - fresh).abs() < 1e-16);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn mixed_density(x: f64, h: f64, alpha: f64, sigma0: f64) -> Result<f64, Refusal> {
    let (h, sigma0) = (length("h", h, true)?, length("sigma0", sigma0, false)?);
    require((1e-5..=1.0).contains(&alpha), "alpha", alpha, "1e-5 ≤ alpha ≤ 1")?;
    let (mut sum, mut weight, mut variance) = (0.0, alpha, sigma0 * sigma0 + h * h);
    // What is left at age j is at most weight/α times the largest density 1/√(2πv), v the variance.
    loop {
        let top = weight / (TAU * variance).sqrt();
        if top <= 1e-18 * alpha * sum || weight == 0.0 {
            return Ok(sum);
        }
        sum += top * (-0.5 * x * x / variance).exp();
        weight *= 1.0 - alpha;
        variance += h * h;
    }
}

/// An entry of K3.
const fn entry(
    name: &'static str,
    formula: &'static str,
    inputs: &'static [Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    Entry {
        id: "K3",
        name,
        formula,
        kind: Kind::Exact,
        source: "derived here",
        domain: "0 < alpha ≤ 1 (density: alpha ≥ 1e-5), h ≥ 0, n ≥ 1; stationary",
        digits: Digits::Elementary,
        inputs,
        value,
    }
}

/// The closed forms of K3.
pub const ENTRIES: &[Entry] = &[
    entry(
        "stationary variance of the samples with fresh real ones, sigma0 = 1",
        "mixed KDE E s^2*",
        &[SAMPLES, BANDWIDTH, ALPHA],
        |inputs| {
            let (h, alpha) = (inputs.number("h")?, inputs.number("alpha")?);
            mixed_variance(inputs.count("n")?, h, alpha, 1.0)
        },
    ),
    entry(
        "stationary variance of the mean with fresh real samples",
        "D* = M/(n−(n−1)(1−α)²), M = σ0² + (1−α)h²/α",
        &[SAMPLES, BANDWIDTH, ALPHA, SIGMA0],
        |inputs| {
            let (h, alpha) = (inputs.number("h")?, inputs.number("alpha")?);
            mixed_drift(inputs.count("n")?, h, alpha, inputs.number("sigma0")?)
        },
    ),
    entry(
        "stationary mean square about the true mean with fresh real samples",
        "M = σ0² + (1−α)h²/α",
        &[BANDWIDTH, ALPHA, SIGMA0],
        |inputs| {
            let (h, alpha) = (inputs.number("h")?, inputs.number("alpha")?);
            mixed_total(h, alpha, inputs.number("sigma0")?)
        },
    ),
    entry(
        "stationary mean of the estimated density with fresh real samples, normal truth",
        "E f̂(x) = Σ_j α(1−α)^j φ(x; 0, σ0² + (j+1)h²)",
        &[
            Input { name: "x", meaning: "where, from the true mean, data unit", example: "0.5" },
            BANDWIDTH,
            ALPHA,
            SIGMA0,
        ],
        |inputs| {
            let (x, sigma0) = (inputs.number("x")?, inputs.number("sigma0")?);
            mixed_density(x, inputs.number("h")?, inputs.number("alpha")?, sigma0)
        },
    ),
];
