//! `--dry-run`: what a run would cost, from a measurement of a second or two.

use super::device::{OnDevice, Work};
use super::{say, say_json};
use crate::collapse::grid::{Cell, Grid};
use crate::collapse::{Prepared, Protocol, RunOptions, open, view};
use crate::config::{DecodeConfig, RunConfig, TrainConfig};
use crate::loss::Rule;
use crate::model::{Activations, Batch, Gpt, GptDecoder};
use crate::tier::Tier;
use crate::{Error, Result, Stream};
use std::path::Path;
use std::time::Instant;

/// Seconds that each of the two measurements may take, about.
const MEASURED_S: f64 = 0.7;

/// Prints the runs, the time, the memory and the disk space of a run.
pub fn execute(
    machine: OnDevice,
    config: &RunConfig,
    out: &Path,
    options: &RunOptions,
    json: bool,
) -> Result<()> {
    machine.run(Estimate { config, out, options, json })
}

struct Estimate<'a> {
    config: &'a RunConfig,
    out: &'a Path,
    options: &'a RunOptions,
    json: bool,
}

impl Work for Estimate<'_> {
    type Output = ();

    fn run<T: Tier<Number = f32>>(self, tier: &T) -> Result<()> {
        estimate(tier, self.config, self.out, self.options, self.json)
    }
}

/// What the chains of a run cost, each by itself, and what that was reckoned from.
struct Cost {
    prepared: Prepared,
    /// Tokens of real text.
    real: usize,
    /// Weights of the model.
    weights: usize,
    /// Tokens per second.
    training: f64,
    writing: f64,
    /// Seconds of a chain, and of the base model of a seed.
    chain_s: f64,
    base_s: f64,
    /// Bytes that a chain holds while it is followed, and leaves on disk.
    memory: f64,
    disk: f64,
}

impl Cost {
    /// Measures how fast the model trains and writes with so many threads.
    fn measure<T: Tier<Number = f32>>(
        tier: &T,
        config: &RunConfig,
        threads: usize,
    ) -> Result<Self> {
        let prepared = open(config)?;
        let config = &prepared.config;
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|cause| {
                Error::environment(format!("No threads can be started: {cause}. Lower --threads."))
            })?;
        let real = prepared.corpus.real(config.seeds[0]);
        let model = Gpt::new(tier.clone(), config.model.clone(), config.seeds[0])?;
        let training = pool.install(|| training_speed(&model, config, &real))?;
        let writing = pool.install(|| writing_speed(&model, config, &real))?;
        let (mut trained, mut written) = (0.0, 0.0);
        for g in 0..config.generations {
            let (train, write) = tokens(config, g, real.len() - 1);
            trained += passed(&config.train, config.model.context, train);
            written += write as f64;
        }
        let base_s = match &config.base {
            Some(base) if base.model.is_none() => {
                let text = prepared.corpus.base(config.seeds[0]).len();
                passed(&base.train, config.model.context, text) / training
            }
            _ => 0.0,
        };
        // Scoring costs a third of training per token.
        let items = prepared.corpus.items().map_or(0, |items| items.tokens());
        let scored = ((2 * prepared.corpus.heldout().len() + items) * config.generations) as f64;
        let weights = model.layout.len as f64 * 4.0;
        let rows = (config.train.batch / config.train.accumulation.max(1)).max(1);
        let per_token = (14 * config.model.layers + 30) * config.model.channels * 4;
        Ok(Self {
            real: real.len() - 1,
            weights: model.layout.len,
            training,
            writing,
            chain_s: trained / training + written / writing + scored / training / 3.0,
            base_s,
            memory: weights * 5.0 + (rows * config.model.context * per_token) as f64 + 3e8,
            disk: weights + written * 4.0 + config.generations as f64 * 4e4,
            prepared,
        })
    }
}

