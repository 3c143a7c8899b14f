//! T2 and T3: gradient descent on the loss against what it must end at.

use super::{compare, cumulate, furthest, known, pick};
use crate::check::{Guard, Outcome, Plan};
use crate::stats::replicates;
use crate::tce::flow::flow_with_mask;
use crate::tce::{capped_fit, floors, flow, ngram, support_loss, trained, water_filling};
use fortifai_stream::Stream;

/// The guards of this part.
pub const CATEGORICAL: &[Guard] = &[
    Guard {
        name: "tce-water-filling",
        covers: &["T2"],
        about: "Gradient descent on the loss ends at the capped law, given and random ones.",
        replicates: 6,
        run: capped,
    },
    Guard {
        name: "tce-support-loss",
        covers: &["T2"],
        about: "Gradient descent on data with few tokens freezes at the predicted law.",
        replicates: 1,
        run: lost,
    },
    Guard {
        name: "tce-floors",
        covers: &["T2"],
        about: "Gradient descent on the steepest data ends at the floors of diversity.",
        replicates: 1,
        run: lowest,
    },
    Guard {
        name: "tce-survivors",
        covers: &["T2"],
        about: "Recursive training keeps as many tokens alive as the cap says.",
        replicates: 1000,
        run: survivors,
    },
    Guard {
        name: "tce-n-gram",
        covers: &["T3"],
        about: "A bigram model is trained context by context, and generates.",
        replicates: 100_000,
        run: contexts,
    },
];

/// Step of the descent; its end lies within twice of it.
const ETA: f64 = 0.01;

fn keep(gamma: f64) -> impl Fn(f64) -> f64 {
    move |q| if q <= gamma { 1.0 } else { 0.0 }
}

fn renormalised(p: &[f64], gamma: f64) -> Vec<f64> {
    let total: f64 = p.iter().map(|p| p.min(gamma)).sum();
    p.iter().map(|p| p.min(gamma) / total).collect()
}

fn capped(plan: &Plan) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (p, gamma) in [
        (&[0.55, 0.25, 0.1, 0.06, 0.04][..], 0.4),
        (&[0.5, 0.3, 0.1, 0.06, 0.04], 0.3),
        (&[0.9, 0.1], 0.8),
    ] {
        let start = vec![1.0 / p.len() as f64; p.len()];
        let (q, kept) = known(flow_with_mask(p, &start, keep(gamma), ETA, 60_000));
        let fit = known(capped_fit(p, gamma));
        let name = format!("end of descent, {} tokens, threshold {gamma}", p.len());
        let mut wrong = vec![("not capped", p.to_vec())];
        // With two tokens left and right of the cap, clipping and scaling is nearly right.
        let scaled = renormalised(p, gamma);
        if furthest(&scaled, &fit.law) > 3.0 * ETA {
            wrong.push(("clipped and renormalised", scaled));
        }
        wrong.push(("filtered", filtered(p, gamma)));
        outcomes.push(compare(&name, &q, &fit.law, 2.0 * ETA, &wrong));
        let masked = known(water_filling::masked_share(p, gamma));
        let over: f64 = p.iter().zip(&fit.law).filter(|(_, q)| **q == gamma).map(|(p, _)| p).sum();
        outcomes.push(
            Outcome::deterministic("masked share", 1.0 - kept, masked, 2.0 * ETA)
                .mistake("mass of the capped tokens", over)
                .mistake("not rescaled", known(water_filling::variation(p, gamma))),
        );
        // By definition, at the capped law; 1e-14 is rounding.
        let excess: f64 = p.iter().zip(&fit.law).map(|(p, q)| p * (p / q).ln()).sum();
        let bias = 0.5 * p.iter().zip(&fit.law).map(|(p, q)| (p - q).abs()).sum::<f64>();
        let (loss, variation) = (
            known(water_filling::excess_loss(p, gamma)),
            known(water_filling::variation(p, gamma)),
        );
        outcomes.push(
            Outcome::deterministic("excess loss", excess, loss, 1e-14)
                .mistake("capped tokens alone", -gamma.ln() * gamma)
                .mistake("half", 0.5 * loss),
        );
        outcomes.push(
            Outcome::deterministic("total variation", bias, variation, 1e-14)
                .mistake("without the half", 2.0 * variation)
                .mistake("excess loss", loss),
        );
    }
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "tce-water-filling", 0, item);
        let weights: Vec<f64> = (0..6).map(|_| 0.2 + stream.uniform().powi(3)).collect();
        let total: f64 = weights.iter().sum();
        let p: Vec<f64> = weights.iter().map(|w| w / total).collect();
        let most = p.iter().fold(0.0, |most: f64, p| most.max(*p));
        let gamma = (1.0 / 6.0) + (0.75 * most - 1.0 / 6.0).max(0.02) * stream.uniform();
        let q = known(flow(&p, &[1.0 / 6.0; 6], keep(gamma), ETA, 40_000));
        furthest(&q, &known(capped_fit(&p, gamma)).law)
    });
    let worst = runs.iter().fold(0.0, |worst: f64, x| worst.max(*x));
    outcomes.push(Outcome::deterministic("random laws, the worst", worst, 0.0, 2.0 * ETA));
    outcomes
}

