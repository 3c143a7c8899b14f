//! Simulated checks of K1 to K5.

use super::{
    Bandwidth, Kde, adaptive_variance, drift_of_the_mean, expected_density, mean_square, mise,
    mixed_density, mixed_drift, mixed_variance, sample_variance, shrunk_variance,
};
use crate::check::{Guard, Outcome, Plan};
use crate::protocol::Protocol;
use crate::recursion::{self, Recursion};
use crate::stats::replicates;
use std::f64::consts::{PI, TAU};

/// The checks of the family.
pub const GUARDS: &[Guard] = &[
    Guard {
        name: "kde-fixed",
        covers: &["K1"],
        about: "Ten samples resampled four times with a kernel of fixed width; spread, drift of the \
                mean and total.",
        replicates: 30_000,
        run: fixed,
    },
    Guard {
        name: "kde-mise",
        covers: &["K2"],
        about: "Twelve samples resampled six times; integrated squared error and the estimate's \
                value at the centre.",
        replicates: 30_000,
        run: integrated_error,
    },
    Guard {
        name: "kde-mixed",
        covers: &["K3"],
        about: "Twelve samples per generation, each of them real with probability 0.4, after 25 \
                generations.",
        replicates: 12_000,
        run: mixed,
    },
    Guard {
        name: "kde-adaptive",
        covers: &["K4", "K5"],
        about: "Ten samples resampled four times with a kernel that follows their spread, and with \
                the variance restored; spread.",
        replicates: 30_000,
        run: adaptive,
    },
];

/// The estimate on `X^(t)`: generation `t + 1`, as generation 1 is fitted to real data.
fn estimates(plan: &Plan, rule: Bandwidth, recursion: &Recursion, t: usize) -> Vec<Kde> {
    let truth = Kde::normal(0.0, 1.0, rule);
    replicates(plan.replicates, |item| {
        let last = recursion::last(&truth, recursion, t + 1, plan.seed, item);
        last.expect("samples in every generation")
    })
}

fn fixed(plan: &Plan) -> Vec<Outcome> {
    let (n, h, t) = (10, 0.5, 4);
    let recursion = Recursion::replace(n).named("kde-fixed");
    let models = estimates(plan, Bandwidth::Fixed(h), &recursion, t);
    let variances: Vec<f64> = models.iter().map(Kde::sample_variance).collect();
    let drifts: Vec<f64> = models.iter().map(|model| model.mean().powi(2)).collect();
    let totals: Vec<f64> = variances.iter().zip(&drifts).map(|(v, d)| v + d).collect();
    let exact = |h: f64, t: usize| inside(sample_variance(n, h, t, 1.0));
    vec![
        Outcome::empirical("variance of the samples", &variances, exact(h, t))
            .mistake("h for h²", exact(h.sqrt(), t))
            .mistake("one generation more", exact(h, t + 1))
            .mistake("divisor n − 1", exact(h, t) * 10.0 / 9.0),
        Outcome::empirical(
            "variance of the mean",
            &drifts,
            inside(drift_of_the_mean(n, h, t, 1.0)),
        )
        .mistake("one generation fewer", inside(drift_of_the_mean(n, h, t - 1, 1.0)))
        .mistake("no kernel", inside(drift_of_the_mean(n, 0.0, t, 1.0))),
        Outcome::empirical("mean square", &totals, inside(mean_square(h, t, 1.0)))
            .mistake("the kernel of the last estimate counted", inside(mean_square(h, t + 1, 1.0)))
            .mistake("conserved", 1.0),
    ]
}

