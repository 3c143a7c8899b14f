//! T2-4, T2-5 and T5: chains on counts against their exact laws.

use super::{cumulate, known, pick, poisson_table};
use crate::check::{Guard, Outcome, Plan};
use crate::prediction::Kind;
use crate::special::deviance::binomial_law;
use crate::stats::replicates;
use crate::tce::{clip_chain, filter_chain, poisson};
use fortifai_stream::Stream;

/// The guards of this part.
pub const CHAINS: &[Guard] = &[
    Guard {
        name: "tce-clip-chain",
        covers: &["T2", "T3"],
        about: "Two tokens retrained for 200 generations: their counts and their diversity.",
        replicates: 20_000,
        run: clipped,
    },
    Guard {
        name: "tce-filter-chain",
        covers: &["T2"],
        about: "Generations until collapse when confident samples are dropped from the data.",
        replicates: 40_000,
        run: filtered,
    },
    Guard {
        name: "tce-poisson",
        covers: &["T5"],
        about: "A Poisson rate on its floor: the end of descent, the mean a generation later.",
        replicates: 100_000,
        run: rates,
    },
];

/// The cumulated laws of the next count from every learnt probability.
fn tables(n: usize, learnt: impl Fn(f64) -> f64) -> Vec<Vec<f64>> {
    (0..=n).map(|x| cumulate(&binomial_law(n, learnt(x as f64 / n as f64)))).collect()
}

fn clipped(plan: &Plan) -> Vec<Outcome> {
    // The start is forgotten as 0.956^t (the second eigenvalue, numpy): 200 generations leave a
    // noncentrality of 3e-4 in χ².
    let (n, gamma) = (30, 0.85);
    let rows = tables(n, |x| x.clamp(1.0 - gamma, gamma));
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "tce-clip-chain", 0, item);
        let (mut x, mut early) = (9, 0);
        for generation in 1..=200 {
            x = pick(&rows[x], stream.uniform());
            if generation == 5 {
                early = x;
            }
        }
        (x, early)
    });
    let r = plan.replicates as f64;
    let observe = |of: &dyn Fn(&(usize, usize)) -> usize| {
        let mut observed = vec![0.0; n + 1];
        runs.iter().for_each(|run| observed[of(run)] += 1.0);
        observed
    };
    let expect = |law: &[f64]| law.iter().map(|p| p * r).collect::<Vec<f64>>();
    let law = known(clip_chain::stationary(n, gamma));
    let early = known(clip_chain::law_after(n, gamma, 0.3, 5));
    let one_sided = {
        // Only the likelier side clipped; an empty count restarts, or 0 would absorb everything.
        let mut rows: Vec<Vec<f64>> =
            (0..=n).map(|x| binomial_law(n, (x as f64 / n as f64).min(gamma))).collect();
        rows[0] = binomial_law(n, 0.15);
        let mut law = binomial_law(n, 0.3);
        for _ in 0..100 {
            let mut next = vec![0.0; n + 1];
            for (mass, row) in law.iter().zip(&rows) {
                next.iter_mut().zip(row).for_each(|(next, p)| *next += mass * p);
            }
            law = next;
        }
        law
    };
    let q = |x: usize| (x as f64 / n as f64).clamp(1.0 - gamma, gamma);
    let diversity: Vec<f64> = runs.iter().map(|run| 2.0 * q(run.0) * (1.0 - q(run.0))).collect();
    let shares: Vec<f64> =
        runs.iter().map(|run| run.0 as f64 / n as f64).map(|x| 2.0 * x * (1.0 - x)).collect();
    let after: Vec<f64> = runs.iter().map(|run| 2.0 * q(run.1) * (1.0 - q(run.1))).collect();
    let model = known(clip_chain::model_heterozygosity(n, gamma));
    let sample = known(clip_chain::sample_heterozygosity(n, gamma));
    let after_five = known(clip_chain::heterozygosity_after(n, gamma, 0.3, 5));
    let shifted = |n| {
        let cap = known(clip_chain::effective_cap(n, 0.8));
        known(clip_chain::diffusion_heterozygosity(cap))
    };
    let diffusion = shifted(200);
    let many = known(clip_chain::sample_heterozygosity(200, 0.8));
    let near = known(clip_chain::sample_heterozygosity(10, 1.0 - 1e-6));
    vec![
        Outcome::counts(
            "law of the counts in the long run",
            &observe(&|run| run.0),
            &expect(&law),
            n,
            &[
                ("clipped on one side", expect(&one_sided)),
                ("warm start for the long run", expect(&early)),
                ("another cap", expect(&known(clip_chain::stationary(n, 0.8)))),
            ],
        ),
        Outcome::empirical("diversity of the learnt law", &diversity, model)
            .mistake("of the samples", sample)
            .mistake("diffusion limit", known(clip_chain::diffusion_heterozygosity(gamma))),
        Outcome::empirical("diversity of the samples", &shares, sample)
            .mistake("of the learnt law", model)
            .mistake("the floor", 2.0 * gamma * (1.0 - gamma)),
        Outcome::empirical("diversity after five generations", &after, after_five)
            .mistake("plain cross entropy", 0.42 * (29.0f64 / 30.0).powi(5))
            .mistake("the long run", model)
            .mistake("at the truth", 0.42),
        // The error of the corrected diffusion at n = 200 is 0.3 percent.
        Outcome::deterministic("diffusion at n = 200", many, diffusion, 0.004 * many)
            .of_kind(Kind::Asymptotic)
            .mistake("no correction", known(clip_chain::diffusion_heterozygosity(0.8)))
            .mistake("n = 50", shifted(50)),
        // Relative error of the order n(1 − γ) ln n.
        Outcome::deterministic("cap near 1", near, 18e-6, 1e-4 * near)
            .of_kind(Kind::Asymptotic)
            .mistake("n for n − 1", 20e-6)
            .mistake("without the factor 2", 9e-6),
    ]
}

