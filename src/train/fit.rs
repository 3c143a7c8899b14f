//! The training loop.

use super::{Blocks, Optimiser, learning_rate, score_blocks};
use crate::collapse::record::TrainPoint;
use crate::config::TrainConfig;
use crate::cpu::Real;
use crate::loss::{Denominator, Loss, RowLoss, RowStats, Rule, unlearn};
use crate::model::{Activations, Batch, Gpt, RowScores};
use crate::tier::Tier;
use crate::{Error, Result, Stream};
use std::sync::Arc;

/// What to fit a model to.
#[derive(Clone, Debug)]
pub struct FitRequest<'a> {
    /// Training text.
    pub train: Blocks<'a>,
    /// Text by which the best weights are chosen; not the reported one.
    pub validation: Option<Blocks<'a>>,
    /// The loss.
    pub loss: Loss,
    /// The settings.
    pub config: &'a TrainConfig,
    /// Names the random streams together with the generation.
    pub seed: u64,
    /// Names the random streams together with the seed.
    pub generation: usize,
    /// Positions whose loss is another one.
    pub marks: Option<Marks<'a>>,
}

/// A second stream beside the training text that says which tokens are marked, and what their marks
/// mean. CPU only: the rule is evaluated there.
#[derive(Clone, Debug)]
pub struct Marks<'a> {
    /// 1 for a marked token, 0 for another; as long as the training text.
    pub blocks: Blocks<'a>,
    /// What marked tokens count.
    pub marked: Weight,
    /// What the others count.
    pub others: Weight,
}

/// What becomes of a token's loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weight {
    /// The loss times this.
    Times(f64),
    /// [`unlearn`] with this weight in its place.
    Unlearn(f64),
}

impl Marks<'_> {
    /// The rule for marked and other rows; `kept` of a row says that it is marked.
    fn rule(&self, base: Rule) -> Rule {
        let Self { marked, others, .. } = *self;
        Rule::Custom(Arc::new(move |row: RowStats<f64>| {
            match if row.kept { marked } else { others } {
                Weight::Unlearn(weight) => unlearn(row, weight),
                Weight::Times(weight) => {
                    let RowLoss { f, a, b } = base.row(RowStats { kept: true, ..row });
                    RowLoss { f: weight * f, a: weight * a, b: weight * b }
                }
            }
        }))
    }
}

/// Where a fit stands, for progress bars.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Optimiser steps done.
    pub step: usize,
    /// Optimiser steps in all.
    pub total: usize,
    /// Training loss of the latest step, nats per predicted token.
    pub loss_nats: f64,
}

/// The progress callback's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop with [`Error::Stopped`].
    Stop,
}

/// How a fit went.
#[derive(Clone, Debug, Default)]
pub struct Fit {
    /// The training curve: one point per validation, at least the last step.
    pub history: Vec<TrainPoint>,
    /// Whether a loss or gradient stopped being finite. The model then holds the best weights by
    /// validation, or the last finite ones if none were validated.
    pub diverged: bool,
    /// Optimiser steps done.
    pub steps: usize,
    /// Share of all training positions that the loss kept.
    pub kept_fraction: f64,
    /// Best cross entropy on the validation text, nats per token.
    pub validation_nats: Option<f64>,
    /// Mean over some steps of `‖Δθ‖₂`, the norm of what the optimiser changed.
    pub update_norm: Option<f64>,
}

/// Steps at which the norm of the update is measured, spread evenly over the fit.
const NORMS: usize = 32;

/// The most passes over a text.
const MOST_EPOCHS: f64 = 1e6;

/// The most steps of a generation.
const MOST_STEPS: usize = 1 << 32;

/// The most rows of a batch.
const MOST_ROWS: usize = 1 << 16;

