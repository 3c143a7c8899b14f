//! T4: focal loss `−(1 − p)^g ln p`, whose factor is not detached, and the law that it learns.

use super::{OWN, require_law, require_probability};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::special::root::root;

/// The weight `f(p) = (1 − p)^g − g p (1 − p)^{g−1} ln p` of the gradient `f(p_y)(p − e_y)`.
///
/// *Derivation.* `f(p) = −p d/dp[−(1 − p)^g ln p]`; with `dp_y/dz_k = p_y([k = y] − p_k)` the
/// gradient follows. `f(0) = 1`, and `f(1) = 0` for `g > 0`.
///
/// ```
/// let weight = fortifai_collapse::tce::focal::weight(2.0, 0.9)?;
/// assert!((weight - 0.028_964_892_818_408_734).abs() <= 1e-16);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guards `tce-gradients` and `tce-focal`.
///
/// # Errors
/// If `g` is negative or `p` no probability.
pub fn weight(g: f64, p: f64) -> Result<f64, Refusal> {
    require_exponent(g)?;
    require_probability("p", p)?;
    Ok(weight_at(g, p))
}

/// The weight inside its domain.
pub(super) fn weight_at(g: f64, p: f64) -> f64 {
    if g == 0.0 || p == 0.0 {
        return 1.0;
    }
    if p == 1.0 {
        return 0.0;
    }
    let rest = 1.0 - p;
    rest.powf(g) - g * p * rest.powf(g - 1.0) * p.ln()
}

/// Where the weight is largest, and how large: more than 1 for `g > 0`.
///
/// *Derivation.* For `g > 0`, `f'(p) = 0` is `(1 − p)(2 + ln p) = (g − 1) p ln p`; near 0 the left
/// side is below the right one, at `p = 1` neither, so the maximum is bracketed by `e^{−2}` for
/// `g ≥ 1` and found from the sign of `f'` elsewhere.
///
/// ```
/// let (p, most) = fortifai_collapse::tce::focal::largest_weight(1.0)?;
/// assert!((p - (-2f64).exp()).abs() <= 1e-15 && (most - 1.0 - (-2f64).exp()).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-focal`.
///
/// # Errors
/// If `g` is not positive or above 1e6.
pub fn largest_weight(g: f64) -> Result<(f64, f64), Refusal> {
    require(g > 0.0 && g <= 1e6, "gamma_f", g, "0 < gamma_f ≤ 1e6")?;
    // f'/(g (1−p)^{g−2}) = −(1 − p)(2 + ln p) + (g − 1) p ln p; it falls through zero once.
    let slope = |p: f64| -(1.0 - p) * (2.0 + p.ln()) + (g - 1.0) * p * p.ln();
    let p = root(slope, f64::MIN_POSITIVE, 0.5)?;
    Ok((p, weight_at(g, p)))
}

/// The law that focal loss learns from data with the law `p`: the root of `q_j ∝ p_j f(q_j)`.
///
/// *Derivation.* The flow is `dz_j/dt = p_j f(q_j) − q_j Σ p_i f(q_i)`. With `ℓ` the loss of a token
/// `−ℓ'(q) = f(q)/q`, and `ℓ'' > 0` for every `g ≥ 0` (by `−ln q ≤ (1 − q)/q`), so `f(q)/q` falls
/// from ∞ to `f(1)` and the minimum of `Σ p ℓ(q)` is unique: `f(q_j)/q_j = μ/p_j` for one `μ`.
///
/// ```
/// let q = fortifai_collapse::tce::focal::learnt(&[0.9, 0.1], 2.0)?;
/// assert!((q[0] - 0.694_212_805_090_128_4).abs() <= 1e-13);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-focal`.
///
/// # Errors
/// If `p` is no law or `g` is negative or above 100.
pub fn learnt(p: &[f64], g: f64) -> Result<Vec<f64>, Refusal> {
    require_law("p", p)?;
    require_exponent(g)?;
    require(g <= 100.0, "gamma_f", g, "gamma_f ≤ 100")?;
    let support = p.iter().filter(|p| **p > 0.0).count();
    if g == 0.0 || support == 1 {
        return Ok(p.to_vec());
    }
    // ln μ is searched: q_j solves ln(f(q)/q) = ln μ − ln p_j.
    let share = |p: f64, level: f64| -> f64 {
        if p == 0.0 {
            return 0.0;
        }
        let target = level - p.ln();
        let excess = |q: f64| (weight_at(g, q) / q).ln() - target;
        root(excess, f64::MIN_POSITIVE, 1.0).unwrap_or(0.0)
    };
    let total = |level: f64| p.iter().map(|&p| share(p, level)).sum::<f64>() - 1.0;
    // At level ln p_max + ln f(1/K)K every q is at most 1/K; low levels push all of them to 1.
    let k = support as f64;
    let top = p.iter().fold(0.0f64, |top, &p| top.max(p)).ln();
    let high = top + (weight_at(g, 1.0 / k) * k).ln();
    let level = root(total, high - 700.0, high)?;
    Ok(p.iter().map(|&p| share(p, level)).collect())
}

