//! Runs as pictures and tables: one self-contained page, SVG files, CSV, and text for the terminal.
//!
//! | function | gives |
//! |---|---|
//! | [`write()`] | `report.html`: verdict, figures, tables, samples, provenance; no external resource |
//! | [`write_svgs`] | every figure as a file |
//! | [`write_csv`] | all numbers in long form |
//! | [`final_table`] | the final table as text |
//! | [`write_grid`], [`write_grid_svgs`] | the page of a study and its own figures |
//! | [`tensorboard`] | event files |
//! | [`theory`] | the same for the theory: page and figures |
//! | [`ladder`] | the rungs of kernels as bars |
//!
//! Intervals are Student-t intervals over seeds at 95 %, comparisons are paired by seed, and where
//! a single seed allows no interval the report says so.

mod beside;
mod compare;
mod confidence;
mod csv;
mod curves;
#[cfg(test)]
mod demo;
mod forest;
mod grid;
mod heatmap;
mod html;
pub mod ladder;
mod number;
mod ratios;
mod samples;
mod scale;
mod svg;
mod tables;
pub mod tensorboard;
pub mod theory;
mod training;
mod verdict;
mod view;

pub use grid::{QUESTIONS_CHANGED, write_grid, write_grid_svgs};

use crate::collapse::record::GenerationRecord;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// What is reported of one run directory.
#[derive(Clone, Debug, Default)]
pub struct RunView {
    /// The run's name.
    pub title: String,
    /// The resolved configuration.
    pub config_toml: String,
    /// The manifest: versions, hashes, device.
    pub manifest_json: String,
    /// All finished generations, in any order; of a repeated one the last counts.
    pub records: Vec<GenerationRecord>,
    /// The command that reproduces the run.
    pub command: String,
}

/// A picture with its file name and the sentence below it.
struct Figure {
    name: String,
    svg: svg::Svg,
    caption: String,
}

/// Writes the report of one or several runs as a single HTML file.
///
/// # Errors
/// No records at all, or a file that cannot be written.
pub fn write(runs: &[RunView], html: &Path) -> Result<()> {
    save(html, &html::page(&study(runs)?))
}

/// Writes every metric of every generation as rows `run,loss,seed,generation,metric,value`.
///
/// A metric `diverged` (0 or 1) is added to each generation. Numbers are written so that they read
/// back exactly; those that are not finite as `NaN`, `inf`, `-inf`.
///
/// # Errors
/// No records at all, or a file that cannot be written.
pub fn write_csv(runs: &[RunView], path: &Path) -> Result<()> {
    study(runs)?;
    save(path, &csv::table(runs))
}

/// The final table as text: for each key metric and loss, generation 0, the last generation, the
/// paired change with its 95 % t interval, and the paired difference to `ce`.
pub fn final_table(runs: &[RunView]) -> String {
    tables::text(&view::Study::new(runs))
}

/// Writes every figure as an SVG file of its own into a directory, which is created, and returns
/// the paths.
///
/// # Errors
/// No records at all, or a file that cannot be written.
pub fn write_svgs(runs: &[RunView], dir: &Path) -> Result<Vec<PathBuf>> {
    let study = study(runs)?;
    std::fs::create_dir_all(dir).map_err(|cause| Error::writing(dir, cause))?;
    let mut paths = Vec::new();
    for figure in html::figures(&study).into_iter().flat_map(|(_, figures)| figures) {
        let path = dir.join(format!("{}.svg", figure.name));
        let description = format!("{} {}", figure.caption, curves::legend(&study));
        save(&path, &figure.svg.file(description.trim()))?;
        paths.push(path);
    }
    Ok(paths)
}

fn study(runs: &[RunView]) -> Result<view::Study<'_>> {
    if runs.iter().all(|run| run.records.is_empty()) {
        let titles: Vec<&str> = runs.iter().map(|run| run.title.as_str()).collect();
        return Err(Error::input(format!(
            "There is nothing to report: no generation is finished in [{}]; wait for the first \
             line of metrics.jsonl or name another run directory.",
            titles.join(", ")
        )));
    }
    Ok(view::Study::new(runs))
}

fn save(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|cause| Error::writing(path, cause))
}

/// A name that is safe in a file name and as an anchor.
fn slug(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
    text.chars().map(safe).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_run_is_refused_with_a_remedy() {
        let message =
            write(&[RunView { title: "r1".into(), ..RunView::default() }], Path::new("/x"));
        let message = message.unwrap_err().to_string();
        assert!(message.contains("[r1]") && message.contains("metrics.jsonl"), "{message}");
        assert!(final_table(&[]).contains("no finished generation"));
    }

    #[test]
    fn all_files_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let runs = [demo::run(&["ce", "tce:0.9"], 0..3, 4)];
        write(&runs, &dir.path().join("report.html")).unwrap();
        write_csv(&runs, &dir.path().join("metrics.csv")).unwrap();
        let svgs = write_svgs(&runs, &dir.path().join("figures")).unwrap();
        assert!(svgs.len() > 10);
        for path in svgs {
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.starts_with("<svg xmlns=") && text.contains("<style>"));
        }
        let blocked = write(&runs, &dir.path().join("none/report.html")).unwrap_err();
        assert_eq!(blocked.exit_code(), 2);
    }
}
