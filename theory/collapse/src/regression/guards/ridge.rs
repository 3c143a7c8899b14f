//! R3 and R4, exact given the traces of the resolvents that were drawn.
//!
//! The formulas are linear in the moments `m`, `q` of every generation, and the generations are
//! independent. So the formula with the traces that were drawn in place of their expectations has
//! the same expectation as the risk, and the difference of both has mean zero at any size.

use crate::check::{Outcome, Plan, Statistic};
use crate::model::Model;
use crate::regression::{Linear, replace_risk};
use crate::stats::{mean, replicates, variance};
use fortifai_stream::Stream;
use nalgebra::DMatrix;

const D: usize = 3;
const ROWS: usize = 5;
const PENALTY: f64 = 0.3;
const NOISE: f64 = 0.5;
const WEIGHTS: [f64; D] = [1.0, -0.6, 0.3];

pub(super) fn given_traces(plan: &Plan) -> Vec<Outcome> {
    vec![every_generation(plan), last_generation(plan)]
}

/// R4: three generations of ridge.
fn every_generation(plan: &Plan) -> Outcome {
    let truth = Linear::new(&WEIGHTS, NOISE, PENALTY);
    let signal = truth.weights.norm_squared();
    let unit = NOISE * NOISE * D as f64 / ROWS as f64;
    let runs = replicates(plan.replicates, |item| {
        let mut model = truth.clone();
        let (mut square, mut kept, mut sharp, mut early) = (signal, 1.0, signal, 0.0);
        for generation in 1..=3 {
            let (next, trace) = refit(&model, plan, "regression-ridge", generation, item);
            model = next;
            early = square - 2.0 * kept * signal + signal;
            square = square * trace.kept_square() + unit * trace.leak();
            sharp = sharp * trace.kept().powi(2) + unit * trace.leak();
            kept *= trace.kept();
        }
        let formula = square - 2.0 * kept * signal + signal;
        let no_square = sharp - 2.0 * kept * signal + signal;
        let no_cross = square + signal - 2.0 * signal;
        [truth.risk(&model), formula, no_square, no_cross, early]
    });
    paired("risk of ridge at every generation", &runs)
        .mistake("m² for q", column_mean(&runs, 2))
        .mistake("no shrinking of the cross term", column_mean(&runs, 3))
        .mistake("one generation fewer", column_mean(&runs, 4))
}

/// R3: ridge once, on the labels of three generations of least squares.
fn last_generation(plan: &Plan) -> Outcome {
    let (rows, generations) = (20, 3);
    let truth = Linear::new(&WEIGHTS, NOISE, 0.0);
    let signal = truth.weights.norm_squared();
    let unit = NOISE * NOISE * D as f64 / ROWS as f64;
    let fake = replace_risk(rows, D, generations, NOISE).expect("20 rows");
    let runs = replicates(plan.replicates, |item| {
        let mut model = truth.clone();
        for generation in 1..=generations {
            let stream = &mut Stream::new(plan.seed, "ridge-labels", generation as u64, item);
            let mut pool = model.pool();
            model.draw(&mut pool, rows, 1.0, stream);
            model = model.fit(&pool).expect("20 rows");
        }
        model.penalty = PENALTY;
        let (fitted, trace) = refit(&model, plan, "ridge-once", 0, item);
        let base = PENALTY * PENALTY * trace.q * signal + unit * trace.leak();
        let formula = base + fake * trace.kept_square();
        [truth.risk(&fitted), formula, base + fake, base, base + fake * trace.kept()]
    });
    paired("risk of one ridge fit on iterated labels", &runs)
        .mistake("the fake labels' error not shrunk", column_mean(&runs, 2))
        .mistake("no fake labels", column_mean(&runs, 3))
        .mistake("shrunk once, not squared", column_mean(&runs, 4))
}

/// One generation of ridge, and the traces of its resolvent.
fn refit(
    model: &Linear,
    plan: &Plan,
    purpose: &str,
    generation: u64,
    item: u64,
) -> (Linear, Traces) {
    let mut stream = Stream::new(plan.seed, purpose, generation, item);
    let mut pool = model.pool();
    model.draw(&mut pool, ROWS, 1.0, &mut stream);
    let matrix = &pool.gram / ROWS as f64 + DMatrix::identity(D, D) * PENALTY;
    let resolvent = matrix.cholesky().expect("positive").inverse();
    let traces = Traces { m: resolvent.trace() / D as f64, q: resolvent.norm_squared() / D as f64 };
    (model.fit(&pool).expect("a ridge"), traces)
}

/// `(1/d) tr R` and `(1/d) tr R²` of one draw.
struct Traces {
    m: f64,
    q: f64,
}

impl Traces {
    fn kept(&self) -> f64 {
        1.0 - PENALTY * self.m
    }
    fn kept_square(&self) -> f64 {
        1.0 - 2.0 * PENALTY * self.m + PENALTY * PENALTY * self.q
    }
    fn leak(&self) -> f64 {
        self.m - PENALTY * self.q
    }
}

/// The first column against the second, replicate by replicate.
fn paired(name: &str, runs: &[[f64; 5]]) -> Outcome {
    let differences: Vec<f64> = runs.iter().map(|run| run[0] - run[1]).collect();
    let error = (variance(&differences) / runs.len() as f64).sqrt();
    let (measured, predicted) = (column_mean(runs, 0), column_mean(runs, 1));
    Outcome::normal(name.to_owned(), measured, predicted, error, Statistic::ZEmpirical)
}

fn column_mean(runs: &[[f64; 5]], column: usize) -> f64 {
    mean(&runs.iter().map(|run| run[column]).collect::<Vec<f64>>())
}