/// Trains `model` in place. With a validation text and `validations_per_epoch > 0` it ends with
/// the weights that did best there.
pub fn fit<T: Tier>(
    model: &mut Gpt<T>,
    request: &FitRequest,
    progress: &mut dyn FnMut(Progress) -> Control,
) -> Result<Fit> {
    let FitRequest { train, config, .. } = request;
    check_settings(config)?;
    let total = config.steps_on(train.count() as f64);
    let validate_every = match (&request.validation, config.validations_per_epoch) {
        (None, _) | (_, 0) => usize::MAX,
        (Some(_), times) => {
            (train.count() as f64 / (config.batch * times) as f64).ceil().max(1.0) as usize
        }
    };
    let part = config.batch / config.accumulation;
    let mut acts = Activations::new(&model.tier, &model.config, part, train.t(), true)?;
    let mut gradients = model.tier.param(model.layout.len)?;
    let mut optimiser = Optimiser::new(model)?;
    let mut rows = RowOrder::new(request);
    let mut best: Option<(f64, Vec<T::Number>)> = None;
    let mut since_best = 0;
    let mut fit = Fit::default();
    let (mut window, mut all) = (Tally::default(), Tally::default());
    let mut threshold = Threshold::default();
    let (measure_every, mut norms) = (total.div_ceil(NORMS), Vec::new());
    for step in 0..total {
        let rule = request.loss.rule(threshold.gamma);
        let rule = match &request.marks {
            Some(marks) => marks.rule(rule),
            None => rule,
        };
        model.tier.zero_param(&mut gradients)?;
        let mut now = Tally::default();
        for micro in 0..config.accumulation {
            let (tokens, targets, marked) = rows.take(part);
            let item = step * config.accumulation + micro;
            let mask = marked.or_else(|| random_mask(request, &rule, item, tokens.len()));
            let batch =
                Batch { tokens: &tokens, targets: &targets, mask: mask.as_deref(), t: train.t() };
            let scale = 1.0 / (config.batch * train.t()) as f64;
            let scores =
                model.accumulate_gradients(&mut gradients, &mut acts, batch, &rule, scale)?;
            now.add(&scores);
            threshold.add(&scores);
        }
        let rescale = match config.denominator {
            Denominator::All => 1.0,
            Denominator::Kept if now.kept == 0 => 0.0,
            Denominator::Kept => now.count as f64 / now.kept as f64,
        };
        let rate = learning_rate(config, step, total);
        let before = match step % measure_every == measure_every / 2 {
            true => Some(model.get_params()?),
            false => None,
        };
        let norm = optimiser.step(model, &gradients, config, rate, rescale)?;
        if let Some(before) = before {
            norms.push(distance(&before, &model.get_params()?));
        }
        window.merge(now);
        all.merge(now);
        fit.steps = step + 1;
        if !norm.is_finite() || !now.loss.is_finite() {
            fit.diverged = true;
            fit.history.push(window.point(step + 1, None));
            break;
        }
        if let Loss::TceDynamic { alpha } = request.loss
            && rows.epoch_ended()
        {
            threshold.renew(alpha);
        }
        let state = Progress { step: step + 1, total, loss_nats: now.loss / now.count as f64 };
        if progress(state) == Control::Stop {
            return Err(Error::stopped());
        }
        let last = step + 1 == total;
        if (step + 1) % validate_every == 0 || last {
            let nats = match &request.validation {
                Some(blocks) => Some(mean(&score_blocks(model, blocks, &Rule::Ce)?.nll)),
                None => None,
            };
            fit.history.push(window.point(step + 1, nats));
            window = Tally::default();
            let (Some(nats), true) = (nats, validate_every != usize::MAX) else { continue };
            if best.as_ref().is_none_or(|(least, _)| nats < *least) {
                best = Some((nats, model.get_params()?));
                since_best = 0;
            } else {
                since_best += 1;
                if config.patience > 0 && since_best >= config.patience {
                    break;
                }
            }
        }
    }
    fit.kept_fraction = all.kept as f64 / all.count.max(1) as f64;
    fit.update_norm = (!norms.is_empty()).then(|| mean(&norms));
    if let Some((nats, params)) = best {
        fit.validation_nats = Some(nats);
        model.set_params(&params)?;
    }
    Ok(fit)
}

/// The endless sequence of blocks: shuffled epoch after shuffled epoch.
///
/// Proved: `row_lies_in_its_epoch` in `theory/proofs/rows.smt2`.
/// Proved: `no_block_twice_in_an_epoch` in `theory/proofs/rows.smt2`.
struct RowOrder<'a> {
    request: &'a FitRequest<'a>,
    order: Vec<usize>,
    next: usize,
    epoch: usize,
    turned: bool,
}

impl<'a> RowOrder<'a> {
    fn new(request: &'a FitRequest<'a>) -> Self {
        let order = request.train.order(request.seed, request.generation, 0);
        Self { request, order, next: 0, epoch: 0, turned: false }
    }

    /// Inputs, targets, and which targets are marked.
    fn take(&mut self, rows: usize) -> (Vec<u32>, Vec<u32>, Option<Vec<bool>>) {
        let (mut tokens, mut targets) = (Vec::new(), Vec::new());
        let (mut of_inputs, mut of_targets) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            if self.next == self.order.len() {
                self.epoch += 1;
                self.next = 0;
                let FitRequest { train, seed, generation, .. } = self.request;
                self.order = train.order(*seed, *generation, self.epoch);
            }
            self.request.train.push(self.order[self.next], &mut tokens, &mut targets);
            if let Some(marks) = &self.request.marks {
                marks.blocks.push(self.order[self.next], &mut of_inputs, &mut of_targets);
            }
            self.next += 1;
            self.turned |= self.next == self.order.len();
        }
        let marked = self.request.marks.as_ref();
        let marked = marked.map(|_| of_targets.iter().map(|mark| *mark == 1).collect());
        (tokens, targets, marked)
    }

    /// Whether the last row of an epoch has been taken since the last call.
    fn epoch_ended(&mut self) -> bool {
        std::mem::take(&mut self.turned)
    }
}

