//! The confidence-weighted loss family, one row of logits at a time.
//!
//! Every member is a function of the target's probability `p = softmax(z)[t]`. Masks and detached
//! weights go through [`Scalar::detach`] or through a plain `bool`, so that a dual number carries
//! exactly the derivative that the loss defines.

use crate::Scalar;
use crate::attention::maximum;

/// A member of the family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossKind {
    /// `f = −ln p`.
    Ce,
    /// `f = −[p ≤ γ] ln p`. Source: arXiv 2509.08972.
    Tce {
        /// The threshold; equality keeps the token, 0 drops every token, 1 is [`LossKind::Ce`].
        gamma: f64,
    },
    /// `f = −(1−p)^γ ln p`.
    Focal {
        /// The exponent; 0 is [`LossKind::Ce`].
        gamma: f64,
    },
    /// The value of focal with the factor `(1−p)^γ` detached.
    FocalDetached {
        /// The exponent; 0 is [`LossKind::Ce`].
        gamma: f64,
    },
    /// `f = −(1−γp) ln p` with the weight detached.
    Linear {
        /// The slope.
        gamma: f64,
    },
    /// `f = −[p ≥ q] ln p`.
    DropLow {
        /// The threshold; equality keeps the token.
        q: f64,
    },
    /// `f = −m ln p` with the mask `m` given by the caller.
    RandomMask,
    /// `f = −(1−ε) ln p − (ε/V) Σ_k ln p_k`.
    LabelSmoothing {
        /// The weight of the uniform law.
        epsilon: f64,
    },
}

/// The number that the summed loss is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denominator {
    /// All predicted tokens.
    All,
    /// The tokens that the loss keeps.
    Kept,
}

/// One predicted token.
#[derive(Clone, Debug)]
pub struct Row<S> {
    /// The logits `[v]`.
    pub logits: Vec<S>,
    /// The index of the right token.
    pub target: usize,
    /// The caller's mask, read by [`LossKind::RandomMask`] alone.
    pub mask: bool,
}

/// What a row of logits says about its target.
#[derive(Clone, Copy, Debug)]
pub struct Confidence<S> {
    /// `p = e_t/(Σ_{k≠t} e_k + e_t)` with `e_k = e^{z_k − max z}`.
    pub p: S,
    /// `1 − p = Σ_{k≠t} e_k/(Σ_{k≠t} e_k + e_t)`, without cancellation.
    pub q: S,
    /// `−ln p`: `−ln(1 − q)` where `p > 1/2`, else `ln Σ_k e_k − (z_t − max z)`.
    pub nll: S,
    /// `−(1/V) Σ_k ln p_k`.
    pub uniform_nll: S,
}

/// The target's probability, its complement and its logarithm.
///
/// # Panics
/// If the target is not an index of the row.
pub fn confidence<S: Scalar>(logits: &[S], target: usize) -> Confidence<S> {
    assert!(target < logits.len(), "loss: target {target} of {} logits", logits.len());
    let max = maximum(logits);
    let exps: Vec<S> = logits.iter().map(|&z| (z - max).exp()).collect();
    let others = exps.iter().enumerate().filter(|&(k, _)| k != target).map(|(_, &e)| e);
    let others = S::sum(others);
    let total = others + exps[target];
    let (p, q) = (exps[target] / total, others / total);
    let log_total = total.ln();
    let nll = if p.value() > 0.5 { -(-q).ln_1p() } else { log_total - (logits[target] - max) };
    let v = S::from_f64(logits.len() as f64);
    let uniform_nll = S::sum(logits.iter().map(|&z| log_total - (z - max))) / v;
    Confidence { p, q, nll, uniform_nll }
}

/// Whether the loss keeps the row. Only thresholds and the caller's mask drop a row; a weight that
/// happens to be zero does not.
pub fn keeps<S: Scalar>(logits: &[S], target: usize, kind: LossKind, mask: bool) -> bool {
    let p = || confidence(logits, target).p.value();
    let threshold = |value: f64| S::from_f64(value).value();
    match kind {
        LossKind::Tce { gamma } => gamma == 1.0 || gamma > 0.0 && p() <= threshold(gamma),
        LossKind::DropLow { q } => p() >= threshold(q),
        LossKind::RandomMask => mask,
        _ => true,
    }
}

