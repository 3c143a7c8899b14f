//! G11: the data are replaced and drawn with `λ` times the model's variance, in generation 1 too.

use super::Divisor;
use super::inputs::{DIVISOR, LAMBDA, N, T, divisor, entry, finite};
use super::log::log_rate;
use crate::prediction::{Digits, Entry};
use crate::refusal::{Refusal, require};
use crate::special::digamma_excess;

/// `E σ_t² = (λν/m)^t` for `σ_0 = 1`; `λ^t` with divisor `n − 1`.
///
/// *Derivation.* `σ_t² = λ σ_{t−1}² X/m` with `X ~ χ²_ν`. A temperature `τ` is the same as `λ = τ`,
/// since `p^{1/τ}` has `τ` times the variance. *Domain:* `n ≥ 2`, `λ > 0`. *Source:* Alemohammad et
/// al. (2023, arXiv 2307.01850). *Guard:* `gaussian-bias`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, biased_variance};
/// assert_eq!(biased_variance(9, 0.5, 3, Divisor::Unbiased), Ok(0.125));
/// ```
///
/// # Errors
/// Outside the domain, or if the value exceeds every `f64`.
pub fn biased_variance(n: usize, lambda: f64, t: usize, divisor: Divisor) -> Result<f64, Refusal> {
    finite(factor(n, lambda, divisor)?.powf(t as f64))
}

/// `E ln(σ_t²/σ_{t−1}²) = ln λ + ψ(ν/2) + ln(2/m)`.
///
/// *Derivation, domain, source, guard:* as [`biased_variance`].
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, biased_rate, critical_lambda};
/// let lambda = critical_lambda(9).expect("n = 9");
/// let rate = biased_rate(9, lambda, Divisor::Unbiased).expect("n = 9");
/// assert!(rate.abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn biased_rate(n: usize, lambda: f64, divisor: Divisor) -> Result<f64, Refusal> {
    factor(n, lambda, divisor)?;
    Ok(lambda.ln() + log_rate(n, divisor)?)
}

/// `Var μ_t = (λ/n) Σ_{k<t} (λν/m)^k`; `(λ/n)(1 − λ^t)/(1 − λ)` with divisor `n − 1`.
///
/// *Derivation.* `μ_t` gains `λ σ_{t−1}²/n` in variance. *Domain, source, guard:* as
/// [`biased_variance`].
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, biased_drift};
/// assert_eq!(biased_drift(10, 1.0, 5, Divisor::Unbiased), Ok(0.5));
/// ```
///
/// # Errors
/// Outside the domain, or if the value exceeds every `f64`.
pub fn biased_drift(n: usize, lambda: f64, t: usize, divisor: Divisor) -> Result<f64, Refusal> {
    let less_one = factor(n, lambda, divisor)? - 1.0;
    let t = t as f64;
    let sum = if less_one == 0.0 { t } else { (t * less_one.ln_1p()).exp_m1() / less_one };
    finite(lambda / n as f64 * sum)
}

/// `λ* = exp(ln(ν/2) − ψ(ν/2))`, about `1 + 1/ν`: the over-dispersed sampling that preserves the
/// typical variance with divisor `n − 1`.
///
/// *Derivation.* The zero of [`biased_rate`]. *Domain:* `n ≥ 2`. *Source:* derived here. *Guard:*
/// `gaussian-bias`.
///
/// ```
/// let lambda = fortifai_collapse::gaussian::critical_lambda(3).expect("n = 3");
/// assert!((lambda - 0.577_215_664_901_532_9f64.exp()).abs() < 1e-15);
/// ```
///
/// # Errors
/// If `n < 2`.
pub fn critical_lambda(n: usize) -> Result<f64, Refusal> {
    require(n >= 2, "n", n, "n ≥ 2")?;
    Ok((-digamma_excess(0.5 * (n as f64 - 1.0))).exp())
}

/// `λν/m`.
fn factor(n: usize, lambda: f64, divisor: Divisor) -> Result<f64, Refusal> {
    let m = divisor.checked(n)?;
    require(lambda > 0.0 && lambda.is_finite(), "lambda", lambda, "a positive finite number")?;
    Ok(lambda * ((n as f64 - 1.0) / m))
}

/// The entries of this section.
pub const ENTRIES: &[Entry] = &[
    Entry {
        digits: Digits::Special,
        ..entry(
            "G11",
            "critical sampling variance lambda*=exp(ln(nu/2)-psi(nu/2))",
            "sampling variance that preserves the typical variance",
            &[N],
            |i| critical_lambda(i.count("n")?),
        )
    },
    Entry {
        source: "Alemohammad et al. (arXiv 2307.01850)",
        domain: "n ≥ 2, lambda > 0",
        ..entry(
            "G11",
            "E sigma_t^2 = (lambda (n-1)/m)^t",
            "expected variance, distorted sampling, replaced data",
            &[N, LAMBDA, T, DIVISOR],
            |i| {
                let divisor = divisor(i, Divisor::Unbiased)?;
                biased_variance(i.count("n")?, i.number("lambda")?, i.count("t")?, divisor)
            },
        )
    },
    Entry {
        digits: Digits::Special,
        domain: "n ≥ 2, lambda > 0",
        ..entry(
            "G11",
            "rate ln lambda + psi(nu/2) + ln(2/m)",
            "typical rate of ln σ², distorted sampling, replaced data",
            &[N, LAMBDA, DIVISOR],
            |i| {
                let divisor = divisor(i, Divisor::Unbiased)?;
                biased_rate(i.count("n")?, i.number("lambda")?, divisor)
            },
        )
    },
    Entry {
        domain: "n ≥ 2, lambda > 0",
        ..entry(
            "G11",
            "Var mu_t = (lambda/n) sum_{k<t} (lambda (n-1)/m)^k",
            "variance of the mean, distorted sampling, replaced data",
            &[N, LAMBDA, T, DIVISOR],
            |i| {
                let divisor = divisor(i, Divisor::Unbiased)?;
                biased_drift(i.count("n")?, i.number("lambda")?, i.count("t")?, divisor)
            },
        )
    },
];
