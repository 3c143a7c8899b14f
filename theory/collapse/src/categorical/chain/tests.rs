//! Tests of the room above.

use super::*;
use crate::categorical::moments::{decay, eigenvalue};

#[test]
fn the_chain_of_counts_knows_its_eigenfunctions() {
    // N1: x(1 − x) shrinks by λ_2 = 1 − 1/n per step.
    for n in [1, 2, 7, 40] {
        let chain = Chain::new(n).expect("small");
        let x = |i: usize| i as f64 / n as f64;
        let mixed: Vec<f64> = (0..=n).map(|i| x(i) * (1.0 - x(i))).collect();
        for steps in [0, 1, 5, 60, 20_000] {
            let values = chain.carried_back(&mixed, steps).expect("little work");
            let kept = decay(n, steps).expect("n ≥ 1");
            for (value, start) in values.iter().zip(&mixed) {
                let error = (value - kept * start).abs();
                assert!(error <= 1e-11 * kept * start, "n = {n}, {steps}: {value}");
            }
        }
    }
    // N2: the antisymmetric cubic x(1 − x)(1 − 2x) shrinks by λ_3.
    let n = 30;
    let chain = Chain::new(n).expect("small");
    let cubic = |i: usize| {
        let x = i as f64 / n as f64;
        x * (1.0 - x) * (1.0 - 2.0 * x)
    };
    let values =
        chain.carried_back(&(0..=n).map(cubic).collect::<Vec<_>>(), 9).expect("little work");
    let kept = eigenvalue(n, 3).expect("n ≥ 1").powi(9);
    for (i, value) in values.iter().enumerate() {
        assert!((value - kept * cubic(i)).abs() <= 1e-14, "{i}: {value}");
    }
}

#[test]
fn the_shortcut_of_many_generations_agrees_with_single_steps() {
    // The probability of extinction at n = 150; at 5,000 steps the shortcut has set in.
    let chain = Chain::new(150).expect("small");
    let mut extinct = vec![0.0; 151];
    extinct[0] = 1.0;
    for steps in [20, 100, 5000] {
        let fast = chain.carried_back(&extinct, steps).expect("little work");
        let slow = chain.stepped_back(&extinct, steps).expect("little work");
        for (fast, slow) in fast.iter().zip(&slow) {
            assert!((fast - slow).abs() <= 1e-11 * slow, "{steps}: {fast} against {slow}");
        }
    }
}

#[test]
fn chains_that_are_too_large_are_refused() {
    let said = Chain::new(2001).expect_err("too large").to_string();
    assert!(said.starts_with("n = 2001, but n ≤ 2000"), "{said}");
    assert!(Chain::new(0).is_err());
}
