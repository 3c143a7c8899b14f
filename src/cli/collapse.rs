//! `fortifai collapse`: the recursive run.

use super::device::{OnDevice, Work};
use super::progress::Display;
use super::settings::{Settings, losses, put, seeds};
use super::{Common, estimate, grid, say, say_json, stop_flag};
use crate::Result;
use crate::collapse::grid::{GridOptions, Shard};
use crate::collapse::{self, RunOptions, Summary};
use crate::config::RunConfig;
use crate::report;
use crate::tier::Tier;
use clap::Args;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Train, generate, mix, train again; compare losses over generations and seeds.
///
/// Generation 0 trains on real text. Every later one trains on text that the models before it
/// wrote, put together as the protocol says. Chains of equal seed share all random numbers, so
/// that losses are compared in pairs.
///
/// Protocols: fractions (the paper's: one more clean split each generation, the earlier ones
/// regenerated), replace (synthetic text only), accumulate (everything so far),
/// accumulate-subsample (as much as the real corpus, drawn from everything so far), mix:A (the share
/// A is real, the same text every time), fresh:A (the same with other real text every time); both take
/// a schedule, mix:0.5..0.1.
///
/// Losses: ce, tce:G, focal:G, focal-detached:G, linear:G, drop-low:Q, clipped-focal:G,C,
/// random-mask:K, tce-dynamic:A, smooth:E.
///
/// Controls, behind a loss: random-mask@kept=L (keeps what the loss L kept, generation by generation),
/// @step=L (learning rate scaled to the update norm of L), @sgd=RATE. Its own way to generate:
/// @temperature=T, @top-k=K, @top-p=P, @greedy, @beams=N, @penalty=R. Treatments of the generated text:
/// +surplexity=K, +verify=K, +grammar, +edit=P, +unlearn=W, +real=W.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:
  fortifai collapse
      the toy world: ce, tce:0.9 and focal:2, three seeds, six generations
  fortifai collapse --protocol mix:0.5 --loss ce,tce:0.9,tce:0.99 --seeds 5
      half of each training text is real
  fortifai collapse --corpus shakespeare.txt --tokenizer char --generations 4 --dry-run
      says how long it would take, how much memory and disk
  fortifai collapse --config run.toml --out runs/mine
      settings from a file; the resolved ones are in runs/mine/config.toml
  fortifai collapse --out runs/mine --resume
      goes on where the run in runs/mine was stopped, to the very same numbers
  fortifai collapse --loss ce,tce:0.9,random-mask@kept=tce:0.9,ce+surplexity=0.5
      a control at TCE's own kept fraction, and a filter on the generated text
  fortifai collapse --grid paper/studies/toy.toml --out runs/study --jobs 2
      a study: arms x protocols x seeds; the same command goes on where it was stopped
  fortifai collapse --grid paper/studies/toy.toml --out runs/study --shard 0/4
      a quarter of it, for one of four machines that share a folder
  fortifai collapse --grid paper/studies/toy.toml --out runs/study --dry-run
      what is left of it, and how long that would take"
)]
pub struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Which text each generation trains on (see above)
    #[arg(long, value_name = "P")]
    protocol: Option<String>,
    /// Losses to compare, separated by commas
    #[arg(long, value_name = "L,...")]
    loss: Option<String>,
    /// Number of generations, the one on real text included
    #[arg(long, value_name = "N")]
    generations: Option<u32>,
    /// How many seeds, or a list of them
    #[arg(long, value_name = "N|a,b,c")]
    seeds: Option<String>,
    /// A single seed
    #[arg(long, value_name = "K", conflicts_with = "seeds")]
    seed: Option<u32>,
    /// Generated tokens per generation [default: as many as the real corpus has]
    #[arg(long, value_name = "N")]
    synthetic_tokens: Option<u32>,
    /// Directory of the run [default: runs/CORPUS-PROTOCOL]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in the directory; settings given must be those it has
    ///
    /// A study goes on without being told.
    #[arg(long, conflicts_with = "dry_run")]
    resume: bool,
    /// Chains side by side, each with its share of the threads [default: one per thread]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Study file (TOML): arms x protocols x seeds, and the contrasts to be concluded
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "protocol", "loss", "generations", "seeds", "seed", "synthetic_tokens", "config", "set",
        "corpus",
    ])]
    grid: Option<PathBuf>,
    /// Only part I of N of a study's runs, I from 0
    #[arg(long, value_name = "I/N", requires = "grid")]
    shard: Option<Shard>,
    #[command(flatten)]
    machine: OnDevice,
    /// Only say what would be done, how long it would take, how much memory and disk
    #[arg(long)]
    dry_run: bool,
    /// Stop as by a signal after so many finished generations
    #[arg(long, value_name = "N", hide = true)]
    stop_after: Option<usize>,
    #[command(flatten)]
    common: Common,
}

impl Arguments {
    /// Whether a line of JSON is asked for.
    pub fn json(&self) -> bool {
        self.common.json
    }

