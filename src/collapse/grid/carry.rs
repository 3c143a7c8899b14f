//! Carries out the cells of a grid, their chains side by side, and knows which are finished.

use super::{Cell, Grid};
use crate::collapse::record::{GenerationRecord, Outcome};
use crate::collapse::run::{RunOptions, Work, open, run_all};
use crate::collapse::session::{Session, leads};
use crate::collapse::{Observer, Stage, chains, folder};
use crate::store::{RunDir, atomic, take_turn};
use crate::tier::Tier;
use crate::{Error, Result};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Part `index` of `count` of the list of cells, so that machines share a grid without talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: usize,
    /// How many parts.
    pub count: usize,
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('/').and_then(|(index, count)| {
            Some((index.trim().parse::<usize>().ok()?, count.trim().parse::<usize>().ok()?))
        });
        match parts {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            _ => Err(Error::input(format!(
                "The shard {text:?} is not i/n with i from 0 to n - 1; write for example --shard 0/4."
            ))),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.index, self.count)
    }
}

/// The study's file as it was when the study began.
const FIRST: &str = "grid-first.toml";

/// What a grid that was stopped says.
const GO_ON: &str = "Stopped by a signal; run the same command again to go on.";

/// How a grid is carried out; nothing here changes its numbers.
#[derive(Clone, Debug, Default)]
pub struct GridOptions {
    /// Threads, chains side by side, the stop flag, the limit of generations.
    pub run: RunOptions,
    /// Which cells; all if left out.
    pub shard: Option<Shard>,
}

/// Is told how the cells go.
pub trait CellObserver: Sync {
    /// A stage of a generation of a chain of a cell begins or continues.
    fn stage(&self, _cell: usize, _chain: usize, _generation: usize, _stage: Stage) {}
    /// A generation is on disk.
    fn finished(&self, _cell: usize, _chain: usize, _record: &GenerationRecord) {}
}

impl CellObserver for () {}

struct One<'a> {
    cell: usize,
    to: &'a dyn CellObserver,
}

impl Observer for One<'_> {
    fn stage(&self, chain: usize, generation: usize, stage: Stage) {
        self.to.stage(self.cell, chain, generation, stage);
    }
    fn finished(&self, chain: usize, record: &GenerationRecord) {
        self.to.finished(self.cell, chain, record);
    }
}

/// Whether every chain of a cell has come to its end.
///
/// # Errors
/// Records that cannot be read.
pub fn finished(cell: &Cell, path: &Path) -> Result<bool> {
    if !path.join("config.toml").exists() || !path.join("report.html").exists() {
        return Ok(false);
    }
    let done = folder::finished(&RunDir::open(path)?, &cell.config)?;
    Ok(chains(&cell.config).iter().all(|(arm, seed)| {
        let records = done.get(&(arm.to_string(), *seed)).map_or(&[][..], Vec::as_slice);
        let diverged = records.last().is_some_and(|last| last.outcome == Outcome::Diverged);
        // A matched chain ends where its parents did.
        let end = match arm.matched {
            Some(_) => leads(arm, *seed, &done).len().min(cell.config.generations),
            None => cell.config.generations,
        };
        diverged || records.len() >= end
    }))
}

/// Puts the study's file into its folder, and beside it, once, as it was when the study began.
fn enter(grid: &Grid, dir: &Path) -> Result<()> {
    if dir.join("config.toml").exists() {
        return Err(Error::input(format!(
            "{} holds a single run (config.toml exists), not a study; choose another directory with --out.",
            dir.display()
        )));
    }
    // Shards of a study may all begin at the same moment.
    let _turn = take_turn(dir)?;
    let (first, current) = (dir.join(FIRST), dir.join("grid.toml"));
    let (text, there) = (grid.text.as_bytes(), std::fs::read(&current).ok());
    if !first.exists() {
        atomic::write(&first, there.as_deref().unwrap_or(text))?;
    }
    if there.as_deref() == Some(text) { Ok(()) } else { atomic::write(&current, text) }
}

/// Whether the contrasts or the rule of failure are other ones than when the study in a folder began;
/// `None` where that is not known.
///
/// # Errors
/// If the file of its beginning cannot be read.
pub fn questions_changed(grid: &Grid, dir: &Path) -> Result<Option<bool>> {
    let path = dir.join(FIRST);
    if !path.exists() {
        return Ok(None);
    }
    let first = crate::config::parse(&path)?;
    let now: toml::Table = grid.text.parse().unwrap_or_default();
    Ok(Some(["contrast", "onset"].iter().any(|key| first.get(*key) != now.get(*key))))
}

/// Carries out the cells that are not finished, each in its folder below `dir`; what was begun goes
/// on where it was stopped.
///
/// # Errors
/// [`Error::Stopped`] when stopped or at the limit; the first failure of a cell, after the others are
/// done.
pub fn carry_out<T: Tier<Number = f32>>(
    tier: &T,
    grid: &Grid,
    dir: &Path,
    options: &GridOptions,
    observer: &dyn CellObserver,
) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|cause| Error::writing(dir, cause))?;
    enter(grid, dir)?;
    let mine = |index: &usize| options.shard.is_none_or(|shard| index % shard.count == shard.index);
    let mut open_cells = Vec::new();
    for index in (0..grid.cells.len()).filter(mine) {
        if !finished(&grid.cells[index], &dir.join(&grid.cells[index].name))? {
            open_cells.push(index);
        }
    }
    let share = &options.run;
    let ones: Vec<One> = open_cells.iter().map(|&cell| One { cell, to: observer }).collect();
    let opens: Vec<_> = (open_cells.iter())
        .map(|&index| {
            let cell = &grid.cells[index];
            let folder = dir.join(&cell.name);
            move || {
                let resume = RunDir::open(&folder).is_ok();
                Session::open(tier, open(&cell.config)?, &folder, share.threads, resume)
            }
        })
        .collect();
    let works: Vec<Work> = (open_cells.iter().zip(&opens).zip(&ones))
        .map(|((&index, open), observer)| Work {
            config: &grid.cells[index].config,
            open,
            observer,
        })
        .collect();
    let mut stopped = false;
    for result in run_all(tier, &works, share) {
        match result {
            Ok(_) => {}
            Err(Error::Stopped(_)) => stopped = true,
            Err(failure) => return Err(failure),
        }
    }
    if stopped { Err(Error::Stopped(GO_ON.into())) } else { Ok(()) }
}
