//! Replaced data in one dimension.

use super::super::distance::kl;
use super::super::{
    Divisor, Gaussian, c4, expected_kl_from_truth, expected_kl_to_truth, expected_power,
    expected_time, expected_w2_squared, log_rate, log_variance, mean_drift, time_bound,
    variance_of_variance,
};
use super::{column, sure};
use crate::check::{Outcome, Plan};
use crate::prediction::Kind;
use crate::recursion::{Recursion, chain, last, observe};
use crate::special::digamma_excess;
use crate::stats::{mean, replicates};
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};
use std::ops::ControlFlow;

use Divisor::{Mle, Unbiased};

/// What is kept of a chain: variances of the last two generations, means of the second and the
/// last, and the sum of the variances that were sampled.
struct Run {
    before: f64,
    end: f64,
    early_mean: f64,
    mean: f64,
    sampled: f64,
}

pub(super) fn replace(plan: &Plan) -> Vec<Outcome> {
    let (n, t, early) = (10, 5, 2);
    let recursion = Recursion::replace(n).named("gaussian-replace");
    let truth = Gaussian::standard(Unbiased);
    let runs: Vec<Run> = replicates(plan.replicates, |item| {
        let run = sure(chain(&truth, &recursion, t, plan.seed, item));
        Run {
            before: run[t - 1].var,
            end: run[t].var,
            early_mean: run[early].mean,
            mean: run[t].mean,
            sampled: run[..t].iter().map(|model| model.var).sum(),
        }
    });
    let (nu, count, generations) = ((n - 1) as f64, n as f64, t as f64);
    let chi2 = |nu: f64| ChiSquared::new(nu).expect("positive degrees of freedom");
    let (nine, ten) = (chi2(nu), chi2(count));
    let few = &runs[..runs.len().min(12_000)];
    let rate = |divisor| sure(log_rate(n, divisor));
    let pivot = column(&runs, |run| run.mean / (run.sampled / count).sqrt());
    let normal = |sd: f64| Normal::new(0.0, sd).expect("a positive deviation");
    let (unit, late, twice) = (normal(1.0), normal((5.0f64 / 4.0).sqrt()), normal(2f64.sqrt()));
    let drift = |t, divisor| sure(mean_drift(n, t, divisor));
    vec![
        Outcome::law(
            "ν σ_t²/σ_{t−1}² is χ²_ν",
            &column(few, |run| nu * run.end / run.before),
            |x| nine.cdf(x),
            &[
                ("known mean: χ²_n", &|x| ten.cdf(x)),
                ("standard deviation for variance", &|x| nine.cdf(x * x / nu)),
            ],
        ),
        Outcome::known(
            "E ln σ_t²",
            &column(&runs, |run| run.end.ln()),
            generations * rate(Unbiased),
            generations * sure(log_variance(n)),
        )
        .mistake("divisor n", generations * rate(Mle))
        .mistake("one generation more", (generations + 1.0) * rate(Unbiased))
        .mistake("known mean", generations * digamma_excess(0.5 * count))
        .mistake("logarithm of E σ", 2.0 * generations * sure(c4(n)).ln()),
        Outcome::law(
            "μ_t/√(Σ σ_k²/n) is standard normal",
            &pivot,
            |x| unit.cdf(x),
            &[("one generation less", &|x| late.cdf(x)), ("noise used twice", &|x| twice.cdf(x))],
        ),
        Outcome::known("its square", &column(&pivot, |x| x * x), 1.0, 2.0)
            .mistake("n − 1 for n", count / nu)
            .mistake("one generation more", (generations + 1.0) / generations),
        Outcome::empirical(
            "Var μ_t",
            &column(&runs, |run| run.mean * run.mean),
            drift(t, Unbiased),
        )
        .mistake("divisor n", drift(t, Mle))
        .mistake("one generation more", drift(t + 1, Unbiased)),
        Outcome::empirical(
            "Cov(μ_j, μ_t)",
            &column(&runs, |run| run.early_mean * run.mean),
            drift(early, Unbiased),
        )
        .mistake("the later variance", drift(t, Unbiased))
        .mistake("one generation more", drift(early + 1, Unbiased)),
    ]
}

