//! The whole model against the textbook: logits, losses, gradients.

use super::classifier::{Member, members};
use super::harness::*;
use fortifai::Stream;
use fortifai::config::ModelConfig;
use fortifai::cpu::{Cpu, Real};
use fortifai::loss::Rule;
use fortifai::model::{Activations, Batch, Gpt, RowScores};
use fortifai::tier::{Span, Tier};
use fortifai_oracle::loss::{Denominator, LossKind, row_loss};
use fortifai_oracle::{GptShape, constants, directional, gpt};

/// A model shape, a batch of `b` sequences of `t` tokens, and random weights.
#[derive(Clone, Debug)]
pub struct Case {
    pub config: ModelConfig,
    pub t: usize,
    pub tokens: Vec<u32>,
    pub targets: Vec<u32>,
    pub mask: Vec<bool>,
    pub params: Vec<f64>,
}

impl Case {
    /// Weights are normal with standard deviation `spread`, layer norm weights about one.
    pub fn new(config: ModelConfig, b: usize, t: usize, spread: f64, seed: u64) -> Self {
        let mut stream = Stream::new(seed, "conformance-model", 0, 0);
        let mut draw = || (0..b * t).map(|_| stream.below(config.vocab) as u32).collect();
        let (tokens, targets) = (draw(), draw());
        let mask = (0..b * t).map(|_| stream.below(2) == 0).collect();
        let layout = fortifai::model::Layout::gpt2(&config);
        let mut params: Vec<f64> = normals(&mut stream, layout.len);
        params.iter_mut().for_each(|x| *x = f64::from((spread * *x) as f32));
        for tensor in layout.tensors.iter().filter(|tensor| tensor.name.contains("ln_")) {
            if tensor.name.ends_with("weight") {
                params[tensor.span.range()].iter_mut().for_each(|x| *x += 1.0);
            }
        }
        Self { config, t, tokens, targets, mask, params }
    }

    pub fn label(&self) -> String {
        format!("model {:?}, {} tokens in sequences of {}", self.config, self.tokens.len(), self.t)
    }

    pub fn model<T: Tier>(&self, tier: T) -> Gpt<T> {
        let mut model = Gpt::zeros(tier, self.config.clone()).unwrap();
        let params: Vec<_> = self.params.iter().map(|&x| T::Number::of(x)).collect();
        model.set_params(&params).unwrap();
        model
    }

    pub fn batch(&self) -> Batch<'_> {
        Batch { tokens: &self.tokens, targets: &self.targets, mask: Some(&self.mask), t: self.t }
    }

    fn shape(&self) -> GptShape {
        let ModelConfig { layers, heads, channels, context, vocab } = self.config;
        GptShape { layers, heads, channels, context, vocab }
    }

    /// Textbook logits `[b·t][v]`.
    fn logits<S: fortifai_oracle::Scalar>(&self, params: &[S]) -> Vec<Vec<S>> {
        let tokens: Vec<usize> = self.tokens.iter().map(|&token| token as usize).collect();
        let shape = self.shape();
        tokens.chunks(self.t).flat_map(|tokens| gpt::logits(&shape, params, tokens)).collect()
    }

    /// Textbook mean loss.
    pub fn loss<S: fortifai_oracle::Scalar>(
        &self,
        params: &[S],
        kind: LossKind,
        denominator: Denominator,
    ) -> S {
        let wide = |x: &[u32]| x.iter().map(|&token| token as usize).collect::<Vec<_>>();
        let (tokens, targets) = (wide(&self.tokens), wide(&self.targets));
        let inputs: Vec<&[usize]> = tokens.chunks(self.t).collect();
        let targets: Vec<&[usize]> = targets.chunks(self.t).collect();
        let mask = Some(&self.mask[..]);
        gpt::loss(&self.shape(), params, &inputs, &targets, mask, kind, denominator)
    }
}

