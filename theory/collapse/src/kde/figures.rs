//! What is drawn of recursive kernel density estimation.

use super::{
    Bandwidth, Kde, adaptive_variance, mise, mixed_variance, sample_variance, shrunk_variance,
};
use crate::check::Plan;
use crate::figure::{Figure, Point, Series};
use crate::protocol::Protocol;
use crate::recursion::{self, Recursion};
use crate::refusal::Refusal;
use crate::stats::replicates;

/// The figures of the family.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "kde-variance",
        covers: &["K1", "K4", "K5"],
        title: "The bandwidth rule decides between diffusion, explosion and collapse",
        caption: "Expected variance of ten samples that are resampled from their own kernel density. \
                  A fixed width settles at (n − 1)h², one that follows the spread grows without end, \
                  and restoring the variance brings the collapse of the plain bootstrap back.",
        x: "generation",
        y: "variance of the samples, data unit²",
        log_y: true,
        replicates: 8_000,
        series: variance_over_generations,
    },
    Figure {
        name: "kde-mise",
        covers: &["K2"],
        title: "Later generations want a narrower kernel, and err more with every width",
        caption: "Mean integrated squared error of a kernel density on 50 samples, resampled t times.",
        x: "bandwidth h, data unit",
        y: "mean integrated squared error, 1/data unit",
        log_y: false,
        replicates: 120,
        series: error_over_bandwidth,
    },
    Figure {
        name: "kde-mixed",
        covers: &["K3"],
        title: "A few real samples bound the diffusion",
        caption: "Stationary variance of twelve samples, each real with probability α, for two kernel \
                  widths; the truth has variance 1.",
        x: "probability α of a real sample",
        y: "variance of the samples, data unit²",
        log_y: false,
        replicates: 500,
        series: variance_over_share,
    },
];

fn variance_over_generations(plan: &Plan) -> Vec<Series> {
    let (n, generations) = (10, 12);
    type Prediction = fn(usize, usize) -> Result<f64, Refusal>;
    let rules: [(&str, Bandwidth, Prediction); 3] = [
        ("fixed h = 0.5", Bandwidth::Fixed(0.5), |n, t| sample_variance(n, 0.5, t, 1.0)),
        ("h = 1.06 s n^(−1/5)", Bandwidth::Adaptive(1.06), |n, t| {
            adaptive_variance(n, 1.06, t, 1.0)
        }),
        ("variance restored", Bandwidth::Shrunk(1.06), |n, t| shrunk_variance(n, t, 1.0)),
    ];
    let series = |(label, rule, predict): (&str, Bandwidth, Prediction)| {
        let truth = Kde::normal(0.0, 1.0, rule);
        let recursion = Recursion::replace(n).named("figure-kde-variance");
        let runs = replicates(plan.replicates, |item| {
            let chain = recursion::chain(&truth, &recursion, generations + 1, plan.seed, item);
            let chain = chain.expect("ten samples in every generation");
            chain[1..].iter().map(Kde::sample_variance).collect::<Vec<f64>>()
        });
        Series {
            label: label.to_owned(),
            line: (0..=generations)
                .map(|t| (t as f64, predict(n, t).expect("inside the domain")))
                .collect(),
            points: (0..=generations)
                .map(|t| Point::of(t as f64, &runs.iter().map(|run| run[t]).collect::<Vec<f64>>()))
                .collect(),
        }
    };
    rules.into_iter().map(series).collect()
}

fn error_over_bandwidth(plan: &Plan) -> Vec<Series> {
    let n = 50;
    let series = |t: usize| {
        let predict = |step: u32| {
            let h = 0.1 + 0.01 * f64::from(step);
            (h, mise(n, h, t, 1.0).expect("inside the domain"))
        };
        let simulate = |h: f64| {
            let truth = Kde::normal(0.0, 1.0, Bandwidth::Fixed(h));
            let recursion = Recursion::replace(n).named("figure-kde-mise");
            let errors = replicates(plan.replicates, |item| {
                let last = recursion::last(&truth, &recursion, t + 1, plan.seed, item);
                last.expect("50 samples").squared_error()
            });
            Point::of(h, &errors)
        };
        Series {
            label: format!("t = {t}"),
            line: (0..=80).map(predict).collect(),
            points: [0.1, 0.2, 0.3, 0.5, 0.7, 0.9].map(simulate).to_vec(),
        }
    };
    [0, 2, 8].into_iter().map(series).collect()
}

fn variance_over_share(plan: &Plan) -> Vec<Series> {
    let n = 12;
    let series = |h: f64| {
        let truth = Kde::normal(0.0, 1.0, Bandwidth::Fixed(h));
        let simulate = |alpha: f64| {
            let protocol = Protocol::CoinReal { share: alpha };
            let recursion = Recursion::new(protocol, n).named("figure-kde-mixed");
            // What is left of the beginning is below e^−10.
            let generations = (10.0 / alpha).ceil() as usize;
            let variances = replicates(plan.replicates, |item| {
                let last = recursion::last(&truth, &recursion, generations, plan.seed, item);
                last.expect("twelve samples").sample_variance()
            });
            Point::of(alpha, &variances)
        };
        let predict = |step: u32| {
            let alpha = 0.01 * f64::from(step);
            (alpha, mixed_variance(n, h, alpha, 1.0).expect("inside the domain"))
        };
        Series {
            label: format!("h = {h}"),
            line: (5..=100).map(predict).collect(),
            points: [0.1, 0.2, 0.4, 0.7, 1.0].map(simulate).to_vec(),
        }
    };
    [0.25, 0.5].into_iter().map(series).collect()
}
