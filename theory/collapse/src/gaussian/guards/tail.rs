//! Survival of the standard deviation.

use super::super::{
    Divisor, Gaussian, chernoff_bound, markov_bound, suresh_bound, survival, survival_of_three,
};
use super::sure;
use crate::check::{Outcome, Plan};
use crate::prediction::Kind;
use crate::recursion::{Recursion, last};
use crate::stats::replicates;

pub(super) fn tail(plan: &Plan) -> Vec<Outcome> {
    let (n, t, eps) = (10, 20, 0.5);
    let recursion = Recursion::replace(n).named("gaussian-tail");
    let truth = Gaussian::standard(Divisor::Unbiased);
    let above = replicates(plan.replicates, |item| {
        sure(last(&truth, &recursion, t, plan.seed, item)).std_dev() > eps
    });
    let hits = above.iter().filter(|&&above| above).count() as u64;
    let p = |n, t, eps, divisor| sure(survival(n, t, eps, divisor));
    let mut outcomes = vec![
        Outcome::binomial("P(σ_t > ε)", hits, plan.replicates, p(n, t, eps, Divisor::Unbiased))
            .mistake("divisor n", p(n, t, eps, Divisor::Mle))
            .mistake("two generations more", p(n, t + 2, eps, Divisor::Unbiased))
            .mistake("variance for deviation", p(n, t, eps.sqrt(), Divisor::Unbiased)),
    ];
    for y in [1e-6f64, 0.3, 20.0] {
        let integral = p(3, 2, y.sqrt(), Divisor::Unbiased);
        let bessel = sure(survival_of_three(y));
        // Both are good to 1e-12.
        outcomes.push(
            Outcome::deterministic(format!("P(σ_2² > {y})"), integral, bessel, 1e-11 * bessel)
                .mistake("one generation", (-y).exp())
                .mistake("deviation for variance", sure(survival_of_three(y * y))),
        );
    }
    for (t, eps) in [(20, 0.5), (100, 0.1), (200, 0.01)] {
        let exact = p(n, t, eps, Divisor::Unbiased);
        let chernoff = sure(chernoff_bound(n, t, eps, Divisor::Unbiased));
        let markov = sure(markov_bound(n, t, eps));
        let suresh = sure(suresh_bound(n, t, eps));
        let between = |name: String, value: f64, low: f64, high: f64| {
            Outcome::deterministic(name, value, 0.5 * (low + high), 0.5 * (high - low))
                .of_kind(Kind::Bound)
        };
        outcomes.push(
            between(format!("Chernoff's bound at t = {t}"), chernoff, exact, markov)
                .mistake("its square", chernoff + 2.0 * markov)
                .mistake("below the probability", -markov),
        );
        outcomes.push(
            between(format!("Markov's bound at t = {t}"), markov, chernoff, suresh)
                .mistake("twice the bound of Suresh et al.", 2.0 * suresh + markov)
                .mistake("no bound", 0.0 - suresh),
        );
    }
    outcomes
}
