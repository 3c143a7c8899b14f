//! Checks of S1 and S2.

use super::{Component, Mixture, contraction, gap_after, logistic_hessian, logistic_jacobian};
use crate::check::{Guard, Outcome, Plan};
use crate::recursion::{self, Recursion};
use crate::special::legendre::normal_expectation;
use crate::stats::replicates;
use fortifai_stream::Stream;

/// The checks of the family.
pub const GUARDS: &[Guard] = &[
    Guard {
        name: "stability-exponential",
        covers: &["S1"],
        about: "Exponential and Gaussian laws refitted four times to ten uniform real samples and \
                twenty of their own; distance of the sufficient statistics from the data's.",
        replicates: 20_000,
        run: exponential,
    },
    Guard {
        name: "stability-mixture",
        covers: &["S1", "S2", "U1"],
        about: "A Gaussian mixture fitted by EM: its two first moments on logistic data of infinite \
                size, its parameters on data of its own kind, and its variance when replaced.",
        replicates: 12_000,
        run: mixture,
    },
    Guard {
        name: "stability-local",
        covers: &["S2"],
        about: "The logistic location family refitted by maximum likelihood to normal data and its \
                own, by quadrature; the slope of the map.",
        replicates: 1,
        run: local,
    },
];

/// Ten real and twenty synthetic samples: `λ = 2`.
fn exponential(plan: &Plan) -> Vec<Outcome> {
    let (real, fake, lambda, rounds) = (10, 20, 2.0, 4);
    let half = 3f64.sqrt();
    let runs = replicates(plan.replicates, |item| {
        // An exponential law of mean 3 on data of mean 1; a normal law of mean 2 and variance 1/4
        // on data of mean 0 and variance 1.
        let (mut scale, mut mean, mut square) = (3.0, 2.0, 4.25);
        for round in 1..=rounds {
            let mut stream = Stream::new(plan.seed, "stability-exponential", round, item);
            let std_dev = f64::max(square - mean * mean, 0.0).sqrt();
            let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
            for _ in 0..real {
                total += 2.0 * stream.uniform();
                let x = half * (2.0 * stream.uniform() - 1.0);
                first += x;
                second += x * x;
            }
            for _ in 0..fake {
                total -= scale * (1.0 - stream.uniform()).ln();
                let x = mean + std_dev * stream.normal();
                first += x;
                second += x * x;
            }
            let count = f64::from(real + fake);
            (scale, mean, square) = (total / count, first / count, second / count);
        }
        [scale - 1.0, mean, square - 1.0]
    });
    let left = |rounds: usize| inside(gap_after(lambda, rounds));
    let names = ["exponential law's mean", "Gaussian's mean", "Gaussian's second moment"];
    let compare = |(index, (name, gap)): (usize, (&str, f64))| {
        let gaps: Vec<f64> = runs.iter().map(|run| run[index]).collect();
        Outcome::empirical(name, &gaps, gap * left(4))
            .mistake("one round fewer", gap * left(3))
            .mistake("the share of real data, 1/(1 + λ)", gap * (1.0 / (1.0 + lambda)).powi(4))
            .mistake("λ = 1", gap * inside(gap_after(1.0, 4)))
    };
    names.into_iter().zip([2.0, 2.0, 3.25]).enumerate().map(compare).collect()
}

fn mixture(plan: &Plan) -> Vec<Outcome> {
    let component = |weight, mean, var| Component { weight, mean, var };
    let mut outcomes =
        moments(Mixture::new(vec![component(0.3, -1.0, 0.5), component(0.7, 4.0, 2.0)], 5));
    outcomes.push(parameters(Mixture::new(
        vec![component(0.4, -3.0, 1.0), component(0.6, 3.0, 1.0)],
        60,
    )));
    // U1: after three replaced generations of twenty samples (1 − 1/20)³ of the variance is left.
    let truth = Mixture::new(vec![component(0.4, -2.0, 1.0), component(0.6, 2.0, 1.0)], 4);
    let recursion = Recursion::replace(20).named("stability-mixture");
    let variances = replicates(plan.replicates, |item| {
        let last = recursion::last(&truth, &recursion, 3, plan.seed, item);
        last.expect("twenty samples").variance()
    });
    let kept = |t: i32| truth.variance() * 0.95f64.powi(t);
    outcomes.push(
        Outcome::empirical("variance of a replaced mixture", &variances, kept(3))
            .mistake("one generation fewer", kept(2))
            .mistake("conserved", kept(0))
            .mistake("the components' variance alone", 0.95f64.powi(3)),
    );
    outcomes
}

