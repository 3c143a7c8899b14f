//! Tests of the room above.

use super::*;
use crate::inputs::Inputs;

/// Golden values: mpmath, 40 digits. Formula, inputs, value.
const GOLDEN: &[(&str, &str, f64)] = &[
    ("geometric entropy", "r=0.7", 2.036_214_340_182_978_4),
    ("geometric Simpson", "r=0.7", 0.176_470_588_235_294_13),
    ("Zipf(2) entropy", "s=2", 1.637_622_288_659_810_9),
    ("Zipf(2) Simpson", "s=2", 0.4),
    ("Zipf(1.5) Simpson", "s=1.5", 0.176_138_329_414_212_23),
    ("spike+uniform entropy", "a=0.6 K=100", 2.511_059_607_063_092_6),
    ("spike+uniform exp entropy (effective support)", "a=0.6 K=100", 12.317_975_361_539_371),
    // Algebra.
    ("Hill D_q=(sum p^q)^(1/(1-q))", "p=[0.5,0.25,0.25] q=0", 3.0),
    ("Hill D_q=(sum p^q)^(1/(1-q))", "p=[0.5,0.25,0.25] q=2", 8.0 / 3.0),
    ("Hill D_q=(sum p^q)^(1/(1-q))", "p=[0.5,0.25,0.25] q=inf", 2.0),
    ("Hill D_q=(sum p^q)^(1/(1-q))", "p=[0.25,0.25,0.25,0.25] q=700", 4.0),
    ("Gini coefficient of p", "p=[0.5,0.25,0.25]", 1.0 / 6.0),
    ("Gini coefficient of p", "p=[1,0,0,0]", 0.75),
    ("KL(p||q)=sum p ln(p/q)", "p=[0.5,0.5] q=[0.25,0.75]", 0.143_841_036_225_890_46),
    ("surplexity=exp(H1(p)+KL(p||q))", "p=[0.5,0.5] q=[0.125,0.875]", 3.023_715_784_073_818),
];

#[test]
fn closed_forms_agree_with_mpmath_and_algebra() {
    for &(formula, inputs, truth) in GOLDEN {
        let mut found = FAMILY.entries.iter().copied().flatten().filter(|e| e.formula == formula);
        let entry = found.next().unwrap_or_else(|| panic!("no entry {formula:?}"));
        let value = entry.predict(&read(inputs)).expect("inside the domain").value;
        let limit = entry.digits.tolerance() * truth.abs();
        assert!((value - truth).abs() <= limit, "{formula} at {inputs}: {value} against {truth}");
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
fn hill_numbers_are_continuous_at_one_and_fall() {
    let p = [0.55, 0.2, 0.15, 0.07, 0.03];
    let at = |q: f64| laws::hill(&p, q).expect("inside");
    // The slope at 1 is −D Var(ln p)/2, about −1.3: a step of 1e-9 moves by less than 2e-9.
    assert!((at(1.0 + 1e-9) - at(1.0)).abs() <= 2e-9);
    assert!((at(4.0 + 1e-9) - at(4.0)).abs() <= 1e-8);
    let falling: Vec<f64> = [0.0, 0.3, 1.0, 1.5, 2.0, 3.9, 4.0, 60.0].map(at).to_vec();
    assert!(falling.windows(2).all(|pair| pair[1] < pair[0]), "{falling:?}");
}

#[test]
fn refusals_name_the_value_and_the_condition() {
    let said = laws::divergence(&[0.5, 0.5], &[1.0, 0.0]).expect_err("q misses").to_string();
    assert!(said.contains("q is 0 for token 1"), "{said}");
    assert!(named::zipf_entropy(1.0).is_err() && named::spike_gini(0.5, 1).is_err());
    assert!(estimators::variance_of_simpson(&[1.0], 1).is_err());
}

fn read(text: &str) -> Inputs {
    let mut inputs = Inputs::default();
    for pair in text.split(' ') {
        let (name, value) = pair.split_once('=').expect("name=value");
        inputs.set(name, value.parse().expect("a value"));
    }
    inputs
}
