//! The one matrix product of the CPU tier, and the only `unsafe` code in it.
//!
//! `dst ← scale·A·B` or `dst ← dst + scale·A·B` for views with any strides. The bits of a row of
//! the result depend neither on the number of threads nor on how many other rows stand beside it
//! (tested for 1 to 33 rows): the inner dimension is worked off in blocks of [`BLOCK`], each entry
//! being a chain of fused multiply-adds from zero over the block, and the blocks are added in order.
//! The crate takes other paths for small shapes, with sums in another order; they are avoided by
//! padding and copying. Few rows have a kernel of their own that follows the same chains.

use super::{Real, simd};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

/// Whether a product replaces what stands in its destination or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// `dst ← scale·A·B`.
    Overwrite,
    /// `dst ← dst + scale·A·B`.
    Accumulate,
}

/// The crate never splits an inner dimension up to this length, and sums more than two terms as a
/// chain.
const BLOCK: usize = 512;

/// Length of the blocks of an inner dimension: as equal as can be, none longer than [`BLOCK`], and
/// none of one or two terms unless that is all there is.
fn block_length(k: usize) -> usize {
    k.div_ceil(k.div_ceil(BLOCK).max(1)).max(1)
}

/// Up to this many rows have a kernel of their own.
const FEW_ROWS: usize = 16;

/// Rows of the right factor that this kernel reads at a time.
const UNROLL: usize = 8;

/// Columns of the register tile of this kernel.
const STRIP: usize = 64;

/// Most chains that run side by side in this kernel.
const MOST_SUMS: usize = 8192;

/// Up to this many entries the crate sums each as one dot product if both inner dimensions are
/// contiguous; such products take the row-major path instead.
const DOT_PRODUCTS: usize = 256;

/// Products with fewer multiplications than this stay on one thread.
const PARALLEL_FROM: usize = 1 << 18;

/// `dst [m, n] ← (dst +) scale · a [m, k] · b [k, n]`.
///
/// # Panics
/// If the shapes do not match.
pub fn matmul<R: Real>(
    mut dst: ArrayViewMut2<R>,
    a: ArrayView2<R>,
    b: ArrayView2<R>,
    scale: R,
    write: Write,
) {
    let ((m, k), n) = (a.dim(), b.ncols());
    assert_eq!(b.nrows(), k, "matmul: a is [{m}, {k}] but b has {} rows", b.nrows());
    assert_eq!(dst.dim(), (m, n), "matmul: the destination must be [{m}, {n}]");
    if k == 0 && write == Write::Overwrite {
        dst.fill(R::zero());
    }
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    // A slice of a single row has the stride zero.
    let row_major = b.strides()[1] == 1 && (k == 1 || b.strides()[0] >= n as isize);
    if m <= FEW_ROWS
        && k > 2
        && scale == R::one()
        && let (Some(a), Some(b)) = (a.as_slice(), b.as_slice())
    {
        return few_rows(dst, a, b, write);
    }
    if n == 1 {
        return one_column(dst, a, b, scale, write);
    }
    if !row_major && m.max(4) * n <= DOT_PRODUCTS {
        let b = b.as_standard_layout();
        return matmul(dst, a, b.view(), scale, write);
    }
    let fewest = if row_major { 2 } else { 4 };
    if m >= fewest {
        return product(dst, a, b, scale, write);
    }
    let mut wide_a = Array2::from_elem((fewest, k), R::zero());
    wide_a.slice_mut(s![..m, ..]).assign(&a);
    let mut wide_dst = Array2::from_elem((fewest, n), R::zero());
    if write == Write::Accumulate {
        wide_dst.slice_mut(s![..m, ..]).assign(&dst);
    }
    product(wide_dst.view_mut(), wide_a.view(), b, scale, write);
    dst.assign(&wide_dst.slice(s![..m, ..]));
}

