//! Tests of `matmul` on `mma.sync`.

use crate::matmul::{Way, cases, have_the_same_bits, is_no_worse, long, tiles};
use fortifai_kernels::matmul::Rung;
use half::bf16;

/// Below, at and above steps of 16 terms, slabs of 32 and the ring of four, and tiles of both sizes.
const SHAPES: [[usize; 3]; 12] = [
    [1, 1, 1],
    [3, 9, 15],
    [17, 8, 16],
    [8, 33, 17],
    [64, 64, 32],
    [65, 63, 31],
    [40, 66, 33],
    [63, 16, 96],
    [129, 5, 97],
    [20, 130, 128],
    [128, 128, 130],
    [70, 70, 200],
];

#[test]
fn small_tiles_are_no_worse_than_the_textbook() {
    let [small, _] = tiles(Rung::Mma);
    is_no_worse::<bf16, bf16>(&cases(&SHAPES, &[8]), small);
    is_no_worse::<bf16, f32>(&cases(&SHAPES, &[8]), small);
}

#[test]
fn large_tiles_are_no_worse_than_the_textbook() {
    let [_, large] = tiles(Rung::Mma);
    is_no_worse::<bf16, bf16>(&cases(&SHAPES, &[8]), large);
}

#[test]
fn tiles_of_both_sizes_have_the_same_bits() {
    have_the_same_bits::<bf16>(&tiles(Rung::Mma), &[[70, 140, 90], [140, 3, 33]], 8);
}

#[test]
fn split_products_are_no_worse_than_the_textbook() {
    let way = Way { split: true, ..Way::of(Rung::Mma) };
    is_no_worse::<bf16, bf16>(&long(&[8, 16]), way);
}
