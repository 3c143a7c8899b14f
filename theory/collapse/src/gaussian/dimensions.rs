//! G7: `d` dimensions, replaced data.
//!
//! `Σ_t = A W Aᵀ/m` with `W ~ Wishart_d(ν, I)` and `A Aᵀ = Σ_{t−1}`; by Bartlett `W = L Lᵀ` with a
//! lower triangular `L` of independent entries, `L_ii² ~ χ²_{ν+1−i}`. So the Cholesky diagonal of
//! `Σ_t` is a product of independent χ's.

use super::Divisor;
use super::inputs::{D, DIVISOR, N, T, divisor, entry, finite, input};
use super::model::ln_quotient;
use super::power::expected_power;
use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Input};
use crate::refusal::{Refusal, require};
use crate::special::{digamma_excess, ln_gamma_excess, trigamma};

/// `Λ_i = ψ((ν+1−i)/2) + ln(2/m)`, the rate of the logarithm of the `i`-th largest eigenvalue of
/// `Σ_t`, `i = 1..d`.
///
/// *Derivation.* The Lyapunov exponents of a product of triangular matrices are those of its
/// diagonal; `E ln L_ii²/m = Λ_i` holds exactly per generation for the Cholesky diagonal. They
/// differ, so the collapse is anisotropic and the effective rank tends to 1. *Domain:* `n > d ≥ i ≥
/// 1`. *Source:* derived here; an argument of the kind of Newman (1986). *Guard:*
/// `gaussian-dimensions`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, log_rate, lyapunov};
/// assert_eq!(lyapunov(4, 10, 1, Divisor::Unbiased), log_rate(10, Divisor::Unbiased));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn lyapunov(d: usize, n: usize, i: usize, divisor: Divisor) -> Result<f64, Refusal> {
    let (nu, shift) = check(d, n, divisor)?;
    require((1..=d).contains(&i), "i", i, "1 ≤ i ≤ d")?;
    Ok(exponent(nu, i) + shift)
}

/// `E ln(det Σ_t/det Σ_{t−1}) = Σ_i ψ((ν+1−i)/2) + d ln(2/m)`, the sum of the exponents.
///
/// *Derivation, source, guard:* as [`lyapunov`]. *Domain:* `n > d ≥ 1`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, log_det_rate, log_rate};
/// assert_eq!(log_det_rate(1, 10, Divisor::Mle), log_rate(10, Divisor::Mle));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn log_det_rate(d: usize, n: usize, divisor: Divisor) -> Result<f64, Refusal> {
    let (nu, shift) = check(d, n, divisor)?;
    Ok((1..=d).map(|i| exponent(nu, i) + shift).sum())
}

/// `Var ln(det Σ_t/det Σ_{t−1}) = Σ_i ψ'((ν+1−i)/2)`.
///
/// *Derivation, source, guard:* as [`lyapunov`]. *Domain:* `n > d ≥ 1`.
///
/// ```
/// use fortifai_collapse::gaussian::{log_det_variance, log_variance};
/// assert_eq!(log_det_variance(1, 10), log_variance(10));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn log_det_variance(d: usize, n: usize) -> Result<f64, Refusal> {
    let (nu, _) = check(d, n, Divisor::Mle)?;
    Ok((1..=d).map(|i| trigamma(half(nu, i))).sum())
}

/// `E (det Σ_t/det Σ_{t−1})^s = (2/m)^{ds} Γ_d(ν/2 + s)/Γ_d(ν/2)`; for `s = 1` it is `Π_{i<d} (ν − i)/m`.
///
/// *Derivation.* The `χ²_{ν+1−i}` are independent. *Domain:* `n > d ≥ 1`, `s > −(n − d)/2`. *Source:*
/// derived here (Wishart algebra). *Guard:* `gaussian-dimensions`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, det_power};
/// let factor = det_power(2, 5, 1.0, Divisor::Unbiased).expect("n > d");
/// assert!((factor - 0.75).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain, or if the value exceeds every `f64`.
pub fn det_power(d: usize, n: usize, s: f64, divisor: Divisor) -> Result<f64, Refusal> {
    let (nu, shift) = check(d, n, divisor)?;
    require(s.is_finite() && s > -half(nu, d), "s", s, "s > −(n − d)/2")?;
    let factor = |i| ln_gamma_excess(half(nu, i), s) + s * (below(nu, i).ln_1p() + shift);
    finite((1..=d).map(factor).sum::<f64>().exp())
}

