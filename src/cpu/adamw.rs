//! AdamW with decoupled decay and bias correction, the global norm, and its clipping factor.

use super::{Real, simd};
use rayon::prelude::*;

/// Elements of one piece of the norm's fixed tree and of the update.
pub(crate) const PIECE: usize = 1 << 14;

/// The scalars of one optimiser step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// 1 for the first step.
    pub number: u32,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// First-moment decay.
    pub beta1: f64,
    /// Second-moment decay.
    pub beta2: f64,
    /// Added to the root of the corrected second moment.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Every gradient is multiplied by this first (clipping, denominator).
    pub gradient_scale: f64,
}

/// What an update multiplies by, derived from a [`Step`] in `f64`.
#[derive(Clone, Copy, Debug)]
pub struct Factors {
    /// `1 − η·λ`.
    pub shrink: f64,
    /// `η/(1 − β₁ᵏ)`.
    pub rate: f64,
    /// `1/√(1 − β₂ᵏ)`.
    pub root_correct2: f64,
    /// `β₁` and `1 − β₁`.
    pub first: (f64, f64),
    /// `β₂` and `1 − β₂`.
    pub second: (f64, f64),
}

impl Step {
    /// The factors of this step.
    pub fn factors(&self) -> Factors {
        let correct1 = 1.0 - self.beta1.powi(self.number as i32);
        let correct2 = 1.0 - self.beta2.powi(self.number as i32);
        Factors {
            shrink: 1.0 - self.learning_rate * self.weight_decay,
            rate: self.learning_rate / correct1,
            root_correct2: 1.0 / correct2.sqrt(),
            first: (self.beta1, 1.0 - self.beta1),
            second: (self.beta2, 1.0 - self.beta2),
        }
    }
}

/// One step: `p ← p(1 − η·λ)`, `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`,
/// `p ← p − η·m̂/(√v̂ + ε)` with `m̂ = m/(1−β₁ᵏ)`, `v̂ = v/(1−β₂ᵏ)` (Loshchilov & Hutter 2019).
pub fn step<R: Real>(p: &mut [R], m: &mut [R], v: &mut [R], g: &[R], step: Step) {
    assert_eq!(p.len(), g.len(), "adamw::step: parameters and gradients differ in length");
    let factors = step.factors();
    let (shrink, rate) = (R::of(factors.shrink), R::of(factors.rate));
    let root_correct2 = R::of(factors.root_correct2);
    let (beta1, one_minus1) = (R::of(factors.first.0), R::of(factors.first.1));
    let (beta2, one_minus2) = (R::of(factors.second.0), R::of(factors.second.1));
    let (epsilon, scale) = (R::of(step.epsilon), R::of(step.gradient_scale));
    p.par_chunks_mut(PIECE)
        .zip(m.par_chunks_mut(PIECE).zip(v.par_chunks_mut(PIECE)))
        .zip(g.par_chunks(PIECE))
        .for_each(|((p, (m, v)), g)| {
            simd(
                #[inline(always)]
                || {
                    for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
                        let g = g * scale;
                        *m = beta1 * *m + one_minus1 * g;
                        *v = beta2 * *v + one_minus2 * g * g;
                        *p = *p * shrink - rate * *m / ((*v).sqrt() * root_correct2 + epsilon);
                    }
                },
            );
        });
}

/// `Σ g²` in `f64`, as a fixed tree over pieces.
pub fn squared_norm<R: Real>(g: &[R]) -> f64 {
    let pieces: Vec<f64> = g
        .par_chunks(PIECE)
        .map(|piece| {
            simd(
                #[inline(always)]
                || {
                    let mut lanes = [0.0f64; 8];
                    for eight in piece.chunks(8) {
                        for (lane, &value) in lanes.iter_mut().zip(eight) {
                            *lane += value.wide() * value.wide();
                        }
                    }
                    lanes.iter().sum::<f64>()
                },
            )
        })
        .collect();
    pieces.iter().sum()
}

/// The factor that brings a gradient of this norm down to `most`: `min(1, most/(norm + 1e-6))`, as
/// PyTorch's `clip_grad_norm_`; 1 if `most` is zero (no clipping).
pub fn clip_factor(norm: f64, most: f64) -> f64 {
    if most == 0.0 { 1.0 } else { (most / (norm + 1e-6)).min(1.0) }
}
