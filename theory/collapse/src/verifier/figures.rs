//! What is drawn of verifier-filtered data.

use super::{
    Rule, Verified, VerifiedLinear, hard_mean, regression_step, shrunk_std_dev_after,
    soft_std_dev_after, stationary_variance_corrected,
};
use crate::check::Plan;
use crate::figure::{Figure, Point, Series};
use crate::recursion::{self, Recursion};
use crate::regression::Linear;
use crate::stats::replicates;

/// The figures of the family.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "verifier-mean",
        covers: &["V1"],
        title: "The model converges to what the verifier believes, fast if it is strict",
        caption: "Mean of a normal model of known spread 1 that is refitted to 400 accepted samples per \
                  generation. The truth is 0, the verifier believes in 1.",
        x: "generation",
        y: "mean of the model, data unit",
        log_y: false,
        replicates: 100,
        series: mean_over_generations,
    },
    Figure {
        name: "verifier-variance",
        covers: &["V2"],
        title: "A lenient verifier leaves the model to wander",
        caption: "Stationary variance of the model's mean about the verifier's belief, times the number \
                  m of accepted samples; the line holds two orders in 1/m.",
        x: "accepted distance r, in standard deviations",
        y: "m times the variance of the mean, data unit²",
        log_y: true,
        replicates: 120,
        series: stationary_over_radius,
    },
    Figure {
        name: "verifier-spread",
        covers: &["V4", "V5"],
        title: "Filtering shrinks the spread: slowly behind a hard verifier, like 1/√t behind a soft one",
        caption: "Standard deviation of a normal model that is refitted to 1,000 accepted samples per \
                  generation; the lines are those of infinite data.",
        x: "generation",
        y: "standard deviation, data unit",
        log_y: true,
        replicates: 25,
        series: spread_over_generations,
    },
    Figure {
        name: "verifier-regression",
        covers: &["V3"],
        title: "Linear regression behind a verifier: large errors shrink faster or slower than small ones",
        caption: "Length of the error of the weights over generations of 1,000 accepted rows in three \
                  dimensions; the lines iterate the map of infinite data.",
        x: "generation",
        y: "length of the error, label unit",
        log_y: true,
        replicates: 40,
        series: regression_over_generations,
    },
];

fn mean_over_generations(plan: &Plan) -> Vec<Series> {
    let series = |radius: f64| {
        let rule = Rule::Hard { center: 1.0, radius };
        let start = Verified { mean: 0.0, std_dev: 1.0, refit_std_dev: false, rule };
        let map = |theta: &f64| hard_mean(*theta, 1.0, radius, 1.0).ok();
        let line = std::iter::successors(Some(0.0), map);
        let points = trajectory(plan, &start, 400, 10, |model| model.mean);
        Series { label: format!("r = {radius}"), line: numbered(line, 10), points }
    };
    [0.5, 1.0, 2.0, 3.0].into_iter().map(series).collect()
}

fn stationary_over_radius(plan: &Plan) -> Vec<Series> {
    let series = |m: usize| {
        let predict = |step: u32| {
            let r = 0.025 * f64::from(step);
            let variance = stationary_variance_corrected(m, r, 1.0).expect("inside the domain");
            (r, m as f64 * variance)
        };
        let simulate = |r: f64| {
            let rule = Rule::Hard { center: 0.0, radius: r };
            let start = Verified { mean: 0.0, std_dev: 1.0, refit_std_dev: false, rule };
            let recursion = Recursion::replace(m).named("figure-verifier-variance");
            let squares = replicates(plan.replicates, |item| {
                let last = recursion::last(&start, &recursion, 40, plan.seed, item);
                m as f64 * last.expect("accepted samples").mean.powi(2)
            });
            Point::of(r, &squares)
        };
        Series {
            label: format!("m = {m}"),
            line: (10..=100).map(predict).collect(),
            points: [0.3, 0.6, 1.0, 1.5, 2.0, 2.5].map(simulate).to_vec(),
        }
    };
    vec![series(100)]
}

fn spread_over_generations(plan: &Plan) -> Vec<Series> {
    let start = |rule: Rule| Verified { mean: 0.0, std_dev: 1.0, refit_std_dev: true, rule };
    let hard = |radius: f64| {
        let spread = |t: usize| shrunk_std_dev_after(1.0, radius, t).expect("few rounds");
        let model = start(Rule::Hard { center: 0.0, radius });
        Series {
            label: format!("hard, r = {radius}"),
            line: (0..=30).map(|t| (t as f64, spread(t))).collect(),
            points: trajectory(plan, &model, 1_000, 30, |model| model.std_dev),
        }
    };
    let spread = |t: usize| soft_std_dev_after(1.0, 1.0, t).expect("few rounds");
    let soft = Series {
        label: "soft, τ = 1".to_owned(),
        line: (0..=30).map(|t| (t as f64, spread(t))).collect(),
        points: trajectory(
            plan,
            &start(Rule::Soft { center: 0.0, width: 1.0 }),
            1_000,
            30,
            |model| model.std_dev,
        ),
    };
    vec![hard(2.0), hard(3.0), soft]
}

fn regression_over_generations(plan: &Plan) -> Vec<Series> {
    let series = |radius: f64| {
        let linear = Linear::new(&[2.0, 1.0, -1.0], 0.5, 0.0);
        let start = VerifiedLinear::new(linear, &[0.0; 3], radius);
        let map = |delta: &f64| regression_step(*delta, 0.5, radius).ok();
        let line = std::iter::successors(Some(6f64.sqrt()), map);
        let points = trajectory(plan, &start, 1_000, 6, |model| model.linear.weights.norm());
        Series { label: format!("r = {radius}"), line: numbered(line, 6), points }
    };
    [1.0, 1.5].into_iter().map(series).collect()
}

/// The generations' mean values of one number of the model.
fn trajectory<M: crate::Model>(
    plan: &Plan,
    start: &M,
    samples: usize,
    generations: usize,
    value: impl Fn(&M) -> f64 + Sync + Send,
) -> Vec<Point> {
    let recursion = Recursion::replace(samples).named("figure-verifier");
    let runs = replicates(plan.replicates, |item| {
        let chain = recursion::chain(start, &recursion, generations, plan.seed, item);
        chain.expect("accepted samples").iter().map(&value).collect::<Vec<f64>>()
    });
    let point =
        |t: usize| Point::of(t as f64, &runs.iter().map(|run| run[t]).collect::<Vec<f64>>());
    (1..=generations).map(point).collect()
}

fn numbered(values: impl Iterator<Item = f64>, last: usize) -> Vec<(f64, f64)> {
    values.take(last + 1).enumerate().map(|(t, value)| (t as f64, value)).collect()
}
