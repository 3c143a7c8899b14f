//! Riemann's zeta function on the real half-line right of 1.

/// `(B_{2j}/(2j)!)` for `j = 1 … 8`.
const BERNOULLI: [f64; 8] = [
    1.0 / 12.0,
    -1.0 / 720.0,
    1.0 / 30_240.0,
    -1.0 / 1_209_600.0,
    1.0 / 47_900_160.0,
    -691.0 / 1_307_674_368_000.0,
    1.0 / 74_724_249_600.0,
    -3617.0 / 10_670_622_842_880_000.0,
];

/// Terms summed directly before the Euler–Maclaurin remainder takes over.
const DIRECT: usize = 16;

/// `ζ(s) − 1` and `ζ'(s)` for `s > 1`, to about 1e-15.
///
/// Euler and Maclaurin: `Σ_{k<N} k^−s + N^{1−s}/(s−1) + N^−s/2 + Σ_j B_2j/(2j)!
/// s(s+1)…(s+2j−2) N^{1−s−2j}`, with the derivative of each term beside it. At `N = 16` the first
/// omitted term is below 1e-16 of ζ − 1 for every `s ≥ 1`.
///
/// # Panics
/// If `s ≤ 1`.
pub fn zeta_minus_one(s: f64) -> (f64, f64) {
    assert!(s > 1.0, "zeta_minus_one: the series diverges at {s}");
    let (mut value, mut slope) = (0.0, 0.0);
    let mut add = |term: f64, log_slope: f64| {
        value += term;
        slope += term * log_slope;
    };
    let end = DIRECT as f64;
    let edge = end.powf(-s);
    // Small terms first.
    let mut rising = s;
    let mut rising_log_slope = 1.0 / s;
    let mut power = edge / end;
    let mut rest = Vec::with_capacity(BERNOULLI.len());
    for (j, coefficient) in BERNOULLI.iter().enumerate() {
        rest.push((coefficient * rising * power, rising_log_slope - end.ln()));
        for step in [2 * j + 1, 2 * j + 2] {
            rising *= s + step as f64;
            rising_log_slope += 1.0 / (s + step as f64);
        }
        power /= end * end;
    }
    rest.iter().rev().for_each(|&(term, log_slope)| add(term, log_slope));
    add(0.5 * edge, -end.ln());
    add(edge * end / (s - 1.0), -end.ln() - 1.0 / (s - 1.0));
    for k in (2..DIRECT).rev() {
        let log = (k as f64).ln();
        add((-s * log).exp(), -log);
    }
    (value, slope)
}

/// `ζ(s)` for `s > 1`.
///
/// # Panics
/// If `s ≤ 1`.
pub fn zeta(s: f64) -> f64 {
    1.0 + zeta_minus_one(s).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeta_agrees_with_mpmath() {
        // mpmath, 40 digits: zeta(s) − 1 and zeta(s, 1, 1).
        for (s, value, slope) in [
            (1.062_5, 15.581_747_646_655_021, -255.927_793_719_497_9),
            (1.5, 1.612_375_348_685_488_4, -3.932_239_737_431_101_6),
            (2.0, 0.644_934_066_848_226_4, -0.937_548_254_315_843_8),
            (3.25, 0.159_151_985_679_521_3, -0.148_188_637_095_086_4),
            (7.0, 0.008_349_277_381_922_827, -0.006_033_516_960_875_638),
            (40.0, 9.094_947_840_263_888e-13, -6.304_137_786_330_142e-13),
        ] {
            let (v, d) = zeta_minus_one(s);
            assert!((v - value).abs() <= 4e-15 * value, "ζ({s}) − 1 = {v} against {value}");
            assert!((d - slope).abs() <= 1e-14 * slope.abs(), "ζ'({s}) = {d} against {slope}");
        }
    }
}
