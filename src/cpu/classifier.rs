//! The fused classifier: logits, softmax statistics, loss and gradient, a chunk of rows at a time.
//!
//! Per row `z = x Wᵀ`, `p = softmax(z)_t`, a [`Rule`] gives `(f, a, b)`, and
//! `dz_k = scale·[a(p_k − [k = t]) + b(p_k − 1/V)]`, `dx = dz W`, `dW += dzᵀ x`.
//!
//! Departures from the textbook form:
//! 1. Logits are held for at most [`chunk_rows`] rows. Each row's gradient replaces its logits.
//! 2. Rows with `a = b = 0` are squeezed out before the products: what the loss drops costs no
//!    backward work. Kept rows of several chunks are gathered until a chunk is full.
//! 3. `1 − p` is `Σ_{k≠t} e_k / Σ_k e_k`, and the gradient's entry at the target uses it.

use super::matmul::{Write, matmul};
use super::{Real, lanes, simd};
use crate::loss::{RowStats, Rule};
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

/// Rows whose logits are computed together; their number is a compromise between the size of the
/// logits and the number of times `W` is read.
pub fn chunk_rows(n: usize, v: usize) -> usize {
    let rows = ((1 << 23) / v.max(1)).clamp(32, 512);
    rows.min(n.max(1))
}

/// Scratch numbers for `n` rows of `c` channels and `v` tokens: two chunks of logits and the kept
/// rows' inputs and input gradients.
pub fn workspace(n: usize, c: usize, v: usize) -> usize {
    let rows = chunk_rows(n, v);
    2 * rows * v + 4 * rows * c
}

/// What the classifier leaves per row.
#[derive(Debug)]
pub struct Rows<'a, R> {
    /// The loss `f`, not divided by the denominator, `[n]`.
    pub loss: &'a mut [R],
    /// `−ln p`, `[n]`.
    pub nll: &'a mut [R],
    /// The target's probability, `[n]`.
    pub probability: &'a mut [R],
    /// One where the row has a gradient, zero where the loss drops it, `[n]`.
    pub kept: &'a mut [R],
}

/// The two gradients, if wanted.
#[derive(Debug)]
pub struct Gradients<'a, R> {
    /// Added to, `[n, c]`.
    pub dx: ArrayViewMut2<'a, R>,
    /// Added to, `[v, c]`.
    pub dweight: ArrayViewMut2<'a, R>,
    /// The number every gradient is multiplied by, one over the denominator.
    pub scale: R,
}

/// Loss of every row, and its gradients where asked for.
///
/// `x [n, c]`, `weight [v, c]`, `targets [n]`; `mask [n]` only for rules that read it.
///
/// Proved: `no_row_left_waiting` in `theory/proofs/rows.smt2`.
/// Proved: `unread_rows_are_safe` in `theory/proofs/rows.smt2`.
/// Proved: `fresh_rows_fit` in `theory/proofs/rows.smt2`.
#[allow(clippy::too_many_arguments)] // outputs, inputs and parameters of one operator
pub fn forward_backward<R: Real>(
    rows: Rows<R>,
    mut gradients: Option<Gradients<R>>,
    x: ArrayView2<R>,
    targets: &[u32],
    mask: Option<&[bool]>,
    weight: ArrayView2<R>,
    rule: &Rule,
    workspace: &mut [R],
) {
    let ((n, c), v) = (x.dim(), weight.nrows());
    assert_eq!(targets.len(), n, "classifier: one target per row");
    assert!(
        targets.iter().all(|&target| (target as usize) < v),
        "classifier: target beyond V = {v}"
    );
    assert!(mask.is_none_or(|mask| mask.len() == n), "classifier: one mask entry per row");
    let x = x.as_slice().expect("classifier: x must be contiguous");
    let most = chunk_rows(n, v);
    let (logits, rest) = workspace.split_at_mut(2 * most * v);
    let (kept_x, kept_dx) = rest[..4 * most * c].split_at_mut(2 * most * c);
    // Rows waiting for the backward products: they lie at the front of `logits` and `kept_x`.
    let mut waiting: Vec<usize> = Vec::with_capacity(2 * most);
    for start in (0..n).step_by(most) {
        let end = n.min(start + most);
        let fresh = &mut logits[waiting.len() * v..][..(end - start) * v];
        let view = ArrayViewMut2::from_shape((end - start, v), &mut *fresh).expect("logits");
        let chunk = ArrayView2::from_shape((end - start, c), &x[start * c..end * c]).expect("x");
        matmul(view, chunk, weight.t(), R::one(), Write::Overwrite);
        let scale = gradients.as_ref().map(|gradients| gradients.scale);
        fresh
            .par_chunks_mut(v)
            .zip(rows.loss[start..end].par_iter_mut().zip(&mut rows.nll[start..end]))
            .zip(rows.probability[start..end].par_iter_mut().zip(&mut rows.kept[start..end]))
            .zip(start..end)
            .for_each(|(((z, (loss, nll)), (probability, kept)), row)| {
                let in_mask = mask.is_none_or(|mask| mask[row]);
                let (stats, keep, f) = one_row(z, targets[row] as usize, in_mask, rule, scale);
                (*loss, *nll, *probability) = (f, stats.nll, stats.p);
                *kept = if keep { R::one() } else { R::zero() };
            });
        let Some(gradients) = &mut gradients else { continue };
        let first = waiting.len();
        for (offset, row) in (start..end).enumerate() {
            if rows.kept[row] != R::zero() {
                let to = waiting.len();
                logits.copy_within((first + offset) * v..(first + offset + 1) * v, to * v);
                kept_x[to * c..(to + 1) * c].copy_from_slice(&x[row * c..(row + 1) * c]);
                waiting.push(row);
            }
        }
        if waiting.len() >= most || (end == n && !waiting.is_empty()) {
            backward_products(gradients, logits, kept_x, kept_dx, &waiting, weight);
            waiting.clear();
        }
    }
}

