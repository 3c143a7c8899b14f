//! Residual addition and layer normalisation, fused: `residual = x + branch`,
//! `out = (residual − mean)·rstd·weight + bias`, with the biased variance over the channels.

use super::{COLUMN_PIECE, ROW_PIECE, Real, lanes, simd};
use rayon::prelude::*;

/// The number added to the variance (GPT-2).
pub const EPSILON: f64 = 1e-5;

/// `out [n, c] ← layernorm(residual [n, c])`; saves `mean [n]` and `rstd [n]`.
pub fn forward<R: Real>(
    out: &mut [R],
    mean: &mut [R],
    rstd: &mut [R],
    residual: &[R],
    weight: &[R],
    bias: &[R],
) {
    let c = weight.len();
    check(out.len(), residual.len(), mean.len(), rstd.len(), c);
    let piece = ROW_PIECE * c;
    out.par_chunks_mut(piece)
        .zip(residual.par_chunks(piece))
        .zip(mean.par_chunks_mut(ROW_PIECE).zip(rstd.par_chunks_mut(ROW_PIECE)))
        .for_each(|((out, residual), (mean, rstd))| {
            simd(
                #[inline(always)]
                || forward_rows(out, mean, rstd, residual, weight, bias),
            );
        });
}

/// `residual ← x + branch`, then as [`forward`]; all `[n, c]`.
#[allow(clippy::too_many_arguments)] // outputs, saved, inputs and parameters of one operator
pub fn residual_forward<R: Real>(
    out: &mut [R],
    residual: &mut [R],
    mean: &mut [R],
    rstd: &mut [R],
    x: &[R],
    branch: &[R],
    weight: &[R],
    bias: &[R],
) {
    let c = weight.len();
    check(out.len(), residual.len(), mean.len(), rstd.len(), c);
    assert_eq!(x.len(), branch.len(), "layernorm::residual_forward: x and branch differ in length");
    let piece = ROW_PIECE * c;
    out.par_chunks_mut(piece)
        .zip(residual.par_chunks_mut(piece))
        .zip(x.par_chunks(piece).zip(branch.par_chunks(piece)))
        .zip(mean.par_chunks_mut(ROW_PIECE).zip(rstd.par_chunks_mut(ROW_PIECE)))
        .for_each(|(((out, residual), (x, branch)), (mean, rstd))| {
            simd(
                #[inline(always)]
                || {
                    for (sum, (&x, &branch)) in residual.iter_mut().zip(x.iter().zip(branch)) {
                        *sum = x + branch;
                    }
                    forward_rows(out, mean, rstd, residual, weight, bias);
                },
            );
        });
}

/// `out [n, c] ← layernorm(residual)` again from the saved `mean` and `rstd`, bit for bit.
pub fn apply<R: Real>(
    out: &mut [R],
    mean: &[R],
    rstd: &[R],
    residual: &[R],
    weight: &[R],
    bias: &[R],
) {
    let c = weight.len();
    let piece = ROW_PIECE * c;
    out.par_chunks_mut(piece)
        .zip(residual.par_chunks(piece))
        .zip(mean.par_chunks(ROW_PIECE).zip(rstd.par_chunks(ROW_PIECE)))
        .for_each(|((out, residual), (mean, rstd))| {
            simd(
                #[inline(always)]
                || {
                    let rows = out.chunks_exact_mut(c).zip(residual.chunks_exact(c));
                    for ((out, x), (&mean, &rstd)) in rows.zip(mean.iter().zip(rstd)) {
                        normalise_row(out, x, mean, rstd, weight, bias);
                    }
                },
            );
        });
}

