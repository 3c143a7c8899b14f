//! N11, N12.

use super::{INSIDE, column};
use crate::categorical::{Categorical, smoothing as s, temperature as h};
use crate::check::{Guard, Outcome, Plan};
use crate::model::Model;
use crate::prediction::Kind;
use crate::stats::replicates;
use fortifai_stream::Stream;

pub(super) const GUARDS: &[Guard] = &[
    Guard {
        name: "categorical-smoothing",
        covers: &["N11"],
        about: "Mean and sum of squares under Laplace smoothing, four tokens, n = 20.",
        replicates: 20_000,
        run: smoothing,
    },
    Guard {
        name: "categorical-temperature",
        covers: &["N12"],
        about: "Two tokens sampled at a temperature, n = 20, against the exact chain.",
        replicates: 50_000,
        run: temperature,
    },
];

const N: usize = 20;

fn smoothing(plan: &Plan) -> Vec<Outcome> {
    const LAW: [f64; 4] = [0.7, 0.1, 0.1, 0.1];
    const A: f64 = 0.5;
    let truth = Categorical::new(&LAW).with_smoothing(A).expect(INSIDE);
    let simpson = |p: &[f64]| p.iter().map(|p| p * p).sum::<f64>();
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "categorical-smoothing", 0, item);
        let mut model = truth.clone();
        let mut early = [0.0; 2];
        for t in 1..=40 {
            model = model.fit(&model.sample(N, &mut stream)).expect(INSIDE);
            if t == 3 {
                early = [model.probabilities[0], simpson(&model.probabilities)];
            }
        }
        [early[0], early[1], simpson(&model.probabilities)]
    });
    let mean = |a, t| s::expected_mass(LAW[0], 4, N, a, t).expect(INSIDE);
    let squares = |a, t| s::expected_simpson(&LAW, N, a, t).expect(INSIDE);
    let end = |k, n, a| s::fixed_point(k, n, a).expect(INSIDE);
    vec![
        Outcome::empirical("E p at 3", &column(&runs, 0), mean(A, 3))
            .mistake("no smoothing", mean(0.0, 3))
            .mistake("one generation more", mean(A, 4)),
        Outcome::empirical("E Σp² at 3", &column(&runs, 1), squares(A, 3))
            .mistake("no smoothing", squares(0.0, 3))
            .mistake("one generation less", squares(A, 2)),
        Outcome::empirical("E Σp² at 40", &column(&runs, 2), squares(A, 40))
            .mistake("K a for a", end(4, N, 4.0 * A))
            .mistake("2a for a", end(4, N, 2.0 * A)),
    ]
}

fn temperature(plan: &Plan) -> Vec<Outcome> {
    let (p, hot, cold, t) = (0.3, 1.5, 0.8, 5);
    let run = |tau: f64, stream: &mut Stream| {
        let mut model = Categorical::new(&[p, 1.0 - p]).with_temperature(tau).expect(INSIDE);
        for _ in 0..t {
            model = model.fit(&model.sample(N, stream)).expect(INSIDE);
        }
        model
    };
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "categorical-temperature", 0, item);
        let warm = run(hot, &mut stream).heterozygosity();
        [warm, f64::from(u8::from(run(cold, &mut stream).alive() == 2))]
    });
    let warm = |tau, t| h::expected_heterozygosity(p, N, tau, t).expect(INSIDE);
    let mixed = |tau, t| h::mixed(p, N, tau, t).expect(INSIDE);
    let even = 0.5 - 2.0 * h::stationary_variance(N, hot).expect(INSIDE);
    let hits = column(&runs, 1).iter().sum::<f64>() as u64;
    vec![
        Outcome::empirical("E 2x(1−x), τ = 1.5", &column(&runs, 0), warm(hot, t))
            .mistake("no temperature", warm(1.0, t))
            .mistake("1/τ for τ", warm(1.0 / hot, t))
            .mistake("the long-lived value", even),
        Outcome::binomial("P(both alive), τ = 0.8", hits, plan.replicates, mixed(cold, t))
            .mistake("no temperature", mixed(1.0, t))
            .mistake("one generation less", mixed(cold, t - 1)),
        unlimited(),
        stationary(),
    ]
}

/// The closed form of unlimited samples against its own map, step by step.
fn unlimited() -> Outcome {
    let law = [0.5, 0.3, 0.2];
    let closed = |tau, t| h::unlimited(&law, tau, t).expect(INSIDE)[0];
    let stepped = (0..6).fold(law.to_vec(), |p, _| h::unlimited(&p, 1.3, 1).expect(INSIDE));
    Outcome::deterministic("p ∝ p_0^(1/τ^t)", stepped[0], closed(1.3, 6), 1e-14)
        .mistake("one generation less", closed(1.3, 5))
        .mistake("1/τ for τ", closed(1.0 / 1.3, 6))
}

/// Var* from the exact chain; the next term is of the relative order `1/n`, here with a factor
/// below 5.
fn stationary() -> Outcome {
    let (n, tau) = (400, 1.5);
    let exact = 0.25 - 0.5 * h::expected_heterozygosity(0.5, n, tau, 60).expect(INSIDE);
    let limit = h::stationary_variance(n, tau).expect(INSIDE);
    Outcome::deterministic("Var* ~ (1/(4n))/(1−τ^−2)", exact, limit, 5.0 * limit / n as f64)
        .of_kind(Kind::Asymptotic)
        .mistake("τ for τ²", 0.25 / n as f64 / (1.0 - 1.0 / tau))
        .mistake("one generation's variance", 0.25 / n as f64)
}
