//! Linear layer: `out = x W + b`, `W` stored `[c, oc]` (the layout of Hugging Face's Conv1D).

use super::matmul::{Write, matmul};
use super::{COLUMN_PIECE, Real, simd};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};
use rayon::prelude::*;

/// `out [n, oc] ← x [n, c] · weight [c, oc] + bias [oc]`.
pub fn forward<R: Real>(
    mut out: ArrayViewMut2<R>,
    x: ArrayView2<R>,
    weight: ArrayView2<R>,
    bias: Option<ArrayView1<R>>,
) {
    match bias {
        None => matmul(out, x, weight, R::one(), Write::Overwrite),
        Some(bias) => {
            for mut row in out.rows_mut() {
                row.assign(&bias);
            }
            matmul(out, x, weight, R::one(), Write::Accumulate);
        }
    }
}

/// Overwrites `dx [n, c]`, adds to `dweight [c, oc]` and `dbias [oc]`:
/// `dx ← dout Wᵀ`, `dW += xᵀ dout`, `db += Σ_rows dout`.
pub fn backward<R: Real>(
    dx: ArrayViewMut2<R>,
    dweight: ArrayViewMut2<R>,
    dbias: Option<ArrayViewMut1<R>>,
    dout: ArrayView2<R>,
    x: ArrayView2<R>,
    weight: ArrayView2<R>,
) {
    matmul(dx, dout, weight.t(), R::one(), Write::Overwrite);
    backward_parameters(dweight, dbias, dout, x);
}

/// The part of [`backward`] that concerns the parameters.
pub fn backward_parameters<R: Real>(
    dweight: ArrayViewMut2<R>,
    dbias: Option<ArrayViewMut1<R>>,
    dout: ArrayView2<R>,
    x: ArrayView2<R>,
) {
    matmul(dweight, x.t(), dout, R::one(), Write::Accumulate);
    if let Some(dbias) = dbias {
        add_column_sums(dbias, dout);
    }
}

/// `sums_j += Σ_i rows_ij`, every column summed from the first row to the last.
pub(super) fn add_column_sums<R: Real>(mut sums: ArrayViewMut1<R>, rows: ArrayView2<R>) {
    let width = rows.ncols();
    let rows = rows.as_slice().expect("linear::backward: dout must be contiguous");
    let sums = sums.as_slice_mut().expect("linear::backward: dbias must be contiguous");
    sums.par_chunks_mut(COLUMN_PIECE).enumerate().for_each(|(piece, sums)| {
        let first = piece * COLUMN_PIECE;
        simd(
            #[inline(always)]
            || {
                for row in rows.chunks_exact(width) {
                    for (sum, &value) in sums.iter_mut().zip(&row[first..]) {
                        *sum += value;
                    }
                }
            },
        );
    });
}