/// The law of the tokens that a filter of the data would leave, from the data as the model.
fn filtered(p: &[f64], gamma: f64) -> Vec<f64> {
    let kept = |p: f64| if p <= gamma { p } else { 0.0 };
    let total: f64 = p.iter().map(|&p| kept(p)).sum();
    p.iter().map(|&p| kept(p) / total).collect()
}

fn lost(_: &Plan) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (start, support, gamma) in
        [(&[0.3, 0.4, 0.2, 0.1][..], &[0][..], 0.7), (&[0.3, 0.2, 0.22, 0.18, 0.1], &[0, 1], 0.35)]
    {
        let mut data = vec![0.0; start.len()];
        support.iter().for_each(|&i| data[i] = 1.0 / support.len() as f64);
        // A tenth of the step: the planted mistakes lie closer than those of the capped fit.
        let q = known(flow(&data, start, keep(gamma), 0.1 * ETA, 60_000));
        let end = known(trained(&data, start, gamma));
        let left = 1.0 - support.len() as f64 * gamma;
        let unseen: f64 = (0..start.len()).filter(|i| !support.contains(i)).map(|i| start[i]).sum();
        let share = |i: usize, share: f64| if support.contains(&i) { gamma } else { share };
        let even = left / (start.len() - support.len()) as f64;
        let name = format!("end of descent, {} of {} tokens", support.len(), start.len());
        let wrong = [
            (
                "in proportion to the start",
                (0..start.len()).map(|i| share(i, left * start[i] / unseen)).collect(),
            ),
            ("in equal parts", (0..start.len()).map(|i| share(i, even)).collect()),
        ];
        outcomes.push(compare(&name, &q, &end, 0.2 * ETA, &wrong));
    }
    for (p, start, gamma) in [(0.95, 0.5, 0.75), (0.95, 0.2, 0.3), (0.2, 0.9, 0.3)] {
        let q = known(flow(&[p, 1.0 - p], &[start, 1.0 - start], keep(gamma), ETA, 60_000));
        let end = known(support_loss::two_tokens(p, start, gamma));
        let name = format!("two tokens, threshold {gamma}");
        outcomes.push(
            Outcome::deterministic(name, q[0], end, 2.0 * ETA)
                .mistake("the data", p)
                .mistake("the start", start),
        );
    }
    outcomes
}

fn lowest(_: &Plan) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (p, gamma) in [(&[0.95, 0.05][..], 0.7), (&[0.5, 0.4, 0.1], 0.4)] {
        let start = vec![1.0 / p.len() as f64; p.len()];
        let q = known(flow(p, &start, keep(gamma), 0.1 * ETA, 100_000));
        let h = 1.0 - q.iter().map(|q| q * q).sum::<f64>();
        let entropy: f64 = q.iter().map(|q| -q * q.ln()).sum();
        let (least, nats) = (known(floors::heterozygosity(gamma)), known(floors::entropy(gamma)));
        // q errs by at most 0.2 η: the heterozygosity by twice that, the entropy by that times
        // Σ|1 + ln q| < 3.
        outcomes.push(
            Outcome::deterministic(
                format!("heterozygosity, threshold {gamma}"),
                h,
                least,
                0.4 * ETA,
            )
            .mistake("1 − γ", 1.0 - gamma)
            .mistake("no token but the capped", 1.0 - (1.0 / gamma).floor() * gamma * gamma),
        );
        outcomes.push(
            Outcome::deterministic(format!("entropy, threshold {gamma}"), entropy, nats, 0.6 * ETA)
                .mistake("in bits", nats / 2f64.ln())
                .mistake("−ln γ", -gamma.ln()),
        );
    }
    outcomes
}