fn require_exponent(g: f64) -> Result<(), Refusal> {
    require(g >= 0.0 && g.is_finite(), "gamma_f", g, "gamma_f ≥ 0")
}

const EXPONENT: Input =
    Input { name: "gamma_f", meaning: "exponent of the focal loss, at least 0", example: "2" };
const TARGET: Input =
    Input { name: "p", meaning: "probability of the target token", example: "0.3" };

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "T4",
        name: "weight of the focal gradient",
        formula: "focal weight f(p)",
        domain: "gamma_f ≥ 0, 0 ≤ p ≤ 1",
        digits: Digits::Elementary,
        inputs: &[EXPONENT, TARGET],
        value: |inputs| weight(inputs.number("gamma_f")?, inputs.number("p")?),
        ..OWN
    },
    Entry {
        id: "T4",
        name: "weight of the focal gradient, factor detached",
        formula: "(1-p)^gamma_f",
        domain: "gamma_f ≥ 0, 0 ≤ p ≤ 1",
        digits: Digits::Elementary,
        inputs: &[EXPONENT, TARGET],
        value: |inputs| {
            let (g, p) = (inputs.number("gamma_f")?, inputs.number("p")?);
            require_exponent(g)?;
            require_probability("p", p)?;
            Ok((1.0 - p).powf(g))
        },
        ..OWN
    },
    Entry {
        id: "T4",
        name: "largest weight of the focal gradient",
        formula: "max_p f(p)",
        domain: "0 < gamma_f ≤ 1e6",
        inputs: &[EXPONENT],
        value: |inputs| Ok(largest_weight(inputs.number("gamma_f")?)?.1),
        ..OWN
    },
    Entry {
        id: "T4",
        name: "probability that focal loss learns for a token of mass p, two tokens",
        formula: "focal fixed point for p=.9",
        domain: "0 ≤ gamma_f ≤ 100, 0 ≤ p ≤ 1",
        inputs: &[EXPONENT, Input { example: "0.9", ..TARGET }],
        value: |inputs| {
            let p = inputs.number("p")?;
            require_probability("p", p)?;
            Ok(learnt(&[p, 1.0 - p], inputs.number("gamma_f")?)?[0])
        },
        ..OWN
    },
    Entry {
        id: "T4",
        name: "probability that focal loss learns for a rare token, two tokens",
        formula: "q ~ (eps/(1+gamma_f))^(1/(1+gamma_f))",
        kind: Kind::Asymptotic,
        domain: "gamma_f ≥ 0, 0 < eps < 1, small",
        digits: Digits::Elementary,
        inputs: &[
            EXPONENT,
            Input { name: "eps", meaning: "true probability of the rare token", example: "1e-6" },
        ],
        value: |inputs| {
            let (g, eps) = (inputs.number("gamma_f")?, inputs.number("eps")?);
            require_exponent(g)?;
            require(eps > 0.0 && eps < 1.0, "eps", eps, "0 < eps < 1")?;
            Ok((eps / (1.0 + g)).powf(1.0 / (1.0 + g)))
        },
        ..OWN
    },
];
