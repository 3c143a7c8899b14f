//! Simulated checks of the Gaussian.

mod dimensions;
mod mixture;
mod numeric;
mod pooled;
mod replace;
mod tail;

use crate::check::Guard;
use crate::refusal::Refusal;

/// The checks of the recursions.
pub const GUARDS: &[Guard] = &[
    Guard {
        name: "gaussian-replace",
        covers: &["G1", "G2", "G3"],
        about: "Replaced data: pivots of variance and mean, ln σ², drift of the mean.",
        replicates: 50_000,
        run: replace::replace,
    },
    Guard {
        name: "gaussian-powers",
        covers: &["G1", "U1"],
        about: "Replaced data: moments of σ with both divisors.",
        replicates: 50_000,
        run: replace::powers,
    },
    Guard {
        name: "gaussian-time",
        covers: &["G2"],
        about: "Replaced data: Wald's identity at the time when σ falls below a level.",
        replicates: 10_000,
        run: replace::time,
    },
    Guard {
        name: "gaussian-distance",
        covers: &["G4", "G5"],
        about: "Replaced data: Wasserstein distance and both divergences, both divisors.",
        replicates: 50_000,
        run: replace::distance,
    },
    Guard {
        name: "gaussian-tail",
        covers: &["G6"],
        about: "Replaced data: survival of σ by the exact binomial test, bounds in their order.",
        replicates: 30_000,
        run: tail::tail,
    },
    Guard {
        name: "gaussian-dimensions",
        covers: &["G7"],
        about: "Three dimensions, replaced data: determinant, traces, Cholesky diagonal.",
        replicates: 12_000,
        run: dimensions::dimensions,
    },
    Guard {
        name: "gaussian-accumulate",
        covers: &["G8"],
        about: "Accumulated data: first two moments and logarithm of the variance.",
        replicates: 50_000,
        run: pooled::accumulate,
    },
    Guard {
        name: "gaussian-budget",
        covers: &["G9"],
        about: "Accumulated data, models fitted to a subsample: the pool's variance.",
        replicates: 20_000,
        run: pooled::budget,
    },
    Guard {
        name: "gaussian-mixture",
        covers: &["G10"],
        about: "Real data in every generation: exactly, by a coin, and a fixed set.",
        replicates: 75_000,
        run: mixture::mixture,
    },
    Guard {
        name: "gaussian-bias",
        covers: &["G11"],
        about: "Distorted sampling, replaced data and with new real data.",
        replicates: 40_000,
        run: mixture::bias,
    },
];

/// The checks of the distances.
pub const METRIC_GUARDS: &[Guard] = &[Guard {
    name: "gaussian-metrics",
    covers: &["M4"],
    about: "Distances of two Gaussians against numerical integration of their definitions.",
    replicates: 1,
    run: numeric::metrics,
}];

/// The value of a closed form inside its domain.
fn sure<X>(value: Result<X, Refusal>) -> X {
    value.expect("inside the domain")
}

/// One number of every replicate.
fn column<X>(runs: &[X], of: impl Fn(&X) -> f64) -> Vec<f64> {
    runs.iter().map(of).collect()
}