fn estimate<T: Tier<Number = f32>>(
    tier: &T,
    config: &RunConfig,
    out: &Path,
    options: &RunOptions,
    json: bool,
) -> Result<()> {
    let chains = config.losses.len() * config.seeds.len();
    let jobs = options.jobs.clamp(1, chains.max(1));
    let threads = (options.threads / jobs).max(1);
    let cost = Cost::measure(tier, config, threads)?;
    let config = &cost.prepared.config;
    // The chains run in rounds of `jobs`.
    let rounds = chains.div_ceil(jobs) as f64;
    let time_s = rounds * cost.chain_s + cost.base_s * config.seeds.len() as f64 / jobs as f64;
    let (memory, disk) = (cost.memory * jobs as f64, cost.disk * chains as f64);
    say(&format!(
        "{chains} chains ({} losses x {} seeds) of {} generations, {jobs} side by side with \
         {threads} thread(s) each, into {}\n\
         model        {} weights, vocabulary {}, context {}\n\
         real text    {} tokens; held out {} tokens\n\
         training     {:.0} tokens/s measured\n\
         generation   {:.0} tokens/s measured\n\
         time         about {}\n\
         memory       up to about {:.1} GB\n\
         disk         about {:.1} MB\n",
        config.losses.len(),
        config.seeds.len(),
        config.generations,
        out.display(),
        cost.weights,
        config.model.vocab,
        config.model.context,
        cost.real,
        cost.prepared.corpus.heldout().len(),
        cost.training,
        cost.writing,
        duration(time_s),
        memory / 1e9,
        disk / 1e6,
    ));
    if json {
        say_json(&serde_json::json!({
            "exit_code": 0, "chains": chains, "jobs": jobs, "time_s": time_s,
            "memory_bytes": memory, "disk_bytes": disk,
            "training_tokens_per_s": cost.training, "generation_tokens_per_s": cost.writing,
        }));
    }
    Ok(())
}

/// Prints what is left of a study, and the time, the memory and the disk space of that.
pub fn study(
    machine: OnDevice,
    grid: &Grid,
    out: &Path,
    options: &RunOptions,
    json: bool,
) -> Result<()> {
    machine.run(StudyEstimate { grid, out, options, json })
}

struct StudyEstimate<'a> {
    grid: &'a Grid,
    out: &'a Path,
    options: &'a RunOptions,
    json: bool,
}

impl Work for StudyEstimate<'_> {
    type Output = ();

    fn run<T: Tier<Number = f32>>(self, tier: &T) -> Result<()> {
        let Self { grid, out, options, json } = self;
        let planned = |cell: &Cell| cell.config.losses.len() * cell.config.generations;
        let (total, jobs) = (grid.cells.iter().map(planned).sum::<usize>(), options.jobs.max(1));
        let threads = (options.threads / jobs).max(1);
        let (mut done, mut work_s, mut memory, mut disk) = (0, 0.0, 0.0_f64, 0.0);
        // Cells that differ in their seed and their arms alone cost the same by the chain.
        let mut measured: Vec<(RunConfig, Cost)> = Vec::new();
        for (cell, folder) in grid.cells.iter().zip(grid.folders(out)) {
            let mut kind = cell.config.clone();
            kind.losses.truncate(1);
            kind.seeds = vec![1];
            let known = measured.iter().position(|(other, _)| *other == kind);
            let index = match known {
                Some(index) => index,
                None => {
                    let cost = Cost::measure(tier, &cell.config, threads)?;
                    measured.push((kind, cost));
                    measured.len() - 1
                }
            };
            let cost = &measured[index].1;
            let finished = match folder.join("config.toml").exists() {
                true => view(&folder)?.records.len(),
                false => 0,
            };
            done += finished;
            let left =
                planned(cell).saturating_sub(finished) as f64 / cell.config.generations as f64;
            work_s += left * cost.chain_s + if finished == 0 { cost.base_s } else { 0.0 };
            memory = memory.max(cost.memory * jobs as f64);
            disk += cost.disk * cell.config.losses.len() as f64;
        }
        let time_s = work_s / jobs as f64;
        say(&format!(
            "{}: {} cells, {total} generations, of which {done} are finished in {}\n\
             {jobs} chains side by side with {threads} thread(s) each\n\
             time         about {} for the rest\n\
             memory       up to about {:.1} GB\n\
             disk         about {:.1} MB\n",
            grid.name,
            grid.cells.len(),
            out.display(),
            duration(time_s),
            memory / 1e9,
            disk / 1e6,
        ));
        if json {
            say_json(&serde_json::json!({
                "exit_code": 0, "cells": grid.cells.len(), "generations": total, "finished": done,
                "jobs": jobs, "time_s": time_s, "memory_bytes": memory, "disk_bytes": disk,
            }));
        }
        Ok(())
    }
}

