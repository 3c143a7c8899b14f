//! `fortifai theory report`: the whole theory on one page.

use super::plot::writable;
use crate::cli::{Common, say, say_json};
use crate::report::theory;
use crate::{Error, Result};
use clap::Args;
use fortifai_collapse::{FAMILIES, Plan, check};
use std::path::PathBuf;

/// Write the theory as one self-contained page: figures, formulas, sources and check results.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai theory report -o theory.html
  fortifai theory report -o theory.html --seed 2    the same page from other random numbers")]
pub struct Arguments {
    /// HTML file to be written
    #[arg(short = 'o', long = "out", value_name = "FILE.html", default_value = "theory.html")]
    out: PathBuf,
    /// Seed of the random numbers
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    writable(&arguments.out, "html")?;
    let chapters = arguments.common.on_threads(|| {
        let chapter = |family: &'static fortifai_collapse::Family| {
            eprintln!("{}: checks", family.name);
            let guards: Vec<_> = family.guards.iter().copied().flatten().collect();
            let report = check::run(&guards, arguments.seed, None, |_, _| ());
            eprintln!("{}: figures", family.name);
            let figures = family.figures.iter().copied().flatten();
            let plan = |replicates| Plan { seed: arguments.seed, replicates };
            let figures = figures.map(|f| theory::draw(f, &plan(f.replicates))).collect();
            theory::Chapter { family, report, figures }
        };
        Ok(FAMILIES.iter().map(chapter).collect::<Vec<_>>())
    })?;
    theory::write_page(&chapters, arguments.seed, &arguments.out)?;
    say(&format!("{}\n", arguments.out.display()));
    let passed =
        chapters.iter().all(|chapter| chapter.report.passed || chapter.report.checks.is_empty());
    if arguments.common.json {
        say_json(&serde_json::json!({
            "exit_code": u8::from(!passed), "report": arguments.out, "passed": passed,
        }));
    }
    match passed {
        true => Ok(()),
        false => Err(Error::Check("A prediction does not stand; the page says which.".into())),
    }
}
