//! Truncated Cross Entropy in models that are small enough to be solved.
//!
//! The loss of arXiv 2509.08972 is `(1/N) Σ_t m_t (−ln p_t)` over **all** tokens with the mask
//! `m_t = 1[p_t ≤ γ]`, which carries no derivative. Three trainings on it must not be confused:
//!
//! | name | the mask is computed at | what is solved | what it describes |
//! |---|---|---|---|
//! | refit ([`mask`]) | the frozen generator | maximum likelihood of the kept samples | filtering data, then fitting |
//! | iterated refit | the iterate, refit each time | the same, repeated | hard EM; it may oscillate |
//! | gradient flow ([`flow()`], [`gaussian_flow`], [`water_filling`]) | the parameters at every step | the sliding-mode stationary point | gradient descent on the loss |
//!
//! They agree where nothing is masked and differ in kind elsewhere. A Gaussian gets a floor
//! `σ_γ = 1/(γ√(2π))` under its standard deviation ([`mask`], [`walk`], [`passage`]); a categorical
//! law gets a cap `γ` on every probability ([`water_filling`], [`support_loss`], [`floors`]).
//! Neither floor holds the mean in place or keeps more than `⌈1/γ⌉` tokens alive ([`limits`]).
//!
//! ```
//! use fortifai_collapse::tce;
//! // The top token is pinned at γ, the others share the rest.
//! let fit = tce::capped_fit(&[0.9, 0.1], 0.8)?;
//! assert!((fit.law[0] - 0.8).abs() < 1e-15 && (fit.law[1] - 0.2).abs() < 1e-15);
//! // Gradient descent ends there too, within twice its step.
//! let keep = |q: f64| if q <= 0.8 { 1.0 } else { 0.0 };
//! let q = tce::flow(&[0.9, 0.1], &[0.5, 0.5], keep, 0.01, 20_000)?;
//! assert!((q[0] - 0.8).abs() <= 0.02);
//! # Ok::<(), fortifai_collapse::Refusal>(())
//! ```

use crate::catalogue::Family;
use crate::inputs::{Inputs, Value};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

pub mod calibrated;
pub mod clip_chain;
pub mod equilibrium;
mod figures;
pub mod filter_chain;
pub mod floors;
pub mod flow;
pub mod focal;
pub mod gaussian_flow;
pub mod gradient;
mod guards;
pub mod limits;
pub mod mask;
pub mod models;
pub mod ngram;
pub mod passage;
pub mod poisson;
pub mod support_loss;
pub mod walk;
pub mod water_filling;

pub use flow::flow;
pub use support_loss::trained;
pub use water_filling::{CappedFit, capped_fit};

/// Truncated Cross Entropy: its closed forms, guards and figures.
pub const FAMILY: Family = Family {
    name: "Truncated Cross Entropy",
    about: "What masking the confident tokens does to toy models: floors, caps, and what they miss.",
    entries: &[
        mask::ENTRIES,
        equilibrium::ENTRIES,
        gaussian_flow::ENTRIES,
        walk::ENTRIES,
        passage::ENTRIES,
        limits::ENTRIES,
        water_filling::ENTRIES,
        support_loss::ENTRIES,
        floors::ENTRIES,
        clip_chain::ENTRIES,
        filter_chain::ENTRIES,
        ngram::ENTRIES,
        gradient::ENTRIES,
        calibrated::ENTRIES,
        focal::ENTRIES,
        poisson::ENTRIES,
    ],
    guards: &[
        guards::GAUSSIAN,
        guards::WALK,
        guards::CATEGORICAL,
        guards::CHAINS,
        guards::GRADIENT,
    ],
    figures: &[figures::FIGURES],
};

/// What most entries of the family share.
const OWN: Entry = Entry {
    id: "T1",
    name: "",
    formula: "",
    kind: Kind::Exact,
    source: "derived here, for the loss of Zibakhsh Shabgahi et al. 2025, arXiv 2509.08972",
    domain: "a constant: there is nothing to choose",
    digits: Digits::Special,
    inputs: &[],
    value: |_| Err(Refusal::new("This entry has no formula.")),
};

const GAMMA: Input =
    Input { name: "gamma", meaning: "the threshold of the mask, in (0, 1]", example: "0.8" };
const RATIO: Input = Input {
    name: "sigma/sigma_gamma",
    meaning: "standard deviation over the floor sigma_gamma = 1/(gamma sqrt(2 pi))",
    example: "0.6",
};
const SAMPLES: Input =
    Input { name: "n", meaning: "samples per generation, at least 2", example: "20" };
const DIVISOR: Input = Input {
    name: "divisor",
    meaning: "of the sum of squares: n-1 (unbiased), n (MLE) or a number",
    example: "n-1",
};

/// Refuses a threshold outside `(0, 1]`.
fn require_gamma(gamma: f64) -> Result<(), Refusal> {
    require(gamma > 0.0 && gamma <= 1.0, "gamma", gamma, "0 < gamma ≤ 1")
}

/// Refuses what is not above zero and finite.
fn require_positive(name: &str, value: f64) -> Result<(), Refusal> {
    require(value > 0.0 && value.is_finite(), name, value, &format!("{name} > 0"))
}

/// Refuses what is no probability.
fn require_probability(name: &str, value: f64) -> Result<(), Refusal> {
    require((0.0..=1.0).contains(&value), name, value, &format!("0 ≤ {name} ≤ 1"))
}

/// Refuses fewer than `least`.
fn require_count(name: &str, value: usize, least: usize) -> Result<(), Refusal> {
    require(value >= least, name, value, &format!("{name} ≥ {least}"))
}

/// Refuses more than `most`, because of the cost.
fn require_size(name: &str, value: usize, most: usize) -> Result<(), Refusal> {
    require(value <= most, name, value, &format!("{name} ≤ {most} (for the cost of the solution)"))
}

/// Refuses what is no law: probabilities, none negative, of sum 1 within 1e-9.
fn require_law(name: &str, law: &[f64]) -> Result<(), Refusal> {
    if let Some(p) = law.iter().find(|p| p.is_nan() || **p < 0.0) {
        return Err(Refusal::new(format!(
            "{name} holds the probability {p}, but none may be negative."
        )));
    }
    let total: f64 = law.iter().sum();
    require((total - 1.0).abs() <= 1e-9, &format!("the sum of {name}"), total, "1")
}

/// The position `i` of a list of `length`.
fn position(inputs: &Inputs, length: usize) -> Result<usize, Refusal> {
    let i = inputs.count("i")?;
    require(i < length, "i", i, &format!("i < {length}, counted from 0,"))?;
    Ok(i)
}

/// The divisor `m` of the sum of squares of `n` samples.
fn divisor(inputs: &Inputs, n: usize) -> Result<f64, Refusal> {
    require_count("n", n, 2)?;
    match inputs.get("divisor") {
        Some(Value::Text(text)) if text == "n" => Ok(n as f64),
        Some(Value::Text(text)) if text == "n-1" => Ok(n as f64 - 1.0),
        Some(Value::Text(text)) => {
            Err(Refusal::new(format!("divisor = {text}, but n-1, n or a number is needed.")))
        }
        _ => {
            let m = inputs.number("divisor")?;
            require_positive("divisor", m)?;
            Ok(m)
        }
    }
}

/// A whole number that is needed as a list position or an exponent of type `i32`.
fn small_count(inputs: &Inputs, name: &str) -> Result<usize, Refusal> {
    let value = inputs.count(name)?;
    require(value <= i32::MAX as usize, name, value, "a number below 2147483648")?;
    Ok(value)
}

#[cfg(test)]
mod tests;
