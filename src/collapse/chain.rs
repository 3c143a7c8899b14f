//! One chain: an arm and a seed, generation after generation.

mod base;
mod marks;

pub use base::base_weights;

use super::arm::Match;
use super::protocol::{Piece, Pool, Source, carve};
use super::record::{GenerationRecord, Outcome};
use super::saved::{Kind, Saved};
use super::stream::{Text, assemble};
use super::treat::{Judges, Treated, written};
use super::write::Order;
use super::{Arm, Corpus, Protocol, measure};
use crate::Result;
use crate::config::{Init, RunConfig};
use crate::loss::Loss;
use crate::measure::items::ItemScore;
use crate::model::Gpt;
use crate::text::split_documents;
use crate::tier::Tier;
use crate::train::{Blocks, Control, Fit, FitRequest, Marks, Progress, fit};
use marks::Marked;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Pieces of generated text in a record, and tokens of each.
const SAMPLES: usize = 3;
/// Those of them with every token's probability.
const READINGS: usize = 2;
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
    /// Scores for `items/`.
    pub items: Vec<ItemScore>,
}

/// What a chain needs.
pub struct Chain<'a> {
    /// The run's settings as the arm changes them, `vocab` filled in.
    pub config: &'a RunConfig,
    /// The text.
    pub corpus: &'a Corpus,
    /// Its folder.
    pub saved: Saved,
    /// Where the weights of generation 0 stay, if the arm asks them to judge.
    pub reference: Option<Saved>,
    /// The arm.
    pub arm: Arm,
    /// What a matched arm takes from its parents, one number per generation they finished: the kept
    /// fraction, or the factor on the learning rate.
    pub leads: Vec<f64>,
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
    /// Trains, generates and measures until the last generation or a divergence. A matched arm ends
    /// where its parents did.
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
            let lead = match (self.arm.matched, self.leads.get(g)) {
                (None, _) => None,
                (Some(_), Some(&lead)) => Some(lead),
                (Some(_), None) => return Ok(()),
            };
            let loss = self.loss(lead);
            let lengths: Vec<Vec<usize>> = synthetic.iter().map(Text::lengths).collect();
            let real_lengths = real.lengths();
            let budget = |g| self.config.budget(g, real.tokens.len());
            let pool = Pool {
                real: &real_lengths,
                synthetic: &lengths,
                generations: self.config.generations,
                budget: budget(g),
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
            if g == 0 {
                measure::counted(metrics, &streams[0], self.corpus, self.config.model.context);
            }
            let marks = self.marks(&train, &real, &synthetic, g)?;
            let outcome = self.train(&mut model, (g, loss, lead), streams, marks)?;
            let train_s = started.elapsed().as_secs_f64();
            measure::set(metrics, "update_norm", outcome.update_norm);
            measure::set(metrics, "matched_to", lead);
            measure::set(metrics, "kept_fraction_training", outcome.kept_fraction);
            measure::set(metrics, "validation_nats", outcome.validation_nats);
            let finite = |value: f64| value.is_finite();
            record.training =
                outcome.history.iter().filter(|point| finite(point.loss_nats)).copied().collect();
            let trained =
                (outcome.steps * self.config.train.batch * self.config.model.context) as f64;

            (self.progress)(g, Stage::Writing);
            let started = Instant::now();
            let sound =
                !outcome.diverged && measure::real_text(&mut record, &model, self.corpus, &loss)?;
            let items = match sound {
                true => measure::items(&mut record, &model, self.corpus)?,
                false => Vec::new(),
            };
            let mut measure_s = started.elapsed().as_secs_f64();
            let started = Instant::now();
            let mut own = Treated::default();
            let mut generate_s = 0.0;
            if sound {
                let fractions = self.config.protocol == Protocol::Fractions;
                // Of every generation as much as the shortest text has.
                let generations = self.config.generations;
                let compared = match fractions {
                    true => real.tokens.len() / generations,
                    false => (1..=generations).map(budget).min().unwrap_or(0),
                };
                let whole = assemble(&plan, &real, &synthetic, end);
                let text = match (fractions, g.checked_sub(1)) {
                    (true, _) => &whole[1..],
                    (false, Some(before)) => &synthetic[before].tokens,
                    (false, None) => &real.tokens,
                };
                let last = g + 1 == generations;
                let order = Order {
                    config: self.config,
                    end,
                    seed: self.seed,
                    generation: g,
                    round: 0,
                    tokens: match (last, fractions) {
                        (true, _) => compared,
                        (_, true) => whole.len() - 1,
                        _ => budget(g + 1),
                    },
                    text,
                    document_tokens: real.tokens.len() as f64 / real.units.len().max(1) as f64,
                    stopped: self.stopped,
                };
                let reference = self.reference(&model, g)?;
                let judges = Judges {
                    model: &model,
                    reference: reference.as_ref(),
                    world: self.corpus.toy(),
                };
                own = written(&judges, &self.arm.treatment, &order)?;
                measure::set(&mut record.metrics, "filter_kept_share", own.kept_share);
                measure::set(&mut record.metrics, "edited_share", own.edited_share);
                generate_s = started.elapsed().as_secs_f64();
                let real = [&[end], real.tokens.as_slice()].concat();
                measure::own_text(
                    &mut record,
                    &model,
                    self.corpus,
                    &loss,
                    &real,
                    &own.raw,
                    compared,
                )?;
                let pieces = first_pieces(&own.raw.stream, end, READINGS);
                record.readings = measure::readings(&model, self.corpus, &loss, &pieces)?;
                measure_s += started.elapsed().as_secs_f64() - generate_s;
                self.saved.put_text(Kind::Own, g, &own.stream)?;
                if self.arm.treatment.unlearn.is_some() {
                    self.saved.put_text(Kind::Flawed, g, &own.flawed)?;
                }
                self.saved.put_weights(&format!("gen{g}"), &model)?;
            } else {
                record.outcome = Outcome::Diverged;
            }
            let samples = self.samples(&own.raw.stream, end);
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
            (self.commit)(Finished { record, timing, samples, items })?;
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
                true => Text::new(self.saved.text(Kind::Own, g)?, end, block),
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
            (Init::Base | Init::Chain, Some(weights)) => model.set_params(weights),
            _ => {
                *model = Gpt::new(model.tier.clone(), model.config.clone(), self.seed)?;
                Ok(())
            }
        }
    }

    /// The loss of a generation; a mask keeps what its parent kept.
    fn loss(&self, lead: Option<f64>) -> Loss {
        match (self.arm.matched, lead) {
            (Some(Match::Kept(_)), Some(keep)) => Loss::RandomMask { keep: keep.clamp(0.0, 1.0) },
            _ => self.arm.loss,
        }
    }

    /// The model that judges: that of generation 0, which is kept.
    fn reference<T: Tier<Number = f32>>(&self, model: &Gpt<T>, g: usize) -> Result<Option<Gpt<T>>> {
        let Some(saved) = &self.reference else { return Ok(None) };
        if g == 0 {
            saved.put_weights("generation-0", model)?;
        }
        let mut reference = Gpt::zeros(model.tier.clone(), model.config.clone())?;
        reference.set_params(&saved.weights("generation-0", model)?)?;
        Ok(Some(reference))
    }

    fn train<T: Tier<Number = f32>>(
        &self,
        model: &mut Gpt<T>,
        (g, loss, lead): (usize, Loss, Option<f64>),
        [mut train, validation]: [Vec<u32>; 2],
        marked: Option<Marked>,
    ) -> Result<Fit> {
        let context = self.config.model.context;
        let what = format!("training text of generation {g}");
        let t = context.min(validation.len().saturating_sub(1));
        let mut config = self.config.train.clone();
        if let (Some(Match::Step(_)), Some(factor)) = (self.arm.matched, lead) {
            config.learning_rate *= factor;
        }
        let mut marks = Vec::new();
        if let Some(marked) = &marked {
            train.extend(&marked.more);
            marks.extend(&marked.marks);
            marks.extend(marked.more.iter().map(|_| 1));
        }
        let request = FitRequest {
            train: Blocks::new(&train, context, &what)?,
            validation: match t {
                0 => None,
                t => Some(Blocks::new(&validation, t, "validation text")?),
            },
            loss,
            config: &config,
            seed: self.seed,
            generation: g,
            marks: match marked {
                Some(Marked { marked, others, .. }) => {
                    Some(Marks { blocks: Blocks::new(&marks, context, &what)?, marked, others })
                }
                None => None,
            },
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
            loss: self.arm.to_string(),
            seed: self.seed,
            generation,
            outcome: Outcome::Finished,
            metrics: BTreeMap::new(),
            p_histogram_real: Vec::new(),
            p_histogram_synthetic: Vec::new(),
            training: Vec::new(),
            samples: Vec::new(),
            readings: Vec::new(),
        }
    }

    fn samples(&self, stream: &[u32], end: u32) -> Vec<String> {
        let pieces = first_pieces(stream, end, SAMPLES_IN_FILE);
        pieces.into_iter().map(|tokens| self.corpus.tokenizer().decode(tokens)).collect()
    }
}

/// The beginnings of the first documents of a stream.
fn first_pieces(stream: &[u32], end: u32, count: usize) -> Vec<&[u32]> {
    let documents = split_documents(stream, end, true).into_iter();
    documents.map(|document| &document[..document.len().min(SAMPLE_TOKENS)]).take(count).collect()
}
