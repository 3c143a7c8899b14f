//! N3, N4, N5.

use super::{INSIDE, column, violation};
use crate::categorical::Categorical;
use crate::categorical::entropy::{
    expected_divergence, expected_entropy, expected_power_sum, surprise,
};
use crate::categorical::moments::{at_least_alive_bound, eigenvalue};
use crate::categorical::vocabulary as v;
use crate::check::{Guard, Outcome, Plan};
use crate::model::Model;
use crate::prediction::Kind;
use crate::stats::replicates;
use fortifai_stream::Stream;

pub(super) const GUARDS: &[Guard] = &[Guard {
    name: "categorical-vocabulary",
    covers: &["N2", "N3", "N4", "N5"],
    about: "Distinct, missing and surviving tokens, and entropy, over seven generations.",
    replicates: 100_000,
    run,
}];

const LAW: [f64; 5] = [0.5, 0.25, 0.15, 0.07, 0.03];
const N: usize = 12;
const T: usize = 7;

fn run(plan: &Plan) -> Vec<Outcome> {
    let truth = Categorical::new(&LAW);
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "categorical-vocabulary", 0, item);
        let first = truth.fit(&truth.sample(N, &mut stream)).expect(INSIDE);
        let mut model = first.clone();
        for _ in 1..T {
            model = model.fit(&model.sample(N, &mut stream)).expect(INSIDE);
        }
        let missing = LAW.iter().zip(&first.probabilities).filter(|(_, now)| **now == 0.0);
        let p = &model.probabilities;
        [
            first.alive() as f64,
            missing.map(|(p, _)| p).sum(),
            model.alive() as f64,
            p[2],
            p.iter().map(|&p| surprise(p)).sum(),
            p.iter().zip(LAW).map(|(&p, q)| if p > 0.0 { p * (p / q).ln() } else { 0.0 }).sum(),
            p.iter().map(|p| p.powi(3)).sum(),
        ]
    });
    let hits = |holds: &dyn Fn(&[f64; 7]) -> bool| runs.iter().filter(|run| holds(run)).count();
    let alive = |n, t| v::expected_survivors(&LAW, n, t).expect(INSIDE);
    let entropy = |n, t| expected_entropy(&LAW, n, t).expect(INSIDE);
    let distinct = v::expected_distinct(&LAW, N).expect(INSIDE);
    let spread = v::variance_of_distinct(&LAW, N).expect(INSIDE);
    let squares: Vec<f64> = runs.iter().map(|run| (run[0] - distinct).powi(2)).collect();
    let independent: f64 =
        LAW.iter().map(|p| (1.0 - p).powi(12) * (1.0 - (1.0 - p).powi(12))).sum();
    let late_spread = v::variance_of_survivors(&LAW, N, T).expect(INSIDE);
    let share =
        |name: &str, hits: usize, p: f64| Outcome::binomial(name, hits as u64, plan.replicates, p);
    let exactly = |n, t| v::exactly_alive(&LAW, n, 2, t).expect(INSIDE);
    let collapsed = |n, t| v::collapsed_by(&LAW, n, t).expect(INSIDE);
    let extinct = |n, t| v::extinct_by(LAW[2], n, t).expect(INSIDE);
    let missing = |n| v::expected_missing_mass(&LAW, n).expect(INSIDE);
    let divergence = |n, t| expected_divergence(&LAW, n, t).expect(INSIDE);
    let cubes = |n, t| expected_power_sum(&LAW, n, 3.0, t).expect(INSIDE);
    vec![
        Outcome::known("E distinct", &column(&runs, 0), distinct, spread)
            .mistake("n + 1 for n", alive(N + 1, 1))
            .mistake("one generation more", alive(N, 2)),
        Outcome::empirical("Var distinct", &squares, spread)
            .mistake("independent tokens", independent),
        Outcome::empirical("E missing mass", &column(&runs, 1), missing(N))
            .mistake("n − 1 for n", missing(N - 1))
            .mistake("n + 1 for n", missing(N + 1)),
        Outcome::known("E alive at 7", &column(&runs, 2), alive(N, T), late_spread)
            .mistake("one generation less", alive(N, T - 1))
            .mistake("n + 1 for n", alive(N + 1, T)),
        share("P(extinct by 7)", hits(&|run| run[3] == 0.0), extinct(N, T))
            .mistake("one generation less", extinct(N, T - 1))
            .mistake("n − 1 for n", extinct(N - 1, T)),
        share("P(exactly 2 alive)", hits(&|run| run[2] == 2.0), exactly(N, T))
            .mistake("at least 2", 1.0 - collapsed(N, T)),
        share("P(collapsed by 7)", hits(&|run| run[2] == 1.0), collapsed(N, T))
            .mistake("one generation less", collapsed(N, T - 1))
            .mistake("n + 1 for n", collapsed(N + 1, T)),
        Outcome::empirical("E entropy", &column(&runs, 4), entropy(N, T))
            .mistake("one generation less", entropy(N, T - 1))
            .mistake("n + 1 for n", entropy(N + 1, T)),
        Outcome::empirical("E KL(p_t‖p_0)", &column(&runs, 5), divergence(N, T))
            .mistake("one generation more", divergence(N, T + 1))
            .mistake("n + 1 for n", divergence(N + 1, T)),
        Outcome::empirical("E Σp³", &column(&runs, 6), cubes(N, T))
            .mistake("one generation more", cubes(N, T + 1))
            .mistake("n + 1 for n", cubes(N + 1, T)),
        bound(),
    ]
}

/// The bound on many survivors against their exact probability.
fn bound() -> Outcome {
    let cases = || (2..=5).flat_map(|r| [1, 4, 9, 30].map(|t| (r, t)));
    let exact = |r: usize, t: usize| -> f64 {
        (r..=5).map(|m| v::exactly_alive(&LAW, N, m, t).unwrap_or(0.0)).sum()
    };
    let high = |r: usize, t: usize| at_least_alive_bound(&LAW, N, r, t).expect(INSIDE);
    let wrong = |r: usize, t: usize| {
        let step = |r| eigenvalue(N, r).expect(INSIDE).powi(t as i32);
        high(r, t) * step(r + 1) / step(r)
    };
    let bounds = violation(cases().map(|(r, t)| (exact(r, t), high(r, t))));
    let wrong = violation(cases().map(|(r, t)| (exact(r, t), wrong(r, t))));
    Outcome::deterministic("P(at least r alive) ≤ bound", bounds, 0.0, 1e-10)
        .of_kind(Kind::Bound)
        .mistake("λ_{r+1} for λ_r", -wrong)
}
