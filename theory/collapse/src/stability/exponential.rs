//! Exponential families: S1.

use super::{RATIO, ratio};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

/// S1, the factor by which a round shrinks the distance of `E T(x)` from its value under the data:
/// `λ/(1 + λ)`, for every `λ`, from everywhere, and if the data are of another family.
///
/// *Derivation.* Maximum likelihood gives the model the pooled mean of the sufficient statistics `T`:
/// `E_new T = (E_data T + λ E_old T)/(1 + λ)`. At finite size the same holds of the expectations, as
/// long as the fit exists. For the Gaussian `T = (x, x²)`; a Gaussian mixture with free weights, means
/// and variances matches these two as well, since every step of its EM algorithm does.
/// *Domain.* `λ ≥ 0`. *Source.* Derived here; setting of Bertrand et al. 2023, arXiv 2310.00429.
/// *Guards.* `stability-exponential`, `stability-mixture`.
///
/// ```
/// assert_eq!(fortifai_collapse::stability::contraction(3.0)?, 0.75);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn contraction(lambda: f64) -> Result<f64, Refusal> {
    Ok(ratio(lambda)? / (1.0 + lambda))
}

/// S1, the share of the distance that is left after `t` rounds: `(λ/(1 + λ))^t`.
///
/// *Derivation, domain, source, guards.* As [`contraction`].
///
/// ```
/// assert_eq!(fortifai_collapse::stability::gap_after(3.0, 2)?, 0.5625);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn gap_after(lambda: f64, rounds: usize) -> Result<f64, Refusal> {
    let lambda = ratio(lambda)?;
    let t = rounds as f64;
    if rounds == 0 || lambda == 0.0 {
        return Ok(if rounds == 0 { 1.0 } else { 0.0 });
    }
    // λ/(1 + λ) = 1/(1 + 1/λ).
    if lambda > 1.0 {
        return Ok((-t * (1.0 / lambda).ln_1p()).exp());
    }
    Ok((lambda / (1.0 + lambda)).powf(t))
}

/// S1, the number of rounds until a share `ε` of the distance is left: `ln(1/ε)/ln(1 + 1/λ)`, about
/// `λ ln(1/ε)` for mostly synthetic data.
///
/// *Derivation.* [`gap_after`] solved for `t`. *Domain.* `λ > 0`, `0 < ε ≤ 1`. *Source.* Derived here.
/// *Guard.* None of its own: the tests insert it into [`gap_after`].
///
/// ```
/// assert!((fortifai_collapse::stability::rounds_to(1.0, 0.125)? - 3.0).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn rounds_to(lambda: f64, share: f64) -> Result<f64, Refusal> {
    require(ratio(lambda)? >= 1e-300, "lambda", lambda, "lambda > 0")?;
    require(share > 0.0 && share <= 1.0, "epsilon", share, "0 < epsilon ≤ 1")?;
    Ok(-share.ln() / (1.0 / lambda).ln_1p())
}

/// The closed forms of S1.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "S1",
        name: "contraction per round, exponential family",
        formula: "contraction lam/(1+lam)",
        kind: Kind::Exact,
        source: "derived here; setting of Bertrand et al. 2023, arXiv 2310.00429",
        domain: "lambda ≥ 0; any exponential family, any data",
        digits: Digits::Elementary,
        inputs: &[RATIO],
        value: |inputs| contraction(inputs.number("lambda")?),
    },
    Entry {
        id: "S1",
        name: "share of the initial distance left after t rounds, exponential family",
        formula: "(λ/(1+λ))^t",
        kind: Kind::Exact,
        source: "derived here; setting of Bertrand et al. 2023, arXiv 2310.00429",
        domain: "lambda ≥ 0; any exponential family, any data",
        digits: Digits::Elementary,
        inputs: &[RATIO, Input { name: "t", meaning: "rounds", example: "10" }],
        value: |inputs| gap_after(inputs.number("lambda")?, inputs.count("t")?),
    },
    Entry {
        id: "S1",
        name: "rounds until a share of the initial distance is left, exponential family",
        formula: "ln(1/ε)/ln(1+1/λ)",
        kind: Kind::Exact,
        source: "derived here",
        domain: "lambda > 0, 0 < epsilon ≤ 1",
        digits: Digits::Elementary,
        inputs: &[
            RATIO,
            Input { name: "epsilon", meaning: "share of the distance left", example: "0.01" },
        ],
        value: |inputs| rounds_to(inputs.number("lambda")?, inputs.number("epsilon")?),
    },
];
