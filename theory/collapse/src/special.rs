//! Special functions that `statrs` lacks or computes with too much cancellation.

mod bessel;
pub mod beta_tail;
pub mod deviance;
mod gamma_excess;
pub mod hazard;
pub mod legendre;
pub mod power_moment;
pub mod root;
pub mod zeta;

pub use bessel::bessel_k1;
pub use gamma_excess::{digamma_excess, ln_1p_minus, ln_gamma_excess, ln_gamma_excess_complex};

/// `ψ'(x)` for `x > 0`: recurrence up to 12, then the asymptotic series
/// `1/x + 1/(2x²) + Σ B_{2k}/x^{2k+1}`, whose first omitted term is below 1e-15 there.
pub fn trigamma(x: f64) -> f64 {
    assert!(x > 0.0, "trigamma: the argument {x} is not positive");
    let mut shifted = 0.0;
    let mut x = x;
    while x < 12.0 {
        shifted += 1.0 / (x * x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    // The Bernoulli numbers B_2 … B_14.
    let bernoulli =
        [1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0];
    let series = bernoulli.iter().rev().fold(0.0, |sum, b| (sum + b) * y);
    shifted + (1.0 + 0.5 / x + series) / x
}

/// `ln Γ(x + s) − ln Γ(x)` for `x > 0` and `x + s > 0`, without the cancellation of two large
/// logarithms: recurrence until both arguments reach 12, then Stirling's series with
/// `(x + s − ½) ln(x + s) − (x − ½) ln x = s ln x + (x + s − ½) ln(1 + s/x)`.
pub fn ln_gamma_ratio(x: f64, s: f64) -> f64 {
    assert!(x > 0.0 && x + s > 0.0, "ln_gamma_ratio: Γ({x} + {s})/Γ({x}) needs positive arguments");
    let mut shifted = 0.0;
    let mut x = x;
    while x < 12.0 || x + s < 12.0 {
        shifted += (s / x).ln_1p();
        x += 1.0;
    }
    // 1/12z − 1/360z³ + 1/1260z⁵ − 1/1680z⁷ + 1/1188z⁹ − 691/360360z¹¹.
    let tail = |z: f64| {
        let y = 1.0 / (z * z);
        let terms = [
            1.0 / 12.0,
            -1.0 / 360.0,
            1.0 / 1260.0,
            -1.0 / 1680.0,
            1.0 / 1188.0,
            -691.0 / 360_360.0,
        ];
        terms.iter().rev().fold(0.0, |sum, term| sum * y + term) / z
    };
    let stirling = s * x.ln() + (x + s - 0.5) * (s / x).ln_1p() - s + (tail(x + s) - tail(x));
    stirling - shifted
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::function::gamma::digamma;
    use std::f64::consts::PI;

    fn close(value: f64, truth: f64, tolerance: f64) {
        assert!((value - truth).abs() <= tolerance * truth.abs(), "{value} against {truth}");
    }

    #[test]
    fn trigamma_agrees_with_its_known_values() {
        // Algebra: ψ'(1) = π²/6, ψ'(1/2) = π²/2. mpmath, 40 digits: ψ'(4.5) and ψ'(49.5).
        close(trigamma(1.0), PI * PI / 6.0, 1e-15);
        close(trigamma(0.5), PI * PI / 2.0, 1e-15);
        close(trigamma(4.5), 0.248_725_103_039_010_38, 1e-15);
        close(trigamma(49.5), 0.020_407_455_046_879_99, 1e-15);
    }

    #[test]
    fn gamma_ratios_agree_with_factorials_and_half_integers() {
        close(ln_gamma_ratio(1.0, 4.0), 24f64.ln(), 1e-14);
        close(ln_gamma_ratio(1.0, -0.5), PI.sqrt().ln(), 1e-14);
        close(ln_gamma_ratio(30.0, 2.0), (30.0f64 * 31.0).ln(), 1e-15);
        close(ln_gamma_ratio(1e6, 1.0), 1e6f64.ln(), 1e-15);
        assert_eq!(ln_gamma_ratio(7.25, 0.0), 0.0);
    }

    #[test]
    fn the_digamma_of_statrs_is_accurate_enough() {
        // ψ(ν/2) − ln(ν/2) for n = 2, 3, 10, 100 samples: mpmath, 40 digits.
        for (nu, truth) in [
            (1.0, -1.270_362_845_461_478_2),
            (2.0, -0.577_215_664_901_532_9),
            (9.0, -0.115_206_470_416_745_17),
            (99.0, -0.010_135_018_848_272_835),
        ] {
            close(digamma(nu / 2.0) - (nu / 2.0f64).ln(), truth, 1e-12);
        }
    }
}
