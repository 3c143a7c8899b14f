//! What is drawn of the Gaussian.

use super::{
    Divisor, Gaussian, MultiGaussian, accumulate_variance, chernoff_bound, coin_limit,
    expected_power, fixed_limit, fresh_limit, log_rate, lyapunov, markov_bound, suresh_bound,
    survival,
};
use crate::check::Plan;
use crate::figure::{Figure, Point, Series};
use crate::protocol::Protocol;
use crate::recursion::{Recursion, chain, last};
use crate::refusal::Refusal;
use crate::stats::{mean, replicates, variance};

/// The figures of this room.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "gaussian-deviation",
        covers: &["G1", "G2"],
        title: "A typical chain collapses twice as fast as the mean",
        caption: "Ten samples per generation, divisor n − 1: the mean of σ falls like exp(−t/4n), a \
                  typical σ like exp(−t/2n); means are carried by rare chains.",
        x: "generation",
        y: "standard deviation",
        log_y: true,
        replicates: 4_000,
        series: deviation,
    },
    Figure {
        name: "gaussian-accumulate",
        covers: &["G1", "G8"],
        title: "Accumulated data keep the variance",
        caption: "Six samples per generation, divisor N: replaced data lose a sixth of the variance per \
                  generation, accumulated data a quarter of it in all.",
        x: "generation",
        y: "mean variance",
        log_y: false,
        replicates: 4_000,
        series: accumulate,
    },
    Figure {
        name: "gaussian-real-share",
        covers: &["G10"],
        title: "How much real data does it take?",
        caption: "The stationary mean variance of 20 samples: half of it survives at half a real sample \
                  per generation, without any sharp threshold.",
        x: "share of real data",
        y: "mean variance",
        log_y: false,
        replicates: 500,
        series: real_share,
    },
    Figure {
        name: "gaussian-survival",
        covers: &["G6"],
        title: "The probability that half of σ survives, and its bounds",
        caption: "Ten samples per generation, divisor n − 1: the published exponent is that of the mean \
                  of σ, half the typical one.",
        x: "generation",
        y: "P(σ_t > σ_0/2)",
        log_y: true,
        replicates: 10_000,
        series: survivors,
    },
    Figure {
        name: "gaussian-directions",
        covers: &["G7"],
        title: "In several dimensions the collapse is anisotropic",
        caption: "Three dimensions, eight samples, divisor n − 1: each diagonal element of Cholesky's \
                  factor falls at its own rate, so the effective rank tends to one.",
        x: "generation",
        y: "mean ln of the squared Cholesky diagonal",
        log_y: false,
        replicates: 1_000,
        series: directions,
    },
];

fn sure<X>(value: Result<X, Refusal>) -> X {
    value.expect("inside the domain")
}

fn point(x: f64, samples: &[f64]) -> Point {
    let standard_error = (variance(samples) / samples.len() as f64).sqrt();
    Point { x, mean: mean(samples), standard_error }
}

/// Chains of 1-D Gaussians.
fn runs(plan: &Plan, recursion: Recursion, t: usize, divisor: Divisor) -> Vec<Vec<Gaussian>> {
    let truth = Gaussian::standard(divisor);
    replicates(plan.replicates, |item| sure(chain(&truth, &recursion, t, plan.seed, item)))
}

fn line(last: usize, f: impl Fn(usize) -> f64) -> Vec<(f64, f64)> {
    (0..=last).map(|t| (t as f64, f(t))).collect()
}

fn deviation(plan: &Plan) -> Vec<Series> {
    let (n, last) = (10, 60);
    let recursion = Recursion::replace(n).named("gaussian-deviation");
    let runs = runs(plan, recursion, last, Divisor::Unbiased);
    let at = [5, 10, 20, 30, 40, 50, 60];
    let column = |t: usize, f: fn(&Gaussian) -> f64| -> Vec<f64> {
        runs.iter().map(|run| f(&run[t])).collect()
    };
    let typical = |t: usize| {
        let logs = point(t as f64, &column(t, |model| 0.5 * model.var.ln()));
        let mean = logs.mean.exp();
        Point { mean, standard_error: mean * logs.standard_error, ..logs }
    };
    let rate = 0.5 * sure(log_rate(n, Divisor::Unbiased));
    vec![
        Series {
            label: "mean of σ".into(),
            line: line(last, |t| sure(expected_power(n, t, 0.5, Divisor::Unbiased))),
            points: at.map(|t| point(t as f64, &column(t, Gaussian::std_dev))).to_vec(),
        },
        Series {
            label: "typical σ".into(),
            line: line(last, |t| (rate * t as f64).exp()),
            points: at.map(typical).to_vec(),
        },
    ]
}

