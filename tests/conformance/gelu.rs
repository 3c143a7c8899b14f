//! GELU with the linear layer behind it.

use super::harness::*;
use super::linear::FIXED;
use fortifai::cpu::Cpu;
use fortifai::tier::{Affine, LinearShape, Tier};
use fortifai::verify::operators::gelu::GeluLinear;
use fortifai_oracle::gelu;

#[test]
fn gelu_linear_backward_is_the_adjoint_of_the_oracle() {
    let (record, tier) = (Record::default(), Cpu::<f64>::new());
    for (seed, (n, c, oc)) in FIXED.into_iter().enumerate() {
        record.check(&GeluLinear { n, c, oc }, &tier, seed as u64).unwrap();
    }
    // More elements than one thread takes at a time.
    record.check(&GeluLinear { n: 67, c: 129, oc: 2 }, &tier, 1).unwrap();
    let shapes = (1..40usize, 1..40usize, 1..40usize, 0..1u64 << 32);
    for_all(32, shapes, |(n, c, oc, seed)| record.check(&GeluLinear { n, c, oc }, &tier, seed));
    finish(&record, "gelu_linear", &["positive", "negative", "few rows", "many rows"]);
}

#[test]
fn gelu_linear_in_f32_is_no_worse_than_twice_the_textbook() {
    let (mut budget, tier) = (Budget::default(), Cpu::<f32>::new());
    for seed in 0..36 {
        let size = seed as usize;
        let op = GeluLinear { n: 1 + size % 7, c: 3 + size % 16, oc: 1 + size % 11 };
        budget.check(&op, &tier, seed).unwrap();
    }
    finish_budget(&budget, "gelu_linear");
}

#[test]
fn gelu_is_exact_at_its_ends() {
    let tier = Cpu::<f32>::new();
    let pre = [0.0, -0.0, 30.0, -30.0, 1e6, -1e6, 1e10, -1e10];
    let len = pre.len();
    let mut params = Arena::of_parameters();
    let before = params.push(&[0.0]);
    let affine = Affine { weight: params.push(&[1.0]), bias: params.push(&[0.0]) };
    let params = params.upload(&tier).unwrap();
    let shape = LinearShape { n: len, c: 1, oc: 1 };
    let (mut out, mut activated) = (blank(&tier, len), blank(&tier, len));
    let pre = act(&tier, &pre);
    tier.gelu_linear_forward(&mut out, &mut activated, &pre, &params, affine, shape).unwrap();
    let large = f64::from(1e10f32);
    assert_eq!(read(&tier, &out, len), [0.0, 0.0, 30.0, 0.0, 1e6, 0.0, large, 0.0]);
    let mut arena = Arena::of_gradients();
    arena.push(&[0.0]);
    arena.push(&[0.0]);
    arena.push(&[0.0]);
    let mut gradients = arena.upload(&tier).unwrap();
    let mut dpre = blank(&tier, len);
    let dout = act(&tier, &[1.0; 8]);
    tier.gelu_linear_backward(
        &mut dpre,
        &mut gradients,
        &mut activated,
        &dout,
        &pre,
        &params,
        affine,
        before,
        shape,
    )
    .unwrap();
    assert_eq!(read(&tier, &dpre, len), [0.5, 0.5, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
}

#[test]
fn gelu_keeps_its_digits_far_to_the_left() {
    // ½x(1 + tanh u) cancels there in f32. The exponent −2|u| reaches 17, so that its rounding
    // alone costs 17 units in the last place of the exponential.
    let tier = Cpu::<f32>::new();
    let pre = [-1.5, -2.0, -3.0, -4.0, -4.5, -5.0];
    let op = GeluLinear { n: 6, c: 1, oc: 1 };
    let point = [&pre[..], &[0.0, 1.0, 0.0]].concat();
    let v = [&[1.0; 6][..], &[0.0; 6]].concat();
    let ran = op.run(&tier, &point, &v, &[0.0; 9]).unwrap();
    for (index, x) in pre.into_iter().enumerate() {
        let truth = gelu::forward(&[fortifai_oracle::Dual64::new(x, 1.0)])[0];
        for (got, truth) in [(ran.outputs[index], truth.re), (ran.gradient[index], truth.eps)] {
            let error = (got - truth).abs();
            assert!(error <= 1e-5 * truth.abs(), "gelu at {x}: {got:e} not {truth:e}");
        }
    }
}
