//! Replaced data in three dimensions.

use super::super::{
    Divisor, MultiGaussian, det_power, log_det_rate, log_det_variance, log_rate, lyapunov,
    mean_drift, trace_squares,
};
use super::{column, sure};
use crate::check::{Outcome, Plan};
use crate::model::Model;
use crate::recursion::{Recursion, last};
use crate::special::trigamma;
use crate::stats::replicates;
use fortifai_stream::Stream;

use Divisor::{Mle, Unbiased};

/// What is kept of a chain.
struct Run {
    /// Logarithms of the squared Cholesky diagonal.
    logs: [f64; 3],
    trace: f64,
    trace_of_square: f64,
    displacement: f64,
}

impl Run {
    fn of(model: &MultiGaussian) -> Self {
        let cholesky = model.covariance.clone().cholesky().expect("more samples than dimensions");
        let l = cholesky.l_dirty();
        Self {
            logs: [0, 1, 2].map(|i| 2.0 * l[(i, i)].ln()),
            trace: model.covariance.trace(),
            trace_of_square: model.covariance.norm_squared(),
            displacement: model.mean.norm_squared(),
        }
    }

    fn log_det(&self) -> f64 {
        self.logs.iter().sum()
    }
}

pub(super) fn dimensions(plan: &Plan) -> Vec<Outcome> {
    let (d, n, t) = (3, 12, 4);
    let recursion = Recursion::replace(n).named("gaussian-dimensions");
    let truth = MultiGaussian::standard(d, Unbiased);
    let runs: Vec<Run> = replicates(plan.replicates, |item| {
        Run::of(&sure(last(&truth, &recursion, t, plan.seed, item)))
    });
    let rate = |d, n, divisor| sure(log_det_rate(d, n, divisor));
    let (generations, spread) = (t as f64, sure(log_det_variance(d, n)));
    let mut outcomes = vec![
        Outcome::known(
            "E ln det Σ_t",
            &column(&runs, Run::log_det),
            generations * rate(d, n, Unbiased),
            generations * spread,
        )
        .mistake("divisor n", generations * rate(d, n, Mle))
        .mistake("one generation more", (generations + 1.0) * rate(d, n, Unbiased))
        .mistake("d independent variances", generations * 3.0 * sure(log_rate(n, Unbiased))),
    ];
    for i in 1..=d {
        let exponent = |n, i| sure(lyapunov(d, n, i, Unbiased));
        let variance = trigamma(0.5 * (n - i) as f64);
        let values = column(&runs, |run| run.logs[i - 1]);
        let name = format!("E ln of diagonal {i} of Cholesky");
        outcomes.push(
            Outcome::known(name, &values, generations * exponent(n, i), generations * variance)
                .mistake("next exponent", generations * exponent(n, if i < d { i + 1 } else { 1 }))
                .mistake("divisor n", generations * sure(lyapunov(d, n, i, Mle))),
        );
    }
    let traces = |t, divisor| sure(trace_squares(n, t, (3.0, 9.0), divisor));
    let (a, b) = traces(t, Unbiased);
    outcomes.push(
        Outcome::empirical("E tr Σ_t²", &column(&runs, |run| run.trace_of_square), a)
            .mistake("twice the generations", traces(2 * t, Unbiased).0)
            .mistake("divisor n", traces(t, Mle).0),
    );
    outcomes.push(
        Outcome::empirical("E (tr Σ_t)²", &column(&runs, |run| run.trace * run.trace), b)
            .mistake("tr Σ² for (tr Σ)²", a)
            .mistake("divisor n", traces(t, Mle).1),
    );
    let drift = |t, divisor| 3.0 * sure(mean_drift(n, t, divisor));
    outcomes.push(
        Outcome::empirical("E |μ_t|²", &column(&runs, |run| run.displacement), drift(t, Unbiased))
            .mistake("one dimension", drift(t, Unbiased) / 3.0)
            .mistake("twice the generations", drift(2 * t, Unbiased)),
    );
    outcomes.extend(one_generation(plan, d, n));
    outcomes
}

/// A fit to single samples, not to Bartlett's matrix.
fn one_generation(plan: &Plan, d: usize, n: usize) -> Vec<Outcome> {
    let truth = MultiGaussian::standard(d, Unbiased);
    let runs: Vec<Run> = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "gaussian-dimensions-samples", 1, item);
        let mut pool = truth.pool_of_samples();
        truth.draw(&mut pool, n, 1.0, &mut stream);
        Run::of(&sure(truth.fit(&pool)))
    });
    let power = |s, divisor| sure(det_power(d, n, s, divisor));
    let root = power(0.5, Unbiased);
    vec![
        Outcome::known(
            "E ln det of a fit to single samples",
            &column(&runs, Run::log_det),
            sure(log_det_rate(d, n, Unbiased)),
            sure(log_det_variance(d, n)),
        )
        .mistake("divisor n", sure(log_det_rate(d, n, Mle)))
        .mistake("one dimension less", sure(log_det_rate(d - 1, n, Unbiased))),
        Outcome::known(
            "E √det of a fit to single samples",
            &column(&runs, |run| (0.5 * run.log_det()).exp()),
            root,
            power(1.0, Unbiased) - root * root,
        )
        .mistake("E det", power(1.0, Unbiased))
        .mistake("divisor n", power(0.5, Mle)),
    ]
}
