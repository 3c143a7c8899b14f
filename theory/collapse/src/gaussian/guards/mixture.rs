//! Real data in every generation, and distorted sampling.

use super::super::{
    Divisor, Gaussian, GaussianMean, biased_drift, biased_rate, coin, critical_lambda,
    effective_samples, fixed, fresh, fresh_limit, half_share, log_variance,
};
use super::{column, sure};
use crate::check::{Outcome, Plan};
use crate::protocol::Protocol;
use crate::recursion::{Recursion, chain, last};
use crate::stats::replicates;

use Divisor::{Mle, Unbiased};

/// `(μ², σ²)` after two and after `t` generations.
type Pairs = Vec<[(f64, f64); 2]>;

const EARLY: usize = 2;

fn moments(plan: &Plan, recursion: &Recursion, t: usize) -> Pairs {
    let truth = Gaussian::standard(Mle);
    replicates(plan.replicates, |item| {
        let run = sure(chain(&truth, recursion, t, plan.seed, item));
        [EARLY, t].map(|t| (run[t].mean * run[t].mean, run[t].var))
    })
}

pub(super) fn mixture(plan: &Plan) -> Vec<Outcome> {
    let (n, share, t) = (3, 1.0 / 3.0, 6);
    let (set_size, set_share) = (5, 0.4);
    let run = |protocol, n, name| moments(plan, &Recursion::new(protocol, n).named(name), t);
    let exactly = run(Protocol::FreshReal { share }, n, "gaussian-mixture");
    let tossed = run(Protocol::CoinReal { share }, n, "gaussian-mixture-coin");
    let same = run(Protocol::FixedReal { share: set_share }, set_size, "gaussian-mixture-fixed");
    let new = |share, t| sure(fresh(n, share, 1.0, t));
    let by_coin = |share, t| sure(coin(n, share, t));
    let set = |t| sure(fixed(set_size, set_share, t));
    let new_set = sure(fresh(set_size, set_share, 1.0, t));
    let late = |runs: &Pairs| column(runs, |run| run[1].0);
    let half = sure(half_share(n));
    vec![
        Outcome::empirical("D_t, exactly", &late(&exactly), new(share, t).displacement)
            .mistake("by a coin", by_coin(share, t))
            .mistake("1/(n a)", 1.0 / (n as f64 * share))
            .mistake("a fixed set", set(t).displacement),
        Outcome::empirical(
            "V_t, exactly",
            &column(&exactly, |run| run[1].1),
            new(share, t).variance,
        )
        .mistake("by a coin", 1.0 - by_coin(share, t))
        .mistake("a fixed set", set(t).variance),
        Outcome::empirical(
            "D_2, exactly",
            &column(&exactly, |run| run[0].0),
            new(share, EARLY).displacement,
        )
        .mistake("one generation less", new(share, EARLY - 1).displacement)
        .mistake("the limit", sure(fresh_limit(n, share, 1.0)).displacement + 0.1),
        Outcome::empirical("D_t, by a coin", &late(&tossed), by_coin(share, t))
            .mistake("exactly", new(share, t).displacement)
            .mistake("1/(n a)", 1.0 / (n as f64 * share)),
        Outcome::empirical(
            "V_t, by a coin",
            &column(&tossed, |run| run[1].1),
            1.0 - by_coin(share, t),
        )
        .mistake("exactly", new(share, t).variance)
        .mistake("no recursion", 1.0 - 1.0 / n as f64),
        Outcome::empirical(
            "D_2, by a coin",
            &column(&tossed, |run| run[0].0),
            by_coin(share, EARLY),
        )
        .mistake("one generation less", by_coin(share, EARLY - 1))
        .mistake("exactly, one generation less", new(share, EARLY - 1).displacement),
        Outcome::empirical("D_t, a fixed set", &late(&same), set(t).displacement)
            .mistake("new real data", new_set.displacement)
            .mistake("the set alone", 1.0 / (set_size as f64 * set_share)),
        Outcome::empirical("V_t, a fixed set", &column(&same, |run| run[1].1), set(t).variance)
            .mistake("new real data", new_set.variance)
            .mistake("one generation", set(1).variance),
        // Two closed forms: 1e-12 of roundings.
        Outcome::deterministic(
            "V* at the share that keeps half",
            sure(fresh_limit(n, half, 1.0)).variance,
            0.5,
            1e-12,
        )
        .mistake("1/(2n)", sure(fresh_limit(n, 0.5 / n as f64, 1.0)).variance)
        .mistake("1/n", sure(fresh_limit(n, 1.0 / n as f64, 1.0)).variance),
    ]
}

