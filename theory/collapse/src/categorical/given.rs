//! The inputs that the categorical entries share, and what a law must satisfy.

pub(crate) use crate::gaussian::input;

use crate::prediction::Input;
use crate::refusal::{Refusal, require};

pub(crate) const N: Input = input("n", "samples per generation", "12");
pub(crate) const T: Input = input("t", "generations", "7");
pub(crate) const LAW: Input = input("p", "the true law, tokens' probabilities", "[0.5, 0.3, 0.2]");
pub(crate) const MASS: Input = input("p", "the true probability of the token", "0.3");
pub(crate) const K: Input = input("K", "number of tokens", "4");
pub(crate) const ALPHA: Input = input("alpha", "share of real data in a generation", "0.2");
pub(crate) const ZIPF: Input = input("s", "exponent of Zipf's law", "1.5");

/// Refuses what is no probability law: a negative entry, none at all, or a sum that is not 1
/// within 1e-9.
pub(crate) fn check_law(name: &str, p: &[f64]) -> Result<(), Refusal> {
    require(!p.is_empty(), &format!("the length of {name}"), p.len(), "at least 1 token")?;
    p.iter().try_for_each(|&p| check_mass(&format!("a probability of {name}"), p))?;
    let total: f64 = p.iter().sum();
    require((total - 1.0).abs() <= 1e-9, &format!("the sum of {name}"), total, "1")
}

/// Refuses what is no probability.
pub(crate) fn check_mass(name: &str, p: f64) -> Result<(), Refusal> {
    require((0.0..=1.0).contains(&p), name, p, &format!("0 ≤ {name} ≤ 1"))
}

/// Refuses an empty generation.
pub(crate) fn check_samples(n: usize) -> Result<(), Refusal> {
    require(n >= 1, "n", n, "n ≥ 1")
}

/// `(1 − x)^t` for `0 ≤ x ≤ 1`, without the rounding of `1 − x`.
pub(crate) fn remaining(x: f64, t: f64) -> f64 {
    if t == 0.0 { 1.0 } else { (t * (-x).ln_1p()).exp() }
}

/// `1 − (1 − x)^t` for `0 ≤ x ≤ 1`, without cancellation.
pub(crate) fn gone(x: f64, t: f64) -> f64 {
    if t == 0.0 { 0.0 } else { -(t * (-x).ln_1p()).exp_m1() }
}
