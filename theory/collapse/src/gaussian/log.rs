//! G2: the typical rate of collapse when the data are replaced.

use super::Divisor;
use super::inputs::{DIVISOR, EPS, MLE, N, T, UNBIASED, divisor, entry, finite, only};
use super::model::ln_quotient;
use crate::prediction::{Digits, Entry, Kind};
use crate::refusal::{Refusal, require};
use crate::special::{digamma_excess, trigamma};

/// `E ln(σ_t²/σ_{t−1}²) = ψ(ν/2) + ln(2/m)`, the rate at which almost every chain collapses.
///
/// *Derivation.* `σ_t²/σ_{t−1}² = X/m` with `X ~ χ²_ν`, and `E ln X = ψ(ν/2) + ln 2`; by the
/// strong law `(1/t) ln σ_t²` tends to it. With divisor `n − 1` it is `−1/ν − 1/(3ν²) + …`, twice
/// the rate of `E σ_t`, while `E σ_t²` does not decay at all: means are dominated by rare chains.
/// *Domain:* `n ≥ 2`. *Source:* derived here. *Guard:* `gaussian-replace`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, log_rate};
/// // Minus Euler's constant.
/// let rate = log_rate(3, Divisor::Unbiased).expect("n = 3");
/// assert!((rate + 0.577_215_664_901_532_9).abs() < 1e-15);
/// ```
///
/// # Errors
/// If `n < 2` or the divisor is not positive.
pub fn log_rate(n: usize, divisor: Divisor) -> Result<f64, Refusal> {
    let m = divisor.checked(n)?;
    let nu = n as f64 - 1.0;
    Ok(digamma_excess(0.5 * nu) + ln_quotient(nu, m))
}

/// `Var ln(σ_t²/σ_{t−1}²) = ψ'(ν/2)`; the factors are independent, so `t` generations have `t`
/// times this.
///
/// *Domain:* `n ≥ 2`. *Source:* derived here. *Guard:* `gaussian-replace`.
///
/// ```
/// let variance = fortifai_collapse::gaussian::log_variance(2).expect("n = 2");
/// assert!((variance - 0.5 * std::f64::consts::PI.powi(2)).abs() < 1e-14);
/// ```
///
/// # Errors
/// If `n < 2`.
pub fn log_variance(n: usize) -> Result<f64, Refusal> {
    require(n >= 2, "n", n, "n ≥ 2")?;
    Ok(trigamma(0.5 * (n as f64 - 1.0)))
}

/// A lower bound of the expected number of generations until `σ_t < ε σ_0`: `2 ln(1/ε)/|rate|`.
///
/// *Derivation.* Wald's identity: `rate·E T = E ln σ_T² = −2 ln(1/ε) − E overshoot`, and the
/// overshoot is not negative. *Domain:* `n ≥ 2`, `0 < ε ≤ 1`, a negative rate. *Source:* derived
/// here. *Guard:* `gaussian-time`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, time_bound};
/// assert!(time_bound(10, 0.1, Divisor::Mle).expect("n = 10") > 20.0);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn time_bound(n: usize, eps: f64, divisor: Divisor) -> Result<f64, Refusal> {
    require(eps > 0.0 && eps <= 1.0, "eps", eps, "0 < eps ≤ 1")?;
    let rate = log_rate(n, divisor)?;
    require(rate < 0.0, "the rate of ln σ²", rate, "a negative rate")?;
    Ok(2.0 * eps.ln() / rate)
}

/// The expected number of generations until `σ_t < ε σ_0`, with the overshoot of a random walk
/// with small steps, `0.5826 √ψ'(ν/2)`.
///
/// *Derivation.* Wald's identity with the overshoot of Brownian motion sampled at whole times,
/// `−ζ(½)/√(2π)` standard deviations of a step. *Domain:* as [`time_bound`]; leading order for
/// `n` large and `ε` small. *Source:* derived here. *Guard:* `gaussian-time`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, expected_time, time_bound};
/// let (time, bound) = (expected_time(10, 0.1, Divisor::Mle), time_bound(10, 0.1, Divisor::Mle));
/// assert!(time.expect("n = 10") > bound.expect("n = 10"));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn expected_time(n: usize, eps: f64, divisor: Divisor) -> Result<f64, Refusal> {
    let overshoot = OVERSHOOT * log_variance(n)?.sqrt();
    Ok(time_bound(n, eps, divisor)? - overshoot / log_rate(n, divisor)?)
}

/// `−ζ(½)/√(2π)` (mpmath, 40 digits: `-zeta(0.5)/sqrt(2*pi)`).
const OVERSHOOT: f64 = 0.582_597_157_939_010_7;

/// The entries of this section.
pub const ENTRIES: &[Entry] = &[
    Entry {
        digits: Digits::Special,
        ..entry(
            "G2",
            "rate E ln(sigma_t^2/sigma_{t-1}^2) = psi(nu/2)-ln(nu/2)",
            "typical rate of ln σ², divisor n-1",
            &[N, UNBIASED],
            |i| {
                let n = i.count("n")?;
                log_rate(n, only(i, n, Divisor::Unbiased)?)
            },
        )
    },
    Entry {
        digits: Digits::Special,
        ..entry(
            "G2",
            "same, MLE: psi(nu/2)-ln(n/2)",
            "typical rate of ln σ², divisor n",
            &[N, MLE],
            |i| {
                let n = i.count("n")?;
                log_rate(n, only(i, n, Divisor::Mle)?)
            },
        )
    },
    Entry {
        digits: Digits::Special,
        ..entry(
            "G2",
            "Var per generation of ln sigma^2 = psi1(nu/2)",
            "variance of ln σ² per generation",
            &[N],
            |i| log_variance(i.count("n")?),
        )
    },
    Entry {
        digits: Digits::Special,
        ..entry(
            "G2",
            "exp(E ln sigma_t), the typical standard deviation",
            "typical standard deviation after t generations",
            &[N, T, DIVISOR],
            |i| {
                let rate = log_rate(i.count("n")?, divisor(i, Divisor::Unbiased)?)?;
                finite((0.5 * rate * i.count("t")? as f64).exp())
            },
        )
    },
    Entry {
        digits: Digits::Special,
        kind: Kind::Bound,
        domain: "n ≥ 2, 0 < eps ≤ 1",
        ..entry(
            "G2",
            "E T >= 2 ln(1/eps)/|rate| (Wald)",
            "least expected generations until σ < eps σ_0",
            &[N, EPS, DIVISOR],
            |i| time_bound(i.count("n")?, i.number("eps")?, divisor(i, Divisor::Unbiased)?),
        )
    },
    Entry {
        digits: Digits::Special,
        kind: Kind::Asymptotic,
        domain: "n large, eps small",
        ..entry(
            "G2",
            "E T ~ (2 ln(1/eps) + 0.5826 sqrt(psi1(nu/2)))/|rate|",
            "expected generations until σ < eps σ_0",
            &[N, EPS, DIVISOR],
            |i| expected_time(i.count("n")?, i.number("eps")?, divisor(i, Divisor::Unbiased)?),
        )
    },
];
