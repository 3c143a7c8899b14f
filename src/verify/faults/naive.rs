//! Attention's backward pass from its formulas, with a mistake in one of them.

use super::narrow::rough;
use crate::cpu::Real;
use crate::tier::AttentionShape;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mistake {
    /// Every query sees every key.
    NoMask,
    /// No query but the first sees its own key.
    StrictMask,
    /// Queries see what comes after them, and themselves.
    InvertedMask,
    /// Scores are not divided by the root of the head size in the backward pass.
    NoScale,
    /// The row's mean of the weights' gradients is not subtracted.
    NoMean,
    /// Gradients of queries and keys are exchanged.
    Exchanged,
    /// Values get their gradients from the key behind.
    ValueIndex,
    /// Exponentials are off by up to so much, relative to them.
    Exponential(f64),
}

/// `dqkv [b, t, 3, nh, hs] += …` by `P = softmax(q kᵀ·s)`, `dV = Pᵀ dO`, `dP = dO Vᵀ`,
/// `dS = P ∘ (dP − Σ_j P dP)`, `dQ = s·dS K`, `dK = s·dSᵀ Q`, with the mistake.
pub(super) fn attention_backward<R: Real>(
    dqkv: &mut [R],
    dout: &[R],
    qkv: &[R],
    shape: AttentionShape,
    mistake: Mistake,
) {
    let AttentionShape { b, t, nh, hs } = shape;
    let c = nh * hs;
    let wide = |x: &[R]| -> Vec<f64> { x.iter().map(|x| x.wide()).collect() };
    let (dout, qkv) = (wide(dout), wide(qkv));
    let scale = 1.0 / (hs as f64).sqrt();
    let back = if mistake == Mistake::NoScale { 1.0 } else { scale };
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let sees = |i: usize, j: usize| match mistake {
        Mistake::NoMask => true,
        Mistake::StrictMask => j < i || i == 0 && j == 0,
        Mistake::InvertedMask => j >= i,
        _ => j <= i,
    };
    for (sequence, head) in (0..b).flat_map(|s| (0..nh).map(move |h| (s, h))) {
        let at = |part: usize, i: usize| (sequence * t + i) * 3 * c + part * c + head * hs;
        let of = |part: usize, i: usize| &qkv[at(part, i)..][..hs];
        let mut add = |part: usize, i: usize, factor: f64, x: &[f64]| {
            for (to, x) in dqkv[at(part, i)..][..hs].iter_mut().zip(x) {
                *to += R::of(factor * x);
            }
        };
        for i in 0..t {
            let dout = &dout[(sequence * t + i) * c + head * hs..][..hs];
            let keys: Vec<usize> = (0..t).filter(|&j| sees(i, j)).collect();
            let scores: Vec<f64> = keys.iter().map(|&j| scale * dot(of(0, i), of(1, j))).collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let exp = |score: f64| match mistake {
                Mistake::Exponential(size) => (score - most).exp() * rough(score, size),
                _ => (score - most).exp(),
            };
            let exps: Vec<f64> = scores.iter().map(|&score| exp(score)).collect();
            let sum: f64 = exps.iter().sum();
            let weights: Vec<f64> = exps.iter().map(|e| e / sum).collect();
            let dweights: Vec<f64> = keys.iter().map(|&j| dot(dout, of(2, j))).collect();
            let mean = if mistake == Mistake::NoMean { 0.0 } else { dot(&weights, &dweights) };
            let (dq, dk) = if mistake == Mistake::Exchanged { (1, 0) } else { (0, 1) };
            for ((&j, weight), dweight) in keys.iter().zip(&weights).zip(&dweights) {
                let dscore = back * weight * (dweight - mean);
                add(dq, i, dscore, of(1, j));
                add(dk, j, dscore, of(0, i));
                let value = if mistake == Mistake::ValueIndex { (j + 1) % t } else { j };
                add(2, value, *weight, dout);
            }
        }
    }
}
