//! All chains of a run side by side, their records, the report.

use super::arm::Match;
use super::chain::{Chain, Finished, Stage, base_weights};
use super::protocol::{Pool, carve};
use super::record::GenerationRecord;
use super::saved::{Saved, arena};
use super::stream::{Text, assemble};
use super::{Arm, Corpus, Protocol};
use crate::config::{RunConfig, difference};
use crate::cpu::Cpu;
use crate::measure::items;
use crate::model::{Activations, Gpt};
use crate::report::{self, RunView};
use crate::store::{Alone, Manifest, RunDir, atomic, checkpoint};
use crate::tier::Tier;
use crate::train::Blocks;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// What a finished run gave.
#[derive(Clone, Debug)]
pub struct Summary {
    /// All records, by loss in the order of the settings, seed, generation.
    pub records: Vec<GenerationRecord>,
    /// The run as reports see it.
    pub view: RunView,
}

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

/// A chain's name, fit for a file.
pub fn chain_name(arm: &Arm, seed: u64) -> String {
    format!("{}-seed{seed}", arm.to_string().replace([':', ',', '@', '=', '+'], "-"))
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
    prepared: &Prepared,
    dir: &Path,
    options: &RunOptions,
    observer: &dyn Observer,
) -> Result<Summary> {
    let Prepared { config, corpus } = prepared;
    let weighs = |arm: &&Arm| arm.treatment.unlearn.is_some() || arm.treatment.real.is_some();
    if let Some(arm) = config.losses.iter().find(weighs).filter(|_| !tier.takes_functions()) {
        return Err(Error::input(format!(
            "The arm {arm} weighs tokens by a function of its own, which runs on the CPU only; use --device \
             cpu, or leave +unlearn and +real out."
        )));
    }
    let inputs = Corpus::inputs(config);
    let inputs: Vec<&Path> = inputs.iter().map(|path| path.as_path()).collect();
    let manifest = Manifest::gather(options.threads, &config.seeds, &inputs)?;
    let (dir, _alone) = match options.resume {
        true => reopen(dir, config, &manifest)?,
        false => begin(dir, config, &manifest, corpus)?,
    };
    let mut done = finished(&dir, config)?;
    let jobs = options.jobs.clamp(1, config.losses.len() * config.seeds.len());
    let committed = AtomicUsize::new(0);
    let abort = AtomicBool::new(false);
    let stopped = || options.stop.load(Ordering::Relaxed) || abort.load(Ordering::Relaxed);
    let writer = Mutex::new(());

    let bases = match &config.base {
        Some(_) => workers(options, jobs, config.seeds.len(), &|index| {
            let seed = config.seeds[index];
            let saved = Saved::open(&dir, &format!("base-seed{seed}"))?;
            base_weights(tier, config, corpus, &saved, seed, &stopped)
        })
        .into_iter()
        .collect::<Result<Vec<_>>>()?,
        None => Vec::new(),
    };
    let all = chains(config);
    let mut pending: Vec<Vec<GenerationRecord>> = Vec::new();
    for (arm, seed) in &all {
        pending.push(done.remove(&(arm.to_string(), *seed)).unwrap_or_default());
    }
    let follow = |index: usize, leads: Vec<f64>| {
        let (arm, seed) = all[index];
        let name = chain_name(&arm, seed);
        let reference = arm.treatment.verify.map(|_| format!("{name}-reference"));
        let chain = Chain {
            config: &arm.apply(config),
            corpus,
            saved: Saved::open(&dir, &name)?,
            reference: reference.map(|name| Saved::open(&dir, &name)).transpose()?,
            arm,
            leads,
            seed,
            base: bases.get(index % config.seeds.len()).map(Vec::as_slice),
            done: pending[index].clone(),
            stopped: &stopped,
            progress: &|g, stage| observer.stage(index, g, stage),
            commit: &|finished: Finished| {
                let _turn = writer.lock().expect("no writer panics");
                commit(&dir, &name, &finished)?;
                observer.finished(index, &finished.record);
                let count = committed.fetch_add(1, Ordering::Relaxed) + 1;
                if options.limit.is_some_and(|limit| count >= limit) {
                    abort.store(true, Ordering::Relaxed);
                }
                Ok(())
            },
        };
        let result = match stopped() {
            true => Err(Error::stopped()),
            false => chain.follow(tier),
        };
        if matches!(result, Err(Error::Environment(_))) {
            abort.store(true, Ordering::Relaxed);
        }
        result
    };
    // Matched arms take figures from others, which therefore come first.
    let (free, matched): (Vec<usize>, Vec<usize>) =
        (0..all.len()).partition(|&index| all[index].0.matched.is_none());
    let mut results = workers(options, jobs, free.len(), &|task| follow(free[task], Vec::new()));
    if !matched.is_empty() && !stopped() {
        let done = finished(&dir, config)?;
        let leads = |index: usize| leads(&all[index].0, all[index].1, &done);
        results.extend(workers(options, jobs, matched.len(), &|task| {
            follow(matched[task], leads(matched[task]))
        }));
    }
    let mut errors: Vec<Error> = results.into_iter().filter_map(Result::err).collect();
    errors.sort_by_key(|error| matches!(error, Error::Stopped(_)));
    match errors.into_iter().next() {
        Some(error) => Err(error),
        None if stopped() && !matched.is_empty() => Err(Error::stopped()),
        None => conclude(&dir, config),
    }
}

