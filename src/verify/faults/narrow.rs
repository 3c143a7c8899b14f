//! Results with fewer digits than they should have.

use crate::cpu::Real;
use crate::loss::Rule;
use crate::tier::LinearShape;

/// What is less exact than it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Narrow {
    /// Every tensor of activations, and of their gradients, is rounded to bfloat16 where it is
    /// stored. On a device that stores them so this is no fault but how it should be.
    Stored,
    /// The same in single precision, where arithmetic is in double: what single precision is held to.
    StoredSingle,
    /// Factors of products keep so many binary digits: 11 are those of tensor cores in TF32.
    Products(u32),
    /// The variance of a row is the mean square less the square of the mean.
    OnePass,
    /// The mean of a row keeps so many binary digits.
    Mean(u32),
    /// The reciprocal deviation is off by so much, relative to it.
    Rstd(f64),
    /// The exponential in GELU's slope is, here and there.
    Gelu(f64),
    /// The classifier's exponentials are, here and there.
    Classifier(f64),
    /// The optimiser's moments are stored with so many binary digits.
    Moments(u32),
    /// The squared norm is off by so much, relative to it.
    Norm(f64),
    /// Decoded rows keep so many binary digits.
    Decoded(u32),
}

/// The nearest number with so many binary digits.
pub(super) fn keep<R: Real>(x: R, digits: u32) -> R {
    let x = x.wide();
    let dropped = 53 - digits;
    let half = 1u64 << (dropped - 1);
    match x.is_finite() {
        true => R::of(f64::from_bits((x.to_bits() + half) >> dropped << dropped)),
        false => R::of(x),
    }
}

/// An error that looks random and is at most `size`: how far a rough exponential of `x` is off.
pub(super) fn rough(x: f64, size: f64) -> f64 {
    1.0 + size * (1e4 * x).sin()
}

/// Adds the gradients of cross entropy, whose exponentials are off by up to `size`.
#[allow(clippy::too_many_arguments)] // outputs, inputs, parameters and scalars of one operator
pub(super) fn rough_classifier<R: Real>(
    dx: &mut [R],
    dweight: &mut [R],
    x: &[R],
    targets: &[u32],
    weight: &[R],
    rule: &Rule,
    scale: f64,
    (shape, size): (LinearShape, f64),
) {
    assert!(matches!(rule, Rule::Ce), "rough_classifier: cross entropy alone");
    let LinearShape { c, oc, .. } = shape;
    let wide = |x: &[R]| -> Vec<f64> { x.iter().map(|x| x.wide()).collect() };
    let (x, weight) = (wide(x), wide(weight));
    let rows = dx.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(targets);
    for ((dx, x), &target) in rows {
        let dot = |w: &[f64]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        let exps: Vec<f64> =
            weight.chunks_exact(c).map(|w| dot(w).exp() * rough(dot(w), size)).collect();
        let total: f64 = exps.iter().sum();
        for k in 0..oc {
            let hit = if k == target as usize { 1.0 } else { 0.0 };
            let d = scale * (exps[k] / total - hit);
            for i in 0..c {
                dx[i] += R::of(d * weight[k * c + i]);
                dweight[k * c + i] += R::of(d * x[i]);
            }
        }
    }
}
