//! T1: the mask of a Gaussian, the refit map, its balance, gradient flow, and what stays unfixed.

use super::known;
use crate::check::{Guard, Outcome, Plan};
use crate::special::trigamma;
use crate::stats::replicates;
use crate::tce::{equilibrium, gaussian_flow, limits, mask, walk};
use fortifai_stream::Stream;

/// The guards of this part.
pub const GAUSSIAN: &[Guard] = &[
    Guard {
        name: "tce-mask",
        covers: &["T1"],
        about: "Samples are masked by their density: their share, and the moments of those kept.",
        replicates: 1000,
        run: masked,
    },
    Guard {
        name: "tce-refit-map",
        covers: &["T1"],
        about: "The refit map: its slope by differences, its overshoot by search, its steps.",
        replicates: 1,
        run: refit_map,
    },
    Guard {
        name: "tce-equilibrium",
        covers: &["T1"],
        about: "The contracted refit map is iterated to its balance, and to where that is lost.",
        replicates: 1,
        run: balance,
    },
    Guard {
        name: "tce-gaussian-flow",
        covers: &["T1"],
        about: "The force of the loss on real samples at and around the end of gradient flow.",
        replicates: 400,
        run: flow,
    },
    Guard {
        name: "tce-frozen",
        covers: &["T1"],
        about: "How often all samples of a collapsed model are masked.",
        replicates: 120_000,
        run: frozen,
    },
    Guard {
        name: "tce-mean-drift",
        covers: &["T1"],
        about: "The mean of the floor chain drifts by the floor, generation after generation.",
        replicates: 60_000,
        run: drift,
    },
    Guard {
        name: "tce-dimensions",
        covers: &["T1"],
        about: "In two dimensions only the determinant is held: the covariance loses its shape.",
        replicates: 16_000,
        run: dimensions,
    },
];

/// Samples per replicate of the mask.
const BLOCK: usize = 1000;

fn masked(plan: &Plan) -> Vec<Outcome> {
    let (gamma, ratio) = (0.7, 0.6);
    let sigma = ratio * known(mask::floor(gamma));
    let c = known(mask::threshold(ratio));
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "tce-mask", 0, item);
        // Masked where the density exceeds γ: no half-width is used here.
        let peak = 1.0 / (sigma * (2.0 * std::f64::consts::PI).sqrt());
        let kept: Vec<f64> = (0..BLOCK)
            .map(|_| stream.normal())
            .filter(|z| peak * (-0.5 * z * z).exp() <= gamma)
            .collect();
        let fourth: f64 = kept.iter().map(|z| z.powi(4)).sum();
        (kept.len(), crate::stats::variance(&kept), fourth)
    });
    let hits: u64 = runs.iter().map(|run| (BLOCK - run.0) as u64).sum();
    let share = known(mask::masked_share(ratio));
    let trials = plan.replicates * BLOCK as u64;
    let factor = known(mask::refit_factor(ratio));
    let variances: Vec<f64> = runs.iter().map(|run| run.1).collect();
    // Given the number of kept samples the variance is known; its mean over the replicates is, too.
    let spreads: Vec<f64> = runs.iter().map(|run| known(mask::kept_spread(c, run.0))).collect();
    let kept: usize = runs.iter().map(|run| run.0).sum();
    let fourth = runs.iter().map(|run| run.2).sum::<f64>() / kept as f64;
    let m4 = known(mask::kept_fourth(c));
    // E[z⁸ | kept] = 105 + (c⁷ + 7c⁵ + 35c³ + 105c) h, by parts.
    let h = crate::special::hazard::hazard(c);
    let lower = crate::special::hazard::hazard(-c);
    let m8 = 105.0 + (c.powi(7) + 7.0 * c.powi(5) + 35.0 * c.powi(3) + 105.0 * c) * h;
    let error = ((m8 - m4 * m4) / kept as f64).sqrt();
    let squares: Vec<f64> =
        runs.iter().zip(&spreads).map(|(run, spread)| (run.1 - factor).powi(2) / spread).collect();
    vec![
        Outcome::binomial("masked share", hits, trials, share)
            .mistake("one-sided mask", 0.5 * share)
            .mistake("variance for the standard deviation", known(mask::masked_share(0.36)))
            .mistake("kept for masked", 1.0 - share),
        Outcome::known(
            "variance of the kept samples",
            &variances,
            factor,
            crate::stats::mean(&spreads),
        )
        .mistake("two-sided tail in the hazard", 1.0 + 0.5 * c * h)
        .mistake("lower tail in the hazard", 1.0 + c * lower)
        .mistake("nothing masked", 1.0),
        Outcome::empirical("variance of that variance", &squares, 1.0)
            .mistake(
                "normal samples",
                2.0 * factor * factor / (known(mask::kept_spread(c, 312)) * 311.0),
            )
            .mistake("per sample, not per kept sample", 0.312),
        Outcome::normal(
            "fourth moment of the kept samples".into(),
            fourth,
            m4,
            error,
            crate::check::Statistic::ZKnown,
        )
        .mistake("3 A²", 3.0 * factor * factor)
        .mistake("c³ alone", 3.0 + c.powi(3) * h),
    ]
}

