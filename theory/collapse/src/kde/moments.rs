//! Spread and drift at a fixed bandwidth: K1.

use super::{
    BANDWIDTH, GENERATION, SAMPLES, SIGMA0, coalesced, distinct, length, samples, size_of,
};
use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::Refusal;

/// K1, the spread of the samples: `E s_t² = a^(t+1) σ_0² + (n − 1)h²(1 − a^t)`, `a = 1 − 1/n`.
///
/// *Derivation.* Given `X^(t−1)` the density has the variance `s_{t−1}² + h²`, and `n` draws have
/// `E s_t² = a(s_{t−1}² + h²)`; sum the geometric series from `E s_0² = aσ_0²`.
/// *Domain.* `n ≥ 1`, `h ≥ 0`; `h = 0` is the plain bootstrap, in which types go extinct.
/// *Source.* Derived here; setting of Fu et al. 2024, arXiv 2402.11778, and Kazdan et al. 2024, arXiv
/// 2410.16713. *Guard.* `kde-fixed`.
///
/// ```
/// let variance = fortifai_collapse::kde::sample_variance(10, 0.5, 4, 1.0)?;
/// assert!((variance - 1.364_265).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn sample_variance(n: usize, h: f64, t: usize, sigma0: f64) -> Result<f64, Refusal> {
    let (n, h, sigma0) = (samples(n)?, length("h", h, true)?, length("sigma0", sigma0, true)?);
    let t = t as f64;
    Ok(distinct(n, t + 1.0) * sigma0 * sigma0 + (n - 1.0) * h * h * coalesced(n, t))
}

/// K1, the spread after many generations: `E s_t² → (n − 1)h²`. A fixed bandwidth does not collapse.
///
/// *Derivation, domain, source, guard.* As [`sample_variance`].
///
/// ```
/// assert_eq!(fortifai_collapse::kde::limit_of_the_variance(10, 0.5)?, 2.25);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn limit_of_the_variance(n: usize, h: f64) -> Result<f64, Refusal> {
    let (n, h) = (samples(n)?, length("h", h, true)?);
    Ok((n - 1.0) * h * h)
}

/// K1, the mean square about the true mean: `E (1/n) Σ (X_i^(t) − μ_0)² = σ_0² + t h²`.
///
/// *Derivation.* Every sample of generation `t` is a real one plus `t` independent kernels.
/// *Domain, source, guard.* As [`sample_variance`].
///
/// ```
/// assert_eq!(fortifai_collapse::kde::mean_square(0.5, 4, 1.0)?, 2.0);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn mean_square(h: f64, t: usize, sigma0: f64) -> Result<f64, Refusal> {
    let (h, sigma0) = (length("h", h, true)?, length("sigma0", sigma0, true)?);
    Ok(sigma0 * sigma0 + t as f64 * h * h)
}

/// K1, the drift of the mean: `Var x̄_t = σ_0² + t h² − E s_t²`, which is
/// `σ_0²(1 − a^(t+1)) + h²(t − (n − 1)(1 − a^t))`.
///
/// *Derivation.* [`mean_square`] less [`sample_variance`]. Directly: each generation adds
/// `(E s² + h²)/n`. Where `t/n` is small the second bracket is summed as
/// `Σ_{j=1..t} (1 − a^j)`, which has no cancellation.
/// *Domain, source, guard.* As [`sample_variance`].
///
/// ```
/// let drift = fortifai_collapse::kde::drift_of_the_mean(10, 0.5, 4, 1.0)?;
/// assert!((drift - (2.0 - 1.364_265)).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn drift_of_the_mean(n: usize, h: f64, t: usize, sigma0: f64) -> Result<f64, Refusal> {
    let (n, h, sigma0) = (samples(n)?, length("h", h, true)?, length("sigma0", sigma0, true)?);
    let steps = t as f64;
    let gap = if steps > 0.01 * n {
        steps - (n - 1.0) * coalesced(n, steps)
    } else {
        // Σ_j C(t + 1, j + 1) (−1)^(j+1) n^−j, the expansion of t − (n − 1)(1 − a^t).
        let mut term = steps * (steps + 1.0) / (2.0 * n);
        let mut sum = 0.0;
        for j in 2..40 {
            sum += term;
            term *= -(steps + 1.0 - f64::from(j)) / (f64::from(j + 1) * n);
        }
        sum
    };
    Ok(sigma0 * sigma0 * coalesced(n, steps + 1.0) + h * h * gap)
}

const DOMAIN: &str = "n ≥ 1, h ≥ 0, any real law with variance sigma0²";

/// An entry of K1.
const fn entry(
    name: &'static str,
    formula: &'static str,
    inputs: &'static [Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    Entry {
        id: "K1",
        name,
        formula,
        kind: Kind::Exact,
        source: "derived here; setting of arXiv 2402.11778 and arXiv 2410.16713",
        domain: DOMAIN,
        digits: Digits::Elementary,
        inputs,
        value,
    }
}

/// The closed forms of K1.
pub const ENTRIES: &[Entry] = &[
    entry(
        "variance of the samples, divisor n",
        "E s_t^2",
        &[SAMPLES, BANDWIDTH, GENERATION, SIGMA0],
        |inputs| {
            let (n, h, t) = size_of(inputs)?;
            sample_variance(n, h, t, inputs.number("sigma0")?)
        },
    ),
    entry(
        "limit of the variance of the samples",
        "E s_t² → (n−1) h²",
        &[SAMPLES, BANDWIDTH],
        |inputs| limit_of_the_variance(inputs.count("n")?, inputs.number("h")?),
    ),
    entry(
        "mean square about the true mean",
        "σ0² + t h²",
        &[BANDWIDTH, GENERATION, SIGMA0],
        |inputs| mean_square(inputs.number("h")?, inputs.count("t")?, inputs.number("sigma0")?),
    ),
    entry(
        "variance of the mean",
        "Var mean_t = σ0² + t h² − E s_t²",
        &[SAMPLES, BANDWIDTH, GENERATION, SIGMA0],
        |inputs| {
            let (n, h, t) = size_of(inputs)?;
            drift_of_the_mean(n, h, t, inputs.number("sigma0")?)
        },
    ),
];
