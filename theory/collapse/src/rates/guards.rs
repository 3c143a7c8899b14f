//! Simulated checks and figures of the rates.

use super::model::{Bernoulli, Poisson};
use super::{
    bernoulli_moment, bernoulli_survival, extinct, laplace, mean_given_survival, median_time,
    rate_variance, suresh_lower, suresh_upper, survival, survival_asymptotic, survival_lower,
    survival_upper, third_cumulant,
};
use crate::check::{Guard, Outcome, Plan};
use crate::figure::{Figure, Point, Series};
use crate::prediction::Kind;
use crate::recursion::{Recursion, chain};
use crate::refusal::Refusal;
use crate::stats::{mean, replicates};

/// The checks of this room.
pub const GUARDS: &[Guard] = &[
    Guard {
        name: "bernoulli-chain",
        covers: &["B1"],
        about: "A fitted probability: survival by the exact binomial test, moments, bounds.",
        replicates: 40_000,
        run: bernoulli_chain,
    },
    Guard {
        name: "branching-bounds",
        covers: &["B1", "B2", "B3"],
        about: "The survival function lies between its bounds and follows its expansion.",
        replicates: 1,
        run: branching_bounds,
    },
    Guard {
        name: "poisson-chain",
        covers: &["B3"],
        about: "A fitted rate: extinction by the exact binomial test, moments, transform.",
        replicates: 40_000,
        run: poisson_chain,
    },
];

fn sure(value: Result<f64, Refusal>) -> f64 {
    value.expect("inside the domain")
}

/// A number that must lie in an interval.
fn within(name: &str, value: f64, low: f64, high: f64) -> Outcome {
    Outcome::deterministic(name, value, 0.5 * (low + high), 0.5 * (high - low)).of_kind(Kind::Bound)
}

fn bernoulli_chain(plan: &Plan) -> Vec<Outcome> {
    let (n, p0, k) = (20, 0.1, 9);
    let recursion = Recursion::replace(n).named("bernoulli-chain");
    let ends = replicates(plan.replicates, |item| {
        chain(&Bernoulli { p: p0 }, &recursion, k, plan.seed, item).expect("n = 20")[k].p
    });
    let alive = ends.iter().filter(|&&p| p > 0.0).count() as u64;
    let power = |r: i32| ends.iter().map(|p| p.powi(r)).collect::<Vec<f64>>();
    let moment = |n, k, r| sure(bernoulli_moment(n, p0, k, r));
    let (n1, rare) = (n + 1, 0.01);
    let exact = sure(bernoulli_survival(n, rare, k));
    vec![
        Outcome::binomial("P(P_k > 0)", alive, plan.replicates, sure(bernoulli_survival(n, p0, k)))
            .mistake("one generation more", sure(bernoulli_survival(n, p0, k + 1)))
            .mistake("branching process", sure(suresh_lower(n, p0, k))),
        Outcome::empirical("E P_k²", &power(2), moment(n, k, 2))
            .mistake("three generations more", moment(n, k + 3, 2))
            .mistake("no recursion", p0 * p0),
        Outcome::empirical("E P_k³", &power(3), moment(n, k, 3))
            .mistake("three generations more", moment(n, k + 3, 3))
            .mistake("the second moment", moment(n1, k, 2)),
        within(
            "survival between its bounds",
            exact,
            sure(suresh_lower(n, rare, k)),
            sure(suresh_upper(n, rare, k)),
        )
        .mistake("n p0 for the rate", n as f64 * rare * 4.0)
        .mistake("certain survival", 1.0),
    ]
}

fn branching_bounds(_: &Plan) -> Vec<Outcome> {
    let middle = |k| 0.5 * (sure(survival_lower(k)) + sure(survival_upper(k)));
    let mut outcomes: Vec<Outcome> = [5, 10, 40]
        .into_iter()
        .map(|k| {
            let (low, high) = (sure(survival_lower(k)), sure(survival_upper(k)));
            within(&format!("g_{k} between its bounds"), sure(survival(k)), low, high)
                .mistake("twice the generations", middle(2 * k))
                .mistake("half the generations", middle(k / 2))
        })
        .collect();
    let k = 1_000_000;
    let large = k as f64;
    // The next term is of order ln(k)/k = 1.4e-5; 3e-6 of it is left at this k.
    let reciprocal = 1.0 / sure(survival(k));
    let expansion = 1.0 / sure(survival_asymptotic(k));
    outcomes.push(
        Outcome::deterministic("1/g_k for k = 10⁶", reciprocal, expansion, 2e-5)
            .of_kind(Kind::Asymptotic)
            .mistake("ln(k)/3 for ln(k)/6", expansion + large.ln() / 6.0)
            .mistake("(k + 1)/2 for k/2", expansion + 0.5),
    );
    // P(T > k) = ½ at the median; the expansion of 1/g is off by ln(k)/3 of k/2.
    let (n, rate) = (1000, 1.0);
    let median = sure(median_time(n, rate));
    let still = sure(extinct(n, rate, median.round() as usize));
    outcomes.push(
        Outcome::deterministic("extinct at the median", still, 0.5, 0.002)
            .of_kind(Kind::Asymptotic)
            .mistake("n λ_0/ln 2 for the median", 0.25)
            .mistake("2 n λ_0 for the median", (-1.0f64).exp()),
    );
    outcomes
}

