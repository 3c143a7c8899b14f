//! The whole model against the textbook.

use super::classifier::{Member, members};
use crate::config::ModelConfig;
use crate::cpu::Real;
use crate::loss::Rule;
use crate::model::{Activations, Batch, Gpt, Layout, RowScores};
use crate::tier::{Span, Tier};
use crate::verify::operator::*;
use fortifai_oracle::loss::{Denominator, LossKind, confidence, keeps, row_loss};
use fortifai_oracle::{GptShape, Scalar, gpt};
use fortifai_stream::Stream;

/// A model shape, a batch of `b` sequences of `t` tokens, and random weights.
#[derive(Clone, Debug)]
pub struct Case {
    /// Sizes of the model.
    pub config: ModelConfig,
    /// Tokens per sequence.
    pub t: usize,
    /// `[b·t]`.
    pub tokens: Vec<u32>,
    /// `[b·t]`.
    pub targets: Vec<u32>,
    /// For [`Rule::Masked`], `[b·t]`.
    pub mask: Vec<bool>,
    /// All weights.
    pub params: Vec<f64>,
}

impl Case {
    /// Weights are normal with standard deviation `spread`, layer norm weights about one.
    pub fn new(config: ModelConfig, b: usize, t: usize, spread: f64, seed: u64) -> Self {
        let mut stream = Stream::new(seed, "conformance-model", 0, 0);
        let mut draw = || (0..b * t).map(|_| stream.below(config.vocab) as u32).collect();
        let (tokens, targets) = (draw(), draw());
        let mask = (0..b * t).map(|_| stream.below(2) == 0).collect();
        let layout = Layout::gpt2(&config);
        let mut params: Vec<f64> = normals(&mut stream, layout.len);
        params.iter_mut().for_each(|x| *x = f64::from((spread * *x) as f32));
        for tensor in layout.tensors.iter().filter(|tensor| tensor.name.contains("ln_")) {
            if tensor.name.ends_with("weight") {
                params[tensor.span.range()].iter_mut().for_each(|x| *x += 1.0);
            }
        }
        Self { config, t, tokens, targets, mask, params }
    }

    /// Shape and batch, for messages.
    pub fn label(&self) -> String {
        format!("model {:?}, {} tokens in sequences of {}", self.config, self.tokens.len(), self.t)
    }

    /// The model on a tier.
    ///
    /// # Errors
    /// As the tier.
    pub fn model<T: Tier>(&self, tier: T) -> crate::Result<Gpt<T>> {
        let mut model = Gpt::zeros(tier, self.config.clone())?;
        let params: Vec<_> = self.params.iter().map(|&x| T::Number::of(x)).collect();
        model.set_params(&params)?;
        Ok(model)
    }

    /// Tokens, targets and mask.
    pub fn batch(&self) -> Batch<'_> {
        Batch { tokens: &self.tokens, targets: &self.targets, mask: Some(&self.mask), t: self.t }
    }

    fn shape(&self) -> GptShape {
        let ModelConfig { layers, heads, channels, context, vocab } = self.config;
        GptShape { layers, heads, channels, context, vocab }
    }

    /// Textbook logits `[b·t][v]`.
    pub fn logits<S: Scalar>(&self, params: &[S]) -> Vec<Vec<S>> {
        let tokens: Vec<usize> = self.tokens.iter().map(|&token| token as usize).collect();
        let shape = self.shape();
        tokens.chunks(self.t).flat_map(|tokens| gpt::logits(&shape, params, tokens)).collect()
    }

    /// Textbook mean loss.
    pub fn loss<S: Scalar>(&self, params: &[S], kind: LossKind, denominator: Denominator) -> S {
        let wide = |x: &[u32]| x.iter().map(|&token| token as usize).collect::<Vec<_>>();
        let (tokens, targets) = (wide(&self.tokens), wide(&self.targets));
        let inputs: Vec<&[usize]> = tokens.chunks(self.t).collect();
        let targets: Vec<&[usize]> = targets.chunks(self.t).collect();
        let mask = Some(&self.mask[..]);
        gpt::loss(&self.shape(), params, &inputs, &targets, mask, kind, denominator)
    }
}

