//! The linear layer and the matrix products without a bias.

use super::harness::*;
use fortifai::cpu::Cpu;
use fortifai::tier::{Affine, LinearShape, Span, Tier};
use fortifai_oracle::{Scalar, linear};

#[derive(Debug)]
pub struct Linear {
    pub n: usize,
    pub c: usize,
    pub oc: usize,
}

impl Linear {
    fn lens(&self) -> [usize; 3] {
        [self.n * self.c, self.c * self.oc, self.oc]
    }
}

impl Operator for Linear {
    fn label(&self) -> String {
        format!("linear n {} c {} oc {}", self.n, self.c, self.oc)
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        ["x", "weight", "bias"].into_iter().zip(self.lens()).collect()
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("out", self.n * self.oc)]
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let [x, weight, bias] = parts(point, self.lens());
        x.chunks_exact(self.c).flat_map(|x| linear::forward(x, weight, bias)).collect()
    }
    fn run<T: Tier>(&self, tier: &T, point: &[f64], cotangent: &[f64], start: &[f64]) -> Ran {
        let shape = LinearShape { n: self.n, c: self.c, oc: self.oc };
        let [x, weight, bias] = parts(point, self.lens());
        let mut params = Arena::of_parameters();
        let affine = Affine { weight: params.push(weight), bias: params.push(bias) };
        let params = params.upload(tier);
        let x = act(tier, x);
        let mut out = blank(tier, cotangent.len());
        tier.linear_forward(&mut out, &x, &params, affine, shape).unwrap();
        let [dx, dweight, dbias] = parts(start, self.lens());
        let len = dx.len();
        let mut dx = gradient_act(tier, dx);
        let mut arena = Arena::of_gradients();
        arena.push(dweight);
        arena.push(dbias);
        let mut gradients = arena.upload(tier);
        let dout = act(tier, cotangent);
        tier.linear_backward(&mut dx, &mut gradients, &dout, &x, &params, affine, shape).unwrap();
        let gradient = [read(tier, &dx, len), arena.read(tier, &gradients)].concat();
        Ran { outputs: read(tier, &out, cotangent.len()), gradient: minus(&gradient, start) }
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        let rows = if self.n < 4 { "few rows" } else { "many rows" };
        let big = if self.n * self.c * self.oc >= 1 << 18 { "shared out" } else { "one thread" };
        vec![rows, big]
    }
}

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
    record.finish("linear", &["few rows", "many rows", "shared out", "one thread"]);
}

#[test]
fn linear_in_f32_is_no_worse_than_twice_the_textbook() {
    let (mut budget, tier) = (Budget::default(), Cpu::<f32>::new());
    for seed in 0..36 {
        let size = seed as usize;
        let op = Linear { n: 1 + size % 7, c: 3 + size % 16, oc: 1 + size % 11 };
        budget.check(&op, &tier, seed);
    }
    budget.finish("linear");
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
        let params = params.upload(&tier);
        let (x, shape) = (act(&tier, &x), LinearShape { n, c, oc: v });
        let mut out = blank(&tier, n * v);
        tier.logits(&mut out, &x, &params, weight, shape).unwrap();
        close(&read(&tier, &out, n * v), &truth, &format!("logits {shape:?}"));

        let head = tier.pack(&params, weight, c, v, true).unwrap();
        let none = Span { start: 0, len: 0 };
        let mut out = blank(&tier, n * v);
        tier.packed_linear_forward(&mut out, &x, &head, &params, none, shape).unwrap();
        close(&read(&tier, &out, n * v), &truth, &format!("packed {shape:?}"));
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