fn poisson_chain(plan: &Plan) -> Vec<Outcome> {
    let (n, rate, k, early) = (10, 0.8, 12, 4);
    let recursion = Recursion::replace(n).named("poisson-chain");
    let runs: Vec<[f64; 3]> = replicates(plan.replicates, |item| {
        let run = chain(&Poisson { rate }, &recursion, k, plan.seed, item).expect("n = 10");
        [run[2].rate, run[early].rate, run[k].rate]
    });
    let column = |f: &dyn Fn(&[f64; 3]) -> f64| runs.iter().map(f).collect::<Vec<f64>>();
    let dead = runs.iter().filter(|run| run[2] == 0.0).count() as u64;
    let p = |k| sure(extinct(n, rate, k));
    let spread = |k| sure(rate_variance(n, rate, k));
    let (count, start) = (n as f64, n as f64 * rate);
    let transform = |k, theta| sure(laplace(n, rate, k, theta));
    let survivors: Vec<f64> = runs.iter().map(|run| run[2]).filter(|&x| x > 0.0).collect();
    let alive = |k| sure(mean_given_survival(n, rate, k));
    vec![
        Outcome::binomial("P(Λ_k = 0)", dead, plan.replicates, p(k))
            .mistake("one generation more", p(k + 1))
            .mistake("one generation less", p(k - 1))
            .mistake("n − 1 samples", sure(extinct(n - 1, rate, k))),
        Outcome::known("E Λ_k", &column(&|run| run[2]), rate, spread(k))
            .mistake("the mean decays by 1 − 1/n", rate * (1.0 - 1.0 / count).powi(k as i32))
            .mistake("the mean grows by 1 + 1/n", rate * (1.0 + 1.0 / count).powi(k as i32)),
        Outcome::empirical("Var Λ_k", &column(&|run| (run[2] - rate) * (run[2] - rate)), spread(k))
            .mistake("twice the generations", spread(2 * k))
            .mistake("one generation only", spread(1)),
        Outcome::empirical(
            "Cov(Λ_j, Λ_k)",
            &column(&|run| (run[1] - rate) * (run[2] - rate)),
            spread(early),
        )
        .mistake("the later variance", spread(k))
        .mistake("independent", 0.0),
        Outcome::empirical(
            "third cumulant of n Λ_2",
            &column(&|run| (count * run[0] - start).powi(3)),
            sure(third_cumulant(n, rate, 2)),
        )
        .mistake("without 3κ₂", 2.0 * start)
        .mistake("one generation more", sure(third_cumulant(n, rate, 3))),
        Outcome::empirical(
            "E exp(−n Λ_k/2)",
            &column(&|run| (-0.5 * count * run[2]).exp()),
            transform(k, 0.5),
        )
        .mistake("a third more generations", transform(k + 4, 0.5))
        .mistake("a third fewer generations", transform(k - 4, 0.5)),
        Outcome::empirical("E(Λ_k | Λ_k > 0)", &survivors, alive(k))
            .mistake("a third more generations", alive(k + 4))
            .mistake("not given survival", rate),
    ]
}

/// The figures of this room.
pub const FIGURES: &[Figure] = &[Figure {
    name: "poisson-extinction",
    covers: &["B3"],
    title: "A fitted rate dies out",
    caption: "The probability that a Poisson rate is still above zero falls like 2nλ_0/k: collapse is \
              certain, but its mean time is infinite.",
    x: "generation",
    y: "probability of survival",
    log_y: true,
    replicates: 2_000,
    series: extinction,
}];

fn extinction(plan: &Plan) -> Vec<Series> {
    let generations = [1, 2, 3, 5, 8, 12, 20, 30, 50, 80];
    let last = 80;
    let one = |n: usize| {
        let recursion = Recursion::replace(n).named("poisson-extinction");
        let runs = replicates(plan.replicates, |item| {
            let run = chain(&Poisson { rate: 1.0 }, &recursion, last, plan.seed, item);
            run.expect("n > 0").iter().map(|model| model.rate > 0.0).collect::<Vec<bool>>()
        });
        let point = |k: usize| {
            let alive: Vec<f64> = runs.iter().map(|run| f64::from(u8::from(run[k]))).collect();
            let p = 1.0 - sure(extinct(n, 1.0, k));
            let standard_error = (p * (1.0 - p) / alive.len() as f64).sqrt();
            Point { x: k as f64, mean: mean(&alive), standard_error }
        };
        Series {
            label: format!("n λ_0 = {n}"),
            line: (1..=last).map(|k| (k as f64, 1.0 - sure(extinct(n, 1.0, k)))).collect(),
            points: generations.into_iter().map(point).collect(),
        }
    };
    [2, 5, 20].into_iter().map(one).collect()
}