/// Adds to `dresidual [n, c]`, `dweight [c]`, `dbias [c]`. With `x̂ = (residual − mean)·rstd` and
/// `e = dout ∘ weight`: `dresidual += rstd·(e − mean(e) − x̂·mean(e ∘ x̂))`,
/// `dweight += Σ_rows dout ∘ x̂`, `dbias += Σ_rows dout`.
///
/// The branch of the residual sum has the same gradient as the residual itself.
#[allow(clippy::too_many_arguments)] // outputs, saved, inputs and parameters of one operator
pub fn backward<R: Real>(
    dresidual: &mut [R],
    dweight: &mut [R],
    dbias: &mut [R],
    mean: &[R],
    rstd: &[R],
    dout: &[R],
    residual: &[R],
    weight: &[R],
) {
    let c = weight.len();
    let piece = ROW_PIECE * c;
    dresidual
        .par_chunks_mut(piece)
        .zip(dout.par_chunks(piece).zip(residual.par_chunks(piece)))
        .zip(mean.par_chunks(ROW_PIECE).zip(rstd.par_chunks(ROW_PIECE)))
        .for_each(|((dresidual, (dout, residual)), (mean, rstd))| {
            simd(
                #[inline(always)]
                || {
                    let inputs = dout.chunks_exact(c).zip(residual.chunks_exact(c));
                    let rows = dresidual.chunks_exact_mut(c).zip(inputs);
                    for ((dx, (dout, x)), (&mean, &rstd)) in rows.zip(mean.iter().zip(rstd)) {
                        backward_row(dx, dout, x, mean, rstd, weight);
                    }
                },
            );
        });
    dweight
        .par_chunks_mut(COLUMN_PIECE)
        .zip(dbias.par_chunks_mut(COLUMN_PIECE))
        .enumerate()
        .for_each(|(index, (dweight, dbias))| {
            let first = index * COLUMN_PIECE;
            simd(
                #[inline(always)]
                || {
                    let rows = dout.chunks_exact(c).zip(residual.chunks_exact(c));
                    for ((dout, x), (&mean, &rstd)) in rows.zip(mean.iter().zip(rstd)) {
                        let columns = dweight.iter_mut().zip(dbias.iter_mut());
                        for ((dw, db), (&d, &x)) in
                            columns.zip(dout[first..].iter().zip(&x[first..]))
                        {
                            *dw += d * ((x - mean) * rstd);
                            *db += d;
                        }
                    }
                },
            );
        });
}

fn check(out: usize, residual: usize, mean: usize, rstd: usize, c: usize) {
    assert_eq!(out, residual, "layernorm: out and residual differ in length");
    assert_eq!(out, mean * c, "layernorm: mean must have one entry per row");
    assert_eq!(mean, rstd, "layernorm: mean and rstd differ in length");
}

#[inline(always)]
fn forward_rows<R: Real>(
    out: &mut [R],
    mean: &mut [R],
    rstd: &mut [R],
    residual: &[R],
    weight: &[R],
    bias: &[R],
) {
    let c = weight.len();
    let scale = R::one() / R::of(c as f64);
    let rows = out.chunks_exact_mut(c).zip(residual.chunks_exact(c));
    for ((out, x), (mean, rstd)) in rows.zip(mean.iter_mut().zip(rstd)) {
        *mean = lanes::sum(x) * scale;
        let variance = lanes::sum_of_squares_about(x, *mean) * scale;
        *rstd = R::one() / (variance + R::of(EPSILON)).sqrt();
        normalise_row(out, x, *mean, *rstd, weight, bias);
    }
}

#[inline(always)]
fn normalise_row<R: Real>(out: &mut [R], x: &[R], mean: R, rstd: R, weight: &[R], bias: &[R]) {
    for ((out, &x), (&w, &b)) in out.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
        *out = (x - mean) * rstd * w + b;
    }
}

#[inline(always)]
fn backward_row<R: Real>(dx: &mut [R], dout: &[R], x: &[R], mean: R, rstd: R, weight: &[R]) {
    const LANES: usize = lanes::LANES;
    let c = R::of(x.len() as f64);
    let (mut first, mut second) = ([R::zero(); LANES], [R::zero(); LANES]);
    for ((d, x), w) in dout.chunks(LANES).zip(x.chunks(LANES)).zip(weight.chunks(LANES)) {
        for (lane, ((&d, &x), &w)) in d.iter().zip(x).zip(w).enumerate() {
            let e = d * w;
            first[lane] += e;
            second[lane] += e * ((x - mean) * rstd);
        }
    }
    let mean_e = lanes::sum(&first) / c;
    let mean_ex = lanes::sum(&second) / c;
    for ((dx, &d), (&x, &w)) in dx.iter_mut().zip(dout).zip(x.iter().zip(weight)) {
        *dx += rstd * (d * w - mean_e - (x - mean) * rstd * mean_ex);
    }
}