/// Running sums over positions.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    loss: f64,
    kept: usize,
    count: usize,
}

impl Tally {
    fn add(&mut self, scores: &RowScores) {
        self.loss += scores.loss.iter().sum::<f64>();
        self.kept += scores.kept.iter().filter(|&&kept| kept).count();
        self.count += scores.loss.len();
    }

    fn merge(&mut self, other: Tally) {
        self.loss += other.loss;
        self.kept += other.kept;
        self.count += other.count;
    }

    fn point(&self, step: usize, validation_nats: Option<f64>) -> TrainPoint {
        let count = self.count.max(1) as f64;
        TrainPoint {
            step,
            loss_nats: self.loss / count,
            kept_fraction: self.kept as f64 / count,
            validation_nats,
        }
    }
}

/// The moving threshold of `tce-dynamic`: mean and standard deviation of an epoch's probabilities.
struct Threshold {
    gamma: f64,
    count: f64,
    sum: f64,
    squares: f64,
}

impl Default for Threshold {
    fn default() -> Self {
        Self { gamma: 1.0, count: 0.0, sum: 0.0, squares: 0.0 }
    }
}

impl Threshold {
    fn add(&mut self, scores: &RowScores) {
        for &p in &scores.probability {
            self.count += 1.0;
            self.sum += p;
            self.squares += p * p;
        }
    }

    fn renew(&mut self, alpha: f64) {
        let mean = self.sum / self.count.max(1.0);
        let variance = (self.squares / self.count.max(1.0) - mean * mean).max(0.0);
        *self = Self { gamma: mean + alpha * variance.sqrt(), ..Self::default() };
    }
}

fn random_mask(request: &FitRequest, rule: &Rule, item: usize, len: usize) -> Option<Vec<bool>> {
    let (Loss::RandomMask { keep }, Rule::Masked) = (request.loss, rule) else { return None };
    let mut stream = Stream::new(request.seed, "mask", request.generation as u64, item as u64);
    Some((0..len).map(|_| stream.uniform() < keep).collect())
}

fn distance<R: Real>(a: &[R], b: &[R]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a.wide() - b.wide()).powi(2));
    squares.sum::<f64>().sqrt()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Checks the training settings.
///
/// # Errors
/// The first setting outside its range, named with its value.
pub fn check_settings(config: &TrainConfig) -> Result<()> {
    let positive = |name: &str, value: f64| match value > 0.0 && value.is_finite() {
        true => Ok(()),
        false => Err(Error::input(format!(
            "The training setting {name} = {value} must be a positive finite number."
        ))),
    };
    positive("epochs", config.epochs)?;
    positive("learning_rate", config.learning_rate)?;
    positive("epsilon", config.epsilon)?;
    for (name, value) in [("beta1", config.beta1), ("beta2", config.beta2)] {
        if !(0.0..1.0).contains(&value) {
            return Err(Error::input(format!(
                "The training setting {name} = {value} lies outside [0, 1); 0.9 and 0.95 are usual."
            )));
        }
    }
    for (name, value) in [("weight_decay", config.weight_decay), ("clip_norm", config.clip_norm)] {
        if !(value >= 0.0 && value.is_finite()) {
            return Err(Error::input(format!(
                "The training setting {name} = {value} must be zero or a positive finite number."
            )));
        }
    }
    if config.epochs > MOST_EPOCHS || config.batch > MOST_ROWS {
        return Err(Error::input(format!(
            "Training for {} epochs with a batch of {} rows is refused; use at most {MOST_EPOCHS} epochs \
             and {MOST_ROWS} rows.",
            config.epochs, config.batch
        )));
    }
    if config.steps.is_some_and(|steps| steps == 0 || steps > MOST_STEPS) {
        return Err(Error::input(format!(
            "The training setting steps = {} is refused; use 1 to {MOST_STEPS}, or leave it out to train \
             for epochs.",
            config.steps.unwrap_or(0)
        )));
    }
    if config.batch == 0
        || config.accumulation == 0
        || !config.batch.is_multiple_of(config.accumulation)
    {
        return Err(Error::input(format!(
            "A batch of {} rows cannot be worked off in {} equal parts; make batch a positive multiple \
             of accumulation.",
            config.batch, config.accumulation
        )));
    }
    Ok(())
}
