//! One chain: a loss and a seed, generation after generation.

use super::protocol::{Piece, Pool, Source, carve};
use super::record::{GenerationRecord, Outcome};
use super::saved::Saved;
use super::stream::{Text, assemble};
use super::write::{Order, Written, write};
use super::{Corpus, Protocol, measure};
use crate::config::{Init, RunConfig};
use crate::loss::Loss;
use crate::model::Gpt;
use crate::text::split_documents;
use crate::tier::Tier;
use crate::train::{Blocks, Control, Fit, FitRequest, Progress, fit};
use crate::{Error, Result};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Pieces of generated text in a record, and tokens of each.
const SAMPLES: usize = 3;
/// Pieces of generated text in a sample file.
const SAMPLES_IN_FILE: usize = 20;
const SAMPLE_TOKENS: usize = 200;

/// What a chain is doing at the moment.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// Training.
    Training(Progress),
    /// Measuring on real text, generating, measuring the own text.
    Writing,
}

/// How long the parts of a generation took.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// The loss.
    pub loss: String,
    /// The seed.
    pub seed: u64,
    /// The generation.
    pub generation: usize,
    /// Training, validation included.
    pub train_s: f64,
    /// Generating the own text.
    pub generate_s: f64,
    /// All measurements.
    pub measure_s: f64,
    /// Tokens passed through training per second.
    pub train_tokens_per_s: f64,
}

/// A generation that is complete: its record, its times and its samples for the file.
pub struct Finished {
    /// The record.
    pub record: GenerationRecord,
    /// The times.
    pub timing: Timing,
    /// Text for `samples/`.
    pub samples: Vec<String>,
}

/// What a chain needs.
pub struct Chain<'a> {
    /// The run's settings, `vocab` filled in.
    pub config: &'a RunConfig,
    /// The text.
    pub corpus: &'a Corpus,
    /// Its folder.
    pub saved: Saved,
    /// The loss.
    pub loss: Loss,
    /// The seed.
    pub seed: u64,
    /// The weights of the base model, where there is one.
    pub base: Option<&'a [f32]>,
    /// Generations on disk, in order.
    pub done: Vec<GenerationRecord>,
    /// Whether to stop.
    pub stopped: &'a (dyn Fn() -> bool + Sync),
    /// Told what happens.
    pub progress: &'a (dyn Fn(usize, Stage) + Sync),
    /// Puts a finished generation on disk.
    pub commit: &'a (dyn Fn(Finished) -> Result<()> + Sync),
}

