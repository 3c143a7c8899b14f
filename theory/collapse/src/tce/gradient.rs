//! T4: the gradient of one token's loss with respect to its logits, `1[p_y ≤ γ](p − e_y)`.

use super::{GAMMA, OWN, require_count, require_gamma, require_law, require_probability};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

/// The smallest and largest `|p − e_y|₂` of a cross-entropy gradient at the target probability `p`
/// among `v` tokens: `(1 − p)√(v/(v − 1))` and `(1 − p)√2`.
///
/// *Derivation.* `|p − e_y|² = (1 − p)² + Σ_{k≠y} p_k²`, and the sum lies between `(1 − p)²/(v − 1)`
/// (all equal) and `(1 − p)²` (all on one). The largest entry is `1 − p`, the sum of absolute values
/// `2(1 − p)`.
///
/// ```
/// let (least, most) = fortifai_collapse::tce::gradient::norms(0.5, 2)?;
/// assert!((least - most).abs() <= 1e-15 && (most - 0.5f64.sqrt()).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-gradients`.
///
/// # Errors
/// If `p` is no probability or `v < 2`.
pub fn norms(p: f64, v: usize) -> Result<(f64, f64), Refusal> {
    require_probability("p", p)?;
    require_count("V", v, 2)?;
    let v = v as f64;
    Ok(((1.0 - p) * (v / (v - 1.0)).sqrt(), (1.0 - p) * 2f64.sqrt()))
}

/// The least and largest jump of the gradient where a token's probability passes `γ`: the norms at
/// `p = γ`. The least is also a lower bound of every kept token's gradient, so none vanishes; the
/// loss jumps by `−ln γ` there, which is a lower bound of every kept token's loss.
///
/// ```
/// let (least, _) = fortifai_collapse::tce::gradient::jump(0.9, 8)?;
/// assert!((least - 0.106_904_496_764_969_75).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-gradients`.
///
/// # Errors
/// If `gamma` is outside `(0, 1]` or `v < 2`.
pub fn jump(gamma: f64, v: usize) -> Result<(f64, f64), Refusal> {
    require_gamma(gamma)?;
    norms(gamma, v)
}

/// The largest eigenvalue that the Hessian `diag(p) − pp'` of cross entropy can have, so that its
/// gradient is ½-Lipschitz in the logits; reached by two tokens of ½. The truncated loss is so
/// between its jumps.
pub const CURVATURE: f64 = 0.5;

/// `E|p − e_y|² = 1 − Σ p²` for a calibrated model, `y ~ p`.
///
/// ```
/// let mean = fortifai_collapse::tce::gradient::calibrated_square(&[0.5, 0.5])?;
/// assert_eq!(mean, 0.5);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-gradients`.
///
/// # Errors
/// If `p` is no law.
pub fn calibrated_square(p: &[f64]) -> Result<f64, Refusal> {
    require_law("p", p)?;
    Ok(p.iter().map(|p| p * (1.0 - p)).sum())
}

/// The expected gradient `p_j(M − m_j)` of a calibrated model, `M = Σ p_i m_i`: it is not zero where
/// a token exceeds `γ`, so a calibrated over-confident model is not stationary.
///
/// *Derivation.* `E m_y (p_j − [y = j]) = M p_j − p_j m_j`.
///
/// ```
/// let mean = fortifai_collapse::tce::gradient::calibrated(&[0.9, 0.1], 0.8)?;
/// assert!((mean[0] - 0.09).abs() <= 1e-15 && (mean[1] + 0.09).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-gradients`.
///
/// # Errors
/// If `p` is no law or `gamma` outside `(0, 1]`.
pub fn calibrated(p: &[f64], gamma: f64) -> Result<Vec<f64>, Refusal> {
    require_law("p", p)?;
    require_gamma(gamma)?;
    let masked: f64 = p.iter().filter(|p| **p > gamma).sum();
    let kept: f64 = p.iter().filter(|p| **p <= gamma).sum();
    // M − m_j is M for a masked token and −(1 − M) for a kept one.
    Ok(p.iter().map(|&p| if p > gamma { p * kept } else { -p * masked }).collect())
}

