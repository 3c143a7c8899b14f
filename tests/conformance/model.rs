//! The whole model against the textbook: logits, losses, gradients.

use super::harness::*;
use fortifai::config::ModelConfig;
use fortifai::cpu::Cpu;
use fortifai::loss::Rule;
use fortifai::model::{Activations, Batch};
use fortifai::tier::Tier;
pub use fortifai::verify::operators::model::{Case, clear_threshold, family, gradients};
use fortifai::verify::single;
use fortifai_oracle::directional;
use fortifai_oracle::loss::{Denominator, LossKind, row_loss};

fn check_double(case: &Case, seed: u64) -> Result<(), Finding> {
    let model = case.model(Cpu::<f64>::new()).unwrap();
    let n = case.tokens.len();
    let truth = case.logits::<f64>(&case.params);
    let mut acts = Activations::new(&model.tier, &model.config, n / case.t, case.t, false).unwrap();
    let logits = model.logits(&mut acts, &case.tokens, case.t).unwrap();
    for (index, (got, truth)) in logits.iter().zip(truth.concat()).enumerate() {
        let error = (got - truth).abs();
        ensure(error <= 1e-12 * truth.abs().max(1.0), || {
            format!("{}, seed {seed}: logit {index}: {got} not {truth}", case.label())
        })?;
    }
    let scores = model.score(&mut acts, Batch { mask: None, ..case.batch() }, &Rule::Ce).unwrap();
    let mut stream = stream(seed);
    let u = normals(&mut stream, case.params.len());
    let start = normals(&mut stream, case.params.len());
    for (rule, kind) in family(&scores.probability) {
        let name = || format!("{}, seed {seed}, {rule:?}", case.label());
        let (gradient, scores) =
            gradients(&model, case.batch(), &rule, 1.0 / n as f64, &start).unwrap();
        let gradient = minus(&gradient, &start);
        for (index, (&got, z)) in scores.loss.iter().zip(&truth).enumerate() {
            let truth = row_loss(z, case.targets[index] as usize, kind, case.mask[index]);
            let error = (got - truth).abs();
            ensure(error <= 1e-12 * truth.abs().max(1.0), || {
                format!("{}: loss {index}: {got} not {truth}", name())
            })?;
        }
        let kept = scores.kept.iter().filter(|&&kept| kept).count();
        for denominator in [Denominator::All, Denominator::Kept] {
            // As the training loop turns one denominator into the other.
            let rescale = match denominator {
                Denominator::All => 1.0,
                Denominator::Kept if kept == 0 => 0.0,
                Denominator::Kept => n as f64 / kept as f64,
            };
            let dual = case.loss(&directional(&case.params, &u), kind, denominator);
            let loss = rescale * scores.loss.iter().sum::<f64>() / n as f64;
            let error = (loss - dual.re).abs();
            ensure(error <= 1e-12 * dual.re.abs().max(1.0), || {
                format!("{}: {denominator:?} loss {loss} not {}", name(), dual.re)
            })?;
            let (slope, size) = dot(&gradient, &u);
            let (error, size) =
                ((rescale * slope - dual.eps).abs(), rescale * size + dual.eps.abs());
            ensure(error <= 1e-10 * size, || {
                let slope = rescale * slope;
                format!("{}: {denominator:?} slope {slope:e} not {:e}", name(), dual.eps)
            })?;
        }
    }
    Ok(())
}

#[test]
fn model_gradients_equal_the_oracles_for_every_loss() {
    let shapes = (1..4usize, 1..5usize, 1..5usize, 1..3usize, 1..18usize, 2..32usize);
    for_all(20, (shapes, 0..3usize, 0.1..0.5, 0..1u64 << 32), |(shape, spare, spread, seed)| {
        let (layers, heads, hs, b, t, vocab) = shape;
        let config = ModelConfig { layers, heads, channels: heads * hs, context: t + spare, vocab };
        check_double(&Case::new(config, b, t, spread, seed), seed)
    });
}

