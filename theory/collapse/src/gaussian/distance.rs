//! G3, G4, G5: how far the model drifts when the data are replaced.

use super::Divisor;
use super::inputs::{DIVISOR, N, T, divisor, entry, finite, input};
use super::log::log_rate;
use super::model::ln_quotient;
use super::power::{excess_over_log, lost_deviation};
use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Input};
use crate::refusal::{Refusal, require};

/// `Var μ_t = (1/n) Σ_{k<t} (ν/m)^k` for `σ_0 = 1`: `t/n` with divisor `n − 1`,
/// `1 − (1 − 1/n)^t` with divisor `n`.
///
/// *Derivation.* `μ_t = μ_0 + Σ_k σ_{k−1} Z_k/√n` with standard normal `Z_k` independent of every
/// `σ`, and `E σ_k² = (ν/m)^k`. The increments are uncorrelated, so `Cov(μ_j, μ_k)` is the variance
/// at the earlier of the two. *Domain:* `n ≥ 2`. *Source:* derived here; leading order in Shumailov
/// et al. (2023, arXiv 2305.17493). *Guard:* `gaussian-replace`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, mean_drift};
/// assert_eq!(mean_drift(10, 5, Divisor::Unbiased), Ok(0.5));
/// ```
///
/// # Errors
/// If `n < 2`, or if the value exceeds every `f64`.
pub fn mean_drift(n: usize, t: usize, divisor: Divisor) -> Result<f64, Refusal> {
    let m = divisor.checked(n)?;
    let (nu, t) = (n as f64 - 1.0, t as f64);
    let less_one = (nu - m) / m;
    if less_one == 0.0 {
        return Ok(t / n as f64);
    }
    finite((t * less_one.ln_1p()).exp_m1() / less_one / n as f64)
}

/// `E W₂²(N_t, N_0) = Var μ_t + E σ_t² − 2 E σ_t + 1` for `σ_0 = 1`: `t/n + 2(1 − c₄^t)` with
/// divisor `n − 1`, `2(1 − b^t)` with `b = c₄ √((n−1)/n)` and divisor `n`.
///
/// *Derivation.* `W₂² = (μ_t − μ_0)² + (σ_t − σ_0)²`; with divisor `n` the first two terms and the
/// last sum to 2. *Domain:* `n ≥ 2`. *Source:* derived here; leading order `(3/2) t/n` in Shumailov
/// et al. (2023, arXiv 2305.17493). *Guard:* `gaussian-distance`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, expected_w2_squared};
/// let early = expected_w2_squared(1_000_000, 1, Divisor::Mle).expect("a large n");
/// assert!((early * 1e6 - 1.5).abs() < 1e-5);
/// ```
///
/// # Errors
/// If `n < 2`, or if the value exceeds every `f64`.
pub fn expected_w2_squared(n: usize, t: usize, divisor: Divisor) -> Result<f64, Refusal> {
    let m = divisor.checked(n)?;
    let growth = (t as f64 * ln_quotient(n as f64 - 1.0, m)).exp_m1();
    // With divisor n, Var μ_t = −growth exactly.
    let drift = if m == n as f64 { 0.0 } else { mean_drift(n, t, divisor)? + growth };
    finite(drift + 2.0 * lost_deviation(n, t, divisor)?)
}

/// `E KL(N_t‖N_0) = (Var μ_t + E σ_t² − 1 − E ln σ_t²)/2` for `σ_0 = 1`: `(t/n − t·rate)/2` with
/// divisor `n − 1`, `−t·rate/2` with divisor `n`.
///
/// *Derivation.* The divergence of two Gaussians, term by term. *Domain:* `n ≥ 2`. *Source:*
/// derived here. *Guard:* `gaussian-distance`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, expected_kl_from_truth, log_rate};
/// let rate = log_rate(10, Divisor::Mle).expect("n = 10");
/// assert_eq!(expected_kl_from_truth(10, 4, Divisor::Mle), Ok(-2.0 * rate));
/// ```
///
/// # Errors
/// If `n < 2`, or if the value exceeds every `f64`.
pub fn expected_kl_from_truth(n: usize, t: usize, divisor: Divisor) -> Result<f64, Refusal> {
    let m = divisor.checked(n)?;
    let growth = (t as f64 * ln_quotient(n as f64 - 1.0, m)).exp_m1();
    let drift = if m == n as f64 { 0.0 } else { mean_drift(n, t, divisor)? + growth };
    finite(0.5 * (drift - t as f64 * log_rate(n, divisor)?))
}

