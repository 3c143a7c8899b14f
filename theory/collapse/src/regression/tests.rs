//! Tests of the room above.

use super::*;
use crate::inputs::Value;
use crate::prediction::Entry;
use crate::trial;

fn entries() -> impl Iterator<Item = &'static Entry> {
    FAMILY.entries.iter().copied().flatten()
}

#[test]
fn every_entry_predicts_its_example() {
    trial::examples_are_predicted(FAMILY.entries);
}

fn predict(formula: &str, pairs: &[(&str, f64)]) -> Result<f64, Refusal> {
    trial::predict(FAMILY.entries, formula, pairs)
}

#[test]
fn closed_forms_agree_with_mpmath() {
    let fake = "strong-collapse ridge fake factor p2^2(1-2lm+l^2q)+p1p2 phi q/(1+phi m)^2";
    let mixed = "strong-collapse K(n1,n2,d)";
    let limit = "OLS accumulate limit /sigma^2";
    let at: &[(&str, f64)] = &[("phi", 0.5), ("lambda", 0.3)];
    // Every truth: mpmath, 40 digits, at the decimal inputs.
    let table: &[trial::Row] = &[
        (
            "OLS replace n sig^2 d/(T-d-1)",
            &[("d", 3.0), ("T", 9.0), ("n", 4.0), ("sigma", 0.7)],
            1.176,
        ),
        (
            "OLS accumulate",
            &[("d", 3.0), ("T", 9.0), ("n", 6.0), ("sigma", 0.7)],
            0.391_359_454_533_404_04,
        ),
        (limit, &[("d", 3.0), ("T", 9.0)], 0.851_700_731_578_487_4),
        (limit, &[("d", 10.0), ("T", 100.0)], 0.179_180_377_508_462_88),
        ("MP m(lambda)", at, 1.045_176_241_886_681_2),
        ("MP m2=(1/d)tr R^2", at, 1.429_095_078_819_024),
        (
            "ridge on n-fold OLS labels",
            &[
                ("d", 60.0),
                ("T", 120.0),
                ("T0", 240.0),
                ("n", 3.0),
                ("sigma", 0.5),
                ("sigma0", 0.4),
                ("lambda", 0.3),
                ("|w0|^2", 1.0),
            ],
            0.286_364_851_396_163_86,
        ),
        (
            "iterated ridge (MP)",
            &[("phi", 0.5), ("lambda", 0.3), ("sigma", 0.5), ("n", 3.0), ("|w0|^2", 1.0)],
            0.614_298_269_066_338_8,
        ),
        (mixed, &[("n1", 9.0), ("n2", 6.0), ("d", 4.0)], 0.260_840_336_134_453_8),
        (mixed, &[("n1", 90.0), ("n2", 10.0), ("d", 20.0)], 0.033_414_562_602_946_82),
        (mixed, &[("n1", 6.0), ("n2", 8.0), ("d", 3.0)], 0.406_593_406_593_406_6),
        (fake, &[("phi", 0.5), ("lambda", 0.2), ("p2", 0.25)], 0.112_449_825_100_524_7),
    ];
    for (formula, inputs, truth) in table {
        let value = predict(formula, inputs).expect(formula);
        assert!((value - truth).abs() <= 1e-14 * truth, "{formula}: {value} against {truth}");
    }
}

#[test]
fn equivalents_and_power_laws_agree_with_mpmath() {
    // mpmath, 40 digits: findroot for κ at Σ = diag(4, 2, 1, ½), T = 9, λ = 0.3, then the sums with
    // w0 = (1, −½, 0.3, 0.2), σ = 0.7, T0 = 240, n = 4, σ0 = 0.4.
    let law = Equivalent::new(&[4.0, 2.0, 1.0, 0.5], 9, 0.3).expect("inside the domain");
    let labels = IteratedLabels { rows: 240, generations: 4, noise: 0.4 };
    for (value, truth) in [
        (law.kappa, 0.445_423_846_553_207_1),
        (law.df2, 2.236_865_564_984_052),
        (law.bias(&[1.0, -0.5, 0.3, 0.2]).expect("four weights"), 0.092_797_364_230_642_73),
        (law.variance(0.7), 0.162_064_518_659_771_5),
        (law.fake(labels).expect("240 rows"), 0.006_416_294_118_580_337),
        // quad of (1 + u^b)^−2 and u^(2b(1−r)−1)(1 + u^b)^−2 over u > 0, b = 1.5, r = 0.4.
        (power_law_df2(1.5, 1e-3).expect("inside"), 80.613_305_077_076_35),
        (power_law_bias(1.5, 0.4, 1e-3).expect("inside"), 0.002_837_069_167_635_304_7),
        (best_ridge(1.5, 0.4, 1e4).expect("inside"), 0.001_799_875_334_138_340_7),
        (best_risk(1.5, 0.4, 1e4).expect("inside"), 0.009_988_184_250_183_559),
    ] {
        assert!((value - truth).abs() <= 1e-13 * truth, "{value} against {truth}");
    }
}

#[test]
fn refusals_name_the_value_and_the_condition() {
    let inputs = |rows| [("d", 3.0), ("T", rows), ("n", 4.0), ("sigma", 0.7)];
    let said = predict("OLS replace n sig^2 d/(T-d-1)", &inputs(4.0)).expect_err("T = d + 1");
    assert!(said.to_string().ends_with("T = 4, but T ≥ d + 2 = 5 is needed."), "{said}");
    assert!(predict("OLS accumulate", &inputs(3.0)).is_err());
    assert!(strong_collapse_factor(2, 2, 3).is_err());
    assert!(Resolvent::new(1.0, 0.0).is_err());
    assert!(Resolvent::new(2.0, 1e-60).is_ok());
    // Here K = 1.3: synthetic rows amplify their error.
    let said = mixed_limit(8, 8, 14, 1.0).expect_err("K > 1").to_string();
    assert!(said.starts_with("K = "), "{said}");
    let mut inputs = Inputs::default().with("d", 3.0);
    inputs.set("T", Value::List(vec![9.0, 4.0]));
    inputs.set("sigma", Value::List(vec![0.7]));
    let blocks = entries().find(|entry| entry.formula.starts_with("Σ_k σ_k²")).expect("R1");
    assert!(blocks.predict(&inputs).is_err());
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
    // The ridge figure's line is the limit of many dimensions, here 30.
    trial::figures_agree(FIGURES, 0.1);
}