/// `(E tr Σ_t², E (tr Σ_t)²)` from their values for `Σ_0`.
///
/// *Derivation.* `a = E tr Σ²` and `b = E (tr Σ)²` obey `a' = (ν/m)²[(1 + 1/ν)a + b/ν]`,
/// `b' = (ν/m)²[b + (2/ν)a]`, the second moments of a Wishart matrix. *Domain:* `n > d`, here only
/// `n ≥ 2`. *Source:* derived here. *Guard:* `gaussian-dimensions`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, trace_squares};
/// // In one dimension both are E σ⁴.
/// let (a, b) = trace_squares(3, 2, (1.0, 1.0), Divisor::Unbiased).expect("n = 3");
/// assert!((a - 4.0).abs() < 1e-14 && (b - 4.0).abs() < 1e-14);
/// ```
///
/// # Errors
/// Outside the domain, or if a value exceeds every `f64`.
pub fn trace_squares(
    n: usize,
    t: usize,
    (a, b): (f64, f64),
    divisor: Divisor,
) -> Result<(f64, f64), Refusal> {
    let m = divisor.checked(n)?;
    let nu = n as f64 - 1.0;
    let scale = (nu / m) * (nu / m);
    let mut square = [scale * (1.0 + 1.0 / nu), scale / nu, scale * 2.0 / nu, scale];
    let times = |[p, q, r, s]: [f64; 4], [e, f, g, h]: [f64; 4]| {
        [p * e + q * g, p * f + q * h, r * e + s * g, r * f + s * h]
    };
    let (mut done, mut left) = ([1.0, 0.0, 0.0, 1.0], t);
    while left > 0 {
        if left & 1 == 1 {
            done = times(done, square);
        }
        square = times(square, square);
        left >>= 1;
    }
    Ok((finite(done[0] * a + done[1] * b)?, finite(done[2] * a + done[3] * b)?))
}

/// `Λ_1 − Λ_d = ψ(ν/2) − ψ((ν+1−d)/2)`, the rate at which the logarithm of the ratio of the largest
/// to the smallest eigenvalue grows.
///
/// *Derivation, source, guard:* as [`lyapunov`]. *Domain:* `n > d ≥ 1`.
///
/// ```
/// let rate = fortifai_collapse::gaussian::anisotropy_rate(3, 4).expect("n > d");
/// // ψ(3/2) − ψ(1/2) = 2.
/// assert!((rate - 2.0).abs() < 1e-14);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn anisotropy_rate(d: usize, n: usize) -> Result<f64, Refusal> {
    let (nu, _) = check(d, n, Divisor::Mle)?;
    Ok(exponent(nu, 1) - exponent(nu, d))
}

/// `ν` and `ln(ν/m)`.
fn check(d: usize, n: usize, divisor: Divisor) -> Result<(f64, f64), Refusal> {
    require(d >= 1, "d", d, "d ≥ 1")?;
    require(n > d, "n", n, &format!("n > d = {d}"))?;
    require(d <= 1_000_000, "d", d, "d ≤ 1000000")?;
    let m = divisor.checked(n)?;
    let nu = n as f64 - 1.0;
    Ok((nu, ln_quotient(nu, m)))
}

/// `(ν + 1 − i)/2`.
fn half(nu: f64, i: usize) -> f64 {
    0.5 * (nu + 1.0 - i as f64)
}

/// `(ν + 1 − i)/ν − 1`.
fn below(nu: f64, i: usize) -> f64 {
    (1.0 - i as f64) / nu
}

/// `ψ((ν+1−i)/2) − ln(ν/2)`.
fn exponent(nu: f64, i: usize) -> f64 {
    digamma_excess(half(nu, i)) + below(nu, i).ln_1p()
}

const I: Input = input("i", "rank of the eigenvalue, 1 the largest", "1");
const S: Input = input("s", "power of the determinant", "0.5");

