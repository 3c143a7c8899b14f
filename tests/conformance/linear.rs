//! The linear layer and the matrix products without a bias.

use super::harness::*;
use fortifai::cpu::Cpu;
use fortifai::tier::{Affine, LinearShape, Span, Tier};
use fortifai::verify::operators::linear::Linear;
use fortifai_oracle::linear;

/// Rows, channels in, channels out: ones, primes, vector widths and their neighbours, and a product
/// large enough for several threads.
pub const FIXED: [(usize, usize, usize); 14] = [
    (1, 1, 1),
    (1, 17, 3),
    (2, 1, 5),
    (3, 5, 1),
    (4, 2, 2),
    (5, 15, 16),
    (7, 16, 17),
    (13, 63, 64),
    (15, 64, 65),
    (16, 65, 63),
    (17, 31, 129),
    (33, 3, 7),
    (65, 2, 31),
    (67, 61, 71),
];

#[test]
fn linear_backward_is_the_adjoint_of_the_oracle() {
    let (record, tier) = (Record::default(), Cpu::<f64>::new());
    for (seed, (n, c, oc)) in FIXED.into_iter().enumerate() {
        record.check(&Linear { n, c, oc }, &tier, seed as u64).unwrap();
    }
    let shapes = (1..40usize, 1..40usize, 1..40usize, 0..1u64 << 32);
    for_all(32, shapes, |(n, c, oc, seed)| record.check(&Linear { n, c, oc }, &tier, seed));
    finish(&record, "linear", &["few rows", "many rows", "shared out", "one thread"]);
}

#[test]
fn linear_in_f32_is_no_worse_than_twice_the_textbook() {
    let (mut budget, tier) = (Budget::default(), Cpu::<f32>::new());
    for seed in 0..36 {
        let size = seed as usize;
        let op = Linear { n: 1 + size % 7, c: 3 + size % 16, oc: 1 + size % 11 };
        budget.check(&op, &tier, seed).unwrap();
    }
    finish_budget(&budget, "linear");
}

#[test]
fn logits_are_the_product_with_the_table_packed_or_not() {
    let tier = Cpu::<f64>::new();
    for (seed, (n, c, v)) in FIXED.into_iter().enumerate() {
        let mut stream = stream(seed as u64);
        let (x, table) = (normals(&mut stream, n * c), normals(&mut stream, v * c));
        let truth: Vec<f64> =
            x.chunks_exact(c).flat_map(|x| linear::transposed(x, &table)).collect();
        let mut params = Arena::of_parameters();
        let weight = params.push(&table);
        let params = params.upload(&tier).unwrap();
        let (x, shape) = (act(&tier, &x), LinearShape { n, c, oc: v });
        let mut out = blank_wide(&tier, n * v);
        tier.logits(&mut out, &x, &params, weight, shape).unwrap();
        close(&read_wide(&tier, &out, n * v), &truth, &format!("logits {shape:?}"));

        let head = tier.pack(&params, weight, c, v, true).unwrap();
        let mut out = blank_wide(&tier, n * v);
        tier.packed_logits(&mut out, &x, &head, shape).unwrap();
        close(&read_wide(&tier, &out, n * v), &truth, &format!("packed {shape:?}"));
    }
}

#[test]
fn gathered_rows_are_copies() {
    let tier = Cpu::<f64>::new();
    for c in [1, 2, 15, 17] {
        let x = normals(&mut stream(c as u64), 9 * c);
        let rows = [8, 0, 3, 3, 5];
        let mut out = blank(&tier, rows.len() * c);
        tier.gather_rows(&mut out, &act(&tier, &x), &rows, c).unwrap();
        let truth: Vec<f64> =
            rows.iter().flat_map(|row| x[row * c..(row + 1) * c].to_vec()).collect();
        assert_eq!(read(&tier, &out, rows.len() * c), truth, "c {c}");
    }
}

fn close(got: &[f64], truth: &[f64], what: &str) {
    for (index, (got, truth)) in got.iter().zip(truth).enumerate() {
        let error = (got - truth).abs();
        assert!(error <= 1e-12 * truth.abs().max(1.0), "{what} {index}: {got} not {truth}");
    }
}

#[test]
fn a_layer_may_have_no_bias() {
    let (tier, shape) = (Cpu::<f64>::new(), LinearShape { n: 3, c: 4, oc: 5 });
    let (x, weight) = (normals(&mut stream(1), 12), normals(&mut stream(2), 20));
    let mut params = Arena::of_parameters();
    let affine = Affine { weight: params.push(&weight), bias: Span { start: 0, len: 0 } };
    let params = params.upload(&tier).unwrap();
    let mut out = blank(&tier, 15);
    tier.linear_forward(&mut out, &act(&tier, &x), &params, affine, shape).unwrap();
    let truth: Vec<f64> =
        x.chunks_exact(4).flat_map(|x| linear::forward(x, &weight, &[0.0; 5])).collect();
    close(&read(&tier, &out, 15), &truth, "linear without bias");
}
