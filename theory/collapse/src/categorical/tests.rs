//! Tests of the room above.

use super::*;
use crate::inputs::Inputs;

/// Golden values: mpmath, 40 digits. Formula, inputs, value.
const GOLDEN: &[(&str, &str, f64)] = &[
    ("H_t/H_0=(1-1/n)^t", "n=12 t=7", 0.543_851_178_260_388_1),
    ("lambda_r", "n=20 r=5", 0.581_4),
    ("E distinct one generation", "p=[0.5,0.25,0.15,0.07,0.03] n=12", 3.713_399_091_739_941),
    ("missing mass", "p=[0.5,0.25,0.15,0.07,0.03] n=12", 0.079_494_433_542_364_5),
    ("P(extinct by t)", "n=12 p=0.03 t=7", 0.909_067_785_096_139_8),
    ("E surviving tokens", "p=[0.5,0.25,0.15,0.07,0.03] n=12 t=7", 2.132_037_556_644_102_3),
    ("E Shannon entropy (nats)", "p=[0.5,0.25,0.15,0.07,0.03] n=12 t=7", 0.565_051_571_992_318_5),
    ("E T_collapse K=2", "n=20 p=0.5", 26.229_485_348_016_755),
    // By Gauss's elimination of the whole system, without a band.
    ("E T_collapse K=2", "n=240 p=0.3", 290.982_341_691_547_8),
    ("E T_collapse K=3", "n=20 p=[0.6,0.3,0.1]", 26.935_623_644_537_216),
    ("diffusion -2n sum(1-p)ln(1-p)", "n=400 p=[0.6,0.3,0.1]", 568.810_574_079_054_7),
    ("H*/H0 stratified", "n=15 alpha=0.2", 0.838_709_677_419_354_9),
    ("Laplace fixed point F*", "K=4 n=20 a=0.5", 0.394_230_769_230_769_2),
    ("Karlin distinct", "s=1.5 n=1000000", 14_123.392_587_397_928),
    ("Zipf missing mass", "s=1.5 n=1000000", 0.009_415_595_058_265_286),
    ("Karlin distinct", "s=2.0 n=1000000", 1_381.976_597_885_342),
    ("Zipf missing mass", "s=2.0 n=1000000", 0.000_690_988_298_942_671),
    ("one-step E TV (de Moivre), uniform K=4", "n=10 K=4", 0.225_254_058_837_890_62),
];

#[test]
fn closed_forms_agree_with_mpmath() {
    for &(formula, inputs, truth) in GOLDEN {
        let mut found = FAMILY.entries.iter().copied().flatten().filter(|e| e.formula == formula);
        let entry = found.next().unwrap_or_else(|| panic!("no entry {formula:?}"));
        let value = entry.predict(&read(inputs)).expect("inside the domain").value;
        let error = (value - truth).abs();
        let limit = entry.digits.tolerance() * truth.abs();
        assert!(error <= limit, "{formula} at {inputs}: {value} against {truth}");
    }
}

#[test]
fn every_example_is_inside_its_domain() {
    for entry in FAMILY.entries.iter().copied().flatten() {
        let prediction = entry.predict(&entry.example()).expect(entry.formula);
        assert!(prediction.value.is_finite(), "{prediction}");
    }
}

#[test]
fn refusals_name_the_value_and_the_condition() {
    let said = |formula: &str, inputs: &str| {
        let entry = FAMILY.entries.iter().copied().flatten().find(|e| e.formula == formula);
        entry.expect(formula).predict(&read(inputs)).expect_err(inputs).to_string()
    };
    for (formula, inputs, part) in [
        ("H_t/H_0=(1-1/n)^t", "n=0 t=2", "n = 0, but n ≥ 1 is needed."),
        ("P(extinct by t)", "n=12 p=1.5 t=2", "p = 1.5, but 0 ≤ p ≤ 1 is needed."),
        ("E T_collapse K=2", "n=3000 p=0.5", "n = 3000, but n ≤ 2000"),
        ("H*/H0 stratified", "n=15 alpha=0", "alpha = 0, but 0 < alpha ≤ 1"),
        ("Karlin distinct", "s=1 n=10", "s = 1, but 1 < s < ∞"),
    ] {
        assert!(said(formula, inputs).contains(part), "{}", said(formula, inputs));
    }
}

#[test]
fn one_sample_decides_at_once() {
    let law = [0.5, 0.3, 0.2];
    assert!((fixation::expected_collapse(&law, 1).expect("inside") - 1.0).abs() <= 1e-15);
    assert_eq!(fixation::expected_square_of_collapse(0.3, 1), Ok(1.0));
    assert_eq!(fixation::mixed(0.3, 1, 1), Ok(0.0));
    assert_eq!(accumulation::accumulated_limit(1), Ok(0.0));
}

#[test]
fn settings_pass_from_each_generation_to_the_next() {
    let law =
        Categorical::new(&[0.5, 0.5]).with_smoothing(1.0).and_then(|law| law.with_temperature(2.0));
    let next = law.expect("inside the domain").fit(&vec![3, 1]).expect("four tokens");
    // (3 + 1)/(4 + 2), (1 + 1)/(4 + 2).
    assert_eq!(next.probabilities, [4.0 / 6.0, 2.0 / 6.0]);
    assert_eq!((next.smoothing, next.temperature), (1.0, 2.0));
    assert!(next.fit(&vec![0, 0]).is_err());
}

fn read(text: &str) -> Inputs {
    let mut inputs = Inputs::default();
    for pair in text.split(' ') {
        let (name, value) = pair.split_once('=').expect("name=value");
        inputs.set(name, value.parse().expect("a value"));
    }
    inputs
}
