//! The upper tail of a beta law.

use super::deviance::{deviance, stirling_error};
use std::f64::consts::PI;

/// `P(B > x)` for `B ~ Beta(a, b)`, which is `1 − I_x(a, b) = I_{1−x}(b, a)`, for positive `a`, `b`
/// and `x` in `[0, 1]`.
///
/// The continued fraction of the incomplete beta function on the side where it converges, times
/// `x^a (1−x)^b / B(a, b) = √(ab/(2π(a+b))) exp(δ(a+b) − δ(a) − δ(b) − D)`, where `δ` is Stirling's
/// error and `D` the deviance of `(a, b)` from `(a + b)(x, 1 − x)`: no large logarithms cancel.
///
/// Source: NIST DLMF 8.17.22; Loader 2000 for the factor.
///
/// ```
/// // Uniform.
/// let tail = fortifai_collapse::special::beta_tail::beta_tail(1.0, 1.0, 0.3);
/// assert!((tail - 0.7).abs() <= 1e-15);
/// ```
/// Checked by the tests of this file.
///
/// # Panics
/// If `a` or `b` is not positive or `x` is outside `[0, 1]`.
pub fn beta_tail(a: f64, b: f64, x: f64) -> f64 {
    assert!(a > 0.0 && b > 0.0, "beta_tail: a = {a}, b = {b} must be positive");
    assert!((0.0..=1.0).contains(&x), "beta_tail: x = {x} is outside [0, 1]");
    if x == 0.0 || x == 1.0 {
        return 1.0 - x;
    }
    let y = 1.0 - x;
    let sum = a + b;
    let distance = deviance(a, sum * x) + deviance(b, sum * y);
    let corrections = stirling_error(sum) - stirling_error(a) - stirling_error(b);
    let factor = (a * b / (2.0 * PI * sum)).sqrt() * (corrections - distance).exp();
    if y < (b + 1.0) / (sum + 2.0) {
        factor / b * fraction(b, a, y)
    } else {
        1.0 - factor / a * fraction(a, b, x)
    }
}

/// The continued fraction `1/(1 + d₁/(1 + d₂/(1 + …)))` by Lentz's method; it converges in
/// `O(√max(a, b))` steps for `x < (a + 1)/(a + b + 2)`.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let tiny = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut c, mut d) = (1.0, 1.0 / tiny(1.0 - (a + b) * x / (a + 1.0)));
    let mut value = d;
    for step in 1..100_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / tiny(1.0 + term * d);
            c = tiny(1.0 + term / c);
            change = c * d;
            value *= change;
        }
        if (change - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_agree_with_mpmath() {
        // mpmath, 40 digits: betainc(a, b, x, 1, regularized=True).
        for (a, b, x, truth) in TAILS {
            let value = beta_tail(a, b, x);
            assert!((value - truth).abs() <= 1e-12 * truth, "{a} {b} {x}: {value}, not {truth}");
        }
    }

    const TAILS: [(f64, f64, f64, f64); 7] = [
        (1.3, 1.5, 0.7, 0.217_348_594_533_438_52),
        (1.01, 0.05, 0.9, 0.891_910_031_972_553_7),
        (5.0, 20.0, 0.05, 0.994_025_449_413_511_2),
        (5.0, 20.0, 0.6, 1.724_966_618_213_123_6e-5),
        (301.0, 700.0, 0.32, 0.092_565_664_387_221_1),
        (1.001, 0.999, 0.999, 0.001_007_937_446_582_225_8),
        (0.01, 0.02, 0.5, 0.333_280_538_958_727_8),
    ];
}
