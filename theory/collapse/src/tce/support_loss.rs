//! T2-2: what gradient flow learns where fewer than `1/γ` tokens occur in the data.

use super::water_filling::{ROUNDING, capped_fit};
use super::{GAMMA, OWN, position, require_gamma, require_law, require_probability};
use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Input};
use crate::refusal::{Refusal, require};
use crate::special::root::root_above;

/// The end of training where `K_s γ < 1`.
#[derive(Clone, Debug, PartialEq)]
pub struct SupportLoss {
    /// The learnt law: `γ` on every token of the data, the rest on the unseen ones.
    pub law: Vec<f64>,
    /// The training time in the clock of the unseen tokens' odds, `e^{−z_j}` growing by 1 per unit.
    pub tau: f64,
}

/// The law that gradient flow reaches from the start `start` (with `max ≤ γ`) when the data hold
/// only the tokens `support`, with `K_s γ < 1`: `γ` on each of them, and `1 − K_s γ` shared by the
/// unseen ones in proportion to `u_j = a_j/(1 + a_j τ)`, `a` being the start.
///
/// *Derivation.* The flow freezes when every token of the data has reached `γ`. Until then
/// `e^{−z_j}` grows at the same rate `M/Z` for every unseen `j`, and `Σ z` is conserved, so `τ` is
/// the root of `K_s ln(γ Σu/(1 − K_s γ)) + Σ ln u_j = Σ_all ln a_i`. The left side falls in `τ`
/// from a value that is not below the right one, because no `a_i` exceeds `γ`: one root. Tokens
/// with `a_j = 0` stay at zero and take no part.
///
/// ```
/// use fortifai_collapse::tce::support_loss::support_loss;
/// let end = support_loss(&[0.3, 0.4, 0.2, 0.1], &[0], 0.7)?;
/// assert_eq!(end.law[0], 0.7);
/// assert!((end.law[1] - 0.146_952_842_371_547_2).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-support-loss`.
///
/// # Errors
/// If `start` is no law or exceeds `γ` somewhere, `gamma` is outside `(0, 1]`, `support` is empty,
/// holds a token twice or one that the start lacks, `K_s γ ≥ 1`, or no unseen token has mass.
pub fn support_loss(start: &[f64], support: &[usize], gamma: f64) -> Result<SupportLoss, Refusal> {
    require_law("q0", start)?;
    require_gamma(gamma)?;
    let mut seen = vec![false; start.len()];
    for &token in support {
        require(token < start.len(), "S", token, "a token of q0, counted from 0,")?;
        require(!seen[token], "S", token, "every token at most once")?;
        require(start[token] > 0.0, "q0 of a token of S", start[token], "a positive one")?;
        seen[token] = true;
    }
    let count = support.len() as f64;
    require(count > 0.0, "tokens in S", count, "at least one")?;
    let most = start.iter().fold(0.0, |most: f64, &q| most.max(q));
    require(most <= gamma * (1.0 + ROUNDING), "the largest of q0", most, "at most gamma")?;
    let left = 1.0 - count * gamma;
    require(left > 0.0, "tokens in S times gamma", count * gamma, "less than 1")?;
    let unseen: Vec<f64> =
        (0..start.len()).filter(|&j| !seen[j] && start[j] > 0.0).map(|j| start[j]).collect();
    require(!unseen.is_empty(), "unseen tokens with mass", 0, "at least one")?;
    let conserved: f64 = support.iter().map(|&j| start[j].ln()).sum();
    let excess = |tau: f64| -> f64 {
        let sum: f64 = unseen.iter().map(|a| a / (1.0 + a * tau)).sum();
        // Σ ln u − Σ ln a over the unseen.
        let fallen: f64 = unseen.iter().map(|a| (a * tau).ln_1p()).sum();
        count * (gamma * sum / left).ln() - fallen - conserved
    };
    let tau = if excess(0.0) <= 0.0 { 0.0 } else { root_above(excess, 0.0, 1.0)? };
    let share = |a: f64| a / (1.0 + a * tau);
    let sum: f64 = unseen.iter().map(|&a| share(a)).sum();
    let learnt = |j: usize| if seen[j] { gamma } else { left * share(start[j]) / sum };
    Ok(SupportLoss { law: (0..start.len()).map(learnt).collect(), tau })
}

