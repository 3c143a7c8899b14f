//! Moments of `χ²/ν` for many degrees of freedom.

use super::deviance::{ln_1p_less, stirling_error};
use super::ln_gamma_ratio;

/// From here on Stirling's series is used.
const STIRLING_FROM: f64 = 12.0;

/// `ln E (X/ν)^θ = ln Γ(a + θ) − ln Γ(a) − θ ln a` for `X ~ χ²_ν`, `a = ν/2`, `θ > −a`.
///
/// It is of the size `θ(θ − 1)/(2a)`, and so is its error: with Stirling's series
/// `(a + θ − ½)[ln(1 + θ/a) − θ/a] + θ(θ − ½)/a + δ(a + θ) − δ(a)` no large terms cancel.
///
/// ```
/// // E X/ν = 1, E (X/ν)² = 1 + 2/ν.
/// use fortifai_collapse::special::power_moment::ln_power_moment;
/// assert!(ln_power_moment(5e5, 1.0).abs() <= 1e-18);
/// assert!((ln_power_moment(5e5, 2.0) / 2e-6 - 1.0).abs() <= 2e-6);
/// ```
/// Checked by the tests of this file.
pub fn ln_power_moment(a: f64, theta: f64) -> f64 {
    assert!(a > 0.0 && a + theta > 0.0, "ln_power_moment: a = {a}, theta = {theta}");
    if a < STIRLING_FROM || a + theta < STIRLING_FROM {
        return ln_gamma_ratio(a, theta) - theta * a.ln();
    }
    // ln Γ(z) = (z − ½) ln z − z + ½ ln 2π + δ(z).
    let z = theta / a;
    (a + theta - 0.5) * ln_1p_less(z)
        + (theta - 0.5) * z
        + (stirling_error(a + theta) - stirling_error(a))
}

/// `E ln(X/ν) = ψ(a) − ln a` for `X ~ χ²_ν`, `a = ν/2 > 0`, about `−1/ν`.
///
/// ```
/// let drift = fortifai_collapse::special::power_moment::ln_moment(5e5);
/// assert!((drift * 1e6 + 1.0).abs() <= 1e-6);
/// ```
/// Checked by the tests of this file.
pub fn ln_moment(a: f64) -> f64 {
    assert!(a > 0.0, "ln_moment: a = {a}");
    // ψ(x) − ln x = ψ(x+1) − ln(x+1) + ln(1 + 1/x) − 1/x.
    let (mut x, mut shifted) = (a, 0.0);
    while x < STIRLING_FROM {
        shifted += ln_1p_less(1.0 / x);
        x += 1.0;
    }
    // −1/2x − Σ B_2k/(2k x^2k), k = 1 … 7.
    let y = 1.0 / (x * x);
    let terms = [
        -1.0 / 12.0,
        1.0 / 120.0,
        -1.0 / 252.0,
        1.0 / 240.0,
        -1.0 / 132.0,
        691.0 / 32_760.0,
        -1.0 / 12.0,
    ];
    shifted - 0.5 / x + terms.iter().rev().fold(0.0, |sum, term| (sum + term) * y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_agree_with_mpmath() {
        // mpmath, 40 digits: loggamma(a+t) - loggamma(a) - t*log(a), digamma(a) - log(a).
        for (a, theta, truth) in POWERS {
            let value = ln_power_moment(a, theta);
            assert!((value - truth).abs() <= 1e-13 * truth.abs(), "{a} {theta}: {value}");
        }
        for (a, truth) in LOGS {
            let value = ln_moment(a);
            assert!((value - truth).abs() <= 1e-14 * truth.abs(), "{a}: {value}, not {truth}");
        }
    }

    const POWERS: [(f64, f64, f64); 8] = [
        (0.5, 2.0, 1.098_612_288_668_109_8),
        (9.5, 2.025, 0.103_785_509_958_402_44),
        (11.0, -3.5, 0.822_585_118_477_514_6),
        (24.5, 0.5, -0.005_101_686_832_286_904),
        (99.5, 2.002_5, 0.010_037_531_667_603_182),
        (500_000.0, 2.000_000_5, 1.999_999_500_000_750_3e-6),
        (500_000.0, 0.5, -2.499_999_999_999_583e-7),
        (49.5, -1.0, 0.020_408_871_631_207_106),
    ];
    const LOGS: [(f64, f64); 6] = [
        (0.5, -1.270_362_845_461_478_2),
        (1.0, -0.577_215_664_901_532_9),
        (4.5, -0.115_206_470_416_745_17),
        (12.0, -0.042_244_969_812_188_296),
        (49.5, -0.010_135_018_848_272_835),
        (500_000.0, -1.000_000_333_333_333_3e-6),
    ];
}
