//! Differences of logarithms without cancellation, and the densities that they give.

use std::f64::consts::PI;

/// `ln(1 + x) − x`, which is `−x²/2 + x³/3 − …`, for `x > −1`.
///
/// With `s = x/(2 + x)`, `ln(1 + x) = 2 artanh s` and `2s − x = −xs`, so near zero the value is
/// `−xs + 2s³(1/3 + s²/5 + s⁴/7 + …)`.
///
/// ```
/// let value = fortifai_collapse::special::deviance::ln_1p_less(1e-8);
/// assert!((value + 0.5e-16).abs() <= 1e-24);
/// ```
/// Checked by the tests of this file.
pub fn ln_1p_less(x: f64) -> f64 {
    if !(-0.5..=1.0).contains(&x) {
        return x.ln_1p() - x;
    }
    let s = x / (2.0 + x);
    let y = s * s;
    // |s| ≤ 1/3: the first term left out is below 1e-18 of the first.
    let series = (1..20).rev().fold(0.0, |sum, k| sum * y + 1.0 / (2 * k + 1) as f64);
    2.0 * s * y * series - x * s
}

/// `p ln(p/q) − p + q ≥ 0`, the term of a Kullback–Leibler divergence that does not cancel
/// (`Σ p ln(p/q)` is the sum of these where both laws sum to 1).
///
/// With `x = (p − q)/q` it is `q[(1 + x)(ln(1 + x) − x) + x²]`.
///
/// ```
/// use fortifai_collapse::special::deviance::deviance;
/// assert_eq!(deviance(0.3, 0.3), 0.0);
/// assert_eq!(deviance(0.0, 0.2), 0.2);
/// ```
/// Checked by the tests of this file.
pub fn deviance(p: f64, q: f64) -> f64 {
    if p == 0.0 {
        return q;
    }
    let x = (p - q) / q;
    if (-0.5..=1.0).contains(&x) {
        return q * ((1.0 + x) * ln_1p_less(x) + x * x);
    }
    p * (p / q).ln() - (p - q)
}

/// `δ(x) = ln Γ(x + 1) − (x + ½) ln x + x − ½ ln 2π`, the error of Stirling's formula, for `x > 0`.
///
/// ```
/// let error = fortifai_collapse::special::deviance::stirling_error(1e6);
/// assert!((error * 12e6 - 1.0).abs() <= 1e-12);
/// ```
/// Checked by the tests of this file.
pub fn stirling_error(x: f64) -> f64 {
    // δ(x) = δ(x + 1) + (x + ½) ln(1 + 1/x) − 1, where the last two cancel to 1/12x².
    let (mut x, mut shifted) = (x, 0.0);
    while x < 12.0 {
        shifted += (x + 0.5) * ln_1p_less(1.0 / x) + 0.5 / x;
        x += 1.0;
    }
    // 1/12x − 1/360x³ + 1/1260x⁵ − 1/1680x⁷ + 1/1188x⁹ − 691/360360x¹¹; the next is below 2e-16.
    let y = 1.0 / (x * x);
    let terms =
        [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0];
    shifted + terms.iter().rev().fold(0.0, |sum, term| sum * y + term) / x
}

/// `P(X = count)` for `X ~ Poisson(mean)`, `mean > 0`, by Loader's form
/// `exp(−δ(x) − [x ln(x/μ) − x + μ])/√(2πx)`.
///
/// Source: Loader 2000, "Fast and accurate computation of binomial probabilities".
///
/// ```
/// let p = fortifai_collapse::special::deviance::poisson(3.0, 2.0);
/// assert!((p - 8.0 / 6.0 * (-2f64).exp()).abs() <= 1e-15);
/// ```
/// Checked by the tests of this file.
pub fn poisson(count: f64, mean: f64) -> f64 {
    if count == 0.0 {
        return (-mean).exp();
    }
    (-stirling_error(count) - deviance(count, mean)).exp() / (2.0 * PI * count).sqrt()
}

