//! Causal multi-head attention, one head at a time: `out = softmax(Q Kᵀ/√hs) V`.
//!
//! Departures from the textbook form:
//! 1. Scores exist only for a block of [`QUERY_BLOCK`] queries at a time; `[b, nh, t, t]` is never
//!    held. Forward saves the row's log-sum-exp `lse`, backward recomputes `P = e^(S − lse)`.
//! 2. Keys after the block's last query are not touched, which halves the work of long rows.
//!
//! Heads are independent, so they are what threads share out.

use super::matmul::{Write, matmul};
use super::{Real, lanes, simd};
use ndarray::{ArrayView2, ArrayView4, ArrayViewMut1, ArrayViewMut2, ArrayViewMut4, Axis, s};
use ndarray::{ArrayView3, ArrayView5, ArrayViewMut3, ArrayViewMut5};
use rayon::prelude::*;

/// Queries whose scores are held together.
pub const QUERY_BLOCK: usize = 64;

/// Scratch numbers that one worker needs for sequences of length `t`.
pub fn workspace_per_worker(t: usize) -> usize {
    2 * QUERY_BLOCK.min(t) * t + QUERY_BLOCK
}

/// `out [b, t, nh, hs]` and the saved `lse [b, nh, t]` from `qkv [b, t, 3, nh, hs]`.
///
/// `workspace` holds [`workspace_per_worker`] numbers for each worker that shall run.
pub fn forward<R: Real>(
    out: ArrayViewMut4<R>,
    lse: ArrayViewMut3<R>,
    qkv: ArrayView5<R>,
    workspace: &mut [R],
) {
    let t = qkv.dim().1;
    let mut heads: Vec<_> = heads_mut(out)
        .into_iter()
        .zip(
            lse.into_shape_with_order((qkv.dim().0 * qkv.dim().3, t))
                .expect("lse")
                .into_outer_iter_mut(),
        )
        .zip(heads3(qkv))
        .map(|((out, lse), qkv)| (out, lse, qkv))
        .collect();
    share_out(&mut heads, workspace, t, |(out, lse, qkv), workspace| {
        let of = |part| qkv.index_axis(Axis(0), part);
        forward_head(out.view_mut(), lse.view_mut(), of(0), of(1), of(2), workspace);
    });
}

/// Adds to `dqkv [b, t, 3, nh, hs]`. With `P` the probabilities, `dP = dO Vᵀ` and
/// `D_i = dO_i · O_i`: `dS = P ∘ (dP − D)/√hs`, `dQ += dS K`, `dK += dSᵀ Q`, `dV += Pᵀ dO`.
pub fn backward<R: Real>(
    dqkv: ArrayViewMut5<R>,
    dout: ArrayView4<R>,
    qkv: ArrayView5<R>,
    out: ArrayView4<R>,
    lse: ArrayView3<R>,
    workspace: &mut [R],
) {
    let t = qkv.dim().1;
    let lse = lse.into_shape_with_order((qkv.dim().0 * qkv.dim().3, t)).expect("lse");
    let mut heads: Vec<_> = heads3_mut(dqkv)
        .into_iter()
        .zip(heads(dout))
        .zip(heads3(qkv))
        .zip(heads(out))
        .zip(lse.into_outer_iter())
        .collect();
    share_out(&mut heads, workspace, t, |((((dqkv, dout), qkv), out), lse), workspace| {
        let lse = lse.as_slice().expect("attention::backward: lse must be contiguous");
        backward_head(dqkv.view_mut(), *dout, *qkv, *out, lse, workspace);
    });
}

fn forward_head<R: Real>(
    mut out: ArrayViewMut2<R>,
    mut lse: ArrayViewMut1<R>,
    q: ArrayView2<R>,
    k: ArrayView2<R>,
    v: ArrayView2<R>,
    workspace: &mut [R],
) {
    let (t, hs) = q.dim();
    let scale = R::of(1.0 / (hs as f64).sqrt());
    for start in (0..t).step_by(QUERY_BLOCK) {
        let end = t.min(start + QUERY_BLOCK);
        let rows = end - start;
        let (scores, _) = workspace.split_at_mut(rows * end);
        let view = ArrayViewMut2::from_shape((rows, end), &mut *scores).expect("scores");
        let (k, v) = (k.slice(s![..end, ..]), v.slice(s![..end, ..]));
        matmul(view, q.slice(s![start..end, ..]), k.t(), scale, Write::Overwrite);
        let lse = lse.slice_mut(s![start..end]);
        let lse = lse.into_slice().expect("attention::forward: lse must be contiguous");
        simd(
            #[inline(always)]
            || {
                for ((row, lse), seen) in
                    scores.chunks_exact_mut(end).zip(lse.iter_mut()).zip(start + 1..)
                {
                    let (past, future) = row.split_at_mut(seen);
                    let most = lanes::max(past);
                    let total = lanes::exp_minus(past, most);
                    let share = R::one() / total;
                    for value in past {
                        *value *= share;
                    }
                    future.fill(R::zero());
                    *lse = most + total.ln();
                }
            },
        );
        let probabilities = ArrayView2::from_shape((rows, end), &*scores).expect("scores");
        let out = out.slice_mut(s![start..end, ..]);
        matmul(out, probabilities, v, R::one(), Write::Overwrite);
    }
}