fn integrated_error(plan: &Plan) -> Vec<Outcome> {
    let (n, h, t) = (12, 0.4, 6);
    let recursion = Recursion::replace(n).named("kde-mise");
    let models = estimates(plan, Bandwidth::Fixed(h), &recursion, t);
    let errors: Vec<f64> = models.iter().map(Kde::squared_error).collect();
    let at: Vec<f64> = models.iter().map(|model| model.density(0.0)).collect();
    let exact = |n: usize, t: usize| inside(mise(n, h, t, 1.0));
    let mean = |t: usize| inside(expected_density(0.0, h, t, 1.0));
    // Without common parents the pairs of samples would be independent: only n → ∞ in the second
    // term of the formula.
    let square = h * h;
    let free = 1.0 / (2.0 * n as f64 * h * PI.sqrt())
        + (1.0 - 1.0 / n as f64) / (TAU * (2.0 + 14.0 * square)).sqrt()
        - 2.0 / (TAU * (2.0 + 7.0 * square)).sqrt()
        + 1.0 / (2.0 * PI.sqrt());
    vec![
        Outcome::empirical("integrated squared error", &errors, exact(n, t))
            .mistake("one generation fewer", exact(n, t - 1))
            .mistake("independent samples", free)
            .mistake("one sample fewer", exact(n - 1, t)),
        Outcome::empirical("mean of the estimate at 0", &at, mean(t))
            .mistake("no kernel in the estimate", mean(t - 1))
            .mistake("the truth", 1.0 / TAU.sqrt()),
    ]
}

fn mixed(plan: &Plan) -> Vec<Outcome> {
    let (n, h, alpha) = (12, 0.5, 0.4);
    let recursion = Recursion::new(Protocol::CoinReal { share: alpha }, n).named("kde-mixed");
    // 0.6^25 = 3e-6: what is left of the beginning is far below a standard error.
    let models = estimates(plan, Bandwidth::Fixed(h), &recursion, 25);
    let variances: Vec<f64> = models.iter().map(Kde::sample_variance).collect();
    let drifts: Vec<f64> = models.iter().map(|model| model.mean().powi(2)).collect();
    let at: Vec<f64> = models.iter().map(|model| model.density(0.0)).collect();
    let variance = inside(mixed_variance(n, h, alpha, 1.0));
    let drift = inside(mixed_drift(n, h, alpha, 1.0));
    let total = variance + drift;
    let once = total / (n as f64 - (n - 1) as f64 * (1.0 - alpha));
    vec![
        Outcome::empirical("variance of the samples, mixed", &variances, variance)
            .mistake("no kernel", inside(mixed_variance(n, 0.0, alpha, 1.0)))
            .mistake("divisor n − 1", variance * 12.0 / 11.0)
            .mistake("the whole mean square", total),
        Outcome::empirical("variance of the mean, mixed", &drifts, drift)
            .mistake("independent samples", total / n as f64)
            .mistake("1 − α for its square", once),
        Outcome::empirical(
            "mean of the estimate at 0, mixed",
            &at,
            inside(mixed_density(0.0, h, alpha, 1.0)),
        )
        .mistake(
            "no kernel in the estimate",
            0.4 * inside(expected_density(0.0, 0.0, 0, 1.0))
                + 0.6 * inside(mixed_density(0.0, h, alpha, 1.0)),
        )
        .mistake("real samples alone", inside(expected_density(0.0, h, 0, 1.0))),
    ]
}

fn adaptive(plan: &Plan) -> Vec<Outcome> {
    let (n, c, t) = (10, 1.06, 4);
    let variances = |rule: Bandwidth, name: &'static str| -> Vec<f64> {
        let recursion = Recursion::replace(n).named(name);
        estimates(plan, rule, &recursion, t).iter().map(Kde::sample_variance).collect()
    };
    let exact = |t: usize| inside(adaptive_variance(n, c, t, 1.0));
    let corrected = |t: usize| inside(shrunk_variance(n, t, 1.0));
    let wide = 0.9 * (0.9 * (1.0 + c * c * 10f64.powf(-0.2))).powi(4);
    vec![
        Outcome::empirical(
            "variance of the samples, adaptive",
            &variances(Bandwidth::Adaptive(c), "kde-adaptive"),
            exact(t),
        )
        .mistake("one generation fewer", exact(t - 1))
        .mistake("no kernel", 0.9f64.powi(5))
        .mistake("n^(−1/5) for its square", wide),
        Outcome::empirical(
            "variance of the samples, corrected",
            &variances(Bandwidth::Shrunk(c), "kde-shrunk"),
            corrected(t),
        )
        .mistake("one generation fewer", corrected(t - 1))
        .mistake("not corrected", exact(t)),
    ]
}

fn inside(value: Result<f64, crate::Refusal>) -> f64 {
    value.expect("the guards' sizes lie in the domain")
}
