//! What is drawn of regression on synthetic labels.

use crate::check::Plan;
use crate::figure::{Figure, Point, Series};
use crate::gaussian::chi_squared;
use crate::model::Model;
use crate::recursion::{self, Recursion};
use crate::regression::{
    IteratedLabels, Linear, accumulate_risk, replace_risk, ridge_on_iterated_labels,
    strong_collapse_risk,
};
use crate::stats::replicates;
use fortifai_stream::Stream;

/// The figures of the family.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "regression-risk",
        covers: &["R1", "R2"],
        title: "Replaced labels: the risk grows for ever; accumulated rows: it stays bounded",
        caption: "Least squares in three dimensions, 20 rows per generation. The bound π²/6 times \
                  the first generation's risk holds for accumulated rows; the exact limit is lower.",
        x: "generation",
        y: "risk of the weights, label unit²",
        log_y: false,
        replicates: 4_000,
        series: risk_over_generations,
    },
    Figure {
        name: "regression-strong-collapse",
        covers: &["R7"],
        title: "Strong model collapse: more rows do not help beyond p2²|δ|²",
        caption: "Least squares in five dimensions on mixed rows; each line is one share of synthetic \
                  rows, whose labels are off by |δ|² = 1. The risk levels off at the share's square.",
        x: "rows, logarithm to base 10",
        y: "risk of the weights, label unit²",
        log_y: true,
        replicates: 1_000,
        series: strong_collapse,
    },
    Figure {
        name: "regression-best-ridge",
        covers: &["R3"],
        title: "The best ridge grows with the number of generations behind the labels",
        caption: "Ridge regression, 30 dimensions, 60 rows, labels passed through n generations of \
                  least squares. Lines: the limit of many dimensions; points: simulation.",
        x: "ridge λ",
        y: "risk of the weights, label unit²",
        log_y: false,
        replicates: 150,
        series: best_ridge,
    },
];

fn risk_over_generations(plan: &Plan) -> Vec<Series> {
    let (rows, d, noise, generations) = (20, 3, 0.7, 12);
    let truth = Linear::new(&[1.0, -0.5, 2.0], noise, 0.0);
    type Risk = fn(usize, usize, usize, f64) -> Result<f64, crate::Refusal>;
    let protocols: [(&str, Recursion, Risk); 2] = [
        ("replace", Recursion::replace(rows).named("figure-replace"), replace_risk),
        ("accumulate", Recursion::accumulate(rows).named("figure-accumulate"), accumulate_risk),
    ];
    let series = |(label, recursion, risk): (&str, Recursion, Risk)| {
        let runs = replicates(plan.replicates, |item| {
            let chain = recursion::chain(&truth, &recursion, generations, plan.seed, item);
            let chain = chain.expect("more rows than dimensions");
            chain.iter().map(|model| truth.risk(model)).collect::<Vec<f64>>()
        });
        Series {
            label: label.to_owned(),
            line: (0..=generations)
                .map(|n| (n as f64, risk(rows, d, n, noise).expect("inside the domain")))
                .collect(),
            points: (1..=generations)
                .map(|n| Point::of(n as f64, &runs.iter().map(|run| run[n]).collect::<Vec<f64>>()))
                .collect(),
        }
    };
    protocols.into_iter().map(series).collect()
}

fn strong_collapse(plan: &Plan) -> Vec<Series> {
    let (d, noise) = (5, 1.0);
    let truth = Linear::new(&[1.0, -0.5, 2.0, 0.0, 0.3], noise, 0.0);
    let mut shifted = truth.clone();
    shifted.weights[0] += 1.0;
    let series = |(index, percent): (usize, usize)| {
        let split = |rows: usize| (rows - rows * percent / 100, rows * percent / 100);
        let simulate = |rows: usize| {
            let (real, fake) = split(rows);
            let risks = replicates(plan.replicates, |item| {
                let purpose = "figure-strong-collapse";
                let mut stream =
                    Stream::new(plan.seed, purpose, (index * 100_000 + rows) as u64, item);
                let mut pool = truth.pool();
                truth.draw(&mut pool, real, 1.0, &mut stream);
                shifted.draw(&mut pool, fake, 1.0, &mut stream);
                truth.risk(&truth.fit(&pool).expect("20 rows"))
            });
            Point::of((rows as f64).log10(), &risks)
        };
        let predict = |step: usize| {
            // A multiple of 20 near 10^(step/20).
            let rows = 20 * (10f64.powf(step as f64 / 20.0) / 20.0).round().max(1.0) as usize;
            let (real, fake) = split(rows);
            let risk = strong_collapse_risk(real, fake, d, noise, 1.0);
            ((rows as f64).log10(), risk.expect("20 rows"))
        };
        let mut line: Vec<(f64, f64)> = (26..=100).map(predict).collect();
        line.dedup();
        Series {
            label: format!("{percent} % synthetic"),
            line,
            points: [20, 60, 200, 600, 2_000, 6_000, 20_000, 60_000].map(simulate).to_vec(),
        }
    };
    [0, 5, 20, 50].into_iter().enumerate().map(series).collect()
}

fn best_ridge(plan: &Plan) -> Vec<Series> {
    let (d, rows, noise) = (30, 60, 0.5);
    let series = |generations: usize| {
        let labels = IteratedLabels { rows: 90, generations, noise };
        let line = (1..=60).map(|step| {
            let penalty = step as f64 / 20.0;
            let risk = ridge_on_iterated_labels(d, rows, labels, noise, penalty, 1.0);
            (penalty, risk.expect("inside the domain"))
        });
        let simulate = |step: u32| {
            let penalty = f64::from(step) / 4.0;
            let risks = replicates(plan.replicates, |item| {
                let cell = generations as u64 * 1000 + u64::from(step);
                let mut stream = Stream::new(plan.seed, "figure-best-ridge", cell, item);
                ridge_risk(d, rows, labels, noise, penalty, &mut stream)
            });
            Point::of(penalty, &risks)
        };
        let points = [1, 3, 6, 11].map(simulate).to_vec();
        Series { label: format!("n = {generations}"), line: line.collect(), points }
    };
    [0, 4, 16].into_iter().map(series).collect()
}

/// The risk of one ridge fit on labels of `|w_0|² = 1` passed through generations of least squares.
/// Their error is isotropic: a normal vector over an independent `χ_{T−d+1}` per generation.
fn ridge_risk(
    d: usize,
    rows: usize,
    labels: IteratedLabels,
    noise: f64,
    penalty: f64,
    stream: &mut Stream,
) -> f64 {
    let truth = Linear::new(&vec![1.0 / (d as f64).sqrt(); d], noise, penalty);
    let mut model = truth.clone();
    for _ in 0..labels.generations {
        let radius = chi_squared(labels.rows - d + 1, stream).sqrt();
        let step = labels.noise / radius;
        model.weights.iter_mut().for_each(|w| *w += step * stream.normal());
    }
    let mut pool = truth.pool();
    model.draw(&mut pool, rows, 1.0, stream);
    truth.risk(&truth.fit(&pool).expect("a ridge"))
}