    fn table(&self) -> Result<Table> {
        let mut table = Table::new();
        put(&mut table, "protocol", self.protocol.clone().map(Value::String));
        put(&mut table, "losses", self.loss.as_deref().map(losses).transpose()?);
        put(&mut table, "seeds", self.seeds.as_deref().map(seeds).transpose()?);
        let seed = self.seed.map(|seed| Value::Array(vec![Value::Integer(seed.into())]));
        put(&mut table, "seeds", seed);
        let count = |count: Option<u32>| count.map(|count| Value::Integer(count.into()));
        put(&mut table, "generations", count(self.generations));
        put(&mut table, "synthetic_tokens", count(self.synthetic_tokens));
        Ok(table)
    }

    fn options(&self) -> Result<RunOptions> {
        let threads = self.common.threads();
        Ok(RunOptions {
            threads,
            jobs: self.jobs.map_or(threads, usize::from),
            resume: self.resume,
            limit: self.stop_after,
            stop: stop_flag()?,
        })
    }
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    if let Some(file) = &arguments.grid {
        let options = GridOptions { run: arguments.options()?, shard: arguments.shard };
        let json = arguments.common.json;
        let (machine, out) = (arguments.machine, arguments.out.as_deref());
        return match arguments.dry_run {
            true => grid::estimate(machine, file, out, &options, json),
            false => grid::execute(machine, file, out, &options, json),
        };
    }
    let more = arguments.table()?;
    let mut out = arguments.out.clone();
    let saved = match (&out, arguments.resume) {
        (_, false) => None,
        (Some(dir), true) => Some(dir.clone()),
        (None, true) => Some(default_out(&arguments.settings.resolve(None, more.clone())?)),
    };
    let saved = match saved {
        None => None,
        Some(dir) => {
            let path = crate::store::RunDir::open(&dir)?.config();
            out = Some(dir);
            Some(path)
        }
    };
    let config = arguments.settings.resolve(saved.as_deref(), more)?;
    let out = out.unwrap_or_else(|| default_out(&config));
    if arguments.dry_run {
        let (options, json) = (arguments.options()?, arguments.common.json);
        return estimate::execute(arguments.machine, &config, &out, &options, json);
    }
    let summary = carry_out(arguments.machine, &config, &out, &arguments.options()?)?;
    say(&report::final_table(std::slice::from_ref(&summary.view)));
    say(&format!("\nReport: {}\n", out.join("report.html").display()));
    if arguments.common.json {
        say_json(&outcome(&summary, &out));
    }
    Ok(())
}

/// Prepares and carries out a run with its progress on stderr.
pub fn carry_out(
    machine: OnDevice,
    config: &RunConfig,
    out: &Path,
    options: &RunOptions,
) -> Result<Summary> {
    if !options.resume {
        refuse_taken(out)?;
    }
    machine.run(Run { config, out, options })
}

/// A run on any tier.
struct Run<'a> {
    config: &'a RunConfig,
    out: &'a Path,
    options: &'a RunOptions,
}

impl Work for Run<'_> {
    type Output = Summary;

    fn run<T: Tier<Number = f32>>(self, tier: &T) -> Result<Summary> {
        let prepared = collapse::open(self.config)?;
        let display = Display::new(&prepared.config);
        let result = collapse::run(tier, prepared, self.out, self.options, &display);
        display.end();
        result
    }
}

/// Says that a directory is taken before the corpus is read.
fn refuse_taken(out: &Path) -> Result<()> {
    let taken =
        ["config.toml", "metrics.jsonl", "grid.toml"].iter().any(|name| out.join(name).exists());
    if taken { crate::store::RunDir::create(out).map(|_| ()) } else { Ok(()) }
}

fn outcome(summary: &Summary, out: &Path) -> serde_json::Value {
    let last = |record: &&collapse::record::GenerationRecord| {
        !summary.records.iter().any(|other| {
            (&other.loss, other.seed) == (&record.loss, record.seed)
                && other.generation > record.generation
        })
    };
    let chains: Vec<serde_json::Value> = (summary.records.iter().filter(last))
        .map(|record| {
            serde_json::json!({
                "loss": record.loss,
                "seed": record.seed,
                "generation": record.generation,
                "outcome": record.outcome,
                "metrics": record.metrics,
            })
        })
        .collect();
    serde_json::json!({ "exit_code": 0, "out": out, "chains": chains })
}

fn default_out(config: &RunConfig) -> PathBuf {
    let protocol = config.protocol.to_string().replace(':', "-");
    PathBuf::from("runs").join(format!("{}-{protocol}", corpus_name(config)))
}

/// The corpus's name as part of a directory's name.
pub fn corpus_name(config: &RunConfig) -> String {
    let stem = Path::new(&config.corpus).file_stem();
    stem.map_or_else(|| "corpus".into(), |stem| stem.to_string_lossy().into_owned())
}
