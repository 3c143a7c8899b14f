//! The product with a matrix that is used again and again: what generation consists of.
//!
//! Departure from the one product that serves all: the matrix is stored as panels of a few columns,
//! so that a tile of sums in registers reads it once, in the order in which it lies in memory; with
//! few rows memory is the limit. Each entry follows the same chains of fused multiply-adds as there,
//! hence has the same bits (but for an inner dimension of two, which the crate does not chain).

use super::Real;
use super::matmul::{PARALLEL_FROM, block_length};
use super::vectors::{Job, Vectors};
use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use pulp::Simd;
use rayon::prelude::*;

/// Most rows of a register tile.
const TILE: usize = 6;

/// Rows that pass over a panel together.
const ROWS: usize = 16;

/// No block of the inner dimension is longer.
const DEPTH: usize = 512;

/// Most columns of a panel: four vectors of the widest kind.
const WIDEST: usize = 64;

/// A matrix `[c, oc]` as panels of equal width, each `[c, width]`, the last one filled with zeros.
#[derive(Clone, Debug)]
pub struct Panels<R> {
    data: Vec<R>,
    c: usize,
    oc: usize,
    width: usize,
}

impl<R: Real> Panels<R> {
    /// The same matrix as panels.
    pub fn new(weight: ArrayView2<R>) -> Self {
        let (c, oc) = weight.dim();
        let width = R::with_simd(Width);
        let mut data = vec![R::zero(); oc.div_ceil(width) * width * c];
        for (panel, columns) in
            data.chunks_exact_mut(c * width).zip(weight.axis_chunks_iter(Axis(1), width))
        {
            for (row, columns) in panel.chunks_exact_mut(width).zip(columns.rows()) {
                for (to, &from) in row.iter_mut().zip(columns) {
                    *to = from;
                }
            }
        }
        Self { data, c, oc, width }
    }
}

/// `out [n, oc] ← x [n, c] · weight + bias`.
///
/// # Panics
/// If the shapes do not match.
pub fn forward<R: Real>(
    mut out: ArrayViewMut2<R>,
    x: &[R],
    weight: &Panels<R>,
    bias: Option<&[R]>,
) {
    let (n, oc) = out.dim();
    assert_eq!((oc, x.len()), (weight.oc, n * weight.c), "panels::forward: shapes");
    let threads = rayon::current_num_threads();
    let shared = threads > 1 && n * weight.c * oc >= PARALLEL_FROM;
    let panels = oc.div_ceil(weight.width);
    let each = if shared { panels.div_ceil(threads) } else { panels };
    let piece = |(index, out): (usize, ArrayViewMut2<R>)| {
        let first = index * each;
        let bias = bias.map(|bias| &bias[first * weight.width..]);
        R::with_simd(Piece { out, x, weight, bias, first });
    };
    let pieces = out.axis_chunks_iter_mut(Axis(1), each.max(1) * weight.width);
    if shared {
        pieces.enumerate().collect::<Vec<_>>().into_par_iter().for_each(piece);
    } else {
        pieces.enumerate().for_each(piece);
    }
}

/// The columns of a panel: four vectors, or two where there are only sixteen registers.
struct Width;

impl<R> Job<R> for Width {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize
    where
        R: Vectors<S>,
    {
        vectors_per_panel::<S>() * R::LANES
    }
}

#[inline(always)]
fn vectors_per_panel<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Some panels, from the `first` on, and their columns of the result.
struct Piece<'a, R> {
    out: ArrayViewMut2<'a, R>,
    x: &'a [R],
    weight: &'a Panels<R>,
    bias: Option<&'a [R]>,
    first: usize,
}

impl<R: Real> Job<R> for Piece<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S)
    where
        R: Vectors<S>,
    {
        match vectors_per_panel::<S>() {
            4 => self.multiply::<S, 4>(simd),
            _ => self.multiply::<S, 2>(simd),
        }
    }
}