/// The loss `f` of one row. A dropped row gives the constant 0, whatever its logits.
///
/// # Panics
/// If the target is not an index of the row.
pub fn row_loss<S: Scalar>(logits: &[S], target: usize, kind: LossKind, mask: bool) -> S {
    let Confidence { q, nll, uniform_nll, .. } = confidence(logits, target);
    if !keeps(logits, target, kind, mask) {
        return S::zero();
    }
    match kind {
        LossKind::Focal { gamma } | LossKind::FocalDetached { gamma } if gamma == 0.0 => nll,
        // At p = 1 the limit of (1−p)^γ ln p and of its derivative is 0.
        LossKind::Focal { .. } | LossKind::FocalDetached { .. } if q.value() == 0.0 => S::zero(),
        LossKind::Focal { gamma } => q.powf(gamma) * nll,
        LossKind::FocalDetached { gamma } => q.powf(gamma).detach() * nll,
        // 1 − γp = (1 − γ) + γ(1 − p), which does not cancel at γ = 1.
        LossKind::Linear { gamma } => {
            (S::from_f64(1.0 - gamma) + S::from_f64(gamma) * q).detach() * nll
        }
        LossKind::LabelSmoothing { epsilon } => {
            S::from_f64(1.0 - epsilon) * nll + S::from_f64(epsilon) * uniform_nll
        }
        LossKind::Ce | LossKind::Tce { .. } | LossKind::DropLow { .. } | LossKind::RandomMask => {
            nll
        }
    }
}