const TARGET: Input =
    Input { name: "p", meaning: "probability of the target token", example: "0.3" };
const TOKENS: Input = Input { name: "V", meaning: "tokens, at least 2", example: "8" };
const DOMAIN: &str = "0 < gamma ≤ 1, V ≥ 2";

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "T4",
        name: "least jump of the gradient at p = gamma, and least gradient of a kept token",
        formula: "gradient jump lower (1-g)sqrt(V/(V-1))",
        kind: Kind::Bound,
        domain: DOMAIN,
        digits: Digits::Elementary,
        inputs: &[GAMMA, TOKENS],
        value: |inputs| Ok(jump(inputs.number("gamma")?, inputs.count("V")?)?.0),
        ..OWN
    },
    Entry {
        id: "T4",
        name: "largest jump of the gradient at p = gamma",
        formula: "gradient jump upper (1-g)sqrt(2)",
        kind: Kind::Bound,
        domain: "0 < gamma ≤ 1",
        digits: Digits::Elementary,
        inputs: &[GAMMA],
        value: |inputs| Ok(jump(inputs.number("gamma")?, 2)?.1),
        ..OWN
    },
    Entry {
        id: "T4",
        name: "jump of the loss at p = gamma, and least loss of a kept token, nats",
        formula: "loss jump -ln gamma",
        domain: "0 < gamma ≤ 1",
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
        id: "T4",
        name: "least norm of a cross-entropy gradient",
        formula: "|p-e|_2 >= (1-p)sqrt(V/(V-1))",
        kind: Kind::Bound,
        domain: "0 ≤ p ≤ 1, V ≥ 2",
        digits: Digits::Elementary,
        inputs: &[TARGET, TOKENS],
        value: |inputs| Ok(norms(inputs.number("p")?, inputs.count("V")?)?.0),
        ..OWN
    },
    Entry {
        id: "T4",
        name: "largest norm of a cross-entropy gradient",
        formula: "|p-e|_2 <= (1-p)sqrt(2)",
        kind: Kind::Bound,
        domain: "0 ≤ p ≤ 1",
        digits: Digits::Elementary,
        inputs: &[TARGET],
        value: |inputs| Ok(norms(inputs.number("p")?, 2)?.1),
        ..OWN
    },
    Entry {
        id: "T4",
        name: "sum of the absolute values of a cross-entropy gradient",
        formula: "|p-e|_1 = 2(1-p)",
        domain: "0 ≤ p ≤ 1",
        digits: Digits::Elementary,
        inputs: &[TARGET],
        value: |inputs| {
            let p = inputs.number("p")?;
            require_probability("p", p)?;
            Ok(2.0 * (1.0 - p))
        },
        ..OWN
    },
    Entry {
        id: "T4",
        name: "largest curvature of cross entropy in its logits",
        formula: "max eigenvalue of diag(p)-pp' <= 1/2",
        kind: Kind::Bound,
        digits: Digits::Elementary,
        value: |_| Ok(CURVATURE),
        ..OWN
    },
    Entry {
        id: "T4",
        name: "expected squared gradient of a calibrated model",
        formula: "E|p-e|^2 = 1-sum p^2",
        domain: "p a law",
        digits: Digits::Elementary,
        inputs: &[super::water_filling::LAW],
        value: |inputs| calibrated_square(inputs.law("p")?),
        ..OWN
    },
    Entry {
        id: "T4",
        name: "expected gradient of a calibrated model at logit i",
        formula: "E[TCE gradient]_i = p_i(M-m_i)",
        domain: "p a law, 0 < gamma ≤ 1",
        digits: Digits::Elementary,
        inputs: &[
            super::water_filling::LAW,
            Input { example: "0.4", ..GAMMA },
            Input { name: "i", meaning: "token, counted from 0", example: "0" },
        ],
        value: |inputs| {
            let gradient = calibrated(inputs.law("p")?, inputs.number("gamma")?)?;
            let i = inputs.count("i")?;
            require(i < gradient.len(), "i", i, "a token of p, counted from 0,")?;
            Ok(gradient[i])
        },
        ..OWN
    },
];