/// Tokens that generation `g` trains on and writes.
fn tokens(config: &RunConfig, g: usize, real: usize) -> (usize, usize) {
    let budget = config.budget(g, real);
    let split = real / config.generations;
    match config.protocol {
        Protocol::Fractions => (split * (g + 1), split * (g + 1)),
        Protocol::Fresh(_) => (budget, budget),
        _ if g == 0 => (real, config.budget(1, real)),
        Protocol::Replace | Protocol::Mix(_) => (budget, config.budget(g + 1, real)),
        Protocol::Accumulate => (
            real + (1..=g).map(|g| config.budget(g, real)).sum::<usize>(),
            config.budget(g + 1, real),
        ),
        Protocol::AccumulateSubsample => (real, budget),
    }
}

/// Tokens that pass through the training on a text of so many.
fn passed(train: &TrainConfig, context: usize, tokens: usize) -> f64 {
    let steps = train.steps_on(tokens as f64 / context as f64);
    (steps * train.batch * context) as f64
}

fn training_speed<T: Tier>(model: &Gpt<T>, config: &RunConfig, text: &[u32]) -> Result<f64> {
    let t = config.model.context;
    let rows = (config.train.batch / config.train.accumulation.max(1)).max(1);
    let take =
        |shift| -> Vec<u32> { text.iter().skip(shift).copied().cycle().take(rows * t).collect() };
    let (tokens, targets) = (take(0), take(1));
    let mut acts = Activations::new(&model.tier, &model.config, rows, t, true)?;
    let mut gradients = model.tier.param(model.layout.len)?;
    let batch = Batch { tokens: &tokens, targets: &targets, mask: None, t };
    let mut step = || model.accumulate_gradients(&mut gradients, &mut acts, batch, &Rule::Ce, 1.0);
    step()?;
    let (started, mut steps) = (Instant::now(), 0);
    while steps == 0 || started.elapsed().as_secs_f64() < MEASURED_S {
        step()?;
        steps += 1;
    }
    Ok((steps * rows * t) as f64 / started.elapsed().as_secs_f64())
}

fn writing_speed<T: Tier>(model: &Gpt<T>, config: &RunConfig, text: &[u32]) -> Result<f64> {
    let (prompt, new) = match config.windows() {
        Some((context, stride)) => (text[..context.min(text.len())].to_vec(), stride),
        None => (vec![text[0]], config.decode.max_new_tokens.min(24)),
    };
    let decode = DecodeConfig { min_new_tokens: new, max_new_tokens: new, ..config.decode.clone() };
    let count = (128 / decode.beams).max(1);
    let mut decoder = GptDecoder::new(model, count * decode.beams, prompt.len() + new)?;
    let (started, mut written) = (Instant::now(), 0);
    let prompts = vec![prompt; count];
    while written == 0 || started.elapsed().as_secs_f64() < MEASURED_S {
        let streams = |item| Stream::new(0, "estimate", 0, item as u64);
        let texts = crate::sample::generate(&mut decoder, &prompts, &decode, None, streams)?;
        written += texts.iter().map(Vec::len).sum::<usize>();
    }
    Ok(written as f64 / started.elapsed().as_secs_f64())
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