fn refit_map(_: &Plan) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for c in [0.15f64, 0.5, 1.5] {
        let at = |step: f64| known(mask::refit((-0.5 * c * c + step).exp())).ln();
        // Central differences of step 1e-6: truncation 2e-13 times the third derivative (below
        // 2e4 here), rounding 1e-10.
        let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
        let truth = known(mask::slope(c));
        let h = crate::special::hazard::hazard(c);
        outcomes.push(
            Outcome::deterministic(format!("slope at c = {c}"), slope, truth, 1e-7)
                .mistake("of the variance", 2.0 * truth - 1.0)
                .mistake("hazard not differentiated", 1.0 - h / (2.0 * c * (1.0 + c * h))),
        );
    }
    // The largest value on a grid of 4000 half-widths is below the maximum by at most the
    // curvature times the squared grid step, 1e-6.
    let reached = |k: usize| known(mask::refit((-0.5 * (k as f64 / 2000.0).powi(2)).exp()));
    let most = (1..4000).map(reached).fold(0.0, f64::max);
    let bound = known(mask::largest_overshoot());
    outcomes.push(
        Outcome::deterministic("largest overshoot", most, bound, 1e-6)
            .mistake("no overshoot", 1.0)
            .mistake("at c = 1", known(mask::refit((-0.5f64).exp()))),
    );
    let c0 = known(mask::one_step_threshold());
    outcomes.push(
        Outcome::deterministic("one refit reaches the floor", reached_from(c0), 1.0, 1e-12)
            .mistake("c² for c²/2", reached_from(c0 * 2f64.sqrt()))
            .mistake("two-sided tail", reached_from(1.2 * c0)),
    );
    let steps = known(mask::refit_steps(1e-8)) as f64;
    outcomes.push(
        Outcome::deterministic("refits from 1e-8 of the floor", steps, 15.0, 0.5)
            .mistake("one fewer", 14.0)
            .mistake("one more", 16.0),
    );
    outcomes
}

/// Where one refit from the half-width `c` ends.
fn reached_from(c: f64) -> f64 {
    known(mask::refit((-0.5 * c * c).exp()))
}

/// Iterates a map of `ln σ` many times and returns the last two values of `σ`.
fn iterate(start: f64, map: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut before = start;
    let mut now = start;
    for _ in 0..4000 {
        (before, now) = (now, map(now));
    }
    (before, now)
}