/// What a matched arm takes from its parents, for every generation that they all finished.
fn leads(arm: &Arm, seed: u64, done: &BTreeMap<(String, u64), Vec<GenerationRecord>>) -> Vec<f64> {
    let metric = match arm.matched {
        Some(Match::Kept(_)) => "kept_fraction_training",
        _ => "update_norm",
    };
    let figures = |parent: &Arm| -> Vec<f64> {
        let records = done.get(&(parent.to_string(), seed)).map_or(&[][..], Vec::as_slice);
        records.iter().map_while(|record| record.metrics.get(metric).copied()).collect()
    };
    let parents: Vec<Vec<f64>> = arm.parents().iter().map(figures).collect();
    match parents.as_slice() {
        [kept] => kept.clone(),
        [wanted, own] => wanted
            .iter()
            .zip(own)
            .map(|(wanted, own)| if *own > 0.0 { wanted / own } else { 1.0 })
            .collect(),
        _ => Vec::new(),
    }
}

/// The chains of a run: every seed of the first arm, then of the second, and so on.
pub fn chains(config: &RunConfig) -> Vec<(Arm, u64)> {
    let of = |arm: &Arm| {
        let arm = *arm;
        config.seeds.iter().map(move |seed| (arm, *seed))
    };
    config.losses.iter().flat_map(of).collect()
}

/// What a run directory holds, finished or not, as reports see it.
///
/// # Errors
/// If the directory holds no run or its files cannot be read.
pub fn view(dir: &Path) -> Result<RunView> {
    let run = RunDir::open(dir)?;
    let read = |path: std::path::PathBuf| {
        std::fs::read_to_string(&path).map_err(|cause| Error::reading(&path, cause))
    };
    let records = match run.metrics().exists() {
        true => atomic::read_lines(&run.metrics())?.records,
        false => Vec::new(),
    };
    let title = dir
        .file_name()
        .map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned());
    Ok(RunView {
        config_toml: read(run.config())?,
        manifest_json: read(run.manifest()).unwrap_or_default(),
        records,
        command: format!(
            "fortifai collapse --config {}/config.toml --out NEW_DIRECTORY",
            dir.display()
        ),
        title,
    })
}

