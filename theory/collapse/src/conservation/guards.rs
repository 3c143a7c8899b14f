//! Simulated checks and figures of the conservation of variance.

use super::variance_kept;
use crate::check::{Guard, Outcome, Plan};
use crate::figure::{Figure, Point, Series};
use crate::gaussian::{Divisor, Gaussian};
use crate::protocol::Schedule;
use crate::recursion::{Recursion, chain, last};
use crate::stats::{mean, replicates, variance};

/// The checks of this room.
pub const GUARDS: &[Guard] = &[Guard {
    name: "variance-conserved",
    covers: &["U1"],
    about: "A Gaussian with divisor N under growing blocks, replaced and accumulated.",
    replicates: 40_000,
    run: conserved,
}];

fn kept(recursion: &Recursion, generations: usize) -> f64 {
    variance_kept(&recursion.blocks(generations).expect("blocks")).expect("none is empty")
}

fn conserved(plan: &Plan) -> Vec<Outcome> {
    let blocks = Schedule::Blocks(vec![4, 9, 3, 12, 5]);
    let reversed = Schedule::Blocks(vec![5, 12, 3, 9, 4]);
    let run = |name, recursion: &Recursion| -> Vec<[f64; 2]> {
        let recursion = recursion.clone().named(name);
        replicates(plan.replicates, |item| {
            let truth = Gaussian::standard(Divisor::Mle);
            let end = last(&truth, &recursion, 5, plan.seed, item).expect("blocks");
            [end.var, end.mean * end.mean]
        })
    };
    let column = |runs: &[[f64; 2]], at: usize| runs.iter().map(|run| run[at]).collect::<Vec<_>>();
    let (pooled, fresh) = (Recursion::accumulate(blocks.clone()), Recursion::replace(blocks));
    let powers = Recursion::replace(Schedule::Power { first: 6, exponent: 1.5 });
    let accumulated = run("conserved-accumulate", &pooled);
    let replaced = run("conserved-replace", &fresh);
    let grown = run("conserved-power", &powers);
    let share = kept(&pooled, 5);
    vec![
        Outcome::empirical("E σ² accumulated", &column(&accumulated, 0), share)
            .mistake("blocks in reverse order", kept(&Recursion::accumulate(reversed), 5))
            .mistake("replaced blocks", kept(&fresh, 5))
            .mistake("real data only", kept(&pooled, 1)),
        Outcome::empirical("Var μ accumulated", &column(&accumulated, 1), 1.0 - share)
            .mistake("1/N of the pool", 1.0 / 33.0)
            .mistake("what is kept", share),
        Outcome::empirical("E σ² replaced", &column(&replaced, 0), kept(&fresh, 5))
            .mistake("accumulated blocks", share)
            .mistake("one generation less", kept(&fresh, 4)),
        Outcome::empirical("E σ², n_k = 6 k^1.5", &column(&grown, 0), kept(&powers, 5))
            .mistake("constant blocks", kept(&Recursion::replace(6), 5))
            .mistake("real data only", kept(&powers, 1)),
    ]
}

/// The figures of this room.
pub const FIGURES: &[Figure] = &[Figure {
    name: "variance-schedules",
    covers: &["U1"],
    title: "How fast must the data grow?",
    caption: "Replaced data: the mean variance settles above zero if and only if the blocks grow \
              faster than the generation number; a Gaussian with divisor n.",
    x: "generation",
    y: "mean variance, in units of the true one",
    log_y: false,
    replicates: 2_000,
    series: schedules,
}];

fn schedules(plan: &Plan) -> Vec<Series> {
    let generations = 40;
    let truth = Gaussian::standard(Divisor::Mle);
    let one = |(label, schedule): (&str, Schedule)| {
        let recursion = Recursion::replace(schedule).named("variance-schedules");
        let runs = replicates(plan.replicates, |item| {
            chain(&truth, &recursion, generations, plan.seed, item).expect("blocks")
        });
        let point = |t: usize| {
            let vars: Vec<f64> = runs.iter().map(|run| run[t].var).collect();
            let standard_error = (variance(&vars) / vars.len() as f64).sqrt();
            Point { x: t as f64, mean: mean(&vars), standard_error }
        };
        Series {
            label: label.to_owned(),
            line: (0..=generations).map(|t| (t as f64, kept(&recursion, t))).collect(),
            points: [1, 2, 4, 7, 12, 20, 30, 40].into_iter().map(point).collect(),
        }
    };
    [
        ("n_k = 8", Schedule::Constant(8)),
        ("n_k = 8 k", Schedule::Power { first: 8, exponent: 1.0 }),
        ("n_k = 8 k²", Schedule::Power { first: 8, exponent: 2.0 }),
        ("n_k = 8·1.5^(k−1)", Schedule::Geometric { first: 8, ratio: 1.5 }),
    ]
    .into_iter()
    .map(one)
    .collect()
}
