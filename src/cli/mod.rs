//! The command line: one file per command.

mod bench;
mod collapse;
mod device;
mod estimate;
mod evaluate;
mod generate;
mod grid;
mod model_dir;
mod onset;
mod progress;
mod report;
mod settings;
mod theory;
mod train;
mod verify;

use crate::{Error, Result};
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Train a language model on its own text, generation after generation, and measure what is lost.
///
/// `fortifai collapse` without arguments compares cross entropy, truncated cross entropy and focal
/// loss in the built-in toy world, whose exact law is known, and writes a report.
///
/// Exit codes: 0 done, 1 a check failed, 2 bad usage or bad input, 3 the environment failed (disk
/// full, no threads, no such device), 75 stopped by a signal (run again with --resume).
#[derive(Debug, Parser)]
#[command(name = "fortifai", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Collapse(collapse::Arguments),
    Train(train::Arguments),
    Generate(generate::Arguments),
    Evaluate(evaluate::Arguments),
    Report(report::Arguments),
    Onset(onset::Arguments),
    Theory(theory::Arguments),
    Verify(verify::Arguments),
    Bench(bench::Arguments),
}

/// What every command takes.
#[derive(Clone, Debug, clap::Args)]
struct Common {
    /// Print one line of JSON on stdout at the end, for programs
    #[arg(long)]
    json: bool,
    /// Threads in all; at most 1024; results do not depend on it [default: all processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl Common {
    fn threads(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, |count| count.get());
        self.threads.map_or_else(all, usize::from)
    }

    /// Runs `work` on the threads asked for.
    fn on_threads<X: Send>(&self, work: impl FnOnce() -> Result<X> + Send) -> Result<X> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads()).build();
        let pool = pool.map_err(|cause| {
            Error::environment(format!("No threads can be started: {cause}. Lower --threads."))
        })?;
        pool.install(work)
    }
}

/// Parses the arguments, runs the command, turns an error into its exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is no reason to panic.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let (json, result) = match &cli.command {
        Command::Collapse(arguments) => (arguments.json(), collapse::execute(arguments)),
        Command::Train(arguments) => (arguments.json(), train::execute(arguments)),
        Command::Generate(arguments) => (arguments.json(), generate::execute(arguments)),
        Command::Evaluate(arguments) => (arguments.json(), evaluate::execute(arguments)),
        Command::Report(arguments) => (arguments.json(), report::execute(arguments)),
        Command::Onset(arguments) => (arguments.json(), onset::execute(arguments)),
        Command::Theory(arguments) => (arguments.json(), theory::execute(arguments)),
        Command::Verify(arguments) => (arguments.json(), verify::execute(arguments)),
        Command::Bench(arguments) => (arguments.json(), bench::execute(arguments)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fortifai: {error}");
            // A failed check has printed its findings already.
            if json && !matches!(error, Error::Check(_)) {
                let code = error.exit_code();
                say_json(&serde_json::json!({ "exit_code": code, "error": error.to_string() }));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// Writes to stdout. A closed pipe is no reason to stop; a full disk is.
fn say(text: &str) {
    use std::io::Write;
    let mut stdout = std::io::stdout();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    if let Err(cause) = written.or_else(|cause| match cause.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(cause),
    }) {
        eprintln!("fortifai: the output cannot be written: {cause}.");
        std::process::exit(3);
    }
}

fn say_json(value: &serde_json::Value) {
    say(&format!("{value}\n"));
}

/// A flag that the first SIGINT or SIGTERM sets; the second one ends the process.
fn stop_flag() -> Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGUSR1] {
        signal_hook::flag::register_conditional_shutdown(signal, 75, stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .map_err(|cause| {
                Error::environment(format!("Signals cannot be handled here: {cause}."))
            })?;
    }
    Ok(stop)
}