fn balance(_: &Plan) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for lambda in [0.5f64, 0.75] {
        // The model is contracted, then masked: σ at masking time is √λ times the last fit.
        let model = |s: f64| known(mask::refit(s)) * lambda.sqrt();
        // The samples are contracted, the mask looks at the model's density.
        let samples = |s: f64| {
            let u = known(mask::threshold(s)) / lambda.sqrt();
            s * (lambda * (1.0 + u * crate::special::hazard::hazard(u))).sqrt()
        };
        let (a, b) = (
            known(equilibrium::contracted_model(lambda)),
            known(equilibrium::contracted_samples(lambda)),
        );
        // 4000 steps of a map with slope below 0.99 in size leave nothing but rounding.
        outcomes.push(
            Outcome::deterministic(
                format!("contracted model, {lambda}"),
                iterate(0.5, model).1,
                a,
                1e-10,
            )
            .mistake("samples for model", b)
            .mistake("no half in the exponent", a * a),
        );
        outcomes.push(
            Outcome::deterministic(
                format!("contracted samples, {lambda}"),
                iterate(0.5, samples).1,
                b,
                1e-10,
            )
            .mistake("model for samples", a)
            .mistake("lambda squared", b.powf(lambda)),
        );
    }
    // Just inside and just outside the largest stable contraction: the steps die out or do not.
    for (name, edge, of_model) in [
        (
            "largest stable contraction of the model",
            known(equilibrium::largest_stable_model()),
            true,
        ),
        (
            "largest stable contraction of the samples",
            known(equilibrium::largest_stable_samples()),
            false,
        ),
    ] {
        let swing = |lambda: f64| {
            let (before, now) = iterate(0.97, |s| {
                if of_model {
                    return known(mask::refit(s)) * lambda.sqrt();
                }
                let u = known(mask::threshold(s)) / lambda.sqrt();
                s * (lambda * (1.0 + u * crate::special::hazard::hazard(u))).sqrt()
            });
            (now / before).ln().abs()
        };
        // Halving on whether the map still swings finds the edge within 0.004 (critical slowing).
        let (mut low, mut high) = (0.5, 0.95);
        while high - low > 1e-4 {
            let middle = 0.5 * (low + high);
            if swing(middle) > 1e-3 { high = middle } else { low = middle }
        }
        let other = if of_model {
            known(equilibrium::largest_stable_samples())
        } else {
            known(equilibrium::largest_stable_model())
        };
        outcomes.push(
            Outcome::deterministic(name, low, edge, 0.004)
                .mistake("the other contraction", other)
                .mistake("standard deviation for variance", edge * edge),
        );
    }
    let n = 50.0;
    let delta = known(equilibrium::sampling_balance(50));
    let kept = (1.0 - 1.0 / n) * known(mask::refit_factor((-delta).exp()));
    outcomes.push(
        Outcome::deterministic("balance with n = 50 samples", kept, 1.0, 1e-12)
            .mistake(
                "n − 1 for n",
                (1.0 - 1.0 / (n - 1.0)) * known(mask::refit_factor((-delta).exp())),
            )
            .mistake("no loss", kept / (1.0 - 1.0 / n)),
    );
    outcomes
}

fn flow(plan: &Plan) -> Vec<Outcome> {
    let gamma = 0.7;
    let floor = known(mask::floor(gamma));
    let data = 0.4;
    let end = known(gaussian_flow::end(data));
    let measure = |model: f64, generation: u64| {
        let sigma = model * floor;
        let peak = 1.0 / (sigma * (2.0 * std::f64::consts::PI).sqrt());
        replicates(plan.replicates, |item| {
            let mut stream = Stream::new(plan.seed, "tce-gaussian-flow", generation, item);
            let force = |_| {
                let z = data * floor * stream.normal() / sigma;
                if peak * (-0.5 * z * z).exp() <= gamma { z * z - 1.0 } else { 0.0 }
            };
            (0..BLOCK).map(force).sum::<f64>() / BLOCK as f64
        })
    };
    let unmasked = |model: f64| (data / model).powi(2) - 1.0;
    let mut outcomes = vec![
        Outcome::empirical("force at the end of the flow", &measure(end, 0), 0.0)
            .mistake("nothing masked", unmasked(end))
            .mistake(
                "the end of the refit",
                known(gaussian_flow::force(known(mask::refit(data)), data)),
            ),
    ];
    for (generation, model) in [(1, 0.4), (2, 0.6)] {
        let force = known(gaussian_flow::force(model, data));
        outcomes.push(
            Outcome::empirical(
                format!("force at {model} of the floor"),
                &measure(model, generation),
                force,
            )
            .mistake("one-sided", 0.5 * force)
            .mistake("nothing masked", unmasked(model)),
        );
    }
    outcomes
}

fn frozen(plan: &Plan) -> Vec<Outcome> {
    let (gamma, ratio, n) = (0.7, 0.05, 10);
    let sigma = ratio * known(mask::floor(gamma));
    let peak = 1.0 / (sigma * (2.0 * std::f64::consts::PI).sqrt());
    let hits = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "tce-frozen", 0, item);
        (0..n).all(|_| peak * (-0.5 * stream.normal().powi(2)).exp() > gamma)
    });
    let hits = hits.iter().filter(|hit| **hit).count() as u64;
    let predicted = known(limits::frozen(n, ratio));
    let share = known(mask::masked_share(ratio));
    vec![
        Outcome::binomial("all masked", hits, plan.replicates, predicted)
            .mistake("n − 1 for n", known(limits::frozen(n - 1, ratio)))
            .mistake("one-sided tail", (0.5 + 0.5 * share).powi(n as i32))
            .mistake("one sample", share),
    ]
}