/// Statistics of one row of logits; with a scale, the logits become their gradient.
///
/// Proved: `row_statistics` in `theory/proofs/softmax.v`.
/// Proved: `row_total_error` in `theory/proofs/lanes.v`.
fn one_row<R: Real>(
    z: &mut [R],
    target: usize,
    kept: bool,
    rule: &Rule,
    scale: Option<R>,
) -> (RowStats<R>, bool, R) {
    let v = R::of(z.len() as f64);
    let at_target = z[target];
    let (most, mean, rest) = simd(
        #[inline(always)]
        || {
            let most = lanes::max(z);
            let mean = match rule.needs_uniform() {
                true => lanes::sum(z) / v,
                false => R::zero(),
            };
            lanes::exp_minus(z, most);
            let own = z[target];
            z[target] = R::zero();
            let rest = lanes::sum(z);
            z[target] = own;
            (most, mean, rest)
        },
    );
    let own = z[target];
    let total = rest + own;
    let (p, q) = (own / total, rest / total);
    let log_total = total.ln();
    let nll = match p > R::of(0.5) {
        true => -(-q).ln_1p(),
        false => log_total - (at_target - most),
    };
    let stats = RowStats { p, q, nll, uniform_nll: log_total - (mean - most), kept };
    let loss = rule.row(stats);
    let keep = loss.a != R::zero() || loss.b != R::zero();
    let Some(scale) = scale.filter(|_| keep) else { return (stats, keep, loss.f) };
    let (a, b) = (loss.a * scale, loss.b * scale);
    let (slope, floor) = ((a + b) / total, b / v);
    simd(
        #[inline(always)]
        || {
            for value in z.iter_mut() {
                *value = *value * slope - floor;
            }
        },
    );
    z[target] = b * (p - R::one() / v) - a * q;
    (stats, keep, loss.f)
}

fn backward_products<R: Real>(
    gradients: &mut Gradients<R>,
    logits: &[R],
    kept_x: &[R],
    kept_dx: &mut [R],
    waiting: &[usize],
    weight: ArrayView2<R>,
) {
    let (v, c) = weight.dim();
    let n = waiting.len();
    let dz = ArrayView2::from_shape((n, v), &logits[..n * v]).expect("dz");
    let x = ArrayView2::from_shape((n, c), &kept_x[..n * c]).expect("x");
    matmul(gradients.dweight.view_mut(), dz.t(), x, R::one(), Write::Accumulate);
    let kept_dx = &mut kept_dx[..n * c];
    let dx = ArrayViewMut2::from_shape((n, c), &mut *kept_dx).expect("dx");
    matmul(dx, dz, weight, R::one(), Write::Overwrite);
    for (dx, &row) in kept_dx.chunks_exact(c).zip(waiting) {
        let mut sum = gradients.dx.row_mut(row);
        for (sum, &value) in sum.iter_mut().zip(dx) {
            *sum += value;
        }
    }
}
