//! Tests of the room above.

use super::*;
use crate::trial;

#[test]
fn every_entry_predicts_its_example() {
    trial::examples_are_predicted(FAMILY.entries);
}

#[test]
fn closed_forms_agree_with_mpmath() {
    let jacobian = "Jacobian lam B/(A+lam B) logistic on N(0,1) data";
    // Every truth: mpmath, 40 digits, at the decimal inputs.
    for (formula, lambda, truth) in [
        ("contraction lam/(1+lam)", 3.0, 0.75),
        (jacobian, 0.3, 0.194_839_888_343_459_14),
        (jacobian, 1.0, 0.446_483_228_778_976_8),
        (jacobian, 5.0, 0.801_317_264_957_187_8),
    ] {
        let value = trial::predict(FAMILY.entries, formula, &[("lambda", lambda)]).expect(formula);
        assert!((value - truth).abs() <= 1e-14 * truth, "{formula}: {value} against {truth}");
    }
}

#[test]
fn the_published_condition_is_sufficient_and_not_necessary() {
    let (smoothness, epsilon, alpha) = (2.0, 0.1, 0.5);
    let norm = 1.0 + smoothness * epsilon / alpha;
    let edge = sufficient_share(smoothness, epsilon, alpha).expect("inside the domain");
    let at_edge = sufficient_norm(edge, smoothness, epsilon, alpha).expect("inside the domain");
    assert!((at_edge - 1.0).abs() <= 1e-14, "{at_edge}");
    for step in 1..60 {
        let lambda = f64::from(step) / 100.0;
        let bound = sufficient_norm(lambda, smoothness, epsilon, alpha).expect("λr < 1");
        for share in [0.1, 0.5, 1.0] {
            assert!(eigenvalue(lambda, share * norm).expect("inside the domain") < bound);
        }
    }
    assert!(sufficient_norm(1.0, smoothness, epsilon, alpha).is_err());
    assert!(eigenvalue(1e6, norm).expect("inside the domain") < 1.0);
}

#[test]
fn the_rounds_are_those_that_leave_the_share() {
    for (lambda, rounds) in [(0.01, 3), (1.0, 10), (40.0, 200)] {
        let share = gap_after(lambda, rounds).expect("inside the domain");
        let back = rounds_to(lambda, share).expect("inside the domain");
        assert!((back - rounds as f64).abs() <= 1e-12 * rounds as f64, "{lambda}: {back}");
    }
}

#[test]
fn an_em_step_by_hand() {
    use crate::model::Model;
    // Two components so far apart that every sample belongs to one: means and variances of both.
    let component = |mean| Component { weight: 0.5, mean, var: 1.0 };
    let start = Mixture::new(vec![component(-99.0), component(99.0)], 1);
    let fit = start.fit(&vec![-100.0, -98.0, -99.0, 101.0]).expect("four samples");
    let expect = |weight, mean, var: f64| Component { weight, mean, var };
    assert_eq!(fit.components[0].weight, 0.75);
    assert!((fit.components[0].mean + 99.0).abs() <= 1e-13);
    assert!((fit.components[0].var - 2.0 / 3.0).abs() <= 1e-13);
    // A component of one sample keeps 1e-12 of the whole variance (7424.0, by hand).
    let floor = 1e-12 * fit_variance(&[-100.0, -98.0, -99.0, 101.0]);
    assert_eq!(fit.components[1], expect(0.25, 101.0, fit.components[1].var));
    assert!((fit.components[1].var - floor).abs() <= 1e-12 * floor);
    assert!(start.fit(&vec![1.0, 1.0]).is_err());
}

fn fit_variance(samples: &[f64]) -> f64 {
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / samples.len() as f64
}

#[test]
fn guards_pass_and_reject_every_planted_mistake() {
    trial::guards_pass(GUARDS);
}

#[test]
fn guards_do_not_depend_on_the_number_of_threads() {
    trial::guards_repeat(GUARDS);
}

#[test]
fn figures_show_simulations_on_their_lines() {
    trial::figures_agree(FIGURES, 1e-3);
}
