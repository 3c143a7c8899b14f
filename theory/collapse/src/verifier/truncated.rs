//! A standard normal variable between two limits.

use crate::special::legendre;
use std::f64::consts::PI;

/// Probability, mean and central moments of `Z ~ N(0, 1)` given `|Z − e| ≤ u`, all of them about the
/// middle `e` of the interval, so that neither a narrow interval nor a far one loses digits.
///
/// *Derivation.* With `v = Z − e` the density is proportional to `e^(−(e + v)²/2)` on `[−u, u]`. Folded
/// at 0 it is `e^(−(w − |e|)²/2) (1 ± e^(−2|e|w))` for `w = |v|`, which is integrated by Gauss and
/// Legendre's rule over the part of `[0, u]` where it exceeds `e^(−45)` of its largest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Truncated {
    /// `ln P(|Z − e| ≤ u)`.
    pub ln_probability: f64,
    /// `E (Z − e)`.
    pub offset: f64,
    /// The variance.
    pub variance: f64,
    /// The fourth cumulant.
    pub fourth_cumulant: f64,
}

impl Truncated {
    /// For `u > 0` and any `e`.
    pub(super) fn new(middle: f64, half: f64) -> Self {
        let e = middle.abs();
        let peak = e.min(half);
        let reach = ((peak - e).powi(2) + 90.0).sqrt();
        // Where the peak is far below e, e − reach loses digits: (p − e)² − reach² = −90.
        let low = (peak - 90.0 / (reach + (e - peak))).max(0.0);
        let high = half.min(e + reach);
        // Relative weights e^(g(w) − g(peak)), g(w) − g(p) = (p − w)(w + p − 2e)/2.
        let weight = |w: f64| (0.5 * (peak - w) * (w + peak - 2.0 * e)).exp();
        let grid: Vec<(f64, f64, f64)> = legendre::points(low, high, 24)
            .map(|(w, step)| (w, step * weight(w), (-2.0 * e * w).exp()))
            .collect();
        let mass: f64 = grid.iter().map(|(_, weight, back)| weight * (1.0 + back)).sum();
        let lean: f64 =
            grid.iter().map(|(w, weight, _)| -weight * w * (-2.0 * e * w).exp_m1()).sum::<f64>()
                / mass;
        let central = |order: i32| {
            let term = |&(w, weight, back): &(f64, f64, f64)| {
                weight * ((w - lean).powi(order) + back * (-w - lean).powi(order))
            };
            grid.iter().map(term).sum::<f64>() / mass
        };
        let (variance, fourth) = (central(2), central(4));
        Self {
            ln_probability: -0.5 * (e - peak).powi(2) + (mass / (2.0 * PI).sqrt()).ln(),
            offset: if middle > 0.0 { -lean } else { lean },
            variance,
            fourth_cumulant: fourth - 3.0 * variance * variance,
        }
    }
}

/// `P(|Z| ≤ u)`, `ρ(u) = Var(Z | |Z| ≤ u) = 1 − 2uφ(u)/(2Φ(u) − 1)` and `1 − ρ(u)`.
///
/// Below 6 by `2Φ(u) − 1 = 2uφ(u) S`, `S = Σ_k u^(2k)/(2k + 1)!!`, so that `ρ = (S − 1)/S` has no
/// cancellation for small `u`, where it is `u²/3`. Beyond, the probability is 1 less `1e-9` at most,
/// and `2Q(u) = 2φ(u)/(u + 1/(u + 2/(u + 3/…)))` (Laplace) gives the rest.
pub(super) fn symmetric(u: f64) -> (f64, f64, f64) {
    let twice = 2.0 * u * (-0.5 * u * u).exp() / (2.0 * PI).sqrt();
    if u >= 6.0 {
        let fraction = (1..=60).rev().fold(u, |rest, k| u + f64::from(k) / rest);
        let within = 1.0 - twice / (u * fraction);
        return (within, 1.0 - twice / within, twice / within);
    }
    // The terms grow up to k = u²/2 and fall then: below 1e-18 of the sum after 120 at u = 6.
    let (mut term, mut rest) = (1.0, 0.0);
    for k in 1..=120 {
        term *= u * u / f64::from(2 * k + 1);
        rest += term;
    }
    (twice * (1.0 + rest), rest / (1.0 + rest), 1.0 / (1.0 + rest))
}

/// `ρ(u)` of [`symmetric`].
pub(super) fn rho(u: f64) -> f64 {
    symmetric(u).1
}

