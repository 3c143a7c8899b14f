//! T2-1: what gradient flow on the loss learns from a categorical law: its probabilities are capped.

use super::{GAMMA, OWN, position, require_gamma, require_law};
use crate::prediction::{Entry, Input};
use crate::refusal::{Refusal, require};
use crate::special::deviance::deviance;

/// Roundings that a support of exactly `1/γ` tokens may bring.
pub(super) const ROUNDING: f64 = 4.0 * f64::EPSILON;

/// What is learnt from a categorical law whose support can hold the mass, `K_supp·γ ≥ 1`.
#[derive(Clone, Debug, PartialEq)]
pub struct CappedFit {
    /// The learnt law `q_j = min(γ, p_j/M)`.
    pub law: Vec<f64>,
    /// The share `M` of tokens that are kept at the end of training.
    pub kept: f64,
    /// How many tokens are pinned at `γ`.
    pub capped: usize,
}

/// The law that gradient flow on the loss reaches from data with the law `data`: the minimiser of
/// the cross entropy under `max q ≤ γ`, by water-filling. With the capped set `S` of mass `P_S`,
/// `q_j = γ` on `S`, `q_j = p_j/M` elsewhere, and `M = (1 − P_S)/(1 − |S|γ)`.
///
/// *Derivation.* The flow is `dz_j/dt = p_j m_j − M q_j`, `M = Σ p_i m_i`. A token that reaches `γ`
/// slides along it, kept for a share `Mγ/p_j` of the time; an uncapped one rests where
/// `p_j = M q_j`. These are the conditions of optimality of the constrained minimum, and the mask
/// carries no derivative: a masked token is still pushed down by the others.
///
/// ```
/// let fit = fortifai_collapse::tce::capped_fit(&[0.5, 0.3, 0.1, 0.06, 0.04], 0.3)?;
/// assert_eq!(fit.capped, 2);
/// assert!((fit.law[2] - 0.2).abs() <= 1e-15 && (fit.kept - 0.5).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-water-filling`.
///
/// # Errors
/// If `data` is no law, `gamma` is outside `(0, 1]`, or the support is smaller than `1/γ`: then mass
/// stays on unseen tokens, and the end depends on the start ([`super::support_loss`]).
pub fn capped_fit(data: &[f64], gamma: f64) -> Result<CappedFit, Refusal> {
    require_law("p", data)?;
    require_gamma(gamma)?;
    let mut order: Vec<usize> = (0..data.len()).filter(|&i| data[i] > 0.0).collect();
    let support = order.len();
    let room = support as f64 * gamma;
    let condition = "at least 1 (else mass stays on unseen tokens: see the support loss)";
    require(room >= 1.0 - ROUNDING, "tokens of the support times gamma", room, condition)?;
    order.sort_by(|&a, &b| data[b].total_cmp(&data[a]));
    // Cap the largest until the rest, scaled to the mass that is left, stays below γ.
    let mass = |from: usize| order[from..].iter().rev().map(|&i| data[i]).sum::<f64>();
    let (mut capped, mut rest, mut room) = (0, mass(0), 1.0);
    while capped < support && data[order[capped]] * room > gamma * rest {
        capped += 1;
        rest = mass(capped);
        room = 1.0 - capped as f64 * gamma;
    }
    let mut law = vec![0.0; data.len()];
    order[..capped].iter().for_each(|&i| law[i] = gamma);
    order[capped..].iter().for_each(|&i| law[i] = data[i] * room / rest);
    let kept = match capped {
        0 => 1.0,
        _ if capped == support => 0.0,
        _ => rest / room,
    };
    Ok(CappedFit { law, kept, capped })
}