fn backward_head<R: Real>(
    mut dqkv: ArrayViewMut3<R>,
    dout: ArrayView2<R>,
    qkv: ArrayView3<R>,
    out: ArrayView2<R>,
    lse: &[R],
    workspace: &mut [R],
) {
    let (t, hs) = dout.dim();
    let scale = R::of(1.0 / (hs as f64).sqrt());
    let part = |part| qkv.index_axis(Axis(0), part);
    let (q, k, v) = (part(0), part(1), part(2));
    for start in (0..t).step_by(QUERY_BLOCK) {
        let end = t.min(start + QUERY_BLOCK);
        let rows = end - start;
        let (p, rest) = workspace.split_at_mut(rows * end);
        let (ds, rest) = rest.split_at_mut(rows * end);
        let d = &mut rest[..rows];
        let block = s![start..end, ..];
        let (q, dout, out) = (q.slice(block), dout.slice(block), out.slice(block));
        let (k, v) = (k.slice(s![..end, ..]), v.slice(s![..end, ..]));
        let view = ArrayViewMut2::from_shape((rows, end), &mut *p).expect("p");
        matmul(view, q, k.t(), scale, Write::Overwrite);
        let view = ArrayViewMut2::from_shape((rows, end), &mut *ds).expect("ds");
        matmul(view, dout, v.t(), R::one(), Write::Overwrite);
        for ((d, dout), out) in d.iter_mut().zip(dout.rows()).zip(out.rows()) {
            let (dout, out) = (dout.to_slice(), out.to_slice());
            *d =
                lanes::dot(dout.expect("heads are contiguous"), out.expect("heads are contiguous"));
        }
        simd(
            #[inline(always)]
            || {
                let rows = p.chunks_exact_mut(end).zip(ds.chunks_exact_mut(end));
                let saved = lse[start..].iter().zip(d.iter());
                for (((p, ds), (&lse, &d)), seen) in rows.zip(saved).zip(start + 1..) {
                    for (p, ds) in p[..seen].iter_mut().zip(&mut ds[..seen]) {
                        *p = (*p - lse).exp();
                        *ds = *p * (*ds - d) * scale;
                    }
                    p[seen..].fill(R::zero());
                    ds[seen..].fill(R::zero());
                }
            },
        );
        let p = ArrayView2::from_shape((rows, end), &*p).expect("p");
        let ds = ArrayView2::from_shape((rows, end), &*ds).expect("ds");
        let (mut dq, mut dk, mut dv) =
            dqkv.multi_slice_mut((s![0, start..end, ..], s![1, ..end, ..], s![2, ..end, ..]));
        matmul(dq.view_mut(), ds, k, R::one(), Write::Accumulate);
        matmul(dk.view_mut(), ds.t(), q, R::one(), Write::Accumulate);
        matmul(dv.view_mut(), p.t(), dout, R::one(), Write::Accumulate);
    }
}

/// Splits `[b, t, nh, hs]` into `b·nh` heads `[t, hs]`.
fn heads<R: Real>(x: ArrayView4<'_, R>) -> Vec<ArrayView2<'_, R>> {
    let batches = x.permuted_axes([0, 2, 1, 3]).into_outer_iter();
    batches.flat_map(|batch| batch.into_outer_iter()).collect()
}

fn heads_mut<R: Real>(x: ArrayViewMut4<'_, R>) -> Vec<ArrayViewMut2<'_, R>> {
    let batches = x.permuted_axes([0, 2, 1, 3]).into_outer_iter_mut();
    batches.flat_map(|batch| batch.into_outer_iter_mut()).collect()
}

/// Splits `[b, t, 3, nh, hs]` into `b·nh` triples `[3, t, hs]`.
fn heads3<R: Real>(x: ArrayView5<'_, R>) -> Vec<ArrayView3<'_, R>> {
    let batches = x.permuted_axes([0, 3, 2, 1, 4]).into_outer_iter();
    batches.flat_map(|batch| batch.into_outer_iter()).collect()
}

fn heads3_mut<R: Real>(x: ArrayViewMut5<'_, R>) -> Vec<ArrayViewMut3<'_, R>> {
    let batches = x.permuted_axes([0, 3, 2, 1, 4]).into_outer_iter_mut();
    batches.flat_map(|batch| batch.into_outer_iter_mut()).collect()
}

/// Runs `work` on every head, as many at a time as there is workspace for.
fn share_out<H: Send, R: Real>(
    heads: &mut [H],
    workspace: &mut [R],
    t: usize,
    work: impl Fn(&mut H, &mut [R]) + Sync,
) {
    let size = workspace_per_worker(t);
    let workers = (workspace.len() / size).clamp(1, heads.len().max(1));
    let each = heads.len().div_ceil(workers).max(1);
    heads.par_chunks_mut(each).zip(workspace.par_chunks_mut(size)).for_each(
        |(heads, workspace)| {
            for head in heads {
                work(head, workspace);
            }
        },
    );
}
