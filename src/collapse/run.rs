//! Runs carried out: their chains side by side, matched ones after those they are matched to.

use super::folder::{Summary, chains};
use super::protocol::{Pool, carve};
use super::record::GenerationRecord;
use super::session::{Brake, Session};
use super::stream::{Text, assemble};
use super::{Corpus, Protocol, Stage, schedule};
use crate::config::RunConfig;
use crate::cpu::Cpu;
use crate::model::Activations;
use crate::tier::Tier;
use crate::train::Blocks;
use crate::{Error, Result};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// How a run is carried out; nothing here changes its numbers.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Threads in all.
    pub threads: usize,
    /// Chains side by side.
    pub jobs: usize,
    /// Go on with the run that the directory holds.
    pub resume: bool,
    /// Stop after so many finished generations.
    pub limit: Option<usize>,
    /// Set from outside to stop.
    pub stop: Arc<AtomicBool>,
}

impl Default for RunOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
        Self { threads, jobs: threads, resume: false, limit: None, stop: Arc::default() }
    }
}

/// Is told how a run goes; the numbers of chains are those of [`chains`].
pub trait Observer: Sync {
    /// A chain begins or continues a stage of a generation.
    fn stage(&self, _chain: usize, _generation: usize, _stage: Stage) {}
    /// A generation is on disk.
    fn finished(&self, _chain: usize, _record: &GenerationRecord) {}
}

impl Observer for () {}

/// The settings and the text of a run.
#[derive(Debug)]
pub struct Prepared {
    /// The settings, `vocab` filled in.
    pub config: RunConfig,
    /// The text.
    pub corpus: Corpus,
}

/// Reads the corpus and checks that every generation can train on it.
///
/// # Errors
/// Bad settings or bad text.
pub fn open(config: &RunConfig) -> Result<Prepared> {
    let mut config = config.clone();
    config.validate()?;
    let corpus = Corpus::load(&config)?;
    let tokenizer = corpus.tokenizer();
    config.model.vocab = tokenizer.vocab_size();
    let context = config.model.context;
    let rows = config.train.batch / config.train.accumulation;
    Activations::<Cpu<f32>>::check(&config.model, rows, context, true)?;
    Blocks::new(corpus.heldout(), context, "held-out text")?;
    let block = config.windows().map(|_| context);
    let real = Text::new(corpus.real(config.seeds[0]), tokenizer.end_token(), block);
    let lengths = real.lengths();
    let synthetic = vec![Vec::new(); config.generations];
    let pool = Pool {
        real: &lengths,
        synthetic: &synthetic,
        generations: config.generations,
        budget: config.budget(0, real.tokens.len()),
        seed: 0,
    };
    let (first, _) = carve(&config.protocol.plan(0, &pool), config.validation);
    let first = assemble(&first, &real, &[], tokenizer.end_token());
    Blocks::new(&first, context, "training text of generation 0")?;
    let splits = if config.protocol == Protocol::Fractions { config.generations } else { 0 };
    if (0..splits).any(|g| pool.tokens(&config.protocol.plan(g, &pool)) == 0) {
        return Err(Error::input(format!(
            "The {} documents of the corpus cannot be cut into {splits} splits; give a longer \
             corpus or lower generations.",
            lengths.len()
        )));
    }
    let budget = config.budget(0, real.tokens.len());
    let needed = config.protocol.real_tokens(budget, config.generations);
    if needed > real.tokens.len() {
        return Err(Error::input(format!(
            "The protocol {} takes {needed} tokens of real text for {} generations of {budget} tokens, \
             but there are {}; lower synthetic_tokens, or leave it out.",
            config.protocol,
            config.generations,
            real.tokens.len()
        )));
    }
    if let Some(budget) = config.synthetic_tokens.filter(|&budget| budget <= context) {
        return Err(Error::input(format!(
            "The budget synthetic_tokens = {budget} fills no block of {context} tokens and the one \
             after it; raise it."
        )));
    }
    Ok(Prepared { config, corpus })
}

/// Carries out a run in a directory: a new one, or with `resume` one that holds this run.
///
/// Every finished generation is on disk before the next begins. Chains are independent: where one
/// fails the others go on, and the first failure is reported at the end.
///
/// # Errors
/// [`Error::Stopped`] when stopped or at the limit; bad settings; what fails in a chain.
pub fn run<T: Tier<Number = f32>>(
    tier: &T,
    prepared: Prepared,
    dir: &Path,
    options: &RunOptions,
    observer: &dyn Observer,
) -> Result<Summary> {
    let config = prepared.config.clone();
    let session = Session::open(tier, prepared, dir, options.threads, options.resume)?;
    let ready = Mutex::new(Some(session));
    let open = || Ok(ready.lock().expect("it is taken once").take().expect("it is opened once"));
    let work = Work { config: &config, open: &open, observer };
    let mut results = run_all(tier, &[work], options);
    results.pop().expect("one run has one result")
}

