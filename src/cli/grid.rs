//! `fortifai collapse --grid`: a study, and its conclusion from whatever cells there are.

use super::device::{OnDevice, Work};
use super::{progress, say, say_json};
use crate::collapse::grid::{
    CellObserver, Grid, GridOptions, answers, carry_out, chains_of, contrasts_csv, finished,
    onsets_csv, questions_changed,
};
use crate::collapse::record::{GenerationRecord, Outcome};
use crate::collapse::{chain_name, chains, view};
use crate::report::{self, RunView};
use crate::store::take_turn;
use crate::tier::Tier;
use crate::{Error, Result};
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Carries out a study or a shard of it, and concludes once all of it is there.
pub fn execute(
    machine: OnDevice,
    file: &Path,
    out: Option<&Path>,
    options: &GridOptions,
    json: bool,
) -> Result<()> {
    let grid = Grid::read(file)?;
    let out = folder(&grid, out);
    machine.run(Cells { grid: &grid, out: &out, options })?;
    let mut open = 0;
    for (cell, folder) in grid.cells.iter().zip(grid.folders(&out)) {
        open += usize::from(!finished(cell, &folder)?);
    }
    if open > 0 {
        say(&format!(
            "This shard is done; {open} of {} cells are left to others. When they are, fortifai report {} \
             concludes.\n",
            grid.cells.len(),
            out.display()
        ));
        if json {
            say_json(&serde_json::json!({ "exit_code": 0, "out": out, "open_cells": open }));
        }
        return Ok(());
    }
    conclude(&grid, &out, &out, json)
}

/// Says what is left of a study and what that would cost.
pub fn estimate(
    machine: OnDevice,
    file: &Path,
    out: Option<&Path>,
    options: &GridOptions,
    json: bool,
) -> Result<()> {
    if let Some(shard) = options.shard {
        return Err(Error::input(format!(
            "--dry-run reckons a whole study; leave --shard {shard} out."
        )));
    }
    let grid = Grid::read(file)?;
    super::estimate::study(machine, &grid, &folder(&grid, out), &options.run, json)
}

fn folder(grid: &Grid, out: Option<&Path>) -> PathBuf {
    out.map_or_else(|| PathBuf::from("runs").join(slug(&grid.name)), Path::to_path_buf)
}

/// The study that a folder holds, if it holds one.
pub fn read(dir: &Path) -> Result<Option<Grid>> {
    let file = dir.join("grid.toml");
    if file.exists() { Grid::read(&file).map(Some) } else { Ok(None) }
}

/// Writes tables, figures and the page of a study.
pub fn conclude(grid: &Grid, dir: &Path, out: &Path, json: bool) -> Result<()> {
    let views = (grid.folders(dir).iter())
        .map(|folder| {
            if folder.join("config.toml").exists() { view(folder) } else { Ok(RunView::default()) }
        })
        .collect::<Result<Vec<_>>>()?;
    std::fs::create_dir_all(out).map_err(|cause| Error::writing(out, cause))?;
    // Several may conclude at the same moment.
    let _turn = take_turn(out)?;
    let begun: Vec<RunView> =
        views.iter().filter(|view| !view.records.is_empty()).cloned().collect();
    report::write_csv(&begun, &out.join("metrics.csv"))?;
    let chains = chains_of(grid, &views);
    let answers = answers(grid, &chains);
    let tables =
        [("contrasts.csv", contrasts_csv(&answers)), ("onsets.csv", onsets_csv(grid, &chains))];
    for (name, text) in tables {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|cause| Error::writing(&path, cause))?;
    }
    let page = out.join("report.html");
    let changed = questions_changed(grid, dir)?;
    report::write_grid(grid, &views, changed, &page)?;
    report::write_grid_svgs(grid, &views, &out.join("figures"))?;
    for answer in &answers {
        let ratio = answer.log_ratio.map(|estimate| estimate.map(f64::exp));
        let words = match (ratio, ratio.and_then(|ratio| ratio.interval), answer.silence()) {
            (Some(ratio), Some((low, high)), _) => format!(
                "x {:.3} [{low:.3}, {high:.3}], {} pairs, p {:.4} after Holm",
                ratio.mean,
                ratio.n,
                answer.adjusted_p.unwrap_or(1.0)
            ),
            (Some(ratio), None, Some(why)) => format!("x {:.3} ({why})", ratio.mean),
            (_, _, why) => why.unwrap_or_default(),
        };
        let left_out = match (answer.left_out, ratio) {
            (0, _) | (_, None) => String::new(),
            (n, Some(_)) => format!("; {n} more without a value"),
        };
        say(&format!("{}: {words}{left_out}\n", answer.contrast.name));
    }
    if changed == Some(true) {
        say(&format!("\n{}\n", report::QUESTIONS_CHANGED));
    }
    say(&format!("\nReport: {}\n", page.display()));
    if json {
        let contrasts: Vec<_> = (answers.iter())
            .map(|answer| {
                let ratio = answer.log_ratio.map(|estimate| estimate.map(f64::exp));
                serde_json::json!({
                    "name": answer.contrast.name,
                    "ratio": ratio.map(|ratio| ratio.mean),
                    "interval": ratio.and_then(|ratio| ratio.interval),
                    "pairs": ratio.map_or(0, |ratio| ratio.n),
                    "holm_p": answer.adjusted_p,
                    "censored": answer.censored,
                    "floored": answer.floored,
                    "left_out": answer.left_out,
                })
            })
            .collect();
        say_json(&serde_json::json!({ "exit_code": 0, "report": page, "contrasts": contrasts }));
    }
    Ok(())
}

struct Cells<'a> {
    grid: &'a Grid,
    out: &'a Path,
    options: &'a GridOptions,
}

impl Work for Cells<'_> {
    type Output = ();

    fn run<T: Tier<Number = f32>>(self, tier: &T) -> Result<()> {
        let total =
            self.grid.cells.iter().map(|cell| cell.config.losses.len() * cell.config.generations);
        let total: usize = total.sum();
        let mut done = 0;
        let begun = |folder: &PathBuf| folder.join("config.toml").exists();
        for folder in self.grid.folders(self.out).into_iter().filter(begun) {
            done += view(&folder)?.records.len();
        }
        let display = Display {
            grid: self.grid,
            bar: progress::steps(total as u64).with_position(done as u64),
            done: AtomicUsize::new(done),
            total,
        };
        let result = carry_out(tier, self.grid, self.out, self.options, &display);
        display.bar.finish_and_clear();
        result
    }
}

/// One bar over the generations of all cells, or a line for each that is finished.
struct Display<'a> {
    grid: &'a Grid,
    bar: ProgressBar,
    done: AtomicUsize,
    total: usize,
}

impl CellObserver for Display<'_> {
    fn finished(&self, cell: usize, chain: usize, record: &GenerationRecord) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let cell = &self.grid.cells[cell];
        let (arm, seed) = chains(&cell.config)[chain];
        let heldout = match (record.outcome, record.metrics.get("heldout_nats")) {
            (Outcome::Finished, Some(nats)) => format!("held-out {nats:.4} nats"),
            _ => "diverged".into(),
        };
        let line = format!(
            "{} {} generation {}: {heldout}",
            cell.config.protocol,
            chain_name(&arm, seed),
            record.generation
        );
        self.bar.set_position(done as u64);
        self.bar.set_message(line.clone());
        if self.bar.is_hidden() {
            eprintln!("{done} of at most {}: {line}", self.total);
        }
    }
}

fn slug(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    text.chars().map(safe).collect()
}
