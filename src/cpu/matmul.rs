//! The one matrix product of the CPU tier, and the only `unsafe` code in it.
//!
//! `dst ← scale·A·B` or `dst ← dst + scale·A·B` for views with any strides. The bits of a row of
//! the result depend neither on the number of threads nor on how many other rows stand beside it.
//! The crate takes other paths for small shapes, with sums in another order; they are avoided:
//!
//! 1. one row or one column (a matrix-vector product): padded to two;
//! 2. rows of `A` against columns of `B`, both contiguous, for at most 256 results: `A` is copied
//!    into columns;
//! 3. depth in pieces of 512 up to 64 × 64 results, in pieces that fit the cache beyond: where the
//!    number of rows decides, the depth is cut into pieces here.

use super::Real;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, ShapeBuilder, s};

/// Whether a product replaces what stands in its destination or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// `dst ← scale·A·B`.
    Overwrite,
    /// `dst ← dst + scale·A·B`.
    Accumulate,
}

/// Products with fewer multiplications than this stay on one thread.
const PARALLEL_FROM: usize = 1 << 18;

/// Up to this many results the crate sums a row of `A` against a column of `B` in SIMD lanes.
const LANES_UP_TO: usize = 256;

/// Up to this many rows and columns the crate cuts the depth into pieces of [`DEPTH_PIECE`].
const PIECES_UP_TO: usize = 64;

/// The depth that the crate never cuts, whatever the shape.
const DEPTH_PIECE: usize = 512;

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
    if m == 0 || n == 0 {
        return;
    }
    if m == 1 || n == 1 {
        let (wide_m, wide_n) = (m.max(2), n.max(2));
        let mut wide_a = Array2::from_elem((wide_m, k), R::zero());
        wide_a.slice_mut(s![..m, ..]).assign(&a);
        let mut wide_dst = Array2::from_elem((wide_m, wide_n), R::zero());
        if write == Write::Accumulate {
            wide_dst.slice_mut(s![..m, ..n]).assign(&dst);
        }
        if n == 1 {
            let mut wide_b = Array2::from_elem((k, wide_n), R::zero());
            wide_b.slice_mut(s![.., ..n]).assign(&b);
            in_pieces(wide_dst.view_mut(), wide_a.view(), wide_b.view(), scale, write);
        } else {
            in_pieces(wide_dst.view_mut(), wide_a.view(), b, scale, write);
        }
        dst.assign(&wide_dst.slice(s![..m, ..n]));
        return;
    }
    in_pieces(dst, a, b, scale, write);
}

/// At least two rows and two columns.
fn in_pieces<R: Real>(
    mut dst: ArrayViewMut2<R>,
    a: ArrayView2<R>,
    b: ArrayView2<R>,
    scale: R,
    mut write: Write,
) {
    let ((m, k), n) = (a.dim(), b.ncols());
    if m * n <= LANES_UP_TO && a.strides()[1] == 1 && b.strides()[0] == 1 {
        let mut columns = Array2::from_elem((m, k).f(), R::zero());
        columns.assign(&a);
        return in_pieces(dst, columns.view(), b, scale, write);
    }
    if n > PIECES_UP_TO || k <= DEPTH_PIECE {
        return product(dst, a, b, scale, write);
    }
    for (a, b) in
        a.axis_chunks_iter(Axis(1), DEPTH_PIECE).zip(b.axis_chunks_iter(Axis(0), DEPTH_PIECE))
    {
        product(dst.view_mut(), a, b, scale, write);
        write = Write::Accumulate;
    }
}

fn product<R: Real>(
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
