//! T3: an n-gram model trained with the loss is one capped fit per context.

use super::support_loss::trained;
use super::{GAMMA, OWN, require_count, require_gamma, require_probability, small_count};
use crate::prediction::{Digits, Entry, Input};
use crate::refusal::{Refusal, require};
use crate::special::deviance::deviance;

/// The learnt law of every context from its own counts and its own start.
///
/// Contexts share nothing, so each is a capped fit (or, with a small support, the support loss); a
/// context without counts keeps its start.
///
/// ```
/// use fortifai_collapse::tce::ngram::fit_contexts;
/// let fits = fit_contexts(&[vec![9, 1], vec![0, 0]], &[vec![0.5, 0.5], vec![0.3, 0.7]], 0.8)?;
/// assert!((fits[0][0] - 0.8).abs() <= 1e-15);
/// assert_eq!(fits[1], [0.3, 0.7]);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-n-gram`.
///
/// # Errors
/// If the numbers of contexts differ, or as [`trained`].
pub fn fit_contexts(
    counts: &[Vec<u64>],
    starts: &[Vec<f64>],
    gamma: f64,
) -> Result<Vec<Vec<f64>>, Refusal> {
    let condition = "as many as rows of counts";
    require(counts.len() == starts.len(), "rows of the start", starts.len(), condition)?;
    let fit = |(row, start): (&Vec<u64>, &Vec<f64>)| {
        let total: u64 = row.iter().sum();
        if total == 0 {
            return Ok(start.clone());
        }
        let law: Vec<f64> = row.iter().map(|&c| c as f64 / total as f64).collect();
        trained(&law, start, gamma)
    };
    counts.iter().zip(starts).map(fit).collect()
}

/// A deterministic context learnt from a uniform start over `v` tokens:
/// `(γ, (1 − γ)/(v − 1), …)`, or the start itself where `γ ≤ 1/v`.
///
/// *Derivation.* The support loss of one token with equal `a_j`: equal `u_j`.
///
/// ```
/// let (seen, unseen) = fortifai_collapse::tce::ngram::deterministic_row(0.9, 11)?;
/// assert!(seen == 0.9 && (unseen - 0.01).abs() <= 1e-16);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-n-gram`.
///
/// # Errors
/// If `gamma` is outside `(0, 1]` or `v < 2`.
pub fn deterministic_row(gamma: f64, v: usize) -> Result<(f64, f64), Refusal> {
    require_gamma(gamma)?;
    require_count("V", v, 2)?;
    let top = gamma.max(1.0 / v as f64);
    Ok((top, (1.0 - top) / (v as f64 - 1.0)))
}

/// The probability `γ^L` that `steps` deterministic steps are all generated right.
///
/// ```
/// assert!((fortifai_collapse::tce::ngram::all_right(0.9, 2)? - 0.81).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-n-gram`.
///
/// # Errors
/// If `gamma` is outside `(0, 1]`.
pub fn all_right(gamma: f64, steps: usize) -> Result<f64, Refusal> {
    require_gamma(gamma)?;
    Ok((steps as f64 * gamma.ln()).exp())
}

/// The excess divergence `d_KL(p₁‖γ)` of a context whose top token of mass `p₁ ≥ γ` alone is capped,
/// in nats; 0 below the cap.
///
/// *Derivation.* The others keep their proportions, so only the split into top and rest changes.
///
/// ```
/// let excess = fortifai_collapse::tce::ngram::capped_context(0.95, 0.9)?;
/// assert!((excess - 0.016_706_501_178_764_7).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-n-gram`.
///
/// # Errors
/// If `p1` is no probability, `gamma` is outside `(0, 1]`, or `p1 = 1 > γ` leaves nothing to compare.
pub fn capped_context(p1: f64, gamma: f64) -> Result<f64, Refusal> {
    require_probability("p1", p1)?;
    require_gamma(gamma)?;
    if p1 <= gamma {
        return Ok(0.0);
    }
    Ok(deviance(p1, gamma) + deviance(1.0 - p1, 1.0 - gamma))
}

const DOMAIN: &str = "0 < gamma ≤ 1";

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "T3",
        name: "excess divergence of a capped context, nats",
        formula: "excess KL of capped context d_KL(p1||gamma)",
        domain: "0 ≤ p1 ≤ 1, 0 < gamma ≤ 1 (0 where p1 ≤ gamma)",
        digits: Digits::Elementary,
        inputs: &[
            Input { name: "p1", meaning: "true probability of the top token", example: "0.95" },
            GAMMA,
        ],
        value: |inputs| capped_context(inputs.number("p1")?, inputs.number("gamma")?),
        ..OWN
    },
    Entry {
        id: "T3",
        name: "excess loss per deterministic token, nats",
        formula: "-ln gamma",
        domain: DOMAIN,
        digits: Digits::Elementary,
        inputs: &[GAMMA],
        value: |inputs| {
            let gamma = inputs.number("gamma")?;
            require_gamma(gamma)?;
            Ok(0.0 - gamma.ln())
        },
        ..OWN
    },
    Entry {
        id: "T3",
        name: "probability that L deterministic steps are all right",
        formula: "gamma^L",
        domain: DOMAIN,
        digits: Digits::Elementary,
        inputs: &[GAMMA, Input { name: "L", meaning: "steps", example: "20" }],
        value: |inputs| all_right(inputs.number("gamma")?, small_count(inputs, "L")?),
        ..OWN
    },
    Entry {
        id: "T3",
        name: "learnt probability of each other token of a deterministic context",
        formula: "(1-gamma)/(V-1)",
        domain: "1/V ≤ gamma ≤ 1, V ≥ 2 (1/V below), from a uniform start",
        digits: Digits::Elementary,
        inputs: &[GAMMA, Input { name: "V", meaning: "tokens, at least 2", example: "50" }],
        value: |inputs| Ok(deterministic_row(inputs.number("gamma")?, inputs.count("V")?)?.1),
        ..OWN
    },
];
