//! The standard normal law where it is divided by its own tail.
//!
//! The error function is that of `libm` (one unit in the last place); that of `statrs` errs by 4e-11.

use libm::erfc;
use std::f64::consts::{PI, SQRT_2};

/// From here on the continued fraction is used; [`TERMS`] of it err by less than 1e-20 there.
const FRACTION_FROM: f64 = 3.0;
const TERMS: usize = 60;

/// The density `φ(c) = exp(−c²/2)/√(2π)`.
///
/// ```
/// let top = fortifai_collapse::special::hazard::density(0.0);
/// assert!((top - 0.398_942_280_401_432_7).abs() <= 1e-16);
/// ```
/// Checked by the tests of this file.
pub fn density(c: f64) -> f64 {
    (-0.5 * c * c).exp() / (2.0 * PI).sqrt()
}

/// The one-sided tail `Q(c) = 1 − Φ(c)`.
///
/// ```
/// assert_eq!(fortifai_collapse::special::hazard::upper_tail(0.0), 0.5);
/// ```
/// Checked by the tests of this file.
pub fn upper_tail(c: f64) -> f64 {
    if c < FRACTION_FROM { 0.5 * erfc(c / SQRT_2) } else { density(c) / hazard(c) }
}

/// The hazard (inverse Mills ratio) `h(c) = φ(c)/Q(c)` with the one-sided tail `Q`.
///
/// From 3 on Laplace's continued fraction `h = c + 1/(c + 2/(c + 3/(c + …)))`.
///
/// ```
/// let h = fortifai_collapse::special::hazard::hazard(0.0);
/// assert!((h - (2.0 / std::f64::consts::PI).sqrt()).abs() <= 1e-15);
/// ```
/// Checked by the tests of this file.
pub fn hazard(c: f64) -> f64 {
    if c < FRACTION_FROM { density(c) / upper_tail(c) } else { c + hazard_excess(c) }
}

/// `h(c) − c`, which is positive and below `1/c`, without the cancellation for large `c`.
///
/// ```
/// let excess = fortifai_collapse::special::hazard::hazard_excess(1e6);
/// assert!((excess * 1e6 - 1.0).abs() <= 1e-11);
/// ```
/// Checked by the tests of this file.
pub fn hazard_excess(c: f64) -> f64 {
    if c < FRACTION_FROM {
        return hazard(c) - c;
    }
    1.0 / (2..TERMS).rev().fold(c, |below, term| c + term as f64 / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hazards_agree_with_mpmath() {
        // mpmath, 40 digits: npdf(c)/(erfc(c/sqrt(2))/2) and the same less c.
        for (c, h, excess) in HAZARDS {
            assert!((hazard(c) - h).abs() <= 2e-15 * h, "h({c}) = {}, not {h}", hazard(c));
            let off = (hazard_excess(c) - excess).abs();
            assert!(off <= 4e-15 * h.max(1.0) * excess.max(1e-3), "{c}: off by {off}");
            let tail = density(c) / h;
            assert!((upper_tail(c) - tail).abs() <= 4e-15 * tail, "Q({c})");
        }
    }

    const HAZARDS: [(f64, f64, f64); 11] = [
        (-2.5, 0.017_637_825_486_916_735, 2.517_637_825_486_916_7),
        (0.0, 0.797_884_560_802_865_4, 0.797_884_560_802_865_4),
        (0.1, 0.862_617_471_530_936_2, 0.762_617_471_530_936_2),
        (0.5, 1.141_077_770_368_064_6, 0.641_077_770_368_064_5),
        (1.0, 1.525_135_276_160_981, 0.525_135_276_160_981_2),
        (2.0, 2.373_215_532_822_841, 0.373_215_532_822_840_87),
        (2.99, 3.273_805_823_492_689, 0.283_805_823_492_688_57),
        (3.0, 3.283_098_654_930_436_4, 0.283_098_654_930_436_5),
        (5.5, 5.671_410_313_897_305, 0.171_410_313_897_305_63),
        (12.0, 12.082_214_175_254_284, 0.082_214_175_254_284_33),
        (40.0, 40.024_968_847_207_26, 0.024_968_847_207_263_722),
    ];
}