pub(super) fn powers(plan: &Plan) -> Vec<Outcome> {
    let (n, t) = (10, 5);
    let ends = |n, t, divisor, name| -> Vec<Gaussian> {
        let recursion = Recursion::replace(n).named(name);
        let truth = Gaussian::standard(divisor);
        replicates(plan.replicates, |item| sure(last(&truth, &recursion, t, plan.seed, item)))
    };
    let mle = ends(n, t, Mle, "gaussian-powers");
    let power = |t, s, divisor| sure(expected_power(n, t, s, divisor));
    let variance = power(t, 1.0, Mle);
    let deviation = power(t, 0.5, Mle);
    let mut outcomes = vec![
        Outcome::known(
            "E σ_t, divisor n",
            &column(&mle, Gaussian::std_dev),
            deviation,
            variance - deviation * deviation,
        )
        .mistake("divisor n − 1", sure(c4(n)).powi(5))
        .mistake("one generation more", power(t + 1, 0.5, Mle))
        .mistake("variance for deviation", variance),
        Outcome::known(
            "E σ_t², divisor n",
            &column(&mle, |model| model.var),
            variance,
            sure(variance_of_variance(n, t, Mle)),
        )
        .mistake("divisor n − 1", 1.0)
        .mistake("one generation more", power(t + 1, 1.0, Mle)),
        Outcome::empirical(
            "E σ_t² + Var μ_t, divisor n",
            &column(&mle, |model| model.var + model.mean * model.mean),
            1.0,
        )
        .mistake("Var μ_t = t/n", variance + 0.5)
        .mistake("the variance alone", variance),
    ];
    // Higher moments need many samples and few generations to be nearly normal in the mean.
    let (n, t) = (40, 2);
    let unbiased = ends(n, t, Unbiased, "gaussian-powers-many");
    for s in [2.0, -1.0, 0.3] {
        let power = |n, t, s, divisor| sure(expected_power(n, t, s, divisor));
        let truth = power(n, t, s, Unbiased);
        let values = column(&unbiased, |model| model.var.powf(s));
        let spread = power(n, t, 2.0 * s, Unbiased) - truth * truth;
        let outcome = Outcome::known(format!("E σ_t^{}", 2.0 * s), &values, truth, spread)
            .mistake("divisor n", power(n, t, s, Mle));
        outcomes.push(match s == 0.3 {
            true => outcome.mistake("E σ_t^1.2 for E σ_t^0.6", power(n, t, 2.0 * s, Mle)),
            false => outcome.mistake("one generation more", power(n, t + 1, s, Unbiased)),
        });
    }
    outcomes
}

pub(super) fn time(plan: &Plan) -> Vec<Outcome> {
    let (n, eps) = (10, 0.01);
    let recursion = Recursion::replace(n).named("gaussian-time");
    let truth = Gaussian::standard(Unbiased);
    let runs: Vec<(f64, f64)> = replicates(plan.replicates, |item| {
        let mut time = 0;
        let stop = |generation: crate::recursion::Generation<'_, Gaussian>| {
            time = generation.number;
            match generation.model.std_dev() < eps {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let end = sure(observe(&truth, &recursion, 100_000, plan.seed, item, stop));
        (time as f64, end.var.ln())
    });
    let times = column(&runs, |run| run.0);
    let (rate, mean_time) = (sure(log_rate(n, Unbiased)), mean(&times));
    let claim = |wrong: f64| (wrong - rate) * mean_time;
    let expected = sure(expected_time(n, eps, Unbiased));
    let bound = sure(time_bound(n, eps, Unbiased));
    vec![
        Outcome::empirical(
            "Wald: E (ln σ_T² − rate·T)",
            &column(&runs, |run| run.1 - rate * run.0),
            0.0,
        )
        .mistake("divisor n", claim(sure(log_rate(n, Mle))))
        .mistake("logarithm of E σ", claim(2.0 * sure(c4(n)).ln())),
        // 5 %: the overshoot of a skewed walk differs from the normal one's by a fraction of a step.
        Outcome::near("E T", &times, expected, 0.05 * expected)
            .of_kind(Kind::Asymptotic)
            .mistake("divisor n", sure(expected_time(n, eps, Mle)))
            .mistake("logarithm of E σ", 2.0 * expected),
        // The overshoot is at most that of a few steps: the bound is met within a tenth.
        Outcome::near("E T above its bound", &times, 1.05 * bound, 0.05 * bound)
            .of_kind(Kind::Bound)
            .mistake("one-sided in ln σ", 0.5 * bound)
            .mistake("logarithm of E σ", 2.0 * bound),
    ]
}

pub(super) fn distance(plan: &Plan) -> Vec<Outcome> {
    let (n, t) = (20, 5);
    let recursion = Recursion::replace(n).named("gaussian-distance");
    let mut outcomes = Vec::new();
    for (divisor, label) in [(Unbiased, "divisor n − 1"), (Mle, "divisor n")] {
        let truth = Gaussian::standard(divisor);
        let ends: Vec<Gaussian> =
            replicates(plan.replicates, |item| sure(last(&truth, &recursion, t, plan.seed, item)));
        let w2 = |end: &Gaussian| end.mean * end.mean + (end.std_dev() - 1.0).powi(2);
        let from = |end: &Gaussian| kl(end.mean, 1.0, end.std_dev());
        let to = |end: &Gaussian| kl(end.mean, end.std_dev(), 1.0);
        type Form = fn(usize, usize, Divisor) -> Result<f64, crate::Refusal>;
        let forms: [(&str, Vec<f64>, Form, Form); 3] = [
            ("E W₂²", column(&ends, w2), expected_w2_squared, mean_drift),
            ("E KL(N_t‖N_0)", column(&ends, from), expected_kl_from_truth, expected_kl_to_truth),
            ("E KL(N_0‖N_t)", column(&ends, to), expected_kl_to_truth, expected_kl_from_truth),
        ];
        for (name, values, form, wrong) in forms {
            outcomes.push(
                Outcome::empirical(format!("{name}, {label}"), &values, sure(form(n, t, divisor)))
                    .mistake("one generation more", sure(form(n, t + 1, divisor)))
                    .mistake("another quantity", sure(wrong(n, t, divisor))),
            );
        }
    }
    outcomes
}
