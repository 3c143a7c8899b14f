//! T4: how many tokens a calibrated model masks.

use super::{GAMMA, OWN, require_count, require_gamma, require_law, require_positive};
use crate::prediction::{Digits, Entry, Input};
use crate::refusal::Refusal;
use crate::special::beta_tail::beta_tail;

/// The masked share `Σ p_i 1[p_i > γ]` of the tokens of one context when `y ~ p`; for `γ ≥ ½` at most
/// one token counts.
///
/// ```
/// let masked = fortifai_collapse::tce::calibrated::masked_share(&[0.6, 0.3, 0.1], 0.2)?;
/// assert!((masked - 0.9).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-dirichlet`.
///
/// # Errors
/// If `p` is no law or `gamma` outside `(0, 1]`.
pub fn masked_share(p: &[f64], gamma: f64) -> Result<f64, Refusal> {
    require_law("p", p)?;
    require_gamma(gamma)?;
    Ok(p.iter().filter(|p| **p > gamma).sum())
}

/// The masked share averaged over contexts whose laws are `Dirichlet(a, …, a)` on `k` tokens:
/// `1 − I_γ(a + 1, (k − 1)a)`.
///
/// *Derivation.* `k E[p_1; p_1 > γ]` with `p_1 ~ Beta(a, (k − 1)a)`; weighting a beta density by its
/// variable raises its first parameter by one.
///
/// ```
/// let masked = fortifai_collapse::tce::calibrated::masked_dirichlet(6, 0.3, 0.7)?;
/// assert!((masked - 0.217_348_594_533_438_47).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-dirichlet`.
///
/// # Errors
/// If `k < 2`, `a` is not positive or `gamma` outside `(0, 1]`.
pub fn masked_dirichlet(k: usize, a: f64, gamma: f64) -> Result<f64, Refusal> {
    require_count("K", k, 2)?;
    require_positive("a", a)?;
    require_gamma(gamma)?;
    Ok(beta_tail(a + 1.0, (k as f64 - 1.0) * a, gamma))
}

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "T4",
        name: "masked share of a calibrated model, Dirichlet contexts",
        formula: "masked fraction Dirichlet 1-I_g(a+1,(K-1)a)",
        domain: "K ≥ 2, a > 0, 0 < gamma ≤ 1",
        inputs: &[
            Input { name: "K", meaning: "tokens, at least 2", example: "6" },
            Input { name: "a", meaning: "concentration, positive", example: "0.3" },
            GAMMA,
        ],
        value: |inputs| {
            masked_dirichlet(inputs.count("K")?, inputs.number("a")?, inputs.number("gamma")?)
        },
        ..OWN
    },
    Entry {
        id: "T4",
        name: "masked share of a calibrated model, one context",
        formula: "sum_i p_i 1[p_i>gamma]",
        domain: "p a law, 0 < gamma ≤ 1",
        digits: Digits::Elementary,
        inputs: &[super::water_filling::LAW, GAMMA],
        value: |inputs| masked_share(inputs.law("p")?, inputs.number("gamma")?),
        ..OWN
    },
];