/// `E KL(N_0‖N_t) = [r^t + (r/n)(r^t − 1)/(r − 1) − 1 + t·rate]/2` with `r = m/(ν − 2)`.
///
/// *Derivation.* `E σ_t^{−2} = r^t`, and `E μ_t²/σ_t² = (1/n) Σ_k E σ_{k−1}²/σ_t² =
/// (1/n) Σ_{j=1}^t r^j`, because the `Z_k` are independent of the `χ²`. *Domain:* `n > 3`.
/// *Source:* derived here. *Guard:* `gaussian-distance`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, expected_kl_to_truth};
/// assert!(expected_kl_to_truth(20, 15, Divisor::Mle).expect("n = 20") > 6.0);
/// assert!(expected_kl_to_truth(3, 1, Divisor::Mle).is_err());
/// ```
///
/// # Errors
/// If `n ≤ 3`, or if the value exceeds every `f64`.
pub fn expected_kl_to_truth(n: usize, t: usize, divisor: Divisor) -> Result<f64, Refusal> {
    require(n > 3, "n", n, "n > 3")?;
    let m = divisor.checked(n)?;
    let (n_real, generations) = (n as f64, t as f64);
    let less_one = (m - (n_real - 3.0)) / (n_real - 3.0);
    let growth = (generations * less_one.ln_1p()).exp_m1();
    let sum = if less_one == 0.0 { generations } else { growth / less_one };
    let drift = (1.0 + less_one) / n_real * sum;
    finite(0.5 * (growth + drift + generations * log_rate(n, divisor)?))
}

/// `½(s₂²/s₁² − 1 − ln(s₂²/s₁²)) + m²/(2s₁²)`, the divergence `KL(N(m, s₂²)‖N(0, s₁²))`.
pub(super) fn kl(m: f64, s1: f64, s2: f64) -> f64 {
    let scaled = m / s1;
    0.5 * (excess_over_log((s2 - s1) / s1 * ((s2 + s1) / s1)) + scaled * scaled)
}

const SHUMAILOV: &str = "derived here; leading order in Shumailov et al. (arXiv 2305.17493)";
const SIGMA0: Input = input("sigma0", "standard deviation of the truth", "1");

/// The square of `sigma0`, which is 1 if it is not given.
fn sigma0_squared(inputs: &Inputs) -> Result<f64, Refusal> {
    if inputs.get("sigma0").is_none() {
        return Ok(1.0);
    }
    let sigma0 = inputs.number("sigma0")?;
    require(sigma0 > 0.0, "sigma0", sigma0, "a positive number")?;
    Ok(sigma0 * sigma0)
}

/// The entries of these sections.
pub const ENTRIES: &[Entry] = &[
    Entry {
        source: SHUMAILOV,
        domain: "n ≥ 2, sigma0 > 0",
        ..entry(
            "G3",
            "Var mu_t MLE =1-(1-1/n)^t",
            "variance of the mean, divisor n",
            &[N, T, SIGMA0],
            |i| {
                let drift = mean_drift(i.count("n")?, i.count("t")?, Divisor::Mle)?;
                finite(sigma0_squared(i)? * drift)
            },
        )
    },
    Entry {
        source: SHUMAILOV,
        domain: "n ≥ 2, sigma0 > 0",
        ..entry(
            "G3",
            "Var mu_t = sigma0^2 (1/n) sum_{k<t} ((n-1)/m)^k",
            "variance of the mean, any divisor m (t/n for n-1)",
            &[N, T, SIGMA0, DIVISOR],
            |i| {
                let divisor = divisor(i, Divisor::Unbiased)?;
                let drift = mean_drift(i.count("n")?, i.count("t")?, divisor)?;
                finite(sigma0_squared(i)? * drift)
            },
        )
    },
    Entry {
        source: SHUMAILOV,
        ..entry("G4", "E W2^2 MLE = 2(1-b^t)", "Wasserstein distance, divisor n", &[N, T], |i| {
            expected_w2_squared(i.count("n")?, i.count("t")?, Divisor::Mle)
        })
    },
    Entry {
        source: SHUMAILOV,
        ..entry(
            "G4",
            "E W2^2 unbiased = t/n+2(1-c4^t)",
            "Wasserstein distance, divisor n-1",
            &[N, T],
            |i| expected_w2_squared(i.count("n")?, i.count("t")?, Divisor::Unbiased),
        )
    },
    Entry {
        digits: Digits::Special,
        ..entry("G5", "E KL(N_t||N_0) unbiased", "divergence from the truth", &[N, T], |i| {
            expected_kl_from_truth(i.count("n")?, i.count("t")?, Divisor::Unbiased)
        })
    },
    Entry {
        digits: Digits::Special,
        domain: "n > 3",
        ..entry("G5", "E KL(N_0||N_t) unbiased", "divergence of the truth", &[N, T], |i| {
            expected_kl_to_truth(i.count("n")?, i.count("t")?, Divisor::Unbiased)
        })
    },
    Entry {
        digits: Digits::Special,
        domain: "n > 3",
        ..entry("G5", "E KL(N_0||N_t) MLE", "divergence of the truth, divisor n", &[N, T], |i| {
            expected_kl_to_truth(i.count("n")?, i.count("t")?, Divisor::Mle)
        })
    },
    Entry {
        digits: Digits::Special,
        ..entry("G5", "E KL(N_t||N_0) MLE", "divergence from the truth, divisor n", &[N, T], |i| {
            expected_kl_from_truth(i.count("n")?, i.count("t")?, Divisor::Mle)
        })
    },
];
