//! What is drawn of stability.

use super::guards::logistic_round;
use super::{Component, Mixture, eigenvalue, gap_after, logistic_jacobian};
use crate::check::Plan;
use crate::figure::{Figure, Point, Series};
use crate::recursion::{self, Recursion};
use crate::stats::replicates;
use fortifai_stream::Stream;

/// The figures of the family.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "stability-gap",
        covers: &["S1"],
        title: "Real data in every round pull the model back, more slowly the more is synthetic",
        caption: "Expected distance of an exponential law's mean from the data's, over its initial \
                  value; ten real samples and 10λ of the law's own per round.",
        x: "round",
        y: "share of the initial distance",
        log_y: true,
        replicates: 3_000,
        series: gap_over_rounds,
    },
    Figure {
        name: "stability-jacobian",
        covers: &["S2"],
        title: "Retraining is locally stable for every amount of synthetic data",
        caption: "Slope of the retraining map of the logistic location family on normal data; the points \
                  are computed from the map itself. Data of the model's own kind have λ/(1 + λ).",
        x: "synthetic samples per real one, λ",
        y: "slope of the map",
        log_y: false,
        replicates: 1,
        series: slope_over_ratio,
    },
    Figure {
        name: "mixture-variance",
        covers: &["U1", "S1"],
        title: "A Gaussian mixture loses its variance exactly as one Gaussian does",
        caption: "Expected variance of a mixture of two normal laws that EM refits to 30 of its own \
                  samples, with two steps and with ten; the line is (1 − 1/n)^t.",
        x: "generation",
        y: "variance over that of the truth",
        log_y: true,
        replicates: 800,
        series: mixture_variance,
    },
];

fn gap_over_rounds(plan: &Plan) -> Vec<Series> {
    let rounds = 12;
    let series = |lambda: usize| {
        let runs = replicates(plan.replicates, |item| {
            let mut stream = Stream::new(plan.seed, "figure-stability", lambda as u64, item);
            let mut scale = 3.0;
            let mut round = || {
                let real: f64 = (0..10).map(|_| 2.0 * stream.uniform()).sum();
                let fake: f64 =
                    (0..10 * lambda).map(|_| -scale * (1.0 - stream.uniform()).ln()).sum();
                scale = (real + fake) / (10 + 10 * lambda) as f64;
                0.5 * (scale - 1.0)
            };
            (0..rounds).map(|_| round()).collect::<Vec<f64>>()
        });
        let left = |t: usize| gap_after(lambda as f64, t).expect("inside the domain");
        Series {
            label: format!("λ = {lambda}"),
            line: (0..=rounds).map(|t| (t as f64, left(t))).collect(),
            points: (1..=rounds)
                .map(|t| {
                    let gaps: Vec<f64> = runs.iter().map(|run| run[t - 1]).collect();
                    Point::of(t as f64, &gaps)
                })
                .collect(),
        }
    };
    [1, 3, 9].into_iter().map(series).collect()
}

fn slope_over_ratio(_: &Plan) -> Vec<Series> {
    let at = |step: u32| 0.25 * f64::from(step);
    let line =
        |slope: &dyn Fn(f64) -> f64| (0..=40).map(|step| (at(step), slope(at(step)))).collect();
    let point = |step: u32| Point {
        x: at(step),
        mean: logistic_round(1e-3, at(step)) / 1e-3,
        // The map is odd: its next term is of order 1e-6.
        standard_error: 1e-6,
    };
    let logistic = |lambda: f64| logistic_jacobian(lambda).expect("inside the domain");
    let own = |lambda: f64| eigenvalue(lambda, 1.0).expect("inside the domain");
    vec![
        Series {
            label: "logistic model, normal data".to_owned(),
            line: line(&logistic),
            points: [0, 1, 2, 4, 8, 12, 20, 30, 40].map(point).to_vec(),
        },
        Series { label: "model and data of one kind".to_owned(), line: line(&own), points: vec![] },
    ]
}

fn mixture_variance(plan: &Plan) -> Vec<Series> {
    let (n, generations) = (30, 10);
    let kept = |t: usize| (1.0 - 1.0 / n as f64).powi(t as i32);
    let series = |steps: usize| {
        let component = |weight, mean| Component { weight, mean, var: 1.0 };
        let truth = Mixture::new(vec![component(0.4, -2.0), component(0.6, 2.0)], steps);
        let recursion = Recursion::replace(n).named("figure-mixture");
        let runs = replicates(plan.replicates, |item| {
            let chain = recursion::chain(&truth, &recursion, generations, plan.seed, item);
            let chain = chain.expect("thirty samples");
            chain.iter().map(|law| law.variance() / truth.variance()).collect::<Vec<f64>>()
        });
        Series {
            label: format!("{steps} EM steps"),
            line: (0..=generations).map(|t| (t as f64, kept(t))).collect(),
            points: (1..=generations)
                .map(|t| Point::of(t as f64, &runs.iter().map(|run| run[t]).collect::<Vec<f64>>()))
                .collect(),
        }
    };
    [2, 10].into_iter().map(series).collect()
}