#[test]
fn every_single_gradient_equals_the_oracles() {
    // Entry by entry, so that no tensor can hide behind a larger one.
    let config = ModelConfig { layers: 2, heads: 2, channels: 4, context: 4, vocab: 5 };
    let case = Case::new(config, 2, 3, 0.4, 7);
    let model = case.model(Cpu::<f64>::new()).unwrap();
    let n = case.tokens.len();
    let zero = vec![0.0; case.params.len()];
    let (_, scores) = gradients(&model, case.batch(), &Rule::Ce, 1.0, &zero).unwrap();
    let at = clear_threshold(&scores.probability);
    for (rule, kind) in [
        (Rule::Ce, LossKind::Ce),
        (Rule::Tce(at), LossKind::Tce { gamma: at }),
        (Rule::Focal(2.0), LossKind::Focal { gamma: 2.0 }),
        (Rule::Smoothed(0.1), LossKind::LabelSmoothing { epsilon: 0.1 }),
    ] {
        let (gradient, _) = gradients(&model, case.batch(), &rule, 1.0 / n as f64, &zero).unwrap();
        let mut u = zero.clone();
        for tensor in &model.layout.tensors {
            let truth: Vec<f64> = tensor
                .span
                .range()
                .map(|index| {
                    u[index] = 1.0;
                    let dual = case.loss(&directional(&case.params, &u), kind, Denominator::All);
                    u[index] = 0.0;
                    dual.eps
                })
                .collect();
            let largest = truth.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            for (index, (got, truth)) in
                gradient[tensor.span.range()].iter().zip(&truth).enumerate()
            {
                let error = (got - truth).abs();
                assert!(
                    error <= 1e-10 * largest,
                    "{rule:?} {} {index}: {got} not {truth}",
                    tensor.name
                );
            }
        }
    }
}

#[test]
fn micro_batches_add_up_to_the_batch() {
    let config = ModelConfig { layers: 2, heads: 3, channels: 12, context: 9, vocab: 13 };
    for (seed, rule) in [(1, Rule::Ce), (2, Rule::Tce(0.08)), (3, Rule::Masked)] {
        let case = Case::new(config.clone(), 6, 9, 0.3, seed);
        let model = case.model(Cpu::<f64>::new()).unwrap();
        let (scale, zero) = (1.0 / 54.0, vec![0.0; case.params.len()]);
        let (truth, scores) = gradients(&model, case.batch(), &rule, scale, &zero).unwrap();
        for rows in [1, 2, 3] {
            let (mut sum, mut losses) = (zero.clone(), Vec::new());
            for part in 0..6 / rows {
                let range = part * rows * 9..(part + 1) * rows * 9;
                let batch = Batch {
                    tokens: &case.tokens[range.clone()],
                    targets: &case.targets[range.clone()],
                    mask: Some(&case.mask[range]),
                    t: 9,
                };
                let (gradient, scores) = gradients(&model, batch, &rule, scale, &sum).unwrap();
                sum = gradient;
                losses.extend(scores.loss);
            }
            assert_eq!(losses, scores.loss, "{rule:?}, {rows} sequences at a time");
            for tensor in &model.layout.tensors {
                let range = tensor.span.range();
                let largest = truth[range.clone()].iter().fold(0.0f64, |most, x| most.max(x.abs()));
                // The key bias has a zero gradient: there only rounding is left to compare.
                for (got, truth) in sum[range.clone()].iter().zip(&truth[range]) {
                    let error = (got - truth).abs();
                    assert!(
                        error <= 1e-13 * largest,
                        "{rule:?}, {rows} at a time, {}: {got} not {truth}",
                        tensor.name
                    );
                }
            }
        }
    }
}

#[test]
fn scoring_equals_training_and_its_buffers_may_be_larger() {
    let config = ModelConfig { layers: 3, heads: 2, channels: 10, context: 12, vocab: 17 };
    let case = Case::new(config, 3, 7, 0.3, 5);
    let model = case.model(Cpu::<f32>::new()).unwrap();
    let zero = vec![0.0; case.params.len()];
    let (gradient, truth) = gradients(&model, case.batch(), &Rule::Tce(0.1), 1.0, &zero).unwrap();
    for (b, t) in [(3, 7), (5, 7), (3, 12)] {
        for train in [false, true] {
            let mut acts = Activations::new(&model.tier, &model.config, b, t, train).unwrap();
            // Leave another batch's numbers in the buffers.
            let other: Vec<u32> = case.targets.iter().rev().copied().collect();
            model.logits(&mut acts, &other, case.t).unwrap();
            let batch = Batch { mask: None, ..case.batch() };
            let scores = model.score(&mut acts, batch, &Rule::Tce(0.1)).unwrap();
            assert_eq!(scores.loss, truth.loss, "buffers [{b}, {t}], train {train}");
            assert_eq!(scores.kept, truth.kept, "buffers [{b}, {t}], train {train}");
            if train {
                let mut arena = model.tier.param(zero.len()).unwrap();
                for _ in 0..2 {
                    model.tier.zero_param(&mut arena).unwrap();
                    let rule = Rule::Tce(0.1);
                    model.accumulate_gradients(&mut arena, &mut acts, batch, &rule, 1.0).unwrap();
                    let again: Vec<f64> = arena.iter().map(|&x| f64::from(x)).collect();
                    assert_eq!(again, gradient, "buffers [{b}, {t}]");
                }
            }
        }
    }
}