#[cfg(test)]
mod tests {
    use super::{Truncated, symmetric};

    #[test]
    fn moments_agree_with_mpmath() {
        // mpmath, 40 digits, quad of the density on [e − u, e + u]: ln P, E (Z − e), variance.
        for (e, u, truth) in TABLE {
            let law = Truncated::new(e, u);
            let found = [law.ln_probability, law.offset, law.variance, law.fourth_cumulant];
            // A probability near 1 and a cumulant near 0 have no relative accuracy.
            let scale = [truth[0].abs().max(1.0), truth[1].abs(), truth[2], truth[2] * truth[2]];
            for (index, (value, truth)) in found.iter().zip(truth).enumerate() {
                let near = (value - truth).abs() <= 5e-13 * scale[index].max(truth.abs());
                assert!(near, "{e} {u}: {found:?} {truth}");
            }
        }
    }

    #[test]
    fn the_contraction_has_one_value_on_both_sides_of_its_seams() {
        for (u, truth, rest) in RHO {
            let (_, rho, gap) = symmetric(u);
            assert!((rho - truth).abs() <= 1e-14 * truth, "{u}: {rho}");
            assert!((gap - rest).abs() <= 1e-14 * rest, "{u}: {gap}");
        }
        // erf(u/√2), mpmath.
        for (u, truth) in WITHIN {
            let within = symmetric(u).0;
            assert!((within - truth).abs() <= 1e-15 * truth, "{u}: {within}");
        }
    }
    const TABLE: [(f64, f64, [f64; 4]); 8] = [
        (
            0.3,
            0.9,
            [
                -0.493_186_753_960_111_1,
                -0.072_320_720_062_889_78,
                0.239_181_985_122_453_12,
                -0.060_039_731_548_950_22,
            ],
        ),
        (
            -1.1,
            0.9,
            [
                -0.921_328_001_107_143_4,
                0.253_115_422_157_332_35,
                0.207_977_138_798_937_3,
                -0.026_077_183_217_217_765,
            ],
        ),
        (
            1.0e-06,
            0.001,
            [
                -7.133_546_798_294_02,
                -3.333_332_888_888_91e-13,
                3.333_332_888_888_91e-07,
                -1.333_332_825_396_901_6e-13,
            ],
        ),
        (
            2.5,
            4.0,
            [
                -0.069_143_455_655_269_04,
                -2.361_210_249_821_243_5,
                0.772_552_777_688_647_5,
                -0.120_545_487_300_987_27,
            ],
        ),
        (
            40.0,
            0.25,
            [
                -794.633_430_264_447_5,
                -0.224_874_511_354_510_03,
                0.000_630_495_170_776_670_8,
                2.373_057_220_088_970_7e-06,
            ],
        ),
        (
            -300.0,
            5.0,
            [
                -43_519.105_925_380_165,
                4.996_610_247_391_802,
                1.149_015_870_032_812e-05,
                7.920_696_743_294_359e-10,
            ],
        ),
        (0.01, 30.0, [-1.715_996_462_870_21e-58, -0.01, 1.0, -1.151_004_985_293_571_7e-53]),
        (
            3.0,
            0.01,
            [
                -9.330_828_211_687_937,
                -9.999_266_741_579_25e-05,
                3.332_688_997_655_676e-05,
                -1.332_140_111_763_667_3e-09,
            ],
        ),
    ];
    const WITHIN: [(f64, f64); 4] = [
        (0.01, 0.007_978_712_629_263_208),
        (1.5, 0.866_385_597_462_283_8),
        (5.9, 0.999_999_996_364_984_3),
        (6.1, 0.999_999_998_939_315_3),
    ];
    /// `u`, `ρ(u)`, `1 − ρ(u)`.
    const RHO: [(f64, f64, f64); 6] = [
        (0.05, 0.000_833_055_588_629_848, 0.999_166_944_411_370_1),
        (0.9, 0.242_018_041_655_182_73, 0.757_981_958_344_817_3),
        (3.0, 0.973_336_924_662_541_5, 0.026_663_075_337_458_524),
        (3.999, 0.998_925_267_956_223_6, 0.001_074_732_043_776_404_3),
        (4.001, 0.998_933_298_866_192_9, 0.001_066_701_133_807_135_5),
        (9.0, 1.0, 1.850_359_242_900_404_6e-17),
    ];
}
