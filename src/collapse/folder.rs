//! What the directory of a run holds: settings, records, weights, tables, the report.

use super::chain::Finished;
use super::record::GenerationRecord;
use super::saved::arena;
use super::{Arm, Corpus};
use crate::config::{RunConfig, difference};
use crate::measure::items;
use crate::model::Gpt;
use crate::report::{self, RunView};
use crate::store::{Alone, Manifest, RunDir, atomic, checkpoint};
use crate::tier::Tier;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// What a finished run gave.
#[derive(Clone, Debug)]
pub struct Summary {
    /// All records, by loss in the order of the settings, seed, generation.
    pub records: Vec<GenerationRecord>,
    /// The run as reports see it.
    pub view: RunView,
}

/// Finished generations by arm and seed.
pub type Done = BTreeMap<(String, u64), Vec<GenerationRecord>>;

/// A chain's name, fit for a file.
pub fn chain_name(arm: &Arm, seed: u64) -> String {
    format!("{}-seed{seed}", arm.to_string().replace([':', ',', '@', '=', '+'], "-"))
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

/// A directory for a new run, with its settings in it.
///
/// # Errors
/// If it is taken, or cannot be written.
pub fn begin(
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

/// The directory of a run that is to go on.
///
/// # Errors
/// If it holds another run, or the run's inputs have changed.
pub fn reopen(dir: &Path, config: &RunConfig, manifest: &Manifest) -> Result<(RunDir, Alone)> {
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
///
/// # Errors
/// Records that cannot be read.
pub fn finished(dir: &RunDir, config: &RunConfig) -> Result<Done> {
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

/// Puts a finished generation on disk, its record last.
///
/// # Errors
/// If a file cannot be written.
pub fn commit(dir: &RunDir, chain: &str, finished: &Finished) -> Result<()> {
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
///
/// # Errors
/// If a file cannot be read or written.
pub fn conclude(dir: &RunDir, config: &RunConfig) -> Result<Summary> {
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
        if !found.bad.is_empty() {
            return Err(Error::input(format!(
                "No weights of the chain {chain} of {} can be used: {} Restore them, or train anew with another \
                 --out.",
                dir.display(),
                found.bad.join(" ")
            )));
        }
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
