//! The grid: Gaussians of `d` dimensions refitted to `n` samples, for every protocol.
//!
//! `cargo run --release -p fortifai-collapse --example grid` runs 5 × 5 cells of `n = 10…1000` and
//! `d = 1…100` with 100 seeds of 100 generations for replaced, accumulated and budgeted data, and
//! prints the share of the total variance that is left beside its prediction where there is one.
//! Replaced and accumulated data go through the exact law of mean and scatter (Bartlett); a budget
//! needs the samples themselves.
//!
//! Where few samples are replaced, most of the mean variance sits in rare seeds: at `n = 10` a
//! hundred seeds mostly miss them, and the standard error with them. `theory check` compares what
//! has a known or a moderate spread.

use fortifai_collapse::conservation::variance_kept;
use fortifai_collapse::gaussian::{Divisor, MultiGaussian};
use fortifai_collapse::{Model, Protocol, Recursion, recursion, stats};
use std::time::Instant;

const SAMPLES: [usize; 5] = [10, 30, 100, 300, 1000];
const DIMENSIONS: [usize; 5] = [1, 3, 10, 30, 100];
const GENERATIONS: usize = 100;
const SEEDS: u64 = 100;

fn main() {
    let start = Instant::now();
    for (name, protocol) in [
        ("replace", |_| Protocol::Replace),
        ("accumulate", |_| Protocol::Accumulate),
        ("budget", |n| Protocol::AccumulateBudget { budget: n, with_replacement: true }),
    ] as [(&str, fn(usize) -> Protocol); 3]
    {
        println!(
            "{name}\n{:>6} {:>5} {:>12} {:>12} {:>12} {:>8}",
            "n", "d", "left", "± (se)", "predicted", "time s"
        );
        for n in SAMPLES {
            for d in DIMENSIONS {
                cell(n, d, protocol(n));
            }
        }
    }
    println!("in all: {:.1} s", start.elapsed().as_secs_f64());
}

fn cell(n: usize, d: usize, protocol: Protocol) {
    let start = Instant::now();
    let truth = MultiGaussian::standard(d, Divisor::Mle);
    let shares = last_models(&truth, &Recursion::new(protocol, n), |model| {
        model.covariance.trace() / d as f64
    });
    let predicted = match protocol {
        Protocol::AccumulateBudget { .. } => "".to_string(),
        _ => format!(
            "{:.6}",
            variance_kept(&protocol.blocks(n, GENERATIONS)).expect("blocks hold samples")
        ),
    };
    println!(
        "{n:>6} {d:>5} {:>12.6} {:>12.6} {predicted:>12} {:>8.2}",
        stats::mean(&shares),
        (stats::variance(&shares) / shares.len() as f64).sqrt(),
        start.elapsed().as_secs_f64()
    );
}

/// A number of every seed's last model.
fn last_models<M: Model>(
    truth: &M,
    recursion: &Recursion,
    of: impl Fn(&M) -> f64 + Sync,
) -> Vec<f64> {
    stats::replicates(SEEDS, |item| {
        let model = recursion::last(truth, recursion, GENERATIONS, 1, item);
        of(&model.expect("the grid is inside the domain"))
    })
}
