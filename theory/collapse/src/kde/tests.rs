//! Tests of the room above.

use super::*;
use crate::trial;

#[test]
fn every_entry_predicts_its_example() {
    trial::examples_are_predicted(FAMILY.entries);
}

#[test]
fn closed_forms_agree_with_mpmath() {
    let error = "MISE of KDE_t, N(0,1)";
    // Every truth: mpmath, 40 digits, at the decimal inputs.
    let table: &[trial::Row] = &[
        ("E s_t^2", &[("n", 10.0), ("h", 0.5), ("t", 4.0), ("sigma0", 1.0)], 1.364_265),
        (error, &[("n", 12.0), ("h", 0.4), ("t", 0.0)], 0.038_064_762_384_964_77),
        (error, &[("n", 12.0), ("h", 0.4), ("t", 1.0)], 0.061_436_193_201_656_85),
        (error, &[("n", 12.0), ("h", 0.4), ("t", 6.0)], 0.131_022_237_135_122_15),
        ("mixed KDE E s^2*", &[("n", 12.0), ("h", 0.4), ("alpha", 0.3)], 1.165_567_322_239_031_7),
        (
            "adaptive growth (1-1/n)(1+c^2 n^-0.4)",
            &[("n", 10.0), ("c", 1.06)],
            1.302_581_895_150_518_6,
        ),
    ];
    for (formula, inputs, truth) in table {
        let value = trial::predict(FAMILY.entries, formula, inputs).expect(formula);
        assert!((value - truth).abs() <= 1e-14 * truth, "{formula}: {value} against {truth}");
    }
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
