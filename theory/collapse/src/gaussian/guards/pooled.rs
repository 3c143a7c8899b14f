//! Accumulated data, with and without a budget.

use super::super::{
    Divisor, Gaussian, accumulate_drift, accumulate_fourth, accumulate_log, accumulate_variance,
    budget_variance, budget_variance_distinct, expected_power, log_rate,
};
use super::{column, sure};
use crate::check::{Outcome, Plan};
use crate::protocol::Protocol;
use crate::recursion::{Recursion, last, observe};
use crate::stats::replicates;
use std::ops::ControlFlow;

use Divisor::{Mle, Unbiased};

pub(super) fn accumulate(plan: &Plan) -> Vec<Outcome> {
    let (n, t) = (6, 8);
    let recursion = Recursion::accumulate(n);
    let ends = |divisor, name| -> Vec<Gaussian> {
        let (truth, recursion) = (Gaussian::standard(divisor), recursion.clone().named(name));
        replicates(plan.replicates, |item| sure(last(&truth, &recursion, t, plan.seed, item)))
    };
    let mle = ends(Mle, "gaussian-accumulate");
    let unbiased = ends(Unbiased, "gaussian-accumulate-unbiased");
    let variance = |t, divisor| sure(accumulate_variance(n, t, divisor));
    let (kept, fourth) = (variance(t, Mle), |t| sure(accumulate_fourth(n, t)));
    let log = |t| sure(accumulate_log(n, t));
    vec![
        Outcome::known(
            "E σ_t², divisor N",
            &column(&mle, |end| end.var),
            kept,
            fourth(t) - kept * kept,
        )
        .mistake("divisor N − 1", variance(t, Unbiased))
        .mistake("replaced data", sure(expected_power(n, t, 1.0, Mle)))
        .mistake("first block dropped", kept / (1.0 - 1.0 / n as f64)),
        Outcome::empirical(
            "Var μ_t, divisor N",
            &column(&mle, |end| end.mean * end.mean),
            sure(accumulate_drift(n, t)),
        )
        .mistake("what is kept", kept)
        .mistake("real data only", 1.0 / n as f64),
        Outcome::empirical("E σ_t⁴, divisor N", &column(&mle, |end| end.var * end.var), fourth(t))
            .mistake("no variance", kept * kept)
            .mistake("replaced data", sure(expected_power(n, t, 2.0, Mle))),
        Outcome::empirical("E ln σ_t², divisor N", &column(&mle, |end| end.var.ln()), log(t))
            .mistake("logarithm of the mean", kept.ln())
            .mistake("real data only", sure(log_rate(n, Mle))),
        Outcome::empirical(
            "E σ_t², divisor N − 1",
            &column(&unbiased, |end| end.var),
            variance(t, Unbiased),
        )
        .mistake("divisor N", kept)
        .mistake("no loss", 1.0),
    ]
}

pub(super) fn budget(plan: &Plan) -> Vec<Outcome> {
    let (n, budget, t) = (6, 2, 8);
    let pools = |with_replacement, name| -> Vec<f64> {
        let protocol = Protocol::AccumulateBudget { budget, with_replacement };
        let recursion = Recursion::new(protocol, n).named(name);
        let truth = Gaussian::standard(Mle);
        replicates(plan.replicates, |item| {
            let mut variance = 0.0;
            sure(observe(&truth, &recursion, t, plan.seed, item, |generation| {
                let pool = generation.pool;
                variance = pool.squares() / pool.count().max(1) as f64;
                ControlFlow::Continue(())
            }));
            variance
        })
    };
    let with = |budget| sure(budget_variance(n, budget, t));
    let distinct = |budget| sure(budget_variance_distinct(n, budget, t));
    let everything = sure(accumulate_variance(n, t, Mle));
    vec![
        Outcome::empirical(
            "pool variance, drawn with replacement",
            &pools(true, "gaussian-budget"),
            with(budget),
        )
        .mistake("no budget", everything)
        .mistake("half the budget", with(budget / 2)),
        Outcome::empirical(
            "pool variance, distinct samples",
            &pools(false, "gaussian-budget-distinct"),
            distinct(budget),
        )
        .mistake("no budget", everything)
        .mistake("half the budget", distinct(budget / 2)),
    ]
}