/// S1: three rounds of five EM steps each on logistic data, `λ = 3`, on a grid.
fn moments(start: Mixture) -> Vec<Outcome> {
    let (lambda, rounds) = (3.0, 3);
    let logistic = |x: f64| 0.25 / (0.5 * x).cosh().powi(2);
    let data: Vec<(f64, f64)> = grid().map(|x| (x, logistic(x))).collect();
    let real = raw_moments(&data);
    let before = [start.mean() - real[0], square(&start) - real[1]];
    let last = (0..rounds).fold(start, |law, _| round(&law, &data, lambda));
    let after = [last.mean() - real[0], square(&last) - real[1]];
    let left = inside(gap_after(lambda, rounds));
    let names = ["mixture's mean on logistic data", "mixture's second moment on logistic data"];
    // The grid's own sums are exact; rounding of 1,200 terms in 15 steps is below 1e-11.
    let compare = |index: usize| {
        Outcome::deterministic(names[index], after[index] / before[index], left, 1e-11)
            .mistake("two rounds", inside(gap_after(lambda, rounds - 1)))
            .mistake("the share of real data", 0.25f64.powi(3))
    };
    (0..2).map(compare).collect()
}

/// S2 with `m = 1`: a mixture near the truth, refitted to convergence, `λ = 2`.
fn parameters(truth: Mixture) -> Outcome {
    let (lambda, step) = (2.0, 1e-4);
    let mut start = truth.clone();
    start.components[0].mean += step;
    start.components[1].weight -= step;
    start.components[0].weight += step;
    let data: Vec<(f64, f64)> = grid().map(|x| (x, truth.density(x))).collect();
    let last = round(&start, &data, lambda);
    let measured = (last.components[0].mean - truth.components[0].mean) / step;
    // The map is smooth: its second order changes the ratio by a few steps of 1e-4.
    Outcome::deterministic(
        "mixture's parameters near the truth",
        measured,
        inside(contraction(lambda)),
        1e-3,
    )
    .mistake("the share of real data", 1.0 / (1.0 + lambda))
    .mistake("one EM step does not move it", 1.0)
    .mistake("λ = 1", 0.5)
}

/// One round on infinite data: EM on the grid with the data's and the law's weights.
fn round(law: &Mixture, data: &[(f64, f64)], lambda: f64) -> Mixture {
    let fake: Vec<f64> = data.iter().map(|&(x, _)| law.density(x)).collect();
    let (real_mass, fake_mass) =
        (data.iter().map(|(_, weight)| weight).sum::<f64>(), fake.iter().sum::<f64>());
    let pool: Vec<(f64, f64)> = data
        .iter()
        .zip(&fake)
        .map(|(&(x, weight), fake)| (x, weight / real_mass + lambda * fake / fake_mass))
        .collect();
    let step = |law: Mixture, _: usize| law.step(&pool).expect("a grid has spread");
    (0..law.steps).fold(law.clone(), step)
}

/// From −45 to 45 in steps of 1/12.
fn grid() -> impl Iterator<Item = f64> {
    (-540..=540).map(|k| f64::from(k) / 12.0)
}

fn raw_moments(points: &[(f64, f64)]) -> [f64; 2] {
    let mass: f64 = points.iter().map(|(_, weight)| weight).sum();
    let first: f64 = points.iter().map(|(x, weight)| weight * x).sum();
    let second: f64 = points.iter().map(|(x, weight)| weight * x * x).sum();
    [first / mass, second / mass]
}

fn square(law: &Mixture) -> f64 {
    law.variance() + law.mean() * law.mean()
}

/// The map's value at 1e-3 over 1e-3; it is odd, so its next term is of order 1e-6.
fn local(_: &Plan) -> Vec<Outcome> {
    let compare = |lambda: f64| {
        let predicted = inside(logistic_jacobian(lambda));
        let measured = logistic_round(1e-3, lambda) / 1e-3;
        let (a, b) = (logistic_hessian(), 1.0 / 3.0);
        Outcome::deterministic(format!("slope at λ = {lambda}"), measured, predicted, 1e-5)
            .mistake("data of the model's family, λ/(1 + λ)", inside(contraction(lambda)))
            .mistake("Hessians exchanged", lambda * a / (b + lambda * a))
            .mistake("λB/A", lambda * b / a)
    };
    [0.3, 1.0, 50.0].into_iter().map(compare).collect()
}

/// The location that maximum likelihood gives the logistic law on `N(0, 1)` data and `λ` times as much
/// of the logistic law at `theta`, by Newton's method.
pub(super) fn logistic_round(theta: f64, lambda: f64) -> f64 {
    const STEP: f64 = 0.125;
    let law: Vec<(f64, f64)> = (-320..=320)
        .map(|k| {
            let x = STEP * f64::from(k);
            (x + theta, STEP * 0.25 / (0.5 * x).cosh().powi(2))
        })
        .collect();
    let mut fit = 0.0;
    for _ in 0..20 {
        let score = |x: f64| (0.5 * (x - fit)).tanh();
        let slope = |x: f64| 0.5 - 0.5 * score(x) * score(x);
        let sum = |f: &dyn Fn(f64) -> f64| {
            let fake: f64 = law.iter().map(|&(x, weight)| weight * f(x)).sum();
            normal_expectation(f) + lambda * fake
        };
        fit += sum(&score) / sum(&slope);
    }
    fit
}

fn inside(value: Result<f64, crate::Refusal>) -> f64 {
    value.expect("the guards' sizes lie in the domain")
}
