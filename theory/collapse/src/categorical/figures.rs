//! Figures of the categorical sections.

use super::guards::INSIDE;
use super::{Categorical, accumulation, fixation, moments, vocabulary, zipf};
use crate::check::Plan;
use crate::figure::{Figure, Point, Series};
use crate::model::Model;
use crate::stats::{mean, replicates, variance};
use fortifai_stream::Stream;

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "categorical-heterozygosity",
        covers: &["N1", "N9"],
        title: "Accumulated data keep what replaced data lose",
        caption: "Share of the heterozygosity kept by a law on five tokens with 10 samples per \
                  generation. Replaced, it decays by a tenth per generation; accumulated, it stops \
                  at sin(π/√n)/(π/√n).",
        x: "generation",
        y: "share of the heterozygosity",
        log_y: false,
        replicates: 4000,
        series: heterozygosity,
    },
    Figure {
        name: "categorical-vocabulary",
        covers: &["N4", "N13"],
        title: "A long-tailed vocabulary shrinks like a power of the generation",
        caption: "Tokens alive under Zipf's law on 300 tokens with 400 samples per generation: the \
                  exact chain, and the branching limit that needs no matrix.",
        x: "generation",
        y: "tokens alive",
        log_y: true,
        replicates: 500,
        series: alive,
    },
    Figure {
        name: "categorical-fixation",
        covers: &["N6", "N7"],
        title: "Two tokens both live until the number of samples has passed",
        caption: "Probability that neither of two tokens (30 % and 70 %) is extinct, 20 samples \
                  per generation, with the late formula 6p(1−p)(1−1/n)^t.",
        x: "generation",
        y: "probability that both are alive",
        log_y: true,
        replicates: 20_000,
        series: both,
    },
];

fn heterozygosity(plan: &Plan) -> Vec<Series> {
    let law = [0.3, 0.25, 0.25, 0.1, 0.1];
    let (n, last) = (10, 40);
    let truth = Categorical::new(&law);
    let h = truth.heterozygosity();
    let series = |label: &str, accumulate: bool, line: &dyn Fn(usize) -> f64| {
        let runs = recursion(plan, "figure-heterozygosity", &truth, n, last, accumulate, |model| {
            model.heterozygosity() / h
        });
        Series {
            label: label.to_owned(),
            line: (0..=last).map(|t| (t as f64, line(t))).collect(),
            points: points(&runs, (0..=last).step_by(4)),
        }
    };
    vec![
        series("replaced", false, &|t| moments::decay(n, t).expect(INSIDE)),
        series("accumulated", true, &|t| accumulation::accumulated(n, t).expect(INSIDE)),
    ]
}

fn alive(plan: &Plan) -> Vec<Series> {
    let (n, last) = (400, 40);
    let weights: Vec<f64> = (1..=300).map(|i| f64::from(i).powf(-1.2)).collect();
    let total: f64 = weights.iter().sum();
    let law: Vec<f64> = weights.iter().map(|w| w / total).collect();
    let truth = Categorical::new(&law);
    let runs =
        recursion(plan, "figure-vocabulary", &truth, n, last, false, |model| model.alive() as f64);
    let at = [1, 2, 3, 5, 8, 12, 20, 30, 40];
    let line = |f: &dyn Fn(usize) -> f64| at.iter().map(|&t| (t as f64, f(t))).collect();
    vec![
        Series {
            label: "exact chain".to_owned(),
            line: line(&|t| vocabulary::expected_survivors(&law, n, t).expect(INSIDE)),
            points: points(&runs, at),
        },
        Series {
            label: "branching limit".to_owned(),
            line: line(&|t| zipf::survivors(&law, n, t).expect(INSIDE)),
            points: vec![],
        },
    ]
}

fn both(plan: &Plan) -> Vec<Series> {
    let (p, n, last) = (0.3, 20, 80);
    let truth = Categorical::new(&[p, 1.0 - p]);
    let runs = recursion(plan, "figure-fixation", &truth, n, last, false, |model| {
        f64::from(u8::from(model.alive() == 2))
    });
    let line = |f: &dyn Fn(usize) -> f64| (0..=last).map(|t| (t as f64, f(t))).collect();
    vec![
        Series {
            label: "exact chain".to_owned(),
            line: line(&|t| fixation::mixed(p, n, t).expect(INSIDE)),
            points: points(&runs, (0..=last).step_by(8)),
        },
        Series {
            label: "late formula".to_owned(),
            line: line(&|t| fixation::mixed_late(p, n, t).expect(INSIDE)),
            points: vec![],
        },
    ]
}

/// The measure of every generation of every replicate.
fn recursion(
    plan: &Plan,
    name: &str,
    truth: &Categorical,
    n: usize,
    last: usize,
    accumulate: bool,
    measure: impl Fn(&Categorical) -> f64 + Sync,
) -> Vec<Vec<f64>> {
    replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, name, u64::from(accumulate), item);
        let mut model = truth.clone();
        let mut pool = model.pool();
        let mut seen = vec![measure(&model)];
        for _ in 0..last {
            if !accumulate {
                pool.fill(0);
            }
            model.draw(&mut pool, n, 1.0, &mut stream);
            model = model.fit(&pool).expect(INSIDE);
            seen.push(measure(&model));
        }
        seen
    })
}

/// Means over the replicates at the given generations.
pub(crate) fn points(runs: &[Vec<f64>], at: impl IntoIterator<Item = usize>) -> Vec<Point> {
    let point = |t: usize| {
        let values: Vec<f64> = runs.iter().map(|run| run[t]).collect();
        let spread = if values.len() > 1 { variance(&values) } else { 0.0 };
        Point {
            x: t as f64,
            mean: mean(&values),
            standard_error: (spread / values.len() as f64).sqrt(),
        }
    };
    at.into_iter().map(point).collect()
}
