//! Figures of the metrics of laws.

use super::estimators::{expected_singletons, simpson_estimate};
use crate::categorical::Categorical;
use crate::categorical::guards::INSIDE;
use crate::check::Plan;
use crate::figure::{Figure, Point, Series};
use crate::stats::{mean, replicates, variance};
use fortifai_stream::Stream;

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "metrics-simpson",
        covers: &["M3"],
        title: "Counting pairs of different samples removes the bias of Σp²",
        caption: "Estimates of the sum of squares of Zipf's law on 300 tokens: squares of \
                  frequencies are too high by (1 − Σp²)/n, agreeing pairs are not.",
        x: "samples",
        y: "estimate of the sum of squares",
        log_y: false,
        replicates: 2000,
        series: simpson,
    },
    Figure {
        name: "metrics-singletons",
        covers: &["M3"],
        title: "Tokens seen once measure what was not seen",
        caption: "Singletons among samples of Zipf's law on 300 tokens, n Σ p(1−p)^(n−1).",
        x: "samples",
        y: "tokens seen once",
        log_y: false,
        replicates: 2000,
        series: singletons,
    },
];

const SIZES: [usize; 8] = [2, 5, 10, 20, 40, 80, 160, 320];

fn law() -> Vec<f64> {
    let weights: Vec<f64> = (1..=300).map(|i| f64::from(i).powf(-1.2)).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

fn simpson(plan: &Plan) -> Vec<Series> {
    let law = law();
    let squares: f64 = law.iter().map(|p| p * p).sum();
    let plug_in = |counts: &[u64]| {
        let n = counts.iter().sum::<u64>() as f64;
        counts.iter().map(|&c| (c as f64 / n).powi(2)).sum()
    };
    vec![
        series(plan, "agreeing pairs", &law, &|_| squares, |counts| {
            simpson_estimate(counts).expect(INSIDE)
        }),
        series(
            plan,
            "squares of frequencies",
            &law,
            &|n| squares + (1.0 - squares) / n as f64,
            plug_in,
        ),
    ]
}

fn singletons(plan: &Plan) -> Vec<Series> {
    let law = law();
    let line = |n| expected_singletons(&law, n).expect(INSIDE);
    let once = |counts: &[u64]| counts.iter().filter(|&&c| c == 1).count() as f64;
    vec![series(plan, "seen once", &law, &line, once)]
}

fn series(
    plan: &Plan,
    label: &str,
    law: &[f64],
    line: &dyn Fn(usize) -> f64,
    measure: impl Fn(&[u64]) -> f64 + Sync,
) -> Series {
    let truth = Categorical::new(law);
    let point = |&n: &usize| {
        let values = replicates(plan.replicates, |item| {
            let mut stream = Stream::new(plan.seed, "figure-metrics", n as u64, item);
            measure(&truth.sample(n, &mut stream))
        });
        let error = (variance(&values) / values.len() as f64).sqrt();
        Point { x: n as f64, mean: mean(&values), standard_error: error }
    };
    Series {
        label: label.to_owned(),
        line: SIZES.iter().map(|&n| (n as f64, line(n))).collect(),
        points: SIZES.iter().map(point).collect(),
    }
}