fn sizes(inputs: &Inputs) -> Result<(usize, usize), Refusal> {
    Ok((inputs.count("d")?, inputs.count("n")?))
}

/// An entry of this section.
const fn wishart(
    formula: &'static str,
    name: &'static str,
    inputs: &'static [Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    Entry {
        source: "derived here (Wishart algebra)",
        digits: Digits::Special,
        domain: "n > d ≥ 1",
        ..entry("G7", formula, name, inputs, value)
    }
}

/// The trace moments of the identity.
fn from_identity(inputs: &Inputs) -> Result<(f64, f64), Refusal> {
    let (d, n) = sizes(inputs)?;
    check(d, n, Divisor::Unbiased)?;
    let d = d as f64;
    trace_squares(n, inputs.count("t")?, (d, d * d), Divisor::Unbiased)
}

/// The entries of this section.
pub const ENTRIES: &[Entry] = &[
    wishart(
        "E ln det per generation (unbiased)",
        "typical rate of ln det Σ, divisor n-1",
        &[D, N],
        |i| sizes(i).and_then(|(d, n)| log_det_rate(d, n, Divisor::Unbiased)),
    ),
    wishart(
        "E ln det per generation, divisor m",
        "typical rate of ln det Σ, any divisor",
        &[D, N, DIVISOR],
        |i| {
            let (d, n) = sizes(i)?;
            log_det_rate(d, n, divisor(i, Divisor::Unbiased)?)
        },
    ),
    wishart(
        "Var ln det per generation = sum psi1((nu+1-i)/2)",
        "variance of ln det Σ per generation",
        &[D, N],
        |i| sizes(i).and_then(|(d, n)| log_det_variance(d, n)),
    ),
    wishart("E det factor prod (nu-i)/nu", "factor of E det Σ, divisor n-1", &[D, N], |i| {
        sizes(i).and_then(|(d, n)| det_power(d, n, 1.0, Divisor::Unbiased))
    }),
    wishart("E det^(1/2) factor", "factor of E √det Σ, divisor n-1", &[D, N], |i| {
        sizes(i).and_then(|(d, n)| det_power(d, n, 0.5, Divisor::Unbiased))
    }),
    wishart("E det^s factor, divisor m", "factor of E (det Σ)^s", &[D, N, S, DIVISOR], |i| {
        let (d, n) = sizes(i)?;
        det_power(d, n, i.number("s")?, divisor(i, Divisor::Unbiased)?)
    }),
    wishart(
        "Lyapunov exponent i of Sigma_t",
        "rate of the i-th eigenvalue's logarithm, divisor n-1",
        &[D, N, I],
        |i| {
            let (d, n) = sizes(i)?;
            lyapunov(d, n, i.count("i")?, Divisor::Unbiased)
        },
    ),
    wishart(
        "psi(nu/2) - psi((nu+1-d)/2)",
        "rate of the logarithm of the largest over the smallest eigenvalue",
        &[D, N],
        |i| sizes(i).and_then(|(d, n)| anisotropy_rate(d, n)),
    ),
    wishart(
        "E tr Sigma_t^2, Sigma0=I3, unbiased",
        "expected trace of the square, from the d-dimensional identity",
        &[D, N, T],
        |i| from_identity(i).map(|(a, _)| a),
    ),
    wishart(
        "E (tr Sigma_t)^2, Sigma0=I3, unbiased",
        "expected square of the trace, from the d-dimensional identity",
        &[D, N, T],
        |i| from_identity(i).map(|(_, b)| b),
    ),
    wishart(
        "E tr Sigma_t / tr Sigma_0 = ((n-1)/m)^t",
        "expected total variance",
        &[N, T, DIVISOR],
        |i| {
            let divisor = divisor(i, Divisor::Unbiased)?;
            expected_power(i.count("n")?, i.count("t")?, 1.0, divisor)
        },
    ),
    wishart(
        "E |mu_t - mu_0|^2 / tr Sigma_0",
        "expected squared displacement of the mean",
        &[N, T, DIVISOR],
        |i| {
            let divisor = divisor(i, Divisor::Unbiased)?;
            super::mean_drift(i.count("n")?, i.count("t")?, divisor)
        },
    ),
];