fn accumulate(plan: &Plan) -> Vec<Series> {
    let (n, last) = (6, 20);
    let series = |label: &str, recursion: Recursion, predicted: &dyn Fn(usize) -> f64| {
        let runs = runs(plan, recursion.named("gaussian-accumulate"), last, Divisor::Mle);
        let vars = |t: usize| runs.iter().map(|run| run[t].var).collect::<Vec<f64>>();
        Series {
            label: label.into(),
            line: line(last, predicted),
            points: [1, 2, 4, 7, 11, 15, 20].map(|t| point(t as f64, &vars(t))).to_vec(),
        }
    };
    vec![
        series("replaced", Recursion::replace(n), &|t| {
            sure(expected_power(n, t, 1.0, Divisor::Mle))
        }),
        series("accumulated", Recursion::accumulate(n), &|t| {
            sure(accumulate_variance(n, t, Divisor::Mle))
        }),
    ]
}

fn real_share(plan: &Plan) -> Vec<Series> {
    // After 60 generations a share of 1/20 has forgotten the start to a few per cent of 1 − V.
    let (n, last_generation) = (20, 60);
    let truth = Gaussian::standard(Divisor::Mle);
    let series = |label: &str, protocol: fn(f64) -> Protocol, limit: fn(f64) -> f64| {
        let at = |share: f64| {
            let recursion = Recursion::new(protocol(share), n).named("gaussian-real-share");
            let vars = replicates(plan.replicates, |item| {
                sure(last(&truth, &recursion, last_generation, plan.seed, item)).var
            });
            point(share, &vars)
        };
        Series {
            label: label.into(),
            line: (1..=100)
                .map(|j| f64::from(j) / 100.0)
                .map(|a| (a, limit(a)))
                // Less than one real sample is no set.
                .filter(|(_, y)| y.is_finite())
                .collect(),
            points: [0.1, 0.2, 0.4, 0.7].map(at).to_vec(),
        }
    };
    let of_set = |a: f64| fixed_limit(20, a).map_or(f64::NAN, |moments| moments.variance);
    vec![
        series(
            "new, exactly",
            |share| Protocol::FreshReal { share },
            |a| sure(fresh_limit(20, a, 1.0)).variance,
        ),
        series(
            "new, by a coin",
            |share| Protocol::CoinReal { share },
            |a| 1.0 - sure(coin_limit(20, a)),
        ),
        series("a fixed set", |share| Protocol::FixedReal { share }, of_set),
    ]
}

fn survivors(plan: &Plan) -> Vec<Series> {
    let (n, eps, last) = (10, 0.5, 60);
    let recursion = Recursion::replace(n).named("gaussian-survival");
    let runs = runs(plan, recursion, last, Divisor::Unbiased);
    let share = |t: usize| {
        let above = |run: &Vec<Gaussian>| f64::from(u8::from(run[t].std_dev() > eps));
        point(t as f64, &runs.iter().map(above).collect::<Vec<f64>>())
    };
    let bound = |label: &str, f: &dyn Fn(usize) -> f64| Series {
        label: label.into(),
        line: line(last, |t| f(t).min(1.0)),
        points: Vec::new(),
    };
    vec![
        Series {
            label: "exact".into(),
            line: line(last, |t| sure(survival(n, t, eps, Divisor::Unbiased))),
            points: [5, 10, 15, 20, 30, 40, 50].map(share).to_vec(),
        },
        bound("Chernoff", &|t| sure(chernoff_bound(n, t, eps, Divisor::Unbiased))),
        bound("Markov", &|t| sure(markov_bound(n, t, eps))),
        bound("Suresh et al.", &|t| sure(suresh_bound(n, t, eps))),
    ]
}

fn directions(plan: &Plan) -> Vec<Series> {
    let (d, n, last) = (3, 8, 30);
    let recursion = Recursion::replace(n).named("gaussian-directions");
    let truth = MultiGaussian::standard(d, Divisor::Unbiased);
    let logs: Vec<Vec<[f64; 3]>> = replicates(plan.replicates, |item| {
        let diagonal = |model: &MultiGaussian| {
            let cholesky =
                model.covariance.clone().cholesky().expect("more samples than dimensions");
            [0, 1, 2].map(|i| 2.0 * cholesky.l_dirty()[(i, i)].ln())
        };
        sure(chain(&truth, &recursion, last, plan.seed, item)).iter().map(diagonal).collect()
    });
    let one = |i: usize| {
        let at = |t: usize| logs.iter().map(|run| run[t][i - 1]).collect::<Vec<f64>>();
        let rate = sure(lyapunov(d, n, i, Divisor::Unbiased));
        Series {
            label: format!("direction {i}"),
            line: line(last, |t| rate * t as f64),
            points: [3, 6, 10, 15, 20, 25, 30].map(|t| point(t as f64, &at(t))).to_vec(),
        }
    };
    (1..=d).map(one).collect()
}
