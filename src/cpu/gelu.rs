//! GELU in the tanh form: `gelu(x) = ½x(1 + tanh u)`, `u = √(2/π)(x + 0.044715 x³)`.
//!
//! Departure from the textbook form: `½(1 + tanh u) = σ(2u)`, which needs one exponential and does
//! not cancel for very negative `u`.

use super::{ROW_PIECE, Real, simd};
use rayon::prelude::*;

/// Elements handed to a thread at a time.
pub(crate) const PIECE: usize = ROW_PIECE * 256;

/// `out_i ← gelu(x_i)`.
pub fn forward<R: Real>(out: &mut [R], x: &[R]) {
    assert_eq!(out.len(), x.len(), "gelu::forward: out and x differ in length");
    out.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(out, x)| {
        simd(
            #[inline(always)]
            || {
                for (out, &x) in out.iter_mut().zip(x) {
                    *out = x * gate(x).0;
                }
            },
        );
    });
}

/// `d_i ← d_i · gelu'(x_i)` in place, since no one else reads the gradient of the activation, and
/// `out_i ← gelu(x_i)` once more for the product that follows.
///
/// `gelu' = σ + x σ (1 − σ) · 2u'`, `u' = √(2/π)(1 + 3·0.044715 x²)`.
pub fn backward<R: Real>(d: &mut [R], out: &mut [R], x: &[R]) {
    assert_eq!(d.len(), x.len(), "gelu::backward: d and x differ in length");
    assert_eq!(out.len(), x.len(), "gelu::backward: out and x differ in length");
    let pieces = d.par_chunks_mut(PIECE).zip(out.par_chunks_mut(PIECE)).zip(x.par_chunks(PIECE));
    pieces.for_each(|((d, out), x)| {
        simd(
            #[inline(always)]
            || {
                for ((d, out), &x) in d.iter_mut().zip(out).zip(x) {
                    let (open, closed) = gate(x);
                    let slope =
                        R::of(2.0 * ROOT_2_OVER_PI) * (R::one() + R::of(3.0 * CUBIC) * x * x);
                    *out = x * open;
                    *d *= open + x * open * closed * slope;
                }
            },
        );
    });
}

/// `√(2/π)`.
const ROOT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
const CUBIC: f64 = 0.044_715;

/// `(σ(2u), 1 − σ(2u))`, neither by subtraction from one.
#[inline(always)]
fn gate<R: Real>(x: R) -> (R, R) {
    let twice_u = R::of(2.0 * ROOT_2_OVER_PI) * (x + R::of(CUBIC) * x * x * x);
    let small = (-twice_u.abs()).exp();
    let large_side = R::one() / (R::one() + small);
    let small_side = small * large_side;
    if twice_u > R::zero() { (large_side, small_side) } else { (small_side, large_side) }
}