impl Chain<'_> {
    /// Trains, generates and measures until the last generation or a divergence.
    ///
    /// # Errors
    /// [`Error::Stopped`] when told to stop; whatever fails on the way.
    pub fn follow<T: Tier<Number = f32>>(&self, tier: &T) -> Result<()> {
        if self.done.last().is_some_and(|record| record.outcome == Outcome::Diverged) {
            return Ok(());
        }
        let end = self.corpus.tokenizer().end_token();
        let block = self.config.windows().map(|_| self.config.model.context);
        let real = Text::new(self.corpus.real(self.seed), end, block);
        let (mut synthetic, mut model) = self.restore(tier, end, block)?;
        let mut cumulative = self.done.last().map_or(0.0, |record| {
            record.metrics.get("synthetic_tokens_cumulative").copied().unwrap_or(0.0)
        });
        for g in self.done.len()..self.config.generations {
            let lengths: Vec<Vec<usize>> = synthetic.iter().map(Text::lengths).collect();
            let real_lengths = real.lengths();
            let budget = self.config.synthetic_tokens.unwrap_or(real.tokens.len());
            let pool = Pool {
                real: &real_lengths,
                synthetic: &lengths,
                generations: self.config.generations,
                budget,
                seed: self.seed,
            };
            let plan = self.config.protocol.plan(g, &pool);
            let (train, validation) = carve(&plan, self.config.validation);
            cumulative += self.fresh(g, &train, &pool) as f64;
            let mut record = self.blank(g);
            let metrics = &mut record.metrics;
            let tokens = pool.tokens(&train);
            measure::set(metrics, "train_tokens", tokens as f64);
            let of_real: Vec<Piece> =
                train.iter().filter(|piece| piece.source == Source::Real).cloned().collect();
            measure::set(metrics, "real_share", pool.tokens(&of_real) as f64 / tokens as f64);
            measure::set(metrics, "synthetic_tokens_cumulative", cumulative);

            let started = Instant::now();
            self.initialise(&mut model, g)?;
            let streams =
                [&train, &validation].map(|pieces| assemble(pieces, &real, &synthetic, end));
            let outcome = self.train(&mut model, g, &streams)?;
            let train_s = started.elapsed().as_secs_f64();
            measure::set(metrics, "kept_fraction_training", outcome.kept_fraction);
            measure::set(metrics, "validation_nats", outcome.validation_nats);
            let finite = |value: f64| value.is_finite();
            record.training =
                outcome.history.iter().filter(|point| finite(point.loss_nats)).copied().collect();
            let trained =
                (outcome.steps * self.config.train.batch * self.config.model.context) as f64;

            (self.progress)(g, Stage::Writing);
            let started = Instant::now();
            let sound = !outcome.diverged
                && measure::real_text(&mut record, &model, self.corpus, &self.loss)?;
            let mut measure_s = started.elapsed().as_secs_f64();
            let started = Instant::now();
            let mut own = Written::default();
            let mut generate_s = 0.0;
            if sound {
                let fractions = self.config.protocol == Protocol::Fractions;
                let compared = match fractions {
                    true => real.tokens.len() / self.config.generations,
                    false => budget,
                };
                let whole = assemble(&plan, &real, &synthetic, end);
                let text = match (fractions, g.checked_sub(1)) {
                    (true, _) => &whole[1..],
                    (false, Some(before)) => &synthetic[before].tokens,
                    (false, None) => &real.tokens,
                };
                let last = g + 1 == self.config.generations;
                let order = Order {
                    config: self.config,
                    end,
                    seed: self.seed,
                    generation: g,
                    tokens: if fractions && !last { whole.len() - 1 } else { compared },
                    text,
                    document_tokens: real.tokens.len() as f64 / real.units.len().max(1) as f64,
                    stopped: self.stopped,
                };
                own = write(&model, &order)?;
                generate_s = started.elapsed().as_secs_f64();
                let real = [&[end], real.tokens.as_slice()].concat();
                measure::own_text(
                    &mut record,
                    &model,
                    self.corpus,
                    &self.loss,
                    &real,
                    &own,
                    compared,
                )?;
                measure_s += started.elapsed().as_secs_f64() - generate_s;
                self.saved.put_text(g, &own.stream)?;
                self.saved.put_weights(&format!("gen{g}"), &model)?;
            } else {
                record.outcome = Outcome::Diverged;
            }
            let samples = self.samples(&own.stream, end);
            record.samples = samples.iter().take(SAMPLES).cloned().collect();
            let timing = Timing {
                loss: record.loss.clone(),
                seed: self.seed,
                generation: g,
                train_s,
                generate_s,
                measure_s,
                train_tokens_per_s: trained / train_s,
            };
            (self.commit)(Finished { record, timing, samples })?;
            if !sound {
                return Ok(());
            }
            self.saved.drop_before(g, self.config.protocol.keeps_all())?;
            synthetic.push(Text::new(own.stream, end, block));
            if !self.config.protocol.keeps_all() && g > 0 {
                synthetic[g - 1] = Text::default();
            }
        }
        Ok(())
    }

    /// The synthetic texts and the model as the last finished generation left them.
    fn restore<T: Tier<Number = f32>>(
        &self,
        tier: &T,
        end: u32,
        block: Option<usize>,
    ) -> Result<(Vec<Text>, Gpt<T>)> {
        let mut model = Gpt::zeros(tier.clone(), self.config.model.clone())?;
        let next = self.done.len();
        let mut synthetic = Vec::new();
        if next == self.config.generations {
            return Ok((synthetic, model));
        }
        for g in 0..next {
            let needed = self.config.protocol.keeps_all() || g + 1 == next;
            synthetic.push(match needed {
                true => Text::new(self.saved.text(g)?, end, block),
                false => Text::default(),
            });
        }
        if self.config.init == Init::Chain && next > 0 {
            let weights = self.saved.weights(&format!("gen{}", next - 1), &model)?;
            model.set_params(&weights)?;
        }
        Ok((synthetic, model))
    }

    fn initialise<T: Tier<Number = f32>>(&self, model: &mut Gpt<T>, g: usize) -> Result<()> {
        match (self.config.init, self.base) {
            (Init::Chain, _) if g > 0 => Ok(()),
            (Init::Base, Some(weights)) => model.set_params(weights),
            _ => {
                *model = Gpt::new(model.tier.clone(), model.config.clone(), self.seed)?;
                Ok(())
            }
        }
    }

    fn train<T: Tier<Number = f32>>(
        &self,
        model: &mut Gpt<T>,
        g: usize,
        [train, validation]: &[Vec<u32>; 2],
    ) -> Result<Fit> {
        let context = self.config.model.context;
        let what = format!("training text of generation {g}");
        let t = context.min(validation.len().saturating_sub(1));
        let request = FitRequest {
            train: Blocks::new(train, context, &what)?,
            validation: match t {
                0 => None,
                t => Some(Blocks::new(validation, t, "validation text")?),
            },
            loss: self.loss,
            config: &self.config.train,
            seed: self.seed,
            generation: g,
        };
        fit(model, &request, &mut |state| {
            (self.progress)(g, Stage::Training(state));
            if (self.stopped)() { Control::Stop } else { Control::Continue }
        })
    }

    /// Generated tokens that enter training at generation `g` for the first time.
    fn fresh(&self, g: usize, train: &[Piece], pool: &Pool) -> usize {
        let units = |pieces: &[Piece]| -> BTreeSet<(Source, usize)> {
            let of = |piece: &Piece| {
                let source = piece.source;
                piece.units.clone().into_iter().map(move |unit| (source, unit))
            };
            let synthetic = pieces.iter().filter(|piece| piece.source != Source::Real);
            synthetic.flat_map(of).collect()
        };
        let mut new = units(train);
        if self.config.protocol.keeps_all() {
            for before in 0..g {
                let plan = self.config.protocol.plan(before, pool);
                let (train, _) = carve(&plan, self.config.validation);
                new = &new - &units(&train);
            }
        }
        new.iter().map(|&(source, unit)| pool.len(source, unit)).sum()
    }

    fn blank(&self, generation: usize) -> GenerationRecord {
        GenerationRecord {
            loss: self.loss.to_string(),
            seed: self.seed,
            generation,
            outcome: Outcome::Finished,
            metrics: BTreeMap::new(),
            p_histogram_real: Vec::new(),
            p_histogram_synthetic: Vec::new(),
            training: Vec::new(),
            samples: Vec::new(),
        }
    }

    fn samples(&self, stream: &[u32], end: u32) -> Vec<String> {
        let documents = split_documents(stream, end, true).into_iter();
        let cut = documents.map(|document| &document[..document.len().min(SAMPLE_TOKENS)]);
        cut.take(SAMPLES_IN_FILE).map(|tokens| self.corpus.tokenizer().decode(tokens)).collect()
    }
}

