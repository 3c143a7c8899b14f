//! What the entries of this room ask for.

use super::Divisor;
use crate::inputs::{Inputs, Value};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

pub(super) const N: Input = input("n", "samples per generation", "20");
pub(super) const T: Input = input("t", "generations", "15");
pub(super) const D: Input = input("d", "dimensions", "3");
pub(super) const EPS: Input = input("eps", "level of σ_t in units of σ_0", "0.5");
pub(super) const ALPHA: Input = input("alpha", "share of real samples", "0.2");
pub(super) const LAMBDA: Input = input("lambda", "variance of a draw in units of σ_t²", "0.7");
pub(super) const BUDGET: Input = input("B", "samples a model is fitted to", "4");
pub(super) const UNBIASED: Input = input("divisor", "n-1 or that number", "n-1");
pub(super) const MLE: Input = input("divisor", "n or that number", "n");
pub(super) const DIVISOR: Input = input("divisor", "n, n-1 or a number", "n-1");

/// One input.
pub(crate) const fn input(
    name: &'static str,
    meaning: &'static str,
    example: &'static str,
) -> Input {
    Input { name, meaning, example }
}

/// An exact entry of elementary digits; the rest is said by a struct update.
pub(crate) const fn entry(
    id: &'static str,
    formula: &'static str,
    name: &'static str,
    inputs: &'static [Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    Entry {
        id,
        name,
        formula,
        kind: Kind::Exact,
        source: "derived here",
        domain: "n ≥ 2",
        digits: Digits::Elementary,
        inputs,
        value,
    }
}

/// The divisor as a word or a number; `standard` if none is given.
pub(super) fn divisor(inputs: &Inputs, standard: Divisor) -> Result<Divisor, Refusal> {
    match inputs.get("divisor") {
        None => Ok(standard),
        Some(Value::Text(word)) if word == "n" => Ok(Divisor::Mle),
        Some(Value::Text(word)) if matches!(word.as_str(), "n-1" | "n − 1" | "n - 1") => {
            Ok(Divisor::Unbiased)
        }
        Some(Value::Number(number)) => Ok(Divisor::Fixed(*number)),
        Some(other) => {
            Err(Refusal::new(format!("divisor = {other}, but n, n-1 or a number is needed.")))
        }
    }
}

/// The divisor of a formula that holds for one only.
pub(super) fn only(inputs: &Inputs, n: usize, standard: Divisor) -> Result<Divisor, Refusal> {
    let (given, needed) = (divisor(inputs, standard)?.of(n), standard.of(n));
    require(given == needed, "divisor", given, &format!("the divisor {needed} of this formula"))?;
    Ok(standard)
}

/// Refuses what has grown beyond every number.
pub(crate) fn finite(value: f64) -> Result<f64, Refusal> {
    require(value.is_finite(), "the value", value, "one below 1.8e308")?;
    Ok(value)
}
