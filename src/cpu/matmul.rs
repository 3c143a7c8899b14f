//! The one matrix product of the CPU tier, and the only `unsafe` code in it.
//!
//! `dst ← scale·A·B` or `dst ← dst + scale·A·B` for views with any strides. The bits of a row of
//! the result depend neither on the number of threads nor on how many other rows stand beside it
//! (tested for 1 to 257 rows): the inner dimension is worked off in blocks of 512, each entry
//! being a chain of fused multiply-adds from zero over the block, and the blocks are added in order.
//! The crate takes other paths for small shapes, with sums in another order; they are avoided by
//! padding and copying. A matrix that is used again and again has a product of its own that follows
//! the same chains (`panels`).

use super::Real;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};

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
pub(crate) const BLOCK: usize = 512;

/// Length of the blocks of an inner dimension: as equal as can be, none longer than [`BLOCK`], and
/// none of one or two terms unless that is all there is.
pub(super) fn block_length(k: usize) -> usize {
    k.div_ceil(k.div_ceil(BLOCK).max(1)).max(1)
}

/// Up to this many entries the crate sums each as one dot product if both inner dimensions are
/// contiguous; such products take the row-major path instead.
const DOT_PRODUCTS: usize = 256;

/// Products with fewer multiplications than this stay on one thread.
pub(crate) const PARALLEL_FROM: usize = 1 << 18;

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
    fn an_inner_dimension_of_zero_gives_zero_or_adds_nothing() {
        let (a, b) = (Array2::<f64>::zeros((3, 0)), Array2::zeros((0, 2)));
        for (write, value) in [(Write::Overwrite, 0.0), (Write::Accumulate, 0.5)] {
            let mut dst = Array2::from_elem((3, 2), 0.5);
            matmul(dst.view_mut(), a.view(), b.view(), 1.0, write);
            assert_eq!(dst, Array2::from_elem((3, 2), value), "{write:?}");
        }
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