/// Few rows against a row-major matrix, which is read once, [`UNROLL`] of its rows at a time; the
/// crate reads it in narrow strips, which memory answers slowly. Every entry is a chain of its own,
/// so the width of the pieces does not matter.
fn few_rows<R: Real>(mut dst: ArrayViewMut2<R>, a: &[R], b: &[R], write: Write) {
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

/// A single column: the same chains, one row after the other.
fn one_column<R: Real>(
    mut dst: ArrayViewMut2<R>,
    a: ArrayView2<R>,
    b: ArrayView2<R>,
    scale: R,
    write: Write,
) {
    for (dst, a) in dst.iter_mut().zip(a.rows()) {
        let mut total = if write == Write::Accumulate { *dst } else { R::zero() };
        let block = block_length(a.len());
        for start in (0..a.len()).step_by(block) {
            let chain = (start..a.len().min(start + block))
                .fold(R::zero(), |sum, l| a[l].mul_add(b[[l, 0]], sum));
            total = scale.mul_add(chain, total);
        }
        *dst = total;
    }
}

fn product<R: Real>(
    mut dst: ArrayViewMut2<R>,
    a: ArrayView2<R>,
    b: ArrayView2<R>,
    scale: R,
    write: Write,
) {
    let block = block_length(a.ncols());
    let mut write = write;
    for (a, b) in a.axis_chunks_iter(Axis(1), block).zip(b.axis_chunks_iter(Axis(0), block)) {
        block_product(dst.view_mut(), a, b, scale, write);
        write = Write::Accumulate;
    }
}

fn block_product<R: Real>(
    mut dst: ArrayViewMut2<R>,
    a: ArrayView2<R>,
    b: ArrayView2<R>,
    scale: R,
    write: Write,
) {
    let ((m, k), n) = (a.dim(), b.ncols());
    let (dst_strides, a_strides, b_strides) = (
        [dst.strides()[0], dst.strides()[1]],
        [a.strides()[0], a.strides()[1]],
        [b.strides()[0], b.strides()[1]],
    );
    let threads = rayon::current_num_threads();
    let parallelism = match threads > 1 && m * n * k >= PARALLEL_FROM {
        true => gemm::Parallelism::Rayon(threads),
        false => gemm::Parallelism::None,
    };
    // SAFETY: the pointers and strides come from live ndarray views of the asserted shapes, so every
    // address the product touches lies inside them; `dst` is borrowed mutably, hence disjoint from
    // `a` and `b`; `R` is f32 or f64, the types that gemm dispatches on.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            dst_strides[1],
            dst_strides[0],
            write == Write::Accumulate,
            a.as_ptr(),
            a_strides[1],
            a_strides[0],
            b.as_ptr(),
            b_strides[1],
            b_strides[0],
            R::one(),
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fortifai_stream::Stream;

    fn random(shape: (usize, usize), item: u64) -> Array2<f32> {
        let mut stream = Stream::new(1, "matmul-test", 0, item);
        Array2::from_shape_fn(shape, |_| stream.normal() as f32)
    }

    /// Rows of a product alone, in company of few, and in company of 300.
    fn check_company<R: Real>() {
        let cast = |x: Array2<f32>| x.mapv(|x| R::of(f64::from(x)));
        for (n, k) in [
            (1, 40),
            (2, 3),
            (4, 4),
            (7, 5),
            (9, 1),
            (9, 2),
            (9, 3),
            (16, 64),
            (33, 700),
            (61, 1537),
            (64, 513),
            (65, 512),
            (96, 32),
            (130, 1100),
        ] {
            let (a, b) = (cast(random((300, k), 1)), cast(random((k, n), 2)));
            let (at, bt) =
                (a.t().as_standard_layout().to_owned(), b.t().as_standard_layout().to_owned());
            for (left, right) in
                [(a.view(), b.view()), (a.view(), bt.t()), (at.t(), b.view()), (at.t(), bt.t())]
            {
                let mut whole = Array2::from_elem((300, n), R::NAN);
                matmul(whole.view_mut(), left, right, R::one(), Write::Overwrite);
                for m in (1..=66).chain([127, 128, 129, 256, 257]) {
                    let mut part = Array2::from_elem((m, n), R::NAN);
                    let rows = left.slice(s![..m, ..]);
                    matmul(part.view_mut(), rows, right, R::one(), Write::Overwrite);
                    assert_eq!(
                        part,
                        whole.slice(s![..m, ..]),
                        "{m} rows, n {n}, k {k}, strides {:?} and {:?}",
                        left.strides(),
                        right.strides()
                    );
                }
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_in_every_company() {
        check_company::<f32>();
        check_company::<f64>();
    }

    #[test]
    fn a_slice_of_one_row_is_row_major() {
        let (a, b) = (random((3, 1), 5), random((4, 6), 6));
        let mut dst = Array2::from_elem((3, 6), f32::NAN);
        matmul(dst.view_mut(), a.view(), b.slice(s![2..3, ..]), 1.0, Write::Overwrite);
        assert!(dst.indexed_iter().all(|((i, j), &value)| value == a[[i, 0]] * b[[2, j]]));
    }

    #[test]
    fn agrees_with_the_definition_and_accumulates() {
        for (m, n, k) in [(1, 1, 1), (1, 9, 4), (3, 2, 5), (5, 1, 7), (17, 31, 13), (3, 20, 1100)] {
            let (a, b) = (random((m, k), 3).mapv(f64::from), random((k, n), 4).mapv(f64::from));
            let mut dst = Array2::from_elem((m, n), 0.5);
            matmul(dst.view_mut(), a.view(), b.view(), -2.0, Write::Accumulate);
            for ((i, j), &value) in dst.indexed_iter() {
                let sum: f64 = (0..k).map(|l| a[[i, l]] * b[[l, j]]).sum();
                assert!((value - (0.5 - 2.0 * sum)).abs() <= 1e-13 * (1.0 + k as f64));
            }
        }
    }
}