impl<R: Real> Piece<'_, R> {
    /// Blocks of the inner dimension outside, panels inside, so that a panel serves all rows while
    /// it is in the cache.
    #[inline(always)]
    fn multiply<S: Simd, const NV: usize>(mut self, simd: S)
    where
        R: Vectors<S>,
    {
        let Panels { ref data, c, width, .. } = *self.weight;
        let panels = &data[self.first * c * width..];
        for mut row in self.out.rows_mut() {
            match self.bias {
                Some(bias) => row.iter_mut().zip(bias).for_each(|(to, &from)| *to = from),
                None => row.fill(R::zero()),
            }
        }
        if c == 0 {
            return;
        }
        let block = block_length(c);
        let mut packed = [R::zero(); ROWS * DEPTH];
        for (mut out, x) in
            self.out.axis_chunks_iter_mut(Axis(0), ROWS).zip(self.x.chunks(ROWS * c))
        {
            let rows = x.len() / c;
            let tile = rows.div_ceil(rows.div_ceil(TILE));
            for start in (0..c).step_by(block) {
                let depth = start..c.min(start + block);
                let packed = &mut packed[..rows * depth.len()];
                pack(packed, x, c, tile, depth.clone());
                for (mut out, panel) in
                    out.axis_chunks_iter_mut(Axis(1), width).zip(panels.chunks_exact(c * width))
                {
                    let panel = &panel[depth.start * width..depth.end * width];
                    for (out, x) in out
                        .axis_chunks_iter_mut(Axis(0), tile)
                        .zip(packed.chunks(tile * depth.len()))
                    {
                        match out.nrows() {
                            1 => add_tile::<S, R, 1, NV>(simd, out, x, panel),
                            2 => add_tile::<S, R, 2, NV>(simd, out, x, panel),
                            3 => add_tile::<S, R, 3, NV>(simd, out, x, panel),
                            4 => add_tile::<S, R, 4, NV>(simd, out, x, panel),
                            5 => add_tile::<S, R, 5, NV>(simd, out, x, panel),
                            _ => add_tile::<S, R, TILE, NV>(simd, out, x, panel),
                        }
                    }
                }
            }
        }
    }
}

/// Groups of `tile` rows, each laid out `[depth, rows of the group]`.
#[inline(always)]
fn pack<R: Real>(packed: &mut [R], x: &[R], c: usize, tile: usize, depth: std::ops::Range<usize>) {
    for (packed, x) in packed.chunks_mut(tile * depth.len()).zip(x.chunks(tile * c)) {
        let rows = x.len() / c;
        for (i, row) in x.chunks_exact(c).enumerate() {
            for (to, &from) in packed[i..].iter_mut().step_by(rows).zip(&row[depth.clone()]) {
                *to = from;
            }
        }
    }
}

/// `out [M, ≤ width] += x panel`, the sums in registers: chains from zero over the block.
#[inline(always)]
fn add_tile<S: Simd, R: Vectors<S>, const M: usize, const NV: usize>(
    simd: S,
    mut out: ArrayViewMut2<R>,
    x: &[R],
    panel: &[R],
) {
    let mut tile = [[R::splat(simd, R::zero()); NV]; M];
    for (x, row) in x.chunks_exact(M).zip(panel.chunks_exact(NV * R::LANES)) {
        // Lengths known to the compiler, so that it unrolls the loops and keeps the tile in registers.
        let x: &[R; M] = x.try_into().expect("a chunk of M");
        let row: &[R::Vector; NV] = R::vectors(row).try_into().expect("NV vectors");
        for i in 0..M {
            let x = R::splat(simd, x[i]);
            for v in 0..NV {
                tile[i][v] = R::fused(simd, x, row[v], tile[i][v]);
            }
        }
    }
    for (mut out, tile) in out.rows_mut().into_iter().zip(&tile) {
        let mut sums = [R::zero(); WIDEST];
        R::vectors_mut(&mut sums)[..NV].copy_from_slice(tile);
        for (out, &sum) in out.iter_mut().zip(&sums) {
            *out += sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::matmul::{Write, matmul};
    use fortifai_stream::Stream;
    use ndarray::Array2;

    fn check<R: Real>() {
        for (c, oc) in
            [(1, 1), (4, 3), (3, 64), (5, 65), (64, 192), (384, 40), (700, 33), (1537, 61)]
        {
            let mut stream = Stream::new(1, "panels-test", c as u64, oc as u64);
            let mut random =
                |m, n| Array2::from_shape_fn((m, n), |_| R::of(f64::from(stream.normal() as f32)));
            let (x, weight, bias) = (random(37, c), random(c, oc), random(1, oc));
            let panels = Panels::new(weight.view());
            for n in (1..=18).chain([31, 32, 33, 37]) {
                let x = x.slice(ndarray::s![..n, ..]);
                let mut truth = Array2::from_shape_fn((n, oc), |(_, j)| bias[[0, j]]);
                matmul(truth.view_mut(), x, weight.view(), R::one(), Write::Accumulate);
                let mut out = Array2::from_elem((n, oc), R::NAN);
                let rows = x.as_slice().expect("contiguous");
                forward(out.view_mut(), rows, &panels, bias.as_slice());
                assert_eq!(out, truth, "{n} rows, [{c}, {oc}]");
                matmul(truth.view_mut(), x, weight.view(), R::one(), Write::Overwrite);
                out.fill(R::NAN);
                forward(out.view_mut(), rows, &panels, None);
                assert_eq!(out, truth, "{n} rows, [{c}, {oc}], no bias");
            }
        }
    }

    #[test]
    fn have_the_bits_of_the_general_product() {
        check::<f32>();
        check::<f64>();
    }
}
