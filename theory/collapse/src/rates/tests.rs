//! Tests of the room above.

use super::*;
use crate::check::Plan;
use crate::model::Model;
use crate::prediction::Digits;
use fortifai_stream::Stream;

/// The value of an entry of this room at the given inputs.
fn predict(id: &str, formula: &str, inputs: &[(&str, f64)]) -> (f64, Digits) {
    let found = entries().find(|entry| entry.id == id && entry.formula == formula);
    let entry = found.unwrap_or_else(|| panic!("no entry {id} {formula}"));
    let inputs = inputs.iter().fold(crate::Inputs::default(), |all, (name, x)| all.with(name, *x));
    (entry.predict(&inputs).expect("inside the domain").value, entry.digits)
}

#[test]
fn entries_agree_with_mpmath() {
    // mpmath, 40 digits.
    let extinction = [("n", 10.0), ("lambda0", 0.8), ("k", 12.0)];
    for (id, formula, inputs, truth) in [
        ("B2", "g_k", &[("k", 1.0)][..], 1.0),
        ("B2", "g_k", &[("k", 2.0)], 0.632_120_558_828_557_7),
        ("B2", "g_k", &[("k", 3.0)], 0.468_536_394_613_384_35),
        ("B2", "g_k", &[("k", 10.0)], 0.172_254_624_906_056_3),
        ("B2", "g_k", &[("k", 100.0)], 0.019_542_610_477_095_996),
        ("B2", "g_k", &[("k", 1000.0)], 0.001_993_815_562_565_868),
        ("B2", "g_k", &[("k", 30_000.0)], 6.665725774831673e-05),
        ("B2", "sharp lower 2/(k+1+(H_k-1)/3)", &[("k", 1e6)], 1.999989071575234e-06),
        (
            "B3",
            "E exp(-theta n Lambda_k)=exp(-n lam0 h_k)",
            &[("n", 10.0), ("lambda0", 0.8), ("k", 12.0), ("theta", 0.5)],
            0.3788174727229548,
        ),
        (
            "B1",
            "P(P_k != 0), exact from the chain of the count",
            &[("n", 20.0), ("p0", 0.1), ("k", 9.0)],
            0.3470727193786856,
        ),
        (
            "B1",
            "E P_k^r, triangular recursion of the moments",
            &[("n", 20.0), ("p0", 0.1), ("k", 9.0), ("r", 4.0)],
            0.015029915400789417,
        ),
        ("B2", "sharp lower 2/(k+1+(H_k-1)/3)", &[("k", 10.0)], 0.171_777_189_534_315_68),
        ("B3", "P(Lambda_k=0)=exp(-n lam0 g_k)", &extinction, 0.310_116_241_281_529_9),
    ] {
        let (value, digits) = predict(id, formula, inputs);
        let close = (value - truth).abs() <= digits.tolerance() * truth.abs();
        assert!(close, "{id} {formula}: {value} against {truth}");
    }
}

#[test]
fn every_example_is_inside_the_domain() {
    for entry in entries() {
        let prediction = entry.predict(&entry.example()).expect("the example");
        assert!(prediction.value.is_finite(), "{prediction}");
    }
}

#[test]
fn what_is_outside_the_domain_is_refused() {
    assert!(survival(0).is_err());
    assert!(extinct(0, 1.0, 3).is_err());
    assert!(extinct(3, -1.0, 3).is_err());
    assert!(laplace(3, 1.0, 3, f64::NAN).is_err());
    assert!(bernoulli_survival(10, 1.5, 3).is_err());
    assert!(bernoulli_survival(1000, 0.5, 1_000_000).is_err());
    assert!(bernoulli_moment(10, 0.5, 3, 0).is_err());
    assert!(mean_given_survival(10, 0.0, 3).is_err());
}

#[test]
fn moments_by_hand() {
    // One sample: the chain is 0 or 1 at once. Two: P² is p(1 + p)/2.
    assert_eq!(bernoulli_moment(1, 0.3, 4, 3), Ok(0.3));
    assert!((bernoulli_moment(2, 0.5, 1, 2).expect("r = 2") - 0.375).abs() < 1e-15);
    assert!((bernoulli_survival(1, 0.3, 9).expect("n = 1") - 0.3).abs() < 1e-15);
}

#[test]
fn subsamples_come_from_their_pool() {
    let mut stream = Stream::new(1, "test", 0, 0);
    let coin = Bernoulli { p: 0.5 };
    let pool = Tally { count: 5, ones: 2 };
    assert_eq!(coin.subsample(&pool, 5, false, &mut stream), pool);
    assert_eq!(coin.subsample(&pool, 9, true, &mut stream).count, 9);
    let law = Poisson { rate: 3.0 };
    let mut pool = law.pool_of_samples();
    law.draw(&mut pool, 6, 1.0, &mut stream);
    let whole = law.fit(&law.subsample(&pool, 6, false, &mut stream)).expect("six samples");
    assert!((whole.rate - law.fit(&pool).expect("six samples").rate).abs() < 1e-12);
    assert!(law.fit(&law.pool()).is_err());
}

#[test]
fn guards_pass_and_reject_every_planted_mistake() {
    for guard in GUARDS {
        crate::gaussian::tests::stands(guard, &Plan { seed: 1, replicates: guard.replicates });
    }
}
