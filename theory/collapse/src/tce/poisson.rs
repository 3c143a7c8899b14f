//! T5: a Poisson rate trained with the loss, `γ > 1/e`.
//!
//! Only `x = 0` can be masked: its probability `e^{−λ}` exceeds `γ` below the floor `ln(1/γ) < 1`,
//! and no other count is likelier than `1/e`.

use super::{GAMMA, OWN, require_count, require_size};
use crate::prediction::{Digits, Entry, Input};
use crate::refusal::{Refusal, require};
use crate::special::deviance::poisson;

/// The floor `ln(1/γ)` of the rate.
///
/// ```
/// let floor = fortifai_collapse::tce::poisson::floor(0.7)?;
/// assert!((floor - 0.356_674_943_938_732_4).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-poisson`.
///
/// # Errors
/// If `gamma` is outside `(1/e, 1]`.
pub fn floor(gamma: f64) -> Result<f64, Refusal> {
    let inside = gamma > (-1f64).exp() && gamma <= 1.0;
    require(inside, "gamma", gamma, "1/e < gamma ≤ 1")?;
    Ok(0.0 - gamma.ln())
}

/// The rate that gradient flow reaches from data of mean `mean`: `max(mean, ln(1/γ))`, for an
/// all-zero sample from a start above the floor.
///
/// *Derivation.* Above the floor the force on `ln λ` is `x̄ − λ`. Below it the zeros, a share `s`,
/// are masked and the force is `x̄ − λ(1 − s) > 0`, because the mean of the others is at least 1 and
/// the floor below 1. So `λ` slides along the floor where `x̄` lies below it.
///
/// ```
/// assert_eq!(fortifai_collapse::tce::poisson::learnt(2.0, 0.7)?, 2.0);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-poisson`.
///
/// # Errors
/// If `mean` is negative or `gamma` outside `(1/e, 1]`.
pub fn learnt(mean: f64, gamma: f64) -> Result<f64, Refusal> {
    require(mean >= 0.0 && mean.is_finite(), "mean", mean, "mean ≥ 0")?;
    Ok(floor(gamma)?.max(mean))
}

/// `E Λ' = E max(ln 1/γ, Poi(nλ)/n)`, the expected rate one generation later: always more than `λ`,
/// so the chain never dies and its mean rises for ever.
///
/// *Derivation.* `λ + Σ_{x < nf} (f − x/n) P(Poi(nλ) = x)` with the floor `f`.
///
/// ```
/// use fortifai_collapse::tce::poisson::{expected_next, floor};
/// let lambda = floor(0.7)?;
/// assert!(expected_next(10, lambda, 0.7)? > lambda);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-poisson`.
///
/// # Errors
/// If `n` is outside `1..=10000000`, `lambda` is not positive or `gamma` outside `(1/e, 1]`.
pub fn expected_next(n: usize, lambda: f64, gamma: f64) -> Result<f64, Refusal> {
    require_count("n", n, 1)?;
    require_size("n", n, 10_000_000)?;
    super::require_positive("lambda", lambda)?;
    let floor = floor(gamma)?;
    let n = n as f64;
    let below = (0..).map(f64::from).take_while(|x| *x < n * floor);
    let lift: f64 = below.map(|x| (floor - x / n) * poisson(x, n * lambda)).sum();
    Ok(lambda + lift)
}

const DOMAIN: &str = "1/e < gamma ≤ 1";

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "T5",
        name: "floor of a Poisson rate",
        formula: "Poisson floor ln(1/gamma)",
        domain: DOMAIN,
        digits: Digits::Elementary,
        inputs: &[GAMMA],
        value: |inputs| floor(inputs.number("gamma")?),
        ..OWN
    },
    Entry {
        id: "T5",
        name: "rate that gradient flow learns",
        formula: "max(mean, ln(1/gamma))",
        domain: "mean ≥ 0, 1/e < gamma ≤ 1",
        digits: Digits::Elementary,
        inputs: &[Input { name: "mean", meaning: "mean of the data", example: "0.2" }, GAMMA],
        value: |inputs| learnt(inputs.number("mean")?, inputs.number("gamma")?),
        ..OWN
    },
    Entry {
        id: "T5",
        name: "expected rate one generation later",
        formula: "E max(ln 1/gamma, Poi(n lambda)/n)",
        domain: "1 ≤ n ≤ 10000000, lambda > 0, 1/e < gamma ≤ 1",
        inputs: &[
            Input { name: "n", meaning: "samples per generation, at least 1", example: "10" },
            Input { name: "lambda", meaning: "the rate, positive", example: "0.4" },
            GAMMA,
        ],
        value: |inputs| {
            let (n, lambda) = (inputs.count("n")?, inputs.number("lambda")?);
            expected_next(n, lambda, inputs.number("gamma")?)
        },
        ..OWN
    },
];