/// Runs `count` tasks, `jobs` at a time, each worker with its share of the threads; results in order.
fn workers<X: Send>(
    options: &RunOptions,
    jobs: usize,
    count: usize,
    task: &(dyn Fn(usize) -> Result<X> + Sync),
) -> Vec<Result<X>> {
    let jobs = jobs.clamp(1, count.max(1));
    let next = AtomicUsize::new(0);
    let results: Mutex<BTreeMap<usize, Result<X>>> = Mutex::default();
    let threads = (options.threads / jobs).max(1);
    let work = || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            let result = match &pool {
                Ok(pool) => pool.install(|| task(index)),
                Err(cause) => Err(Error::environment(format!(
                    "No {threads} threads can be started: {cause}. Lower --threads."
                ))),
            };
            results.lock().expect("no task panics here").insert(index, result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    results.into_inner().expect("all workers are done").into_values().collect()
}

fn begin(
    dir: &Path,
    config: &RunConfig,
    manifest: &Manifest,
    corpus: &Corpus,
) -> Result<(RunDir, Alone)> {
    let run = RunDir::create(dir)?;
    let alone = run.alone()?;
    corpus.tokenizer().save(&run.root().join("tokenizer.json"))?;
    manifest.write(&run)?;
    let text = toml::to_string_pretty(config).map_err(|cause| {
        Error::input(format!("The settings cannot be written as TOML: {cause}."))
    })?;
    atomic::write(&run.config(), text.as_bytes())?;
    Ok((run, alone))
}

fn reopen(dir: &Path, config: &RunConfig, manifest: &Manifest) -> Result<(RunDir, Alone)> {
    let run = RunDir::open(dir)?;
    let alone = run.alone()?;
    let old = saved_config(dir)?;
    if let Some((key, was, is)) = difference(&old, config) {
        return Err(Error::input(format!(
            "The run in {} has {key} = {was}, but {is} is asked for; leave {key} as it was, or \
             start a new run with another --out.",
            dir.display()
        )));
    }
    let before = Manifest::read(&run)?;
    for (path, hash) in &before.inputs {
        if manifest.inputs.get(path) != Some(hash) {
            return Err(Error::input(format!(
                "The file {path} has changed since the run in {} began; restore it, or start a \
                 new run with another --out.",
                dir.display()
            )));
        }
    }
    Ok((run, alone))
}

/// The settings of the run in a directory.
///
/// # Errors
/// If it holds no run or its settings cannot be read.
pub fn saved_config(dir: &Path) -> Result<RunConfig> {
    let path = RunDir::open(dir)?.config();
    let table = crate::config::parse(&path)?;
    crate::config::resolve(&[(format!("The settings file {}", path.display()), table)])
}

/// The finished generations by chain, those after a gap left out.
fn finished(
    dir: &RunDir,
    config: &RunConfig,
) -> Result<BTreeMap<(String, u64), Vec<GenerationRecord>>> {
    let mut table: BTreeMap<(String, u64), BTreeMap<usize, GenerationRecord>> = BTreeMap::new();
    if dir.metrics().exists() {
        for record in atomic::read_lines::<GenerationRecord>(&dir.metrics())?.records {
            let chain = table.entry((record.loss.clone(), record.seed)).or_default();
            chain.insert(record.generation, record);
        }
    }
    let whole = |records: BTreeMap<usize, GenerationRecord>| -> Vec<GenerationRecord> {
        let numbered = records.into_iter().enumerate();
        numbered.take_while(|(g, (number, _))| g == number).map(|entry| entry.1.1).collect()
    };
    let mut done: BTreeMap<_, _> =
        table.into_iter().map(|(chain, records)| (chain, whole(records))).collect();
    done.values_mut().for_each(|records| records.truncate(config.generations));
    Ok(done)
}

fn commit(dir: &RunDir, chain: &str, finished: &Finished) -> Result<()> {
    let Finished { record, timing, samples, items } = finished;
    let text: Vec<String> =
        samples.iter().map(|sample| format!("{}\n", sample.trim_end())).collect();
    let name = format!("{chain}-gen{}.txt", record.generation);
    atomic::write(&dir.samples().join(name), text.join("\n---\n\n").as_bytes())?;
    if !items.is_empty() {
        let folder = dir.items();
        std::fs::create_dir_all(&folder).map_err(|cause| Error::writing(&folder, cause))?;
        let path = folder.join(format!("{chain}-gen{}.jsonl", record.generation));
        atomic::write(&path, items::lines(items).as_bytes())?;
    }
    let line = |value: serde_json::Result<String>| value.expect("a record is plain data");
    atomic::append_line(&dir.timings(), &line(serde_json::to_string(timing)))?;
    atomic::append_line(&dir.metrics(), &line(serde_json::to_string(record)))
}

/// Sorts the records, writes the table and the report.
fn conclude(dir: &RunDir, config: &RunConfig) -> Result<Summary> {
    let mut done = finished(dir, config)?;
    let records: Vec<GenerationRecord> = chains(config)
        .into_iter()
        .flat_map(|(loss, seed)| done.remove(&(loss.to_string(), seed)).unwrap_or_default())
        .collect();
    let line = |record| serde_json::to_string(record).expect("a record is plain data") + "\n";
    let lines: String = records.iter().map(line).collect();
    atomic::write(&dir.metrics(), lines.as_bytes())?;
    let view = view(dir.root())?;
    let views = std::slice::from_ref(&view);
    report::write_csv(views, &dir.table())?;
    report::write(views, &dir.report())?;
    Ok(Summary { records, view })
}

/// The model of a chain with the weights of its latest finished generation, and which that is.
///
/// # Errors
/// If the chain has no finished generation, or its weights are damaged.
pub fn load_weights<T: Tier<Number = f32>>(
    tier: &T,
    config: &RunConfig,
    dir: &Path,
    chain: &str,
) -> Result<(Gpt<T>, usize)> {
    let run = RunDir::open(dir)?;
    let mut model = Gpt::zeros(tier.clone(), config.model.clone())?;
    let found = checkpoint::newest_valid(&run.checkpoints().join(chain))?;
    let Some(found) = found.checkpoint else {
        return Err(Error::input(format!(
            "The chain {chain} of {} has no weights yet; wait for its first generation.",
            dir.display()
        )));
    };
    let weights = arena(&found, &model)?;
    model.set_params(&weights)?;
    let generation = found.name.trim_start_matches("gen").parse().unwrap_or(0);
    Ok((model, generation))
}
