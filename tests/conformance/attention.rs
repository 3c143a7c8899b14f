//! Causal attention.

use super::harness::*;
use fortifai::cpu::Cpu;
use fortifai::tier::{AttentionShape, Tier};
use fortifai::verify::operators::attention::{Attention, BRANCHES};

/// Batches, positions, heads, head size.
const FIXED: [(usize, usize, usize, usize); 16] = [
    (1, 1, 1, 1),
    (3, 1, 2, 3),
    (2, 2, 1, 5),
    (1, 3, 3, 2),
    (1, 7, 1, 15),
    (2, 15, 2, 16),
    (1, 16, 3, 17),
    (3, 17, 1, 4),
    (1, 31, 7, 1),
    (1, 33, 2, 7),
    (1, 63, 1, 5),
    (1, 64, 2, 3),
    (2, 65, 1, 3),
    (1, 127, 1, 2),
    (1, 128, 1, 2),
    (1, 131, 1, 3),
];

#[test]
fn attention_backward_is_the_adjoint_of_the_oracle() {
    let (record, tier) = (Record::default(), Cpu::<f64>::new());
    for (seed, shape) in FIXED.into_iter().enumerate() {
        record.check(&Attention::new(shape), &tier, seed as u64).unwrap();
    }
    let shapes = (1..4usize, 1..40usize, 1..5usize, 1..20usize);
    for_all(32, (shapes, 0.1..3.0, 0..1u64 << 32), |(shape, spread, seed)| {
        record.check(&Attention { spread, ..Attention::new(shape) }, &tier, seed)
    });
    finish(&record, "attention", &BRANCHES);
}

#[test]
fn attention_in_f32_is_no_worse_than_twice_the_textbook() {
    let (mut budget, tier) = (Budget::default(), Cpu::<f32>::new());
    for seed in 0..34 {
        let size = seed as usize;
        let shape = (1 + size % 2, 1 + size % 13, 1 + size % 3, 1 + size % 5);
        budget.check(&Attention::new(shape), &tier, seed).unwrap();
    }
    budget.check(&Attention::new((1, 65, 1, 2)), &tier, 34).unwrap();
    finish_budget(&budget, "attention");
    // What is worst can be found again.
    for used in budget.used() {
        let label = &used.label;
        assert!(label.starts_with("attention b ") && label.contains(", seed "), "{label:?}");
    }
}

#[test]
fn attention_never_depends_on_later_tokens() {
    let tier = Cpu::<f64>::new();
    for t in [2, 3, 17, 63, 64, 65, 130] {
        let op = Attention::new((2, t, 2, 3));
        let c = 6;
        let mut stream = stream(t as u64);
        let qkv = op.point(&mut stream);
        let before = op.forward(&tier, &qkv).unwrap();
        for known in [1, t / 2, t - 1] {
            // The first sequence goes on differently, until its scores overflow.
            let mut other = qkv.clone();
            for (index, x) in other[known * 3 * c..t * 3 * c].iter_mut().enumerate() {
                *x = [1e300, -1e200, -7.0, 0.0][index % 4];
            }
            let after = op.forward(&tier, &other).unwrap();
            assert_eq!(after[..known * c], before[..known * c], "t {t}, known {known}: the past");
            assert_eq!(after[t * c..], before[t * c..], "t {t}, known {known}: the neighbour");
        }
    }
}

#[test]
fn attention_gradients_never_reach_later_tokens() {
    let tier = Cpu::<f64>::new();
    for t in [3, 17, 65, 130] {
        let op = Attention::new((1, t, 2, 3));
        let (c, known) = (6, t / 2);
        let mut stream = stream(t as u64);
        let (qkv, mut dout) = (op.point(&mut stream), op.cotangent(&mut stream));
        dout[known * c..].fill(0.0);
        let ran = op.run(&tier, &qkv, &dout, &vec![0.0; 3 * t * c]).unwrap();
        assert!(ran.gradient[..known * 3 * c].iter().any(|&g| g != 0.0), "t {t}");
        assert!(ran.gradient[known * 3 * c..].iter().all(|&g| g == 0.0), "t {t}");
    }
}

#[test]
fn attention_survives_extreme_scores() {
    // One key scores far above the others: its value is the output, whatever the size.
    let tier = Cpu::<f32>::new();
    let op = Attention::new((1, 3, 1, 1));
    for large in [80.0, 1e4, 1e15] {
        let qkv = [1.0, large, 5.0, 1.0, -large, 6.0, 1.0, 0.0, 7.0];
        let ran = op.run(&tier, &qkv, &[1.0; 3], &[0.0; 9]).unwrap();
        assert_eq!(ran.outputs, [5.0; 3], "{large}");
        // The value of the first key takes all three gradients.
        let dv: Vec<f64> = ran.gradient.iter().skip(2).step_by(3).copied().collect();
        assert!(dv[0] == 3.0 && dv[1].abs() <= 1e-30 && dv[2].abs() <= 1e-30, "{large}: {dv:?}");
        assert!(ran.gradient.iter().all(|g| g.is_finite()), "{large}: {:?}", ran.gradient);
    }
}

#[test]
fn every_worker_has_a_workspace_of_its_own() {
    let shape = AttentionShape { b: 2, t: 100, nh: 3, hs: 4 };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let len = pool.install(|| Cpu::<f64>::new().attention_workspace(shape));
    // Two blocks of 64 rows of scores and one number per row.
    assert_eq!(len, 3 * (2 * 64 * 100 + 64));
}
