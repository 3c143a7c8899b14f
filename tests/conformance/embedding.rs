//! The embedding.

use super::harness::*;
use fortifai::Stream;
use fortifai::cpu::Cpu;
use fortifai::tier::Tier;
use fortifai_oracle::{Scalar, embedding};

#[derive(Debug)]
pub struct Embedding {
    v: usize,
    context: usize,
    c: usize,
    tokens: Vec<u32>,
    positions: Vec<u32>,
}

impl Embedding {
    pub fn new(v: usize, context: usize, c: usize, n: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, "conformance-tokens", 0, 0);
        let tokens = (0..n).map(|_| stream.below(v) as u32).collect();
        let positions = (0..n).map(|_| stream.below(context) as u32).collect();
        Self { v, context, c, tokens, positions }
    }
}

impl Operator for Embedding {
    fn label(&self) -> String {
        let Self { v, context, c, tokens, .. } = self;
        format!("embedding v {v} context {context} c {c} n {}", tokens.len())
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("wte", self.v * self.c), ("wpe", self.context * self.c)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("out", self.tokens.len() * self.c)]
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let (wte, wpe) = point.split_at(self.v * self.c);
        let row = |(&token, &position): (&u32, &u32)| {
            embedding::forward(token as usize, position as usize, wte, wpe, self.c)
        };
        self.tokens.iter().zip(&self.positions).flat_map(row).collect()
    }
    fn run<T: Tier>(&self, tier: &T, point: &[f64], cotangent: &[f64], start: &[f64]) -> Ran {
        let Self { v, context, c, tokens, positions } = self;
        let lens = [v * c, context * c];
        let mut params = Arena::of_parameters();
        let [wte, wpe] = parts(point, lens).map(|tensor| params.push(tensor));
        let params = params.upload(tier);
        let mut out = blank(tier, cotangent.len());
        tier.embedding_forward(&mut out, tokens, positions, &params, wte, wpe, *c).unwrap();
        let mut arena = Arena::of_gradients();
        for tensor in parts(start, lens) {
            arena.push(tensor);
        }
        let mut gradients = arena.upload(tier);
        let dout = act(tier, cotangent);
        tier.embedding_backward(&mut gradients, &dout, tokens, positions, wte, wpe, *c).unwrap();
        Ran {
            outputs: read(tier, &out, cotangent.len()),
            gradient: minus(&arena.read(tier, &gradients), start),
        }
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        let mut tokens = self.tokens.clone();
        tokens.sort_unstable();
        tokens.dedup();
        vec![if tokens.len() < self.tokens.len() { "repeated" } else { "distinct" }]
    }
}

const FIXED: [(usize, usize, usize, usize); 8] = [
    (1, 1, 1, 1),
    (2, 1, 3, 2),
    (5, 7, 15, 31),
    (40, 3, 16, 32),
    (40, 3, 17, 33),
    (3, 3, 1, 65),
    (101, 64, 2, 13),
    (11, 11, 37, 63),
];

#[test]
fn embedding_backward_is_the_adjoint_of_the_oracle() {
    let (record, tier) = (Record::default(), Cpu::<f64>::new());
    for (seed, (v, context, c, n)) in FIXED.into_iter().enumerate() {
        let seed = seed as u64;
        record.check(&Embedding::new(v, context, c, n, seed), &tier, seed).unwrap();
    }
    let shapes = (1..30usize, 1..20usize, 1..35usize, 1..70usize, 0..1u64 << 32);
    for_all(32, shapes, |(v, context, c, n, seed)| {
        record.check(&Embedding::new(v, context, c, n, seed), &tier, seed)
    });
    record.finish("embedding", &["repeated", "distinct"]);
}

#[test]
fn embedding_in_f32_is_no_worse_than_twice_the_textbook() {
    let (mut budget, tier) = (Budget::default(), Cpu::<f32>::new());
    for seed in 0..36 {
        let (c, n) = (1 + seed as usize % 9, 5 + seed as usize % 29);
        budget.check(&Embedding::new(7, 5, c, n, seed), &tier, seed);
    }
    budget.finish("embedding");
}