/// `(1/D) Σ_i f_i` over the rows in order; 0 where `D = 0`.
pub fn mean_loss<S: Scalar>(rows: &[Row<S>], kind: LossKind, denominator: Denominator) -> S {
    let kept = |row: &&Row<S>| keeps(&row.logits, row.target, kind, row.mask);
    let d = match denominator {
        Denominator::All => rows.len(),
        Denominator::Kept => rows.iter().filter(kept).count(),
    };
    if d == 0 {
        return S::zero();
    }
    let losses = rows.iter().map(|row| row_loss(&row.logits, row.target, kind, row.mask));
    S::sum(losses) / S::from_f64(d as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, differentiates, numbers};
    use crate::{Dual64, directional};

    /// Logits whose softmax is the given law.
    fn logits(law: &[f64]) -> Vec<f64> {
        law.iter().map(|p| p.ln()).collect()
    }

    #[test]
    fn values_follow_the_table() {
        let z = logits(&[0.5, 0.25, 0.125, 0.125]);
        let f = |target, kind| row_loss(&z, target, kind, true);
        let (half, quarter) = (2f64.ln(), 4f64.ln());
        // p = 1/2 and 1/4: every right-hand side is the table's formula by hand.
        let cases = [
            (f(0, LossKind::Ce), half),
            (f(1, LossKind::Tce { gamma: 0.3 }), quarter),
            (f(0, LossKind::Tce { gamma: 0.3 }), 0.0),
            (f(1, LossKind::Focal { gamma: 2.0 }), 0.5625 * quarter),
            (f(1, LossKind::FocalDetached { gamma: 2.0 }), 0.5625 * quarter),
            (f(1, LossKind::Linear { gamma: 0.8 }), 0.8 * quarter),
            (f(0, LossKind::DropLow { q: 0.3 }), half),
            (f(1, LossKind::DropLow { q: 0.3 }), 0.0),
            // −(1/4) Σ ln p_k = (1 + 2 + 3 + 3)/4 · ln 2.
            (f(0, LossKind::LabelSmoothing { epsilon: 0.1 }), (0.9 + 0.1 * 2.25) * half),
        ];
        for (index, (got, truth)) in cases.into_iter().enumerate() {
            assert!((got - truth).abs() <= 1e-15 * truth.max(1.0), "{index}: {got} not {truth}");
        }
        assert_eq!(row_loss(&z, 0, LossKind::RandomMask, false), 0.0);
        assert_eq!(row_loss(&z, 0, LossKind::RandomMask, true), f(0, LossKind::Ce));
    }

    #[test]
    fn derivatives_follow_the_table() {
        // df/dz_k = a(p_k − [k = t]) + b(p_k − 1/V) with the table's a and b, at p_t = 1/4.
        let law = [0.5, 0.25, 0.125, 0.125];
        let (t, p, ln_p) = (1, 0.25f64, 0.25f64.ln());
        let cases = [
            (LossKind::Ce, 1.0, 0.0),
            (LossKind::Tce { gamma: 0.9 }, 1.0, 0.0),
            (LossKind::Tce { gamma: 0.1 }, 0.0, 0.0),
            (LossKind::Focal { gamma: 2.0 }, 0.5625 - 2.0 * p * 0.75 * ln_p, 0.0),
            (LossKind::FocalDetached { gamma: 2.0 }, 0.5625, 0.0),
            (LossKind::Linear { gamma: 0.6 }, 0.85, 0.0),
            (LossKind::DropLow { q: 0.3 }, 0.0, 0.0),
            (LossKind::RandomMask, 1.0, 0.0),
            (LossKind::LabelSmoothing { epsilon: 0.2 }, 0.8, 0.2),
        ];
        for (kind, a, b) in cases {
            for k in 0..4 {
                let mut direction = [0.0; 4];
                direction[k] = 1.0;
                let z = directional(&logits(&law), &direction);
                let hit = if k == t { 1.0 } else { 0.0 };
                let truth = a * (law[k] - hit) + b * (law[k] - 0.25);
                let got = row_loss(&z, t, kind, true).eps;
                assert!((got - truth).abs() <= 4e-16, "{kind:?} {k}: {got} not {truth}");
            }
        }
    }

    #[test]
    fn equality_keeps_the_token() {
        // Two equal logits: p is exactly 1/2.
        let z = [1.5, 1.5];
        assert_eq!(row_loss(&z, 0, LossKind::Tce { gamma: 0.5 }, true), 2f64.ln());
        assert_eq!(row_loss(&z, 0, LossKind::DropLow { q: 0.5 }, true), 2f64.ln());
        assert_eq!(row_loss(&z, 0, LossKind::Tce { gamma: 0.5f64.next_down() }, true), 0.0);
    }

    #[test]
    fn edges_are_finite() {
        let sure = [0.0, -2000.0, -2000.0];
        assert_eq!(row_loss(&sure, 1, LossKind::Tce { gamma: 0.0 }, true), 0.0);
        assert_eq!(row_loss(&sure, 1, LossKind::Ce, true), 2000.0);
        for gamma in [0.5, 1.0, 2.0] {
            for kind in [LossKind::Focal { gamma }, LossKind::FocalDetached { gamma }] {
                let dual = directional(&sure, &[1.0, -1.0, 0.5]);
                let loss = row_loss(&dual, 0, kind, true);
                assert!(loss.re == 0.0 && loss.eps == 0.0, "{kind:?}: {loss:?}");
            }
        }
        let z = [0.3, -0.2, 0.9];
        let ce = row_loss(&z, 2, LossKind::Ce, true);
        assert_eq!(ce, row_loss(&z, 2, LossKind::Tce { gamma: 1.0 }, true));
        assert_eq!(ce, row_loss(&z, 2, LossKind::Focal { gamma: 0.0 }, true));
    }

    #[test]
    fn a_confident_row_keeps_its_digits() {
        // Two logits 0 and −40: 1 − p = e^−40/(1 + e^−40), and −ln p = ln(1 + e^−40).
        let c = confidence(&[0.0, -40.0], 0);
        let e = (-40f64).exp();
        assert!((c.q - e / (1.0 + e)).abs() <= 1e-15 * e);
        assert!((c.nll - e.ln_1p()).abs() <= 1e-15 * e);
    }

    #[test]
    fn denominators_count_all_or_kept_tokens() {
        let row = |law: &[f64]| Row { logits: logits(law), target: 0, mask: true };
        let rows = [row(&[0.25, 0.75]), row(&[0.875, 0.125]), row(&[0.5, 0.5])];
        let kind = LossKind::Tce { gamma: 0.8 };
        // ln 4 + ln 2 = 3 ln 2, over three tokens or the two kept.
        let mean = |denominator| mean_loss(&rows, kind, denominator);
        close(
            &[mean(Denominator::All), mean(Denominator::Kept)],
            &[2f64.ln(), 1.5 * 2f64.ln()],
            1e-15,
        );
        assert_eq!(mean_loss(&rows, LossKind::Tce { gamma: 0.0 }, Denominator::Kept), 0.0);
        assert_eq!(mean_loss::<f64>(&[], kind, Denominator::All), 0.0);
    }

    #[test]
    fn duals_differentiate_the_undetached_members() {
        let z = numbers(7, 9);
        for kind in [
            LossKind::Ce,
            LossKind::Focal { gamma: 1.7 },
            LossKind::LabelSmoothing { epsilon: 0.1 },
        ] {
            let f = |z: &[f64]| vec![row_loss(z, 3, kind, true)];
            let d = |z: &[Dual64]| vec![row_loss(z, 3, kind, true)];
            differentiates(&z, 10, f, d);
        }
    }
}