/// The law that gradient flow reaches from `start` on data with the law `data`: the capped fit
/// where the data's support can hold the mass, the support loss elsewhere.
///
/// ```
/// use fortifai_collapse::tce::trained;
/// // One token seen, two possible: it is capped and the other one stays alive.
/// assert!((trained(&[1.0, 0.0], &[0.5, 0.5], 0.8)?[1] - 0.2).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guards `tce-support-loss` and `tce-survivors`.
///
/// # Errors
/// If the lengths differ, or as [`capped_fit`] and [`support_loss`].
pub fn trained(data: &[f64], start: &[f64], gamma: f64) -> Result<Vec<f64>, Refusal> {
    require(data.len() == start.len(), "tokens of the start", start.len(), "as many as in p")?;
    require_law("p", data)?;
    let support: Vec<usize> = (0..data.len()).filter(|&i| data[i] > 0.0).collect();
    if support.len() as f64 * gamma >= 1.0 - ROUNDING {
        return Ok(capped_fit(data, gamma)?.law);
    }
    Ok(support_loss(start, &support, gamma)?.law)
}

/// Two tokens that both occur: the learnt probability of the first, `clip(p, 1 − γ, γ)` for
/// `γ ≥ ½`, and `clip(q_0, γ, 1 − γ)` whatever the data for `γ < ½`.
///
/// *Derivation.* For `γ ≥ ½` the water-filling of two tokens. For `γ < ½` at least one token is
/// always masked; the other, if below `γ`, rises to it, and between `γ` and `1 − γ` both are masked.
///
/// ```
/// use fortifai_collapse::tce::support_loss::two_tokens;
/// assert_eq!(two_tokens(0.95, 0.5, 0.75)?, 0.75);
/// assert_eq!(two_tokens(0.95, 0.5, 0.25)?, 0.5);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-support-loss`.
///
/// # Errors
/// If `p` or `start` is not strictly between 0 and 1, or `gamma` outside `(0, 1]`.
pub fn two_tokens(p: f64, start: f64, gamma: f64) -> Result<f64, Refusal> {
    require_gamma(gamma)?;
    for (name, value) in [("p", p), ("q0", start)] {
        require_probability(name, value)?;
        let inner = value > 0.0 && value < 1.0;
        require(inner, name, value, &format!("0 < {name} < 1 (both tokens must occur)"))?;
    }
    Ok(if gamma >= 0.5 { p.clamp(1.0 - gamma, gamma) } else { start.clamp(gamma, 1.0 - gamma) })
}

fn support_of(inputs: &Inputs) -> Result<SupportLoss, Refusal> {
    let mut support = Vec::new();
    let number = Inputs::default();
    let listed = match inputs.get("S") {
        // One token may be written without brackets.
        Some(crate::inputs::Value::Number(token)) => &[*token][..],
        _ => inputs.list("S")?,
    };
    for &token in listed {
        support.push(number.clone().with("S", token).count("S")?);
    }
    support_loss(inputs.law("q0")?, &support, inputs.number("gamma")?)
}

const START: Input = Input {
    name: "q0",
    meaning: "probabilities where training starts, none above gamma",
    example: "[0.3, 0.4, 0.2, 0.1]",
};
const SUPPORT: Input =
    Input { name: "S", meaning: "tokens of the data, counted from 0", example: "[0]" };
const DOMAIN: &str = "max q0 ≤ gamma, tokens in S times gamma < 1";

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "T2",
        name: "time at which training on a small support freezes",
        formula: "support-loss tau",
        domain: DOMAIN,
        inputs: &[START, SUPPORT, GAMMA],
        value: |inputs| Ok(support_of(inputs)?.tau),
        ..OWN
    },
    Entry {
        id: "T2",
        name: "learnt probability of token i from a small support",
        formula: "support-loss q_i",
        domain: DOMAIN,
        inputs: &[
            START,
            SUPPORT,
            GAMMA,
            Input { name: "i", meaning: "token, counted from 0", example: "1" },
        ],
        value: |inputs| {
            let end = support_of(inputs)?;
            Ok(end.law[position(inputs, end.law.len())?])
        },
        ..OWN
    },
    Entry {
        id: "T2",
        name: "learnt probability of the first of two tokens that both occur",
        formula: "K=2: clip(p,1-gamma,gamma), gamma>=1/2; clip(q0,gamma,1-gamma), gamma<1/2",
        domain: "0 < p < 1, 0 < q0 < 1, 0 < gamma ≤ 1",
        digits: Digits::Elementary,
        inputs: &[
            Input { name: "p", meaning: "probability of the first token", example: "0.9" },
            Input { name: "q0", meaning: "its probability at the start", example: "0.5" },
            GAMMA,
        ],
        value: |inputs| {
            two_tokens(inputs.number("p")?, inputs.number("q0")?, inputs.number("gamma")?)
        },
        ..OWN
    },
];
