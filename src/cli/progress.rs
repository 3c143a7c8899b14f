//! Progress on stderr: one bar with the time left, or one line per finished generation where
//! stderr is no terminal.

use crate::collapse::record::{GenerationRecord, Outcome};
use crate::collapse::{Observer, Stage, chain_name, chains};
use crate::config::RunConfig;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Steps of the bar per generation; training takes `TRAINING` of them.
const GENERATION: u64 = 1000;
const TRAINING: u64 = 850;

/// A bar for so many steps, hidden where stderr is no terminal.
pub fn steps(total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len}  {msg}");
    style.map_or(bar.clone(), |style| bar.clone().with_style(style))
}

/// What a run shows.
pub struct Display {
    bar: Option<ProgressBar>,
    names: Vec<String>,
    /// Where each chain stands, in steps; where the run began.
    places: Mutex<(Vec<u64>, Option<u64>)>,
    finished: AtomicUsize,
    total: usize,
    generations: usize,
}

impl Display {
    /// The display of a run.
    pub fn new(config: &RunConfig) -> Self {
        let names: Vec<String> =
            chains(config).iter().map(|(loss, seed)| chain_name(loss, *seed)).collect();
        let total = names.len() * config.generations;
        let style = ProgressStyle::with_template(
            "{elapsed_precise} {wide_bar} {percent}% {eta} left  {msg}",
        );
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64 * GENERATION);
            style.map_or(bar.clone(), |style| bar.clone().with_style(style))
        });
        Self {
            bar,
            places: Mutex::new((vec![0; names.len()], None)),
            names,
            finished: AtomicUsize::new(0),
            total,
            generations: config.generations,
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn place(&self, chain: usize, place: u64) {
        let Some(bar) = &self.bar else { return };
        let mut places = self.places.lock().expect("no display panics");
        places.0[chain] = place;
        let sum: u64 = places.0.iter().sum();
        bar.set_position(sum);
        if places.1.is_none() {
            places.1 = Some(sum);
            bar.reset_eta();
        }
    }
}

impl Observer for Display {
    fn stage(&self, chain: usize, generation: usize, stage: Stage) {
        let base = generation as u64 * GENERATION;
        let (done, what) = match stage {
            Stage::Training(state) => (
                TRAINING * state.step as u64 / state.total.max(1) as u64,
                format!("loss {:.3}", state.loss_nats),
            ),
            Stage::Writing => (TRAINING, "writing".into()),
        };
        self.place(chain, base + done);
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} g{generation} {what}", self.names[chain]));
        }
    }

    fn finished(&self, chain: usize, record: &GenerationRecord) {
        let count = self.finished.fetch_add(1, Ordering::Relaxed) + 1;
        let next = match record.outcome {
            Outcome::Diverged => self.generations,
            Outcome::Finished => record.generation + 1,
        };
        self.place(chain, next as u64 * GENERATION);
        if self.bar.is_none() {
            let name = &self.names[chain];
            let heldout = match (record.outcome, record.metrics.get("heldout_nats")) {
                (Outcome::Finished, Some(nats)) => format!("held-out {nats:.4} nats"),
                _ => "diverged".into(),
            };
            eprintln!("{count}/{} {name} generation {}: {heldout}", self.total, record.generation);
        }
    }
}
