//! The embedding.

use super::harness::*;
use fortifai::cpu::Cpu;
use fortifai::verify::operators::embedding::Embedding;

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
    finish(&record, "embedding", &["repeated", "distinct"]);
}

#[test]
fn embedding_in_f32_is_no_worse_than_twice_the_textbook() {
    let (mut budget, tier) = (Budget::default(), Cpu::<f32>::new());
    for seed in 0..36 {
        let (c, n) = (1 + seed as usize % 9, 5 + seed as usize % 29);
        budget.check(&Embedding::new(7, 5, c, n, seed), &tier, seed).unwrap();
    }
    finish_budget(&budget, "embedding");
}
