//! `fortifai theory plot`: predictions as lines, simulations as points.

use super::find;
use crate::cli::{Common, say, say_json};
use crate::report::theory;
use crate::{Error, Result};
use clap::Args;
use fortifai_collapse::Plan;
use std::path::PathBuf;

/// Draw a prediction as a line, with the simulated chain as points beside it.
///
/// NAME is a figure's name, an id such as G1, a family, or a word of a figure's title. Several
/// figures stand below each other in one file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai theory plot G1 -o shrinking.svg
  fortifai theory plot G8 N9 --replicates 20000 -o accumulate.svg
  fortifai theory list --family gaussian            which figures there are")]
pub struct Arguments {
    /// Figures, ids, families
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// SVG file to be written
    #[arg(short = 'o', long = "out", value_name = "FILE.svg")]
    out: PathBuf,
    /// Simulated chains per point [default: each figure's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=100_000_000))]
    replicates: Option<u64>,
    /// Seed of the random numbers
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    let figures = find::figures(&arguments.names)?;
    writable(&arguments.out, "svg")?;
    let drawn = arguments.common.on_threads(|| {
        Ok(figures
            .iter()
            .map(|figure| {
                eprintln!("{}", figure.name);
                let replicates = arguments.replicates.unwrap_or(figure.replicates);
                theory::draw(figure, &Plan { seed: arguments.seed, replicates })
            })
            .collect::<Vec<_>>())
    })?;
    theory::write_svg(&drawn, &arguments.out)?;
    say(&format!("{}\n", arguments.out.display()));
    if arguments.common.json {
        let names: Vec<&str> = figures.iter().map(|figure| figure.name).collect();
        say_json(&serde_json::json!({ "exit_code": 0, "file": arguments.out, "figures": names }));
    }
    Ok(())
}

/// Refuses before the work what could not be written after it.
pub fn writable(path: &std::path::Path, ending: &str) -> Result<()> {
    if path.extension().is_none_or(|found| !found.eq_ignore_ascii_case(ending)) {
        return Err(Error::input(format!(
            "-o {} does not end in .{ending}, but that is what would be written.",
            path.display()
        )));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
        return Err(Error::input(format!(
            "-o {} cannot be written: there is no directory {}.",
            path.display(),
            parent.display()
        )));
    }
    match path.is_dir() {
        true => Err(Error::input(format!("-o {} is a directory.", path.display()))),
        false => Ok(()),
    }
}