fn filtered(plan: &Plan) -> Vec<Outcome> {
    let (n, gamma, p) = (20, 0.8, 0.5);
    let rows = tables(n, |x| x);
    let first = cumulate(&binomial_law(n, p));
    let times = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "tce-filter-chain", 0, item);
        let mut x = pick(&first, stream.uniform());
        let mut generations = 1.0;
        while x > 0 && x < n {
            let next = pick(&rows[x], stream.uniform());
            generations += 1.0;
            // 5 x > 4 n: the share exceeds 0.8, in whole numbers.
            let (first_dropped, second_dropped) = (5 * x > 4 * n, 5 * (n - x) > 4 * n);
            x = match (first_dropped, second_dropped) {
                (true, _) => {
                    if next < n {
                        0
                    } else {
                        x
                    }
                }
                (_, true) => {
                    if next > 0 {
                        n
                    } else {
                        x
                    }
                }
                _ => next,
            };
        }
        generations
    });
    let predicted = known(filter_chain::collapse_time(n, gamma, p));
    let plain = known(filter_chain::collapse_time(n, 1.0, p));
    let exact = known(filter_chain::collapse_time(100, gamma, p));
    let rough = known(filter_chain::diffusion_time(100, gamma, p));
    vec![
        Outcome::empirical("generations until collapse", &times, predicted)
            .mistake("plain cross entropy", plain)
            .mistake("time of leaving the band", predicted - 1.0)
            .mistake("equality dropped", known(filter_chain::collapse_time(n, 0.79, p))),
        // The diffusion's error is of the order 1/n: here 0.05 percent.
        Outcome::deterministic("diffusion at n = 100", exact, rough, 0.002 * exact)
            .of_kind(Kind::Asymptotic)
            .mistake("the band's exit", rough + 1.0)
            .mistake("n for 2n", 0.5 * rough)
            .mistake("no lattice", known(filter_chain::diffusion_time(101, gamma, p))),
    ]
}

fn rates(plan: &Plan) -> Vec<Outcome> {
    let (gamma, n, lambda) = (0.7, 10, 0.4);
    let floor = known(poisson::floor(gamma));
    let table = poisson_table(n as f64 * lambda);
    let next = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "tce-poisson", 0, item);
        (pick(&table, stream.uniform()) as f64 / n as f64).max(floor)
    });
    let predicted = known(poisson::expected_next(n, lambda, gamma));
    let mut outcomes = vec![
        Outcome::empirical("expected rate one generation later", &next, predicted)
            .mistake("without the floor", lambda)
            .mistake("floor γ", known(poisson::expected_next(n, lambda, (-0.3f64).exp())))
            .mistake("n + 2 for n", known(poisson::expected_next(n + 2, lambda, gamma))),
    ];
    // Descent in ln λ on ten observations, zero masked where e^{−λ} > γ.
    for data in [[0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 1, 1, 2, 0, 0], [0; 10]] {
        let mean = data.iter().sum::<u32>() as f64 / 10.0;
        let mut log = 0.5f64.ln();
        for _ in 0..20_000 {
            let rate = log.exp();
            let force: f64 = data
                .iter()
                .map(|&x| if x == 0 && (-rate).exp() > gamma { 0.0 } else { f64::from(x) - rate })
                .sum();
            log += 1e-3 * force / 10.0;
        }
        let truth = known(poisson::learnt(mean, gamma));
        // A step moves ln λ by at most 1e-3, and 20 units of training leave the mean's own
        // approach exp(−20·0.4)·0.5 = 2e-4.
        let other = if mean > floor { floor } else { mean };
        outcomes.push(
            Outcome::deterministic(format!("end of descent, mean {mean}"), log.exp(), truth, 2e-3)
                .mistake("the other of floor and mean", other)
                .mistake(
                    "floor 1 − γ",
                    (1.0 - gamma).max(mean) + if mean > floor { 0.1 } else { 0.0 },
                ),
        );
    }
    outcomes
}
