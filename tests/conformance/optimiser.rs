//! The optimiser over a whole model: spans, decay, clipping, and what it refuses.

use super::model::{Case, gradients};
use fortifai::config::{ModelConfig, TrainConfig};
use fortifai::cpu::Cpu;
use fortifai::loss::Rule;
use fortifai::train::Optimiser;
use fortifai_oracle::adamw::{AdamW, Moments, step};
use fortifai_oracle::clip;

fn case() -> Case {
    let config = ModelConfig { layers: 2, heads: 2, channels: 6, context: 5, vocab: 7 };
    Case::new(config, 2, 5, 0.3, 1)
}

#[test]
fn steps_of_a_model_equal_the_oracle_with_and_without_clipping() {
    let case = case();
    for (clip_norm, scale) in [(0.0, 1.0), (0.05, 0.5), (1e3, 0.5)] {
        let config = TrainConfig { clip_norm, weight_decay: 0.3, ..TrainConfig::default() };
        let mut model = case.model(Cpu::<f64>::new()).unwrap();
        let mut optimiser = Optimiser::new(&model).unwrap();
        let start = |&param: &f64| Moments { param, m: 0.0, v: 0.0 };
        let mut states: Vec<Moments<f64>> = case.params.iter().map(start).collect();
        let zero = vec![0.0; case.params.len()];
        for number in 1..4 {
            let rate = 0.01 * f64::from(number);
            let (gradient, _) = gradients(&model, case.batch(), &Rule::Ce, 0.1, &zero).unwrap();
            let scaled: Vec<f64> = gradient.iter().map(|g| scale * g).collect();
            let norm = optimiser.step(&mut model, &gradient, &config, rate, scale).unwrap();
            let truth = clip::norm(&scaled);
            assert!((norm - truth).abs() <= 1e-12 * truth, "norm {norm} not {truth}");
            let factor = if clip_norm == 0.0 { 1.0 } else { clip::factor(&scaled, clip_norm) };
            assert_eq!(factor < 1.0, clip_norm == 0.05, "clipped by {factor}");
            for tensor in &model.layout.tensors {
                let settings = AdamW {
                    lr: rate,
                    beta1: config.beta1,
                    beta2: config.beta2,
                    eps: config.epsilon,
                    weight_decay: if tensor.shape.len() == 2 { 0.3 } else { 0.0 },
                };
                for index in tensor.span.range() {
                    states[index] = step(states[index], factor * scaled[index], number, &settings);
                }
            }
            let params = model.get_params().unwrap();
            for (index, (got, truth)) in params.iter().zip(&states).enumerate() {
                // The key bias has a zero gradient: its rounding is all that Adam sees of it.
                let rounding = scaled[index].abs() <= 1e-12;
                let tolerance = if rounding { 2.0 * rate } else { 1e-9 };
                let error = (got - truth.param).abs();
                assert!(error <= tolerance, "clip {clip_norm}, step {number}, {index}: {error:e}");
            }
        }
        assert_eq!(optimiser.steps, 3);
    }
}

#[test]
fn a_gradient_that_is_no_number_changes_nothing() {
    let case = case();
    let mut model = case.model(Cpu::<f64>::new()).unwrap();
    let mut optimiser = Optimiser::new(&model).unwrap();
    for bad in [f64::NAN, f64::INFINITY] {
        let mut gradient = vec![0.5; case.params.len()];
        gradient[3] = bad;
        let config = TrainConfig::default();
        let norm = optimiser.step(&mut model, &gradient, &config, 0.1, 1.0).unwrap();
        assert!(!norm.is_finite() && optimiser.steps == 0);
        assert_eq!(model.get_params().unwrap(), case.params);
        assert!(optimiser.m.iter().chain(&optimiser.v).all(|&x| x == 0.0));
    }
}