/// The gradient of `scale·Σ loss`, on top of `start`, and the scores.
pub fn gradients<T: Tier>(
    model: &Gpt<T>,
    batch: Batch,
    rule: &Rule,
    scale: f64,
    start: &[f64],
) -> (Vec<f64>, RowScores) {
    let b = batch.tokens.len() / batch.t;
    let mut acts = Activations::new(&model.tier, &model.config, b, batch.t, true).unwrap();
    let whole = Span { start: 0, len: model.layout.len };
    let start: Vec<_> = start.iter().map(|&x| T::Number::of(x)).collect();
    let mut arena = model.tier.param(whole.len).unwrap();
    model.tier.upload(&mut arena, whole, &start).unwrap();
    let batch = Batch { mask: batch.mask.filter(|_| matches!(rule, Rule::Masked)), ..batch };
    let scores = model.accumulate_gradients(&mut arena, &mut acts, batch, rule, scale).unwrap();
    let arena = model.tier.download(&arena, whole).unwrap();
    (arena.into_iter().map(Real::wide).collect(), scores)
}

/// A threshold inside the widest gap between the probabilities of the middle half, so that rows on
/// both sides are far from it; below all of them if these are equal.
pub fn clear_threshold(probabilities: &[f64]) -> f64 {
    let mut sorted = probabilities.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let pairs = sorted.windows(2).skip(n / 4).take(n / 2 + 1);
    let widest = pairs.max_by(|a, b| (a[1] - a[0]).total_cmp(&(b[1] - b[0])));
    match widest {
        Some(pair) if pair[1] - pair[0] > 1e-3 * pair[1] => 0.5 * (pair[0] + pair[1]),
        _ => 0.5 * sorted[0],
    }
}

/// The family with thresholds clear of the model's probabilities; without the custom rule, which
/// the textbook's model does not know.
fn family(case: &Case, probabilities: &[f64]) -> Vec<(Rule, LossKind)> {
    let at = clear_threshold(probabilities);
    let known = members().into_iter().filter_map(|member| match member {
        Member::Known(Rule::Tce(gamma), _) if 0.0 < gamma && gamma < 1.0 => {
            Some((Rule::Tce(at), LossKind::Tce { gamma: at }))
        }
        Member::Known(Rule::DropLow(_), _) => {
            Some((Rule::DropLow(at), LossKind::DropLow { q: at }))
        }
        Member::Known(rule, kind) => Some((rule, kind)),
        Member::Custom(_) => None,
    });
    let known: Vec<_> = known.collect();
    assert!(known.len() >= 17, "{}", case.label());
    known
}

