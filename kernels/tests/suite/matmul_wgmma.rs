//! Tests of `matmul` on `wgmma`.

use crate::matmul::{Way, cases, have_the_same_bits, is_no_worse, long, tiles};
use fortifai_kernels::matmul::Rung;
use half::bf16;

/// Below, at and above steps of 16 terms, slabs of 64 and both rings, of 4 and 6; tiles of both sizes, and
/// more tiles than blocks.
const SHAPES: [[usize; 3]; 12] = [
    [1, 1, 1],
    [2, 3, 15],
    [17, 8, 16],
    [63, 65, 17],
    [127, 64, 63],
    [128, 127, 64],
    [129, 128, 65],
    [31, 129, 130],
    [64, 255, 31],
    [5, 257, 320],
    [65, 256, 97],
    [260, 131, 449],
];

#[test]
fn small_tiles_are_no_worse_than_the_textbook() {
    let [small, _] = tiles(Rung::Wgmma);
    is_no_worse::<bf16, bf16>(&cases(&SHAPES, &[8]), small);
    is_no_worse::<bf16, f32>(&cases(&SHAPES, &[8]), small);
}

#[test]
fn large_tiles_are_no_worse_than_the_textbook() {
    let [_, large] = tiles(Rung::Wgmma);
    is_no_worse::<bf16, bf16>(&cases(&SHAPES, &[8]), large);
}

#[test]
fn tiles_of_both_sizes_have_the_same_bits() {
    have_the_same_bits::<bf16>(&tiles(Rung::Wgmma), &[[150, 300, 90], [140, 3, 33]], 8);
}

#[test]
fn split_products_are_no_worse_than_the_textbook() {
    let way = Way { split: true, ..Way::of(Rung::Wgmma) };
    is_no_worse::<bf16, bf16>(&long(&[8, 16]), way);
}