fn survivors(plan: &Plan) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (generation, gamma) in [(0, 0.6), (1, 0.4)] {
        // Six tokens, five samples. The share of chains with a token too many halves (γ = 0.6) or
        // falls by four fifths (γ = 0.4) each generation (numpy): below 1e-28 after a hundred.
        let runs = replicates(plan.replicates, |item| {
            let mut stream = Stream::new(plan.seed, "tce-survivors", generation, item);
            let mut q = vec![1.0 / 6.0; 6];
            let mut fewest = q.len();
            for _ in 0..100 {
                let mut data = vec![0.0; 6];
                (0..5).for_each(|_| data[stream.categorical(&q)] += 0.2);
                q = known(trained(&data, &q, gamma));
                fewest = fewest.min(q.iter().filter(|q| **q > 0.0).count());
            }
            (fewest as f64, q.iter().filter(|q| **q > 0.0).count() as f64)
        });
        let truth = known(floors::survivors(gamma));
        let fewest = runs.iter().map(|run| run.0).fold(f64::INFINITY, f64::min);
        let most = runs.iter().map(|run| run.1).fold(0.0, f64::max);
        for (name, found) in
            [("fewest tokens alive", fewest), ("most tokens alive at the end", most)]
        {
            outcomes.push(
                Outcome::deterministic(format!("{name}, threshold {gamma}"), found, truth, 0.5)
                    .mistake("⌊1/γ⌋", (1.0 / gamma).floor())
                    .mistake("all", 6.0),
            );
        }
    }
    outcomes
}

fn contexts(plan: &Plan) -> Vec<Outcome> {
    // Three contexts: deterministic, capped, free. The counts are the true law times 10,000.
    let gamma = 0.8;
    let counts = [vec![0, 10_000, 0], vec![500, 500, 9000], vec![5000, 3000, 2000]];
    let start = vec![vec![1.0 / 3.0; 3]; 3];
    let rows = known(ngram::fit_contexts(&counts, &start, gamma));
    let tables: Vec<Vec<f64>> = rows.iter().map(|row| cumulate(row)).collect();
    let steps = 4;
    // Each replicate: four deterministic steps, and one from each of the other contexts.
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "tce-n-gram", 0, item);
        let right = (0..steps).all(|_| pick(&tables[0], stream.uniform()) == 1);
        (right, pick(&tables[1], stream.uniform()), pick(&tables[2], stream.uniform()))
    });
    let right = runs.iter().filter(|run| run.0).count() as u64;
    let n = plan.replicates as f64;
    let count = |of: &dyn Fn(&(bool, usize, usize)) -> usize| {
        let mut observed = vec![0.0; 3];
        runs.iter().for_each(|run| observed[of(run)] += 1.0);
        observed
    };
    let expect = |law: &[f64]| law.iter().map(|p| p * n).collect::<Vec<f64>>();
    let mixed = [0.275, 0.175, 0.55];
    let excess = known(ngram::capped_context(0.9, gamma));
    let definition = 0.9 * (0.9f64 / 0.8).ln() + 0.1 * (0.1f64 / 0.2).ln();
    vec![
        Outcome::binomial(
            "deterministic steps",
            right,
            plan.replicates,
            known(ngram::all_right(gamma, steps)),
        )
        .mistake("one step more", known(ngram::all_right(gamma, steps + 1)))
        .mistake("one step fewer", known(ngram::all_right(gamma, steps - 1)))
        .mistake("no cap", 0.999_999),
        Outcome::counts(
            "capped context",
            &count(&|run| run.1),
            &expect(&[0.1, 0.1, 0.8]),
            2,
            &[("no cap", expect(&[0.05, 0.05, 0.9])), ("contexts mixed", expect(&mixed))],
        ),
        Outcome::counts(
            "free context",
            &count(&|run| run.2),
            &expect(&[0.5, 0.3, 0.2]),
            2,
            &[("capped", expect(&[0.4, 0.35, 0.25])), ("contexts mixed", expect(&mixed))],
        ),
        // Rounding.
        Outcome::deterministic(
            "excess divergence of the capped context",
            excess,
            definition,
            1e-15,
        )
        .mistake("the other way round", 0.8 * (0.8f64 / 0.9).ln() + 0.2 * 2f64.ln())
        .mistake("excess of a deterministic context", -gamma.ln()),
    ]
}