/// The weights of a seed's base model: those on disk, or trained now and saved.
pub fn base_weights<T: Tier<Number = f32>>(
    tier: &T,
    config: &RunConfig,
    corpus: &Corpus,
    saved: &Saved,
    seed: u64,
    stopped: &dyn Fn() -> bool,
) -> Result<Vec<f32>> {
    let Some(base) = &config.base else {
        return Err(Error::input(
            "The settings have no table [base]; add one for init = \"base\".",
        ));
    };
    let mut model = Gpt::new(tier.clone(), config.model.clone(), seed)?;
    if saved.has_weights("base") {
        return saved.weights("base", &model);
    }
    let text = corpus.base(seed);
    let request = FitRequest {
        train: Blocks::new(&text, config.model.context, "text of the base model")?,
        validation: None,
        loss: Loss::Ce,
        config: &base.train,
        seed,
        // No generation of the run has this number, so none shares its random numbers.
        generation: usize::MAX,
    };
    let outcome = fit(&mut model, &request, &mut |_| match stopped() {
        true => Control::Stop,
        false => Control::Continue,
    })?;
    if outcome.diverged {
        return Err(Error::input(format!(
            "The base model of seed {seed} diverged; lower learning_rate = {} in [base.train].",
            base.train.learning_rate
        )));
    }
    saved.put_weights("base", &model)?;
    model.get_params()
}