fn drift(plan: &Plan) -> Vec<Outcome> {
    // σ_0 = σ_γ = 1, n = 21: E(μ_2 − μ_0)² = (1 + E max(1, χ²_20/20))/21, from raw samples.
    let n = 21;
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "tce-mean-drift", 0, item);
        let (mut mean, mut var) = (0.0, 1.0f64);
        let mut first = 0.0;
        for generation in 0..2 {
            let samples: Vec<f64> = (0..n).map(|_| mean + var.sqrt() * stream.normal()).collect();
            mean = crate::stats::mean(&samples);
            var = crate::stats::variance(&samples).max(1.0);
            if generation == 0 {
                first = var;
            }
        }
        (mean * mean, first)
    });
    let squares: Vec<f64> = runs.iter().map(|run| run.0).collect();
    let variances: Vec<f64> = runs.iter().map(|run| run.1).collect();
    let lifted = known(walk::floored_mean(n - 1));
    let predicted = (1.0 + lifted) / n as f64;
    vec![
        Outcome::empirical("expected variance after the floor", &variances, lifted)
            .mistake("without the floor", 1.0)
            .mistake("standard deviation for variance", 0.5 + 0.5 * lifted),
        Outcome::empirical("squared drift of the mean", &squares, predicted)
            .mistake("without the floor", 2.0 / n as f64)
            .mistake("one generation fewer", 1.0 / n as f64)
            .mistake("n − 1 for n", predicted * 21.0 / 19.0),
    ]
}

fn dimensions(plan: &Plan) -> Vec<Outcome> {
    // d = 2, n = 15, t = 2 generations under the scalar floor of the determinant, from raw samples:
    // ln(Σ_11/√det Σ) is a sum of independent ½(ln χ²_14 − ln χ²_13).
    let (n, t) = (15, 2);
    let logs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "tce-dimensions", 0, item);
        // The covariance and its Cholesky factor.
        let (mut a, mut b, mut c) = (1.0f64, 0.0f64, 1.0f64);
        for _ in 0..t {
            let l11 = a.sqrt();
            let l21 = b / l11;
            let l22 = (c - l21 * l21).sqrt();
            let (mut sx, mut sy, mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for _ in 0..n {
                let (u, v) = (stream.normal(), stream.normal());
                let (x, y) = (l11 * u, l21 * u + l22 * v);
                sx += x;
                sy += y;
                xx += x * x;
                xy += x * y;
                yy += y * y;
            }
            let nu = (n - 1) as f64;
            let size = n as f64;
            (a, b, c) = (
                (xx - sx * sx / size) / nu,
                (xy - sx * sy / size) / nu,
                (yy - sy * sy / size) / nu,
            );
            let lift = (a * c - b * b).powf(-0.5).max(1.0);
            (a, b, c) = (a * lift, b * lift, c * lift);
        }
        (a / (a * c - b * b).sqrt()).ln()
    });
    let rate = known(limits::eigenvalue_rates(2, n))[0];
    let spread = 0.25 * (trigamma(7.0) + trigamma(6.5));
    // The refit factor of a ball: kept samples of N(0, I_5) by their squared norm.
    let ratio: f64 = 0.9;
    let reach = -10.0 * ratio.ln();
    let norms = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "tce-dimensions", 1, item);
        let draw = |_| (0..5).map(|_| stream.normal().powi(2)).sum::<f64>();
        let kept: Vec<f64> = (0..8).map(draw).filter(|square| *square >= reach).collect();
        (kept.len() as f64, kept.iter().sum::<f64>() / 5.0)
    });
    let factor = known(limits::ball_factor(5, ratio));
    // Σ(|z|²/5 − A) over the kept has mean 0.
    let excess: Vec<f64> = norms.iter().map(|(count, sum)| sum - factor * count).collect();
    let count = norms.iter().map(|(count, _)| count).sum::<f64>() / norms.len() as f64;
    let shift = |wrong: f64| (wrong - factor) * count;
    vec![
        Outcome::known("growth of the shape", &logs, t as f64 * rate, t as f64 * spread)
            .mistake("one generation more", 3.0 * rate)
            .mistake("both dimensions", 4.0 * rate)
            .mistake("no growth", 0.0),
        Outcome::empirical("refit factor of a ball in five dimensions", &excess, 0.0)
            .mistake("one dimension", shift(known(mask::refit_factor(ratio))))
            .mistake(
                "half-width of one dimension",
                shift(known(limits::ball_factor(5, ratio.powf(0.2)))),
            ),
    ]
}
