//! Splitting the terms of a product with few tiles among several blocks.

use super::Product;
use crate::ViewMut;

/// Rows and columns of the tiles that are counted, and how many a large device works on at the same
/// time (of `wgmma`'s, of twice the size, half as many). Constants, so that the number of splits,
/// and with it the bits of a product, depends on its shape alone.
const EDGE: usize = 128;
const AT_ONCE: usize = 264;
/// Multiply-adds in the time of a byte to or from memory.
const PER_BYTE: usize = 70;
/// A share has at least this many terms.
const SHORTEST: usize = 512;
const MOST: usize = 32;

/// Numbers of scratch for [`super::run_with`] on a product of this shape: none if it is better left
/// whole. Shares of the terms are then summed by blocks of their own, and the sums added in order;
/// gradients of weights, with few entries of many terms each, gain several times.
pub fn scratch(m: usize, n: usize, k: usize) -> usize {
    match splits(m, n, k) {
        1 => 0,
        splits => splits * m * n,
    }
}

/// The number of shares that costs least: rounds of [`AT_ONCE`] tiles, each as long as a share, and
/// the sums written and read once more.
pub(super) fn splits(m: usize, n: usize, k: usize) -> usize {
    let tiles = m.div_ceil(EDGE) * n.div_ceil(EDGE);
    let cost = |splits: usize| {
        let rounds = (tiles * splits).div_ceil(AT_ONCE);
        let sums = if splits > 1 { splits * m * n * 8 * PER_BYTE } else { 0 };
        rounds * AT_ONCE * EDGE * EDGE * k.div_ceil(splits) + sums
    };
    (1..=(k / SHORTEST).clamp(1, MOST)).min_by_key(|&splits| cost(splits)).unwrap_or(1)
}

/// The part of the scratch in use.
pub(super) fn slices<'a, A>(
    scratch: &'a mut ViewMut<f32>,
    product: &Product<A>,
    splits: usize,
) -> ViewMut<'a, f32> {
    let needed = splits * product.m * product.n;
    assert!(
        scratch.len() >= needed,
        "matmul: scratch has length {}, should be {needed}",
        scratch.len()
    );
    scratch.reborrow().into_slice(0..needed)
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, scratch, splits};

    #[test]
    fn weight_gradients_fill_a_device_and_activations_stay_whole() {
        // GPT-2 124M, 65,536 rows: gradients of qkv, attproj, fc, fcproj.
        for (m, n) in [(768, 2304), (768, 768), (768, 3072), (3072, 768)] {
            let tiles = (m / 128) * (n / 128) * splits(m, n, 65536);
            let rounds = tiles.div_ceil(AT_ONCE);
            assert!(tiles * 100 >= rounds * AT_ONCE * 85, "[{m}, {n}]: {tiles} tiles");
            assert_eq!(scratch(m, n, 65536), splits(m, n, 65536) * m * n);
        }
        for (m, n, k) in [(65536, 768, 3072), (65536, 2304, 768), (50257, 768, 8192), (1, 1, 1)] {
            assert_eq!(scratch(m, n, k), 0);
        }
    }
}
