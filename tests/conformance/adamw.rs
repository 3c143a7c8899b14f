//! The optimiser's step, the gradient's norm and its clipping.

use super::harness::*;
use fortifai::Stream;
use fortifai::cpu::Cpu;
use fortifai::cpu::adamw::{Step, clip_factor};
use fortifai::tier::Tier;
use fortifai::verify::rounding::Uncertain;
use fortifai_oracle::adamw::{AdamW, Moments, step};
use fortifai_oracle::{Scalar, clip};

/// Five steps with changing gradients; `[params, m, v]` after each, of which `of` is told.
fn textbook<S: Scalar>(
    params: &[f64],
    gradients: &[Vec<f64>],
    settings: &AdamW,
    of: fn(S) -> f64,
) -> Vec<Vec<f64>> {
    let scale = S::from_f64(GRADIENT_SCALE);
    let mut states: Vec<Moments<S>> = params
        .iter()
        .map(|&param| Moments { param: S::from_f64(param), m: S::zero(), v: S::zero() })
        .collect();
    (1..)
        .zip(gradients)
        .map(|(number, gradient)| {
            for (state, &g) in states.iter_mut().zip(gradient) {
                *state = step(*state, scale * S::from_f64(g), number, settings);
            }
            let part = |part: fn(&Moments<S>) -> S| states.iter().map(move |s| of(part(s)));
            part(|s| s.param).chain(part(|s| s.m)).chain(part(|s| s.v)).collect()
        })
        .collect()
}

fn ours<T: Tier>(
    tier: &T,
    params: &[f64],
    gradients: &[Vec<f64>],
    settings: &AdamW,
) -> Vec<Vec<f64>> {
    let mut arena = Arena::of_parameters();
    // A neighbour that the step must leave alone.
    arena.push(&[0.5, -0.5]);
    let span = arena.push(params);
    let mut params = arena.upload(tier).unwrap();
    let len = span.start + span.len + 5;
    let (mut m, mut v) = (tier.master(len).unwrap(), tier.master(len).unwrap());
    let mut states = Vec::new();
    for (number, gradient) in (1..).zip(gradients) {
        let mut of_gradients = Arena::of_gradients();
        of_gradients.push(&[3.0, 4.0]);
        of_gradients.push(gradient);
        let gradients = of_gradients.upload(tier).unwrap();
        let step = Step {
            number,
            learning_rate: settings.lr,
            beta1: settings.beta1,
            beta2: settings.beta2,
            epsilon: settings.eps,
            weight_decay: settings.weight_decay,
            gradient_scale: GRADIENT_SCALE,
        };
        tier.adamw(&mut params, &mut m, &mut v, &gradients, span, step).unwrap();
        let all = arena.read(tier, &params).unwrap();
        assert_eq!(all[..2], [0.5, -0.5], "adamw: a step left its span");
        let moments = |master: &T::Master| -> Vec<f64> {
            use fortifai::cpu::Real;
            let all = tier.download_master(master).unwrap();
            let outside = all[..span.start].iter().chain(&all[span.start + span.len..]);
            assert!(outside.into_iter().all(|x| x.wide() == 0.0), "adamw: a step left its span");
            all[span.range()].iter().map(|x| x.wide()).collect()
        };
        states.push([all[2..].to_vec(), moments(&m), moments(&v)].concat());
    }
    states
}

/// Exact in binary, so that both multiply by the same number.
const GRADIENT_SCALE: f64 = 0.375;

fn case(len: usize, seed: u64) -> (Vec<f64>, Vec<Vec<f64>>, AdamW) {
    let mut stream = Stream::new(seed, "conformance-adamw", 0, 0);
    let single = |x: f64| f64::from(x as f32);
    let settings = AdamW {
        lr: [1e-3, 0.03, 0.5][stream.below(3)],
        beta1: [0.0, 0.9][stream.below(2)],
        beta2: [0.95, 0.999][stream.below(2)],
        eps: [1e-8, 1e-3][stream.below(2)],
        weight_decay: [0.0, 0.1][stream.below(2)],
    };
    let params = normals(&mut stream, len).into_iter().map(single).collect();
    // Sizes from 1e-6 to 1e2, and exact zeros.
    let gradient = |stream: &mut Stream| match stream.below(8) {
        0 => 0.0,
        _ => single(stream.normal() * 10f64.powf(stream.uniform() * 8.0 - 6.0)),
    };
    let gradients = (0..5).map(|_| (0..len).map(|_| gradient(&mut stream)).collect()).collect();
    (params, gradients, settings)
}

