//! R1, R2 and R7, exact at every size.

use crate::check::{Outcome, Plan};
use crate::model::Model;
use crate::prediction::Kind;
use crate::protocol::{Protocol, Schedule};
use crate::recursion::{self, Recursion};
use crate::regression::{
    Linear, accumulate_bound, accumulate_risk, accumulate_risk_of_blocks, mixed_risk, replace_risk,
    strong_collapse_factor, strong_collapse_plateau, strong_collapse_risk,
};
use crate::stats::replicates;
use fortifai_stream::Stream;
use nalgebra::DMatrix;

/// `d = 3` and at least 20 rows: `T − d − 1 ≥ 16` keeps the risk's skewness below 4, far from the
/// 8.5 that 20,000 replicates admit.
const D: usize = 3;
const ROWS: usize = 20;
const NOISE: f64 = 0.7;

pub(super) fn replace(plan: &Plan) -> Vec<Outcome> {
    let protocol = Recursion::replace(ROWS).named("regression-replace");
    let risks = risks(plan, &protocol, 4);
    let one = NOISE * NOISE * D as f64;
    vec![
        Outcome::empirical("risk, data replaced", &risks, exact(replace_risk(ROWS, D, 4, NOISE)))
            .mistake("T − d for T − d − 1", 4.0 * one / (ROWS - D) as f64)
            .mistake("one generation fewer", exact(replace_risk(ROWS, D, 3, NOISE)))
            .mistake("accumulated data", exact(accumulate_risk(ROWS, D, 4, NOISE))),
    ]
}

pub(super) fn accumulate(plan: &Plan) -> Vec<Outcome> {
    let equal = Recursion::accumulate(ROWS).named("regression-accumulate");
    let one = NOISE * NOISE * D as f64 / (ROWS - D - 1) as f64;
    let blocks = [20, 6, 40, 2];
    let schedule = Schedule::Blocks(blocks.to_vec());
    let unequal = Recursion::accumulate(schedule).named("regression-accumulate-blocks");
    let each = blocks.iter().scan(0, |pool, rows| {
        *pool += rows;
        Some(NOISE * NOISE * D as f64 / (*pool - D - 1) as f64)
    });
    vec![
        Outcome::empirical(
            "risk, data accumulated",
            &risks(plan, &equal, 4),
            exact(accumulate_risk(ROWS, D, 4, NOISE)),
        )
        .mistake("the published bound", exact(accumulate_bound(ROWS, D, NOISE)))
        .mistake("the first generation alone", one)
        .mistake("data replaced", 4.0 * one),
        Outcome::empirical(
            "risk, unequal blocks accumulated",
            &risks(plan, &unequal, 4),
            exact(accumulate_risk_of_blocks(&blocks, D, NOISE)),
        )
        .mistake("blocks not weighted by their share", each.sum())
        .mistake("the last two blocks exchanged", {
            exact(accumulate_risk_of_blocks(&[20, 40, 6, 2], D, NOISE))
        }),
    ]
}

pub(super) fn strong_collapse(plan: &Plan) -> Vec<Outcome> {
    let (real, fake, distance) = (14, 10, 2.0f64);
    let truth = truth();
    // |δ|²_Σ = |A′δ|²; the direction is that of the second weight.
    let mut shifted = truth.clone();
    shifted.weights[1] += 1.0;
    let length = truth.risk(&shifted).sqrt();
    shifted.weights[1] += distance.sqrt() / length - 1.0;
    let risks = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "regression-strong-collapse", 0, item);
        let mut pool = truth.pool();
        truth.draw(&mut pool, real, 1.0, &mut stream);
        shifted.draw(&mut pool, fake, 1.0, &mut stream);
        truth.risk(&truth.fit(&pool).expect("24 rows"))
    });
    let n = real + fake;
    let noise = exact(replace_risk(n, D, 1, NOISE));
    let share = fake as f64 / n as f64;
    vec![
        Outcome::empirical(
            "risk on mixed rows",
            &risks,
            exact(strong_collapse_risk(real, fake, D, NOISE, distance)),
        )
        .mistake("the plateau p2² at finite n", distance * share * share + noise)
        .mistake("linear in the synthetic share", distance * share + noise)
        .mistake("real and synthetic rows exchanged", {
            exact(strong_collapse_risk(fake, real, D, NOISE, distance))
        }),
        mixture(plan, 14, 10),
        plateau(),
    ]
}

/// Five generations with fresh real rows in each.
fn mixture(plan: &Plan, real: usize, fake: usize) -> Outcome {
    let n = real + fake;
    let share = real as f64 / n as f64;
    let fresh = Recursion::new(Protocol::FreshReal { share }, n).named("regression-mixture");
    let risks = risks(plan, &fresh, 5);
    let one = exact(replace_risk(n, D, 1, NOISE));
    // Generation 1 is fitted to real rows alone, so it is the first in which δ = 0.
    Outcome::empirical(
        "risk after five generations with fresh real rows",
        &risks,
        exact(mixed_risk(real, fake, D, NOISE, 5)),
    )
    .mistake("nothing real", 5.0 * one)
    .mistake("one generation alone", one)
    .mistake("the synthetic share for K", one / share)
}

/// `K` at a million rows, fixed share and dimension, against its plateau.
fn plateau() -> Outcome {
    let (n, d) = (1_000_000, 20);
    let factor = exact(strong_collapse_factor(3 * n / 4, n / 4, d));
    let plateau = exact(strong_collapse_plateau(0.25, 0.0));
    // The next term is p1p2(d + 1)/n < 1e-5·(d + 1)/21·0.4.
    Outcome::deterministic("plateau of the factor for many rows", factor, plateau, 1e-5)
        .of_kind(Kind::Asymptotic)
        .mistake("no plateau", 0.0)
        .mistake("linear in the synthetic share", 0.25)
}

/// The risks of the last generation.
fn risks(plan: &Plan, recursion: &Recursion, generations: usize) -> Vec<f64> {
    let truth = truth();
    replicates(plan.replicates, |item| {
        let last = recursion::last(&truth, recursion, generations, plan.seed, item);
        truth.risk(&last.expect("more rows than dimensions"))
    })
}

/// Correlated inputs of unequal variance.
fn truth() -> Linear {
    let factor = DMatrix::from_row_slice(3, 3, &[2.0, 0.0, 0.0, 0.5, 1.0, 0.0, -1.0, 0.3, 0.4]);
    Linear::new(&[1.0, -0.5, 2.0], NOISE, 0.0).with_factor(factor)
}

fn exact(value: Result<f64, crate::Refusal>) -> f64 {
    value.expect("the guards' sizes lie in the domain")
}
