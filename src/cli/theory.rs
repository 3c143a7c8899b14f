//! `fortifai theory`: what should happen, before anything is trained.

mod check;
mod corpus;
mod find;
mod golden;
mod list;
mod plot;
mod predict;
mod report;
mod soak;

use crate::Result;
use clap::{Args, Subcommand};

/// Ask what recursive training should do, before training anything.
///
/// Closed forms for Gaussian, n-gram, regression, density, verifier and TCE toy models, each with
/// its domain and source; simulated chains that check them at a stated false-alarm rate, with
/// planted mistakes that must be noticed; figures and a report.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai theory list --family gaussian              what can be asked
  fortifai theory predict G1 --set n=10               by what factor does a fitted Gaussian shrink?
  fortifai theory predict N4 --set p=0.03 n=12 t=7    is a token of probability 0.03 extinct by t = 7?
  fortifai theory check                               simulate every chain and compare
  fortifai theory plot G1 -o shrinking.svg            prediction as a line, simulation as points
  fortifai theory report -o theory.html               everything on one page
  fortifai theory corpus book.txt --order 2           how would this text decline?")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Arguments),
    Predict(predict::Arguments),
    Check(check::Arguments),
    Golden(golden::Arguments),
    Plot(plot::Arguments),
    Report(report::Arguments),
    Corpus(corpus::Arguments),
}

impl Arguments {
    /// Whether a line of JSON is asked for.
    pub fn json(&self) -> bool {
        match &self.command {
            Command::List(arguments) => arguments.json,
            Command::Predict(arguments) => arguments.json,
            Command::Check(arguments) => arguments.common.json,
            Command::Golden(arguments) => arguments.json,
            Command::Plot(arguments) => arguments.common.json,
            Command::Report(arguments) => arguments.common.json,
            Command::Corpus(arguments) => arguments.common.json,
        }
    }
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::List(arguments) => list::execute(arguments),
        Command::Predict(arguments) => predict::execute(arguments),
        Command::Check(arguments) => check::execute(arguments),
        Command::Golden(arguments) => golden::execute(arguments),
        Command::Plot(arguments) => plot::execute(arguments),
        Command::Report(arguments) => report::execute(arguments),
        Command::Corpus(arguments) => corpus::execute(arguments),
    }
}