/// The share of tokens that is masked at the end, `1 − M = (P_S − |S|γ)/(1 − |S|γ)`.
///
/// ```
/// let masked = fortifai_collapse::tce::water_filling::masked_share(&[0.9, 0.1], 0.8)?;
/// assert!((masked - 0.5).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-water-filling`.
///
/// # Errors
/// As [`capped_fit`].
pub fn masked_share(data: &[f64], gamma: f64) -> Result<f64, Refusal> {
    let fit = capped_fit(data, gamma)?;
    if fit.capped == 0 {
        return Ok(0.0);
    }
    if fit.kept == 0.0 {
        return Ok(1.0);
    }
    let over: f64 =
        data.iter().zip(&fit.law).filter(|(_, q)| **q == gamma).map(|(p, q)| p - q).sum();
    Ok(over / (1.0 - fit.capped as f64 * gamma))
}

/// The excess cross entropy `KL(p‖q) = Σ_S p ln(p/γ) + (1 − P_S) ln M` in nats.
///
/// ```
/// let excess = fortifai_collapse::tce::water_filling::excess_loss(&[0.95, 0.05], 0.9)?;
/// assert!((excess - 0.016_706_501_178_764_7).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-water-filling`.
///
/// # Errors
/// As [`capped_fit`].
pub fn excess_loss(data: &[f64], gamma: f64) -> Result<f64, Refusal> {
    let fit = capped_fit(data, gamma)?;
    Ok(data.iter().zip(&fit.law).filter(|(p, _)| **p > 0.0).map(|(&p, &q)| deviance(p, q)).sum())
}

/// The total variation `Σ_S (p_j − γ)⁺` between the data and what is learnt.
///
/// *Derivation.* Uncapped tokens have `q_j = p_j/M ≥ p_j`, so only capped ones lose.
///
/// ```
/// let bias = fortifai_collapse::tce::water_filling::variation(&[0.95, 0.05], 0.9)?;
/// assert!((bias - 0.05).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-water-filling`.
///
/// # Errors
/// As [`capped_fit`].
pub fn variation(data: &[f64], gamma: f64) -> Result<f64, Refusal> {
    let fit = capped_fit(data, gamma)?;
    Ok(data.iter().zip(&fit.law).map(|(p, q)| (p - q).max(0.0)).sum())
}

pub(super) const LAW: Input = Input {
    name: "p",
    meaning: "probabilities of the data's tokens",
    example: "[0.55, 0.25, 0.1, 0.06, 0.04]",
};
const DOMAIN: &str = "0 < gamma ≤ 1, tokens of the support times gamma ≥ 1";

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "T2",
        name: "learnt probability of token i",
        formula: "water-filling q_i",
        domain: DOMAIN,
        inputs: &[
            LAW,
            GAMMA_OF_LAW,
            Input { name: "i", meaning: "token, counted from 0", example: "1" },
        ],
        value: |inputs| {
            let law = inputs.law("p")?;
            let i = position(inputs, law.len())?;
            Ok(capped_fit(law, inputs.number("gamma")?)?.law[i])
        },
        ..OWN
    },
    Entry {
        id: "T2",
        name: "masked share of the tokens at the end of training",
        formula: "masked fraction 1-M",
        domain: DOMAIN,
        inputs: &[LAW, GAMMA_OF_LAW],
        value: |inputs| masked_share(inputs.law("p")?, inputs.number("gamma")?),
        ..OWN
    },
    Entry {
        id: "T2",
        name: "excess cross entropy of the learnt law, nats",
        formula: "sum_S p ln(p/gamma) + (1-P_S) ln((1-P_S)/(1-|S|gamma))",
        domain: DOMAIN,
        inputs: &[LAW, GAMMA_OF_LAW],
        value: |inputs| excess_loss(inputs.law("p")?, inputs.number("gamma")?),
        ..OWN
    },
    Entry {
        id: "T2",
        name: "total variation of the learnt law",
        formula: "sum_S (p_j-gamma)",
        domain: DOMAIN,
        inputs: &[LAW, GAMMA_OF_LAW],
        value: |inputs| variation(inputs.law("p")?, inputs.number("gamma")?),
        ..OWN
    },
];

const GAMMA_OF_LAW: Input = Input { example: "0.4", ..GAMMA };
