//! `fortifai report`: page, figures and table from run directories.

use super::{Common, grid, say, say_json};
use crate::collapse::view;
use crate::report::{self, RunView};
use crate::{Error, Result};
use clap::Args;
use std::path::PathBuf;

/// Write the report of one run or of several together: HTML page, SVG figures, CSV table.
///
/// Runs that are still going on, or were stopped, are reported as far as they are finished.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai report runs/toy-replace
      writes report.html, metrics.csv and figures/ into the run's own directory
  fortifai report runs/toy-replace runs/toy-accumulate --out comparison
  fortifai report runs/study
      the folder of a study (collapse --grid): its contrasts, onsets and curves
  fortifai report runs/toy-replace --tensorboard events
      then tensorboard --logdir events")]
pub struct Arguments {
    /// Directories of runs
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Where to write [default: the directory of the run; needed for several runs]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also write event files for TensorBoard, one folder for every chain: metrics by generation,
    /// training losses by step
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl Arguments {
    /// Whether a line of JSON is asked for.
    pub fn json(&self) -> bool {
        self.common.json
    }
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    let events = |views: &[RunView]| match &arguments.tensorboard {
        Some(dir) => report::tensorboard::write(views, dir),
        None => Ok(()),
    };
    if let [only] = arguments.runs.as_slice()
        && let Some(study) = grid::read(only)?
    {
        let out = arguments.out.as_ref().unwrap_or(only);
        let begun = study.folders(only).into_iter().filter(|dir| dir.join("config.toml").exists());
        events(&begun.map(|dir| view(&dir)).collect::<Result<Vec<_>>>()?)?;
        return grid::conclude(&study, only, out, arguments.common.json);
    }
    for run in &arguments.runs {
        if run.join("grid.toml").exists() {
            return Err(Error::input(format!(
                "{} holds a study, which is reported alone; name only it, or single runs.",
                run.display()
            )));
        }
    }
    let out = match (&arguments.out, arguments.runs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [only]) => only.clone(),
        (None, runs) => {
            return Err(Error::input(format!(
                "{} runs are named; say with --out where their common report should go.",
                runs.len()
            )));
        }
    };
    let views = arguments.runs.iter().map(|run| view(run)).collect::<Result<Vec<_>>>()?;
    events(&views)?;
    std::fs::create_dir_all(&out).map_err(|cause| Error::writing(&out, cause))?;
    let (page, table) = (out.join("report.html"), out.join("metrics.csv"));
    report::write(&views, &page)?;
    report::write_csv(&views, &table)?;
    let figures = report::write_svgs(&views, &out.join("figures"))?;
    say(&report::final_table(&views));
    say(&format!("\nReport: {}\n", page.display()));
    if arguments.common.json {
        say_json(&serde_json::json!({
            "exit_code": 0, "report": page, "table": table, "figures": figures,
        }));
    }
    Ok(())
}