#[test]
fn model_in_f32_is_close_to_f64() {
    // The f64 model has been compared with the oracle above.
    let cases = if extensive() { 300 } else { 32 };
    let tiers = (Cpu::<f64>::new(), Cpu::<f32>::new());
    let case = |item| single::case(0, item);
    let measured = single::compare(&tiers.0, &tiers.1, single::TOLERANCES, 0, cases, case);
    let worst = measured.verdict().unwrap();
    println!("model: f32, {cases} cases, {worst:?} of {:?}", single::TOLERANCES);
}

#[test]
fn logits_never_depend_on_later_tokens() {
    for t in [2, 17, 65] {
        let config = ModelConfig { layers: 2, heads: 2, channels: 6, context: t, vocab: 11 };
        let case = Case::new(config, 1, t, 0.5, t as u64);
        let model = case.model(Cpu::<f32>::new()).unwrap();
        let mut acts = Activations::new(&model.tier, &model.config, 1, t, false).unwrap();
        let before = model.logits(&mut acts, &case.tokens, t).unwrap();
        for known in [1, t / 2, t - 1] {
            let mut tokens = case.tokens.clone();
            tokens[known..].iter_mut().for_each(|token| *token = (*token + 1) % 11);
            let after = model.logits(&mut acts, &tokens, t).unwrap();
            assert_eq!(after[..known * 11], before[..known * 11], "t {t}, known {known}");
            assert_ne!(after[known * 11..], before[known * 11..], "t {t}, known {known}");
        }
    }
}

#[test]
fn parameters_are_given_back_as_they_were_set() {
    let config = ModelConfig { layers: 1, heads: 1, channels: 2, context: 3, vocab: 4 };
    let case = Case::new(config, 1, 3, 0.3, 1);
    let mut model = case.model(Cpu::<f64>::new()).unwrap();
    assert_eq!(model.get_params().unwrap(), case.params);
    let others: Vec<f64> = case.params.iter().map(|x| 1.0 - x).collect();
    model.set_params(&others).unwrap();
    assert_eq!(model.get_params().unwrap(), others);
    let mut moments = model.tier.master(others.len()).unwrap();
    model.tier.upload_master(&mut moments, &others).unwrap();
    assert_eq!(model.tier.download_master(&moments).unwrap(), others);
}

#[test]
fn sequences_that_do_not_fit_are_refused() {
    let config = ModelConfig { layers: 1, heads: 1, channels: 2, context: 4, vocab: 5 };
    let model = Case::new(config, 1, 1, 0.3, 1).model(Cpu::<f64>::new()).unwrap();
    // Sequences and positions of the buffers, tokens, sequence length, what is wrong.
    for (b, held, tokens, t, wrong) in [
        (2, 4, vec![0; 8], 4, None),
        (2, 3, vec![4; 6], 3, None),
        (3, 3, vec![1; 8], 2, None),
        (2, 4, vec![], 2, Some("cut into sequences of 2")),
        (2, 4, vec![0; 4], 0, Some("cut into sequences of 0")),
        (2, 4, vec![0; 5], 2, Some("cut into sequences of 2")),
        (2, 6, vec![0; 5], 5, Some("context of 4")),
        (4, 2, vec![0; 4], 4, Some("buffers for 8 tokens")),
        (2, 3, vec![0; 8], 2, Some("buffers for 6 tokens")),
        (2, 4, vec![0, 5], 2, Some("Token 5 lies outside the model's vocabulary of 5")),
    ] {
        let mut acts = Activations::new(&model.tier, &model.config, b, held, false).unwrap();
        let said = model.logits(&mut acts, &tokens, t).err().map(|error| error.to_string());
        let as_it_should = match (&said, wrong) {
            (Some(said), Some(wrong)) => said.contains(wrong),
            (said, wrong) => said.is_none() && wrong.is_none(),
        };
        assert!(as_it_should, "[{b}, {held}], {} tokens by {t}: {said:?}", tokens.len());
    }
}