/// The law `P(X = 0), …, P(X = n)` of `X ~ Binomial(n, p)`: ratios from the mode outwards, then
/// scaled to sum 1, so that nothing overflows and only what is below 1e-308 is lost.
///
/// ```
/// let law = fortifai_collapse::special::deviance::binomial_law(2, 0.5);
/// assert_eq!(law, [0.25, 0.5, 0.25]);
/// ```
/// Checked by the tests of this file.
///
/// # Panics
/// If `p` is outside `[0, 1]`.
pub fn binomial_law(n: usize, p: f64) -> Vec<f64> {
    assert!((0.0..=1.0).contains(&p), "binomial_law: the probability {p} is outside [0, 1]");
    let mut law = vec![0.0; n + 1];
    let mode = ((n as f64 + 1.0) * p).floor().min(n as f64) as usize;
    law[mode] = 1.0;
    for x in mode..n {
        law[x + 1] = law[x] * ((n - x) as f64 / (x + 1) as f64) * (p / (1.0 - p));
    }
    for x in (0..mode).rev() {
        law[x] = law[x + 1] * ((x + 1) as f64 / (n - x) as f64) * ((1.0 - p) / p);
    }
    let total: f64 = law.iter().sum();
    law.iter_mut().for_each(|mass| *mass /= total);
    law
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(value: f64, truth: f64, tolerance: f64) {
        assert!((value - truth).abs() <= tolerance * truth.abs(), "{value} against {truth}");
    }

    #[test]
    fn differences_agree_with_mpmath() {
        for (x, truth) in LOGS {
            close(ln_1p_less(x), truth, 4e-16);
        }
        for (p, q, truth) in DEVIANCES {
            close(deviance(p, q), truth, 1e-14);
        }
        for (x, truth) in STIRLING {
            close(stirling_error(x), truth, 1e-13);
        }
    }

    #[test]
    fn laws_agree_with_mpmath() {
        for (count, mean, truth) in POISSON {
            close(poisson(count, mean), truth, 2e-14);
        }
        for (n, p, x, truth) in BINOMIAL {
            close(binomial_law(n, p)[x], truth, 1e-13);
        }
        assert_eq!(binomial_law(3, 0.0), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(binomial_law(3, 1.0), [0.0, 0.0, 0.0, 1.0]);
    }

    const LOGS: [(f64, f64); 9] = [
        (1e-9, -4.999_999_996_666_667e-19),
        (-1e-5, -5.000_033_333_583_336_4e-11),
        (0.01, -4.966_914_683_191_715e-5),
        (-0.3, -0.056_674_943_938_732_375),
        (0.7, -0.169_371_748_937_829_58),
        (-0.499, -0.192_149_177_897_272_26),
        (1.0, -0.306_852_819_440_054_7),
        (5.0, -3.208_240_530_771_945),
        (-0.9, -1.402_585_092_994_046),
    ];
    const DEVIANCES: [(f64, f64, f64); 6] = [
        (0.3, 0.300_01, 1.666_629_630_558_864_5e-10),
        (0.95, 0.9, 0.001_363_860_206_761_975_8),
        (0.05, 0.1, 0.015_342_640_972_002_735),
        (12.0, 0.001, 100.712_943_145_241_65),
        (1e-9, 0.5, 0.499_999_978_969_881_35),
        (1_000_000.0, 1_001_000.0, 0.499_666_916_466_833_2),
    ];
    const STIRLING: [(f64, f64); 8] = [
        (0.01, 1.434_007_953_703_184_2),
        (0.5, 0.153_426_409_720_027_36),
        (1.0, 0.081_061_466_795_327_26),
        (5.0, 0.016_644_691_189_821_193),
        (11.9, 0.007_001_156_051_534_21),
        (12.0, 0.006_942_840_107_209_53),
        (40.0, 0.002_083_289_938_302_421_8),
        (100_000.0, 8.333_333_333_305_556e-7),
    ];
    const POISSON: [(f64, f64, f64); 5] = [
        (0.0, 0.3, 0.740_818_220_681_717_9),
        (1.0, 0.3, 0.222_245_466_204_515_35),
        (7.0, 12.5, 0.035_258_069_606_798_705),
        (40.0, 12.5, 3.436_168_311_054_593_6e-10),
        (100_000.0, 100_200.0, 0.001_033_157_293_586_543),
    ];
    const BINOMIAL: [(usize, f64, usize, f64); 5] = [
        (12, 0.03, 0, 0.693_842_360_995_438_1),
        (12, 0.03, 5, 1.555_011_463_751_971_4e-5),
        (1000, 0.85, 850, 0.035_310_780_109_792_13),
        (1000, 0.85, 1000, 2.623_769_711_388_426_7e-71),
        (2000, 0.3, 100, 2.743_067_006_859_772_8e-176),
    ];
}