/// A run among others.
pub struct Work<'a> {
    /// Its settings.
    pub config: &'a RunConfig,
    /// Opens it; called once, when its turn has come.
    pub open: &'a (dyn Fn() -> Result<Session> + Sync),
    /// Is told how it goes.
    pub observer: &'a dyn Observer,
}

/// A step of a run.
enum Step {
    Open,
    Base(usize),
    Chain(usize),
    Conclude,
}

/// Carries out runs, their chains side by side; what each came to, in order.
pub fn run_all<T: Tier<Number = f32>>(
    tier: &T,
    works: &[Work],
    options: &RunOptions,
) -> Vec<Result<Summary>> {
    let mut steps = Vec::new();
    let mut waits = Vec::new();
    let mut widths = [0, 0];
    for (run, work) in works.iter().enumerate() {
        for (step, before) in steps_of(work.config, steps.len()) {
            if let Step::Chain(index) = step {
                let (arm, _) = chains(work.config)[index];
                widths[usize::from(arm.matched.is_some())] += 1;
            }
            steps.push((run, step));
            waits.push(before);
        }
    }
    let jobs = options.jobs.clamp(1, widths[0].max(widths[1]).max(1));
    let brake = Brake::new(&options.stop, options.limit);
    let sessions: Vec<Mutex<Option<Arc<Session>>>> =
        works.iter().map(|_| Mutex::default()).collect();
    let failed: Vec<AtomicBool> = works.iter().map(|_| AtomicBool::new(false)).collect();
    let results = schedule::carry_out((options.threads, jobs), &waits, &|index| {
        let (run, step) = &steps[index];
        let slot = || sessions[*run].lock().expect("no step panics under the lock");
        let session = slot().clone();
        let observer = works[*run].observer;
        let result = match (step, session) {
            _ if brake.stopped() && !matches!(step, Step::Conclude) => Err(Error::stopped()),
            (Step::Open, _) => (works[*run].open)().map(|session| {
                *slot() = Some(Arc::new(session));
                None
            }),
            (Step::Base(seed), Some(session)) => session.base(tier, *seed, &brake).map(|()| None),
            (Step::Chain(index), Some(session)) => {
                session.follow(tier, *index, &brake, observer).map(|()| None)
            }
            // Whatever else of this run held on to the session has ended.
            (Step::Conclude, Some(session)) => {
                *slot() = None;
                match failed[*run].load(Ordering::Relaxed) {
                    true => Ok(None),
                    false => session.conclude().map(Some),
                }
            }
            (_, None) => Ok(None),
        };
        if result.is_err() {
            failed[*run].store(true, Ordering::Relaxed);
        }
        if matches!(result, Err(Error::Environment(_))) {
            brake.abort();
        }
        result
    });
    let mut outcomes: Vec<Vec<Result<Option<Summary>>>> =
        works.iter().map(|_| Vec::new()).collect();
    for ((run, _), result) in steps.iter().zip(results) {
        outcomes[*run].push(result);
    }
    outcomes.into_iter().map(outcome).collect()
}

/// The steps of a run, and which of all steps each waits for, where the run's first is number `first`.
fn steps_of(config: &RunConfig, first: usize) -> Vec<(Step, Vec<usize>)> {
    let all = chains(config);
    let seeds = config.seeds.len();
    let bases = if config.base.is_some() { seeds } else { 0 };
    let mut steps = vec![(Step::Open, Vec::new())];
    steps.extend((0..bases).map(|seed| (Step::Base(seed), vec![first])));
    // Matched arms take figures from others, which therefore come first.
    let (free, matched): (Vec<usize>, Vec<usize>) =
        (0..all.len()).partition(|&index| all[index].0.matched.is_none());
    let chains_from = steps.len();
    for &index in free.iter().chain(&matched) {
        let (arm, seed) = all[index];
        let begun = if bases > 0 { first + 1 + index % seeds } else { first };
        let parents = arm.parents();
        let parent = |place: usize| {
            let (other, of) = all[free[place]];
            of == seed && parents.contains(&other)
        };
        let mut before = vec![begun];
        before.extend((0..free.len()).filter(|&p| parent(p)).map(|p| first + chains_from + p));
        steps.push((Step::Chain(index), before));
    }
    let ends = (1..steps.len()).map(|step| first + step).collect();
    steps.push((Step::Conclude, ends));
    steps
}

/// What the steps of a run came to: its first failure, stops last, or its summary.
fn outcome(steps: Vec<Result<Option<Summary>>>) -> Result<Summary> {
    let mut summary = None;
    let mut stopped = None;
    for step in steps {
        match step {
            Ok(found) => summary = found.or(summary),
            Err(Error::Stopped(why)) => stopped = Some(Error::Stopped(why)),
            Err(failure) => return Err(failure),
        }
    }
    match (stopped, summary) {
        (None, Some(summary)) => Ok(summary),
        (Some(stopped), _) => Err(stopped),
        (None, None) => Err(Error::stopped()),
    }
}