/// The gradient of `scale·Σ loss`, on top of `start`, and the scores.
///
/// # Errors
/// As the tier.
pub fn gradients<T: Tier>(
    model: &Gpt<T>,
    batch: Batch,
    rule: &Rule,
    scale: f64,
    start: &[f64],
) -> crate::Result<(Vec<f64>, RowScores)> {
    let b = batch.tokens.len() / batch.t;
    let mut acts = Activations::new(&model.tier, &model.config, b, batch.t, true)?;
    let whole = Span { start: 0, len: model.layout.len };
    let start: Vec<_> = start.iter().map(|&x| T::Number::of(x)).collect();
    let mut arena = model.tier.param(whole.len)?;
    model.tier.upload(&mut arena, whole, &start)?;
    let batch = Batch { mask: batch.mask.filter(|_| matches!(rule, Rule::Masked)), ..batch };
    let scores = model.accumulate_gradients(&mut arena, &mut acts, batch, rule, scale)?;
    let arena = model.tier.download(&arena, whole)?;
    Ok((arena.into_iter().map(Real::wide).collect(), scores))
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
pub fn family(probabilities: &[f64]) -> Vec<(Rule, LossKind)> {
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
    known.collect()
}

/// The model under one loss: a map from its weights to the loss of every row.
#[derive(Clone, Debug)]
pub struct Model {
    /// Sizes, batch, weights.
    pub case: Case,
    /// The loss.
    pub rule: Rule,
    /// The same in the textbook.
    pub kind: LossKind,
}

impl Model {
    /// The case under every loss of the family, thresholds clear of its probabilities as the
    /// textbook computes them.
    pub fn family(case: &Case) -> Vec<Self> {
        let logits = case.logits::<f64>(&case.params);
        let rows = logits.iter().zip(&case.targets);
        let probabilities: Vec<f64> =
            rows.map(|(z, &target)| confidence(z, target as usize).p).collect();
        let with = |(rule, kind)| Self { case: case.clone(), rule, kind };
        family(&probabilities).into_iter().map(with).collect()
    }
}

impl Operator for Model {
    fn label(&self) -> String {
        format!("{}, {:?}", self.case.label(), self.rule)
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("weights", self.case.params.len())]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("loss", self.case.tokens.len())]
    }
    fn point(&self, _stream: &mut Stream) -> Vec<f64> {
        self.case.params.clone()
    }
    fn cotangent(&self, stream: &mut Stream) -> Vec<f64> {
        vec![stream.normal(); self.case.tokens.len()]
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let rows = self.case.logits(point).into_iter().zip(&self.case.targets);
        rows.zip(&self.case.mask)
            .map(|((z, &target), &mask)| row_loss(&z, target as usize, self.kind, mask))
            .collect()
    }
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        cotangent: &[f64],
        start: &[f64],
    ) -> Result<Ran, Finding> {
        let case = Case { params: point.to_vec(), ..self.case.clone() };
        let model = case.model(tier.clone())?;
        let (gradient, scores) = gradients(&model, case.batch(), &self.rule, cotangent[0], start)?;
        Ok(Ran { outputs: scores.loss, gradient: minus(&gradient, start) })
    }
    fn place(&self, entry: usize) -> String {
        let layout = Layout::gpt2(&self.case.config);
        let tensor = layout.tensors.iter().find(|tensor| tensor.span.range().contains(&entry));
        tensor.map_or_else(
            || format!("weights[{entry}]"),
            |tensor| format!("{}[{}]", tensor.name, entry - tensor.span.start),
        )
    }
    /// Rounding grows from layer to layer.
    fn tolerance(&self) -> f64 {
        1e-10
    }
    fn branches(&self, point: &[f64]) -> Vec<&'static str> {
        let rows = self.case.logits(point).into_iter().zip(&self.case.targets);
        rows.zip(&self.case.mask)
            .map(|((z, &target), &mask)| match keeps(&z, target as usize, self.kind, mask) {
                true => "kept",
                false => "dropped",
            })
            .collect()
    }
}