#[test]
fn adamw_steps_equal_the_oracle() {
    let tier = Cpu::<f64>::new();
    let check = |len: usize, seed: u64| {
        let (params, gradients, settings) = case(len, seed);
        let truth = textbook::<f64>(&params, &gradients, &settings, Scalar::value);
        let states = ours(&tier, &params, &gradients, &settings);
        for (number, (state, truth)) in states.iter().zip(&truth).enumerate() {
            for (index, (got, truth)) in state.iter().zip(truth).enumerate() {
                let error = (got - truth).abs();
                ensure(error <= 1e-12 * truth.abs().max(1.0), || {
                    format!(
                        "adamw {settings:?} len {len} seed {seed}, step {}, number {index} of \
                         [params, m, v]: {got} not {truth}",
                        number + 1
                    )
                })?;
            }
        }
        Ok(())
    };
    for (seed, len) in [1, 2, 7, 15, 16, 17, 63, 64, 65, 16383, 16384, 16385].iter().enumerate() {
        check(*len, seed as u64).unwrap_or_else(|message| panic!("{message}"));
    }
    for_all(64, (1..200usize, 0..1u64 << 32), |(len, seed)| check(len, seed));
}

#[test]
fn adamw_in_f32_is_no_worse_than_twice_the_textbook() {
    let (mut budget, tier) = (Budget::default(), Cpu::<f32>::new());
    for seed in 0..40 {
        let len = 1 + seed as usize * 3;
        let (params, gradients, settings) = case(len, seed);
        let truth = textbook::<f64>(&params, &gradients, &settings, Scalar::value);
        let single = textbook::<f32>(&params, &gradients, &settings, Scalar::value);
        let deviation =
            textbook::<Uncertain<false>>(&params, &gradients, &settings, |x| x.variance().sqrt());
        let states = ours(&tier, &params, &gradients, &settings);
        for (number, (ours, single)) in states.iter().zip(&single).enumerate() {
            let (truth, deviation) = (&truth[number], &deviation[number]);
            for (part, name) in ["params", "m", "v"].into_iter().enumerate() {
                let range = part * len..(part + 1) * len;
                let name = format!("step {} {name}", number + 1);
                let [ours, single, truth, deviation] =
                    [ours, single, truth, deviation].map(|numbers| &numbers[range.clone()]);
                budget.add(&name, ours, single, truth, deviation);
            }
        }
    }
    finish_budget(&budget, "adamw");
}

#[test]
fn norm_and_clip_factor_equal_the_oracle() {
    let tier = Cpu::<f64>::new();
    let (mut clipped, mut whole) = (0, 0);
    for (seed, len) in [0, 1, 2, 7, 8, 9, 63, 65, 16383, 16384, 16385, 40000].iter().enumerate() {
        let values = normals(&mut stream(seed as u64), *len);
        let gradients = {
            let numbers = values.clone();
            let mut param = tier.param(*len).unwrap();
            let span = fortifai::tier::Span { start: 0, len: *len };
            tier.upload(&mut param, span, &numbers).unwrap();
            param
        };
        let norm = tier.squared_norm(&gradients).unwrap().sqrt();
        let truth = clip::norm(&values);
        assert!((norm - truth).abs() <= 1e-12 * truth, "norm of {len}: {norm} not {truth}");
        for most in [1e-3, 0.7 * truth.max(1e-9), 1.5 * truth.max(1e-9), 1e9] {
            let (factor, truth) = (clip_factor(norm, most), clip::factor(&values, most));
            assert!((factor - truth).abs() <= 1e-12 * truth, "clip of {len} to {most}: {factor}");
            *(if factor < 1.0 { &mut clipped } else { &mut whole }) += 1;
        }
        assert_eq!(clip_factor(norm, 0.0), 1.0, "a clip of zero is no clip");
    }
    assert!(clipped >= 12 && whole >= 12, "{clipped} clipped, {whole} whole");
}
