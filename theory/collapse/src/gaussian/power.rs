//! G1: the moments of the variance when the data are replaced.

use super::Divisor;
use super::inputs::{DIVISOR, N, T, divisor, entry, finite, input};
use super::model::ln_quotient;
use crate::prediction::{Digits, Entry};
use crate::refusal::{Refusal, require};
use crate::special::{ln_1p_minus, ln_gamma_excess};

/// `c₄(n) = √(2/(n−1)) Γ(n/2)/Γ((n−1)/2)`, the factor by which the standard deviation shrinks on
/// average per generation with divisor `n − 1`.
///
/// *Derivation.* [`expected_power`] with `s = ½`, `t = 1`.
/// *Domain:* `n ≥ 2`. *Source:* Bertrand et al. (2023, arXiv 2310.00429). *Guard:*
/// `gaussian-powers`.
///
/// ```
/// let factor = fortifai_collapse::gaussian::c4(2).expect("n = 2");
/// assert!((factor - (2.0 / std::f64::consts::PI).sqrt()).abs() < 1e-15);
/// ```
///
/// # Errors
/// If `n < 2`.
pub fn c4(n: usize) -> Result<f64, Refusal> {
    expected_power(n, 1, 0.5, Divisor::Unbiased)
}

/// `E σ_t^{2s} = [(2/m)^s Γ(ν/2 + s)/Γ(ν/2)]^t` for `σ_0 = 1`, `ν = n − 1` and divisor `m`.
///
/// *Derivation.* Given `σ_{t−1}`, the sum of squares over `σ_{t−1}²` is `χ²_ν` and independent of
/// the past, so `σ_t² = Π_k X_k/m`; the moments of `χ²_ν` are `2^s Γ(ν/2 + s)/Γ(ν/2)`.
/// *Domain:* `n ≥ 2`, `s > −ν/2`. *Source:* derived here; `s = ½` in Bertrand et al. (2023, arXiv
/// 2310.00429), `s = 1` in Alemohammad et al. (2023, arXiv 2307.01850). *Guards:*
/// `gaussian-replace`, `gaussian-powers`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, expected_power};
/// let variance = expected_power(10, 7, 1.0, Divisor::Mle).expect("n = 10");
/// assert!((variance - 0.9f64.powi(7)).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain, or if the value exceeds every `f64`.
pub fn expected_power(n: usize, t: usize, s: f64, divisor: Divisor) -> Result<f64, Refusal> {
    finite((t as f64 * ln_expected_power(n, s, divisor)?).exp())
}

/// `ln E (σ_t²/σ_{t−1}²)^s`.
pub(super) fn ln_expected_power(n: usize, s: f64, divisor: Divisor) -> Result<f64, Refusal> {
    let m = divisor.checked(n)?;
    let nu = n as f64 - 1.0;
    require(s.is_finite() && s > -0.5 * nu, "s", s, "s > −(n − 1)/2")?;
    Ok(s * ln_quotient(nu, m) + ln_gamma_excess(0.5 * nu, s))
}

/// `Var σ_t² = E σ_t⁴ − (E σ_t²)²`, which is `(1 + 2/ν)^t − 1` for divisor `ν = n − 1`.
///
/// *Derivation.* `E σ_t⁴ = (ν/m)^{2t} (1 + 2/ν)^t`. *Domain:* `n ≥ 2`. *Source:* derived here.
/// *Guard:* `gaussian-powers`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, variance_of_variance};
/// assert_eq!(variance_of_variance(3, 2, Divisor::Unbiased), Ok(3.0));
/// // (1 − 1/n²)^t − (1 − 1/n)^(2t), of which the second is far below the smallest number.
/// let late = variance_of_variance(1000, 1_000_000, Divisor::Mle).expect("it exists");
/// assert!((late - 0.367_879_257_231_645).abs() < 1e-12);
/// ```
///
/// # Errors
/// If `n < 2`, or if the value exceeds every `f64`.
pub fn variance_of_variance(n: usize, t: usize, divisor: Divisor) -> Result<f64, Refusal> {
    let m = divisor.checked(n)?;
    let (nu, t) = (n as f64 - 1.0, t as f64);
    // ln(1 + 2/ν) as it is for ν = 1, 2.
    let spread = t * (2.0 / nu).ln_1p();
    // e^a (e^s − 1) as e^(a+s) (1 − e^−s): neither factor overflows where the product does not.
    finite((2.0 * t * ln_quotient(nu, m) + spread).exp() * -(-spread).exp_m1())
}

const SHARED: &str = "product of independent χ²: Bertrand et al. (arXiv 2310.00429) for s = 1/2, \
                      Alemohammad et al. (arXiv 2307.01850) for s = 1, the rest derived here";
const S: crate::prediction::Input = input("s", "power of the variance", "0.5");

/// The entries of this section.
pub const ENTRIES: &[Entry] = &[
    Entry {
        source: SHARED,
        ..entry("G1", "c4(n)", "factor of E σ per generation, divisor n-1", &[N], |i| {
            c4(i.count("n")?)
        })
    },
    Entry {
        source: SHARED,
        ..entry(
            "G1",
            "E sigma_t/sigma_{t-1} for the MLE = c4(n) sqrt((n-1)/n)",
            "factor of E σ per generation, divisor n",
            &[N],
            |i| expected_power(i.count("n")?, 1, 0.5, Divisor::Mle),
        )
    },
    Entry {
        source: SHARED,
        ..entry(
            "G1",
            "E sigma_t^4 (unbiased)=(1+2/nu)^t",
            "expected squared variance, divisor n-1",
            &[N, T],
            |i| expected_power(i.count("n")?, i.count("t")?, 2.0, Divisor::Unbiased),
        )
    },
    Entry {
        source: SHARED,
        digits: Digits::Special,
        domain: "n ≥ 2, s > −(n−1)/2",
        ..entry(
            "G1",
            "E sigma_t^(2s)",
            "expected power of the variance",
            &[N, T, S, DIVISOR],
            |i| {
                let divisor = divisor(i, Divisor::Unbiased)?;
                expected_power(i.count("n")?, i.count("t")?, i.number("s")?, divisor)
            },
        )
    },
    Entry {
        source: SHARED,
        ..entry("G1", "E sigma_t^2 MLE = (1-1/n)^t", "expected variance, divisor n", &[N, T], |i| {
            expected_power(i.count("n")?, i.count("t")?, 1.0, Divisor::Mle)
        })
    },
    entry("G1", "Var sigma_t^2", "variance of the variance", &[N, T, DIVISOR], |i| {
        variance_of_variance(i.count("n")?, i.count("t")?, divisor(i, Divisor::Unbiased)?)
    }),
    Entry {
        domain: "n > 3",
        ..entry(
            "G1",
            "E 1/sigma_t^2 = (m/(n-3))^t",
            "expected reciprocal of the variance",
            &[N, T, DIVISOR],
            |i| {
                let n = i.count("n")?;
                require(n > 3, "n", n, "n > 3")?;
                expected_power(n, i.count("t")?, -1.0, divisor(i, Divisor::Unbiased)?)
            },
        )
    },
];

/// `1 − b^t` with `b = E σ_t/σ_{t−1}`, without cancellation.
pub(super) fn lost_deviation(n: usize, t: usize, divisor: Divisor) -> Result<f64, Refusal> {
    Ok(-(t as f64 * ln_expected_power(n, 0.5, divisor)?).exp_m1())
}

/// `r − 1 − ln r`, without cancellation near `r = 1`.
pub(super) fn excess_over_log(r_less_one: f64) -> f64 {
    -ln_1p_minus(r_less_one)
}
