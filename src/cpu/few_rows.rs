//! The product of few rows with a row-major matrix: what generation consists of.
//!
//! Departure from the one product that serves all: the matrix is read once and in order, since
//! memory is what limits such a product; the crate reads it in narrow strips. Each entry follows
//! the same chain of fused multiply-adds as there, so the bits are the same.

use super::matmul::{PARALLEL_FROM, Write, block_length};
use super::{Real, simd};
use ndarray::{ArrayViewMut2, Axis};
use rayon::prelude::*;

/// Up to this many rows have a kernel of their own.
pub(super) const MOST_ROWS: usize = 16;

/// Rows of the right factor that this kernel reads at a time.
const UNROLL: usize = 8;

/// Columns of the register tile of this kernel.
const STRIP: usize = 32;

/// Most chains that run side by side in this kernel.
const MOST_SUMS: usize = 3072;

/// Few rows against a row-major matrix, which is read once, [`UNROLL`] of its rows at a time; the
/// crate reads it in narrow strips, which memory answers slowly. Every entry is a chain of its own,
/// so the width of the pieces does not matter.
pub(super) fn product<R: Real>(mut dst: ArrayViewMut2<R>, a: &[R], b: &[R], write: Write) {
    let (m, n) = dst.dim();
    let k = a.len() / m;
    let block = block_length(k);
    let threads = rayon::current_num_threads();
    let shared = threads > 1 && m * n * k >= PARALLEL_FROM;
    let width = if shared { n.div_ceil(threads).next_multiple_of(64) } else { n };
    let width = width.min(MOST_SUMS / m);
    let piece = |(index, mut dst): (usize, ArrayViewMut2<R>)| {
        let columns = index * width..index * width + dst.ncols();
        let mut sums = [R::zero(); MOST_SUMS];
        let sums = &mut sums[..m * dst.ncols()];
        simd(
            #[inline(always)]
            || {
                if write == Write::Overwrite {
                    dst.fill(R::zero());
                }
                for start in (0..k).step_by(block) {
                    let end = k.min(start + block);
                    sums.fill(R::zero());
                    for first in (start..end).step_by(UNROLL) {
                        let depth = first..end.min(first + UNROLL);
                        let b = &b[depth.start * n..depth.end * n];
                        extend_all(sums, a, b, k, n, depth, columns.clone());
                    }
                    for (mut dst, sums) in
                        dst.rows_mut().into_iter().zip(sums.chunks_exact(columns.len()))
                    {
                        for (dst, &sum) in dst.iter_mut().zip(sums) {
                            *dst += sum;
                        }
                    }
                }
            },
        )
    };
    let pieces = dst.axis_chunks_iter_mut(Axis(1), width);
    if shared {
        pieces.enumerate().collect::<Vec<_>>().into_par_iter().for_each(piece);
    } else {
        pieces.enumerate().for_each(piece);
    }
}

/// Continues the chains of all rows by the terms of `depth`: four rows at a time, so that a number
/// read from `b` serves four of them.
#[inline(always)]
fn extend_all<R: Real>(
    sums: &mut [R],
    a: &[R],
    b: &[R],
    k: usize,
    n: usize,
    depth: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
) {
    let width = columns.len();
    let fours = sums.chunks_mut(4 * width).zip(a.chunks(4 * k));
    for (sums, a) in fours {
        if depth.len() == UNROLL && a.len() == 4 * k {
            let a: [[R; UNROLL]; 4] =
                std::array::from_fn(|i| std::array::from_fn(|l| a[i * k + depth.start + l]));
            let whole = width - width % STRIP;
            for strip in (0..whole).step_by(STRIP) {
                extend_tile(sums, width, strip, &a, b, n, columns.start);
            }
            for j in whole..width {
                for (i, a) in a.iter().enumerate() {
                    let sum = &mut sums[i * width + j];
                    *sum = (0..UNROLL)
                        .fold(*sum, |sum, l| a[l].mul_add(b[l * n + columns.start + j], sum));
                }
            }
        } else {
            for (sums, a) in sums.chunks_exact_mut(width).zip(a.chunks_exact(k)) {
                extend_chains(sums, &a[depth.clone()], b, n, columns.clone());
            }
        }
    }
}

/// Four rows by one strip of columns, held in registers.
#[inline(always)]
fn extend_tile<R: Real>(
    sums: &mut [R],
    width: usize,
    strip: usize,
    a: &[[R; UNROLL]; 4],
    b: &[R],
    n: usize,
    first_column: usize,
) {
    let mut tile: [[R; STRIP]; 4] = std::array::from_fn(|i| {
        let row = &sums[i * width + strip..];
        *row.first_chunk().expect("the strip lies inside the row")
    });
    for l in 0..UNROLL {
        let row = &b[l * n + first_column + strip..];
        let row: &[R; STRIP] = row.first_chunk().expect("the strip lies inside the matrix");
        for i in 0..4 {
            for j in 0..STRIP {
                tile[i][j] = a[i][l].mul_add(row[j], tile[i][j]);
            }
        }
    }
    for (i, tile) in tile.iter().enumerate() {
        sums[i * width + strip..][..STRIP].copy_from_slice(tile);
    }
}

/// `sums_j ← a_7 b_7j + (… + (a_0 b_0j + sums_j))`, or fewer than eight terms.
#[inline(always)]
fn extend_chains<R: Real>(
    sums: &mut [R],
    a: &[R],
    b: &[R],
    n: usize,
    columns: std::ops::Range<usize>,
) {
    let Ok(a) = <&[R; UNROLL]>::try_from(a) else {
        for (&a, row) in a.iter().zip(b.chunks_exact(n)) {
            for (sum, &b) in sums.iter_mut().zip(&row[columns.clone()]) {
                *sum = a.mul_add(b, *sum);
            }
        }
        return;
    };
    let width = columns.len();
    let rows: [&[R]; UNROLL] =
        std::array::from_fn(|index| &b[index * n..(index + 1) * n][columns.clone()][..width]);
    for (j, sum) in sums[..width].iter_mut().enumerate() {
        let mut chain = *sum;
        for (&a, row) in a.iter().zip(&rows) {
            chain = a.mul_add(row[j], chain);
        }
        *sum = chain;
    }
}