pub(super) fn bias(plan: &Plan) -> Vec<Outcome> {
    let (n, lambda, t) = (10, 0.7, 5);
    let recursion = Recursion::replace(n).biased(lambda, 1).named("gaussian-bias");
    let truth = Gaussian::standard(Unbiased);
    let ends: Vec<Gaussian> =
        replicates(plan.replicates, |item| sure(last(&truth, &recursion, t, plan.seed, item)));
    let rate = |lambda, divisor| 5.0 * sure(biased_rate(n, lambda, divisor));
    let drift = |t, lambda| sure(biased_drift(n, lambda, t, Unbiased));

    let critical = sure(critical_lambda(n));
    let kept = Recursion::replace(n).biased(critical, 1).named("gaussian-bias-critical");
    let preserved: Vec<f64> =
        replicates(plan.replicates, |item| sure(last(&truth, &kept, t, plan.seed, item)).var.ln());

    let (share, size, late) = (0.4, 5, 6);
    let mixed = Recursion::new(Protocol::FreshReal { share }, size)
        .biased(lambda, 1)
        .named("gaussian-bias-fresh");
    let runs = moments(plan, &mixed, late);
    let new = |t, lambda| sure(fresh(size, share, lambda, t));

    let known = GaussianMean(Gaussian::standard(Mle));
    let recursion = mixed.clone().named("gaussian-bias-known");
    let means: Vec<f64> = replicates(plan.replicates, |item| {
        sure(last(&known, &recursion, late, plan.seed, item)).0.mean
    });
    // From 0 on, (1−a)^2 of the distance from the limit is left per generation.
    let reached = 1.0 - 0.36f64.powi(late as i32);
    let displacement = |lambda| reached / sure(effective_samples(size, share, lambda));
    let spread = sure(log_variance(n)) * t as f64;
    vec![
        Outcome::known(
            "E ln σ_t²",
            &column(&ends, |end| end.var.ln()),
            rate(lambda, Unbiased),
            spread,
        )
        .mistake("divisor n", rate(lambda, Mle))
        .mistake("λ on the deviation", rate(lambda * lambda, Unbiased))
        .mistake("real data undistorted", rate(lambda, Unbiased) - lambda.ln()),
        Outcome::empirical("Var μ_t", &column(&ends, |end| end.mean * end.mean), drift(t, lambda))
            .mistake("no distortion", drift(t, 1.0))
            .mistake("real data undistorted", drift(t, lambda) / lambda),
        Outcome::known("E ln σ_t² at λ*", &preserved, 0.0, spread)
            .mistake("λ* = 1 + 1/n", 5.0 * (sure(biased_rate(n, 1.1, Unbiased))))
            .mistake("λ* = 1", rate(1.0, Unbiased)),
        Outcome::empirical(
            "D_t, new real data",
            &column(&runs, |run| run[1].0),
            new(late, lambda).displacement,
        )
        .mistake("no distortion", new(late, 1.0).displacement)
        .mistake("λ on the deviation", new(late, lambda * lambda).displacement),
        Outcome::empirical(
            "V_t, new real data",
            &column(&runs, |run| run[1].1),
            new(late, lambda).variance,
        )
        .mistake("no distortion", new(late, 1.0).variance)
        .mistake("λ on the deviation", new(late, lambda * lambda).variance),
        Outcome::known(
            "E μ², known variance",
            &column(&means, |x| x * x),
            displacement(lambda),
            2.0 * displacement(lambda) * displacement(lambda),
        )
        .mistake("no distortion", displacement(1.0))
        .mistake("real samples only", 1.0 / (size as f64 * share)),
    ]
}
