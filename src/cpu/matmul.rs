//! The one matrix product of the CPU tier, and the only `unsafe` code in it.
//!
//! `dst ← scale·A·B` or `dst ← dst + scale·A·B` for views with any strides. The bits of a row of
//! the result depend neither on the number of threads nor on how many other rows stand beside it:
//! the crate takes another path below four rows, so those are padded (tested for 1 to 33 rows).

use super::Real;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};

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
    let row_major = b.strides()[1] == 1;
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

    #[test]
    fn a_row_has_the_same_bits_in_every_company() {
        for (n, k) in [(96, 32), (384, 384), (130, 1537), (61, 3072), (7, 5), (1, 40)] {
            let (a, b) = (random((64, k), 1), random((k, n), 2));
            let bt = b.t().as_standard_layout().to_owned();
            for right in [b.view(), bt.t()] {
                let mut whole = Array2::from_elem((64, n), f32::NAN);
                matmul(whole.view_mut(), a.view(), right, 1.0, Write::Overwrite);
                for m in 1..=33 {
                    let mut part = Array2::from_elem((m, n), f32::NAN);
                    let rows = a.slice(s![..m, ..]);
                    matmul(part.view_mut(), rows, right, 1.0, Write::Overwrite);
                    assert_eq!(part, whole.slice(s![..m, ..]), "{m} rows, n {n}, k {k}");
                }
            }
        }
    }

    #[test]
    fn agrees_with_the_definition_and_accumulates() {
        for (m, n, k) in [(1, 1, 1), (1, 9, 4), (3, 2, 5), (17, 31, 13)] {
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
