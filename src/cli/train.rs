//! `fortifai train`: one model.

use super::collapse::{carry_out, corpus_name};
use super::device::OnDevice;
use super::settings::{Settings, losses, put};
use super::{Common, say, say_json, stop_flag};
use crate::collapse::RunOptions;
use crate::{Error, Result};
use clap::Args;
use std::path::PathBuf;
use toml::{Table, Value};

/// Fit one model to a corpus.
///
/// The directory then holds the weights, the tokenizer, the settings and the measurements;
/// `fortifai generate` and `fortifai evaluate` take it.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:
  fortifai train --loss tce:0.9 --out models/toy
  fortifai train --corpus shakespeare.txt --tokenizer char --model small --epochs 2 --out models/bard
  fortifai generate models/bard --prompt 'ROMEO:'
  fortifai evaluate models/bard sonnets.txt"
)]
pub struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// The loss
    #[arg(long, value_name = "L", default_value = "ce")]
    loss: String,
    /// Names the random numbers
    #[arg(long, value_name = "K", default_value_t = 1)]
    seed: u32,
    /// Directory of the model [default: runs/CORPUS-train-LOSS]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    machine: OnDevice,
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
    let mut more = Table::new();
    let list = losses(&arguments.loss)?;
    if list.as_array().is_some_and(|list| list.len() != 1) {
        return Err(Error::input(format!(
            "One model is trained with one loss, but {:?} names several; use fortifai collapse to \
             compare losses.",
            arguments.loss
        )));
    }
    put(&mut more, "losses", Some(list));
    put(&mut more, "seeds", Some(Value::Array(vec![Value::Integer(arguments.seed.into())])));
    put(&mut more, "generations", Some(Value::Integer(1)));
    let config = arguments.settings.resolve(None, more)?;
    let name = || {
        let loss = arguments.loss.replace([':', ','], "-");
        PathBuf::from("runs").join(format!("{}-train-{loss}", corpus_name(&config)))
    };
    let out = arguments.out.clone().unwrap_or_else(name);
    let threads = arguments.common.threads();
    let options = RunOptions { threads, jobs: 1, stop: stop_flag()?, ..RunOptions::default() };
    let summary = carry_out(arguments.machine, &config, &out, &options)?;
    let Some(record) = summary.records.first() else {
        return Err(Error::environment("The run left no record; run again."));
    };
    for (name, value) in &record.metrics {
        say(&format!("{name:28} {value:.6}\n"));
    }
    say(&format!("\nModel: {}\n", out.display()));
    if arguments.common.json {
        say_json(&serde_json::json!({
            "exit_code": 0, "out": out, "outcome": record.outcome, "metrics": record.metrics,
        }));
    }
    Ok(())
}
