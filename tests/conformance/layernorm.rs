//! Layer normalisation, alone and with the residual sum in front.

use super::harness::*;
use fortifai::cpu::{Cpu, layernorm};
use fortifai::verify::operators::layernorm::{BRANCHES, Layernorm, ResidualLayernorm};

const FIXED: [(usize, usize); 15] = [
    (1, 1),
    (1, 2),
    (2, 1),
    (3, 3),
    (2, 7),
    (5, 15),
    (7, 16),
    (2, 17),
    (31, 31),
    (32, 32),
    (33, 33),
    (65, 2),
    (3, 63),
    (64, 64),
    (35, 131),
];

#[test]
fn layernorm_backward_is_the_adjoint_of_the_oracle() {
    let (alone, fused, tier) = (Record::default(), Record::default(), Cpu::<f64>::new());
    for (seed, (n, c)) in FIXED.into_iter().enumerate() {
        alone.check(&Layernorm { n, c }, &tier, seed as u64).unwrap();
        fused.check(&ResidualLayernorm { n, c }, &tier, seed as u64).unwrap();
    }
    for_all(32, (1..70usize, 1..140usize, 0..1u64 << 32), |(n, c, seed)| {
        alone.check(&Layernorm { n, c }, &tier, seed)?;
        fused.check(&ResidualLayernorm { n, c }, &tier, seed)
    });
    finish(&alone, "layernorm", &BRANCHES);
    finish(&fused, "residual_layernorm", &BRANCHES);
}

#[test]
fn layernorm_in_f32_is_no_worse_than_twice_the_textbook() {
    let (mut alone, mut fused) = (Budget::default(), Budget::default());
    let tier = Cpu::<f32>::new();
    for seed in 0..36 {
        let (n, c) = (1 + seed as usize % 5, 5 + seed as usize);
        alone.check(&Layernorm { n, c }, &tier, seed).unwrap();
        fused.check(&ResidualLayernorm { n, c }, &tier, seed).unwrap();
    }
    finish_budget(&alone, "layernorm");
    finish_budget(&fused, "residual_layernorm");
}

#[test]
fn one_channel_gives_the_bias_and_no_gradient() {
    let op = Layernorm { n: 5, c: 1 };
    let point = [1.0, -2.0, 1e3, 0.0, 7.0, 3.0, 0.25];
    let ran = op.run(&Cpu::<f32>::new(), &point, &[1.0; 5], &[0.0; 7]).unwrap();
    assert_eq!(ran.outputs, [0.25; 5]);
    assert_eq!(ran.gradient, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0]);
}

#[test]
fn wrong_lengths_are_refused_before_anything_is_written() {
    let refused = |out: usize, mean: usize, rstd: usize| {
        let (mut out, mut mean, mut rstd) = (vec![0.5; out], vec![0.5; mean], vec![0.5; rstd]);
        let (x, one) = ([1.0, 2.0, 3.0, 4.0], [1.0; 2]);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            layernorm::forward(&mut out, &mut mean, &mut rstd, &x, &one, &one);
        }));
        let untouched = [out, mean, rstd].concat().iter().all(|&value| value == 0.5);
        assert_eq!(result.is_err(), untouched, "refused and written, or neither");
        untouched
    };
    assert!(!refused(4, 2, 2));
    assert!(refused(2, 1, 1) && refused(4, 1, 1) && refused(4, 3, 3) && refused(4, 2, 1));
}