fn check_double(case: &Case, seed: u64) -> Result<(), String> {
    let model = case.model(Cpu::<f64>::new());
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
    for (rule, kind) in family(case, &scores.probability) {
        let name = || format!("{}, seed {seed}, {rule:?}", case.label());
        let (gradient, scores) = gradients(&model, case.batch(), &rule, 1.0 / n as f64, &start);
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
    let model = case.model(Cpu::<f64>::new());
    let n = case.tokens.len();
    let zero = vec![0.0; case.params.len()];
    let (_, scores) = gradients(&model, case.batch(), &Rule::Ce, 1.0, &zero);
    let at = clear_threshold(&scores.probability);
    for (rule, kind) in [
        (Rule::Ce, LossKind::Ce),
        (Rule::Tce(at), LossKind::Tce { gamma: at }),
        (Rule::Focal(2.0), LossKind::Focal { gamma: 2.0 }),
        (Rule::Smoothed(0.1), LossKind::LabelSmoothing { epsilon: 0.1 }),
    ] {
        let (gradient, _) = gradients(&model, case.batch(), &rule, 1.0 / n as f64, &zero);
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
        let model = case.model(Cpu::<f64>::new());
        let (scale, zero) = (1.0 / 54.0, vec![0.0; case.params.len()]);
        let (truth, scores) = gradients(&model, case.batch(), &rule, scale, &zero);
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
                let (gradient, scores) = gradients(&model, batch, &rule, scale, &sum);
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
    let model = case.model(Cpu::<f32>::new());
    let zero = vec![0.0; case.params.len()];
    let (gradient, truth) = gradients(&model, case.batch(), &Rule::Tce(0.1), 1.0, &zero);
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
    // Loss 2e-6 relative, logits 1e-5, gradients 1e-4 relative per tensor; the f64 model has been
    // compared with the oracle above, its logits and mean loss are compared again here.
    let (mut loss_error, mut logit_error, mut gradient_error) = (0.0f64, 0.0f64, 0.0f64);
    let cases = if extensive() { 300 } else { 32 };
    for seed in 0..cases {
        let mut stream = Stream::new(seed, "conformance-shape", 0, 0);
        let mut pick = |most: usize| 1 + stream.below(most);
        // At least four channels: a normalised row of two numbers is (1, −1) up to the ε of the
        // layer norm, so that its gradient is a difference of almost equal numbers.
        let (layers, heads, hs) = (pick(3), pick(4), 3 + pick(5));
        let (b, t, vocab) = (pick(3), pick(17), 1 + pick(30));
        let config = ModelConfig { layers, heads, channels: heads * hs, context: t, vocab };
        let case = Case::new(config, b, t, 0.2, seed);
        let (single, double) = (case.model(Cpu::<f32>::new()), case.model(Cpu::<f64>::new()));
        let n = b * t;
        let truth = case.logits::<f64>(&constants(&case.params)).concat();
        let largest = truth.iter().fold(1.0f64, |most, x| most.max(x.abs()));
        let mut acts = Activations::new(&single.tier, &single.config, b, t, false).unwrap();
        for (got, truth) in single.logits(&mut acts, &case.tokens, t).unwrap().iter().zip(truth) {
            let error = (f64::from(*got) - truth).abs() / largest;
            logit_error = logit_error.max(error);
            assert!(error <= 1e-5, "{}, seed {seed}: logit {got} not {truth}", case.label());
        }
        let zero = vec![0.0; case.params.len()];
        let (_, scores) = gradients(&double, case.batch(), &Rule::Ce, 1.0, &zero);
        for (rule, kind) in family(&case, &scores.probability) {
            let name = format!("{}, seed {seed}, {rule:?}", case.label());
            let scale = 1.0 / n as f64;
            let (truth, _) = gradients(&double, case.batch(), &rule, scale, &zero);
            let (gradient, scores) = gradients(&single, case.batch(), &rule, scale, &zero);
            let loss = scores.loss.iter().sum::<f64>() / n as f64;
            let true_loss = case.loss::<f64>(&case.params, kind, Denominator::All);
            let error = (loss - true_loss).abs();
            if true_loss > 0.0 {
                loss_error = loss_error.max(error / true_loss);
            }
            assert!(error <= 2e-6 * true_loss, "{name}: loss {loss} not {true_loss}");
            for tensor in &single.layout.tensors {
                let range = tensor.span.range();
                let truth = &truth[range.clone()];
                let size = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
                let (error, size) = (size(&minus(&gradient[range], truth)), size(truth));
                if size > 0.0 {
                    gradient_error = gradient_error.max(error / size);
                }
                assert!(error <= 1e-4 * size, "{name}: {} {error:e} of {size:e}", tensor.name);
            }
        }
    }
    println!(
        "model: f32, {cases} cases, loss {loss_error:.1e}, logits {logit_error:.1e}, gradients \
         {gradient_error:.1e}"
    );
}

#[test]
fn logits_never_depend_on_later_tokens() {
    for t in [2, 17, 65] {
        let config = ModelConfig { layers: 2, heads: 2, channels: 6, context: t, vocab: 11 };
        let case = Case::new(config, 1, t, 0.5, t as u64);
        let model = case.model(Cpu::<f32>::new());
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
