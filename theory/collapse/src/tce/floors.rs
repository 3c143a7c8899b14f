//! T2-3 and T2-4: what the cap guarantees for ever, and how many tokens live on.

use super::water_filling::ROUNDING;
use super::{GAMMA, OWN, require_gamma};
use crate::prediction::{Digits, Entry};
use crate::refusal::Refusal;

/// The least `1 − Σ q²` of a law with `max q ≤ γ`: `1 − mγ² − (1 − mγ)²`, `m = ⌊1/γ⌋`.
///
/// *Derivation.* `{max q ≤ γ}` is invariant under gradient flow: the log-probability of a capped
/// token has the drift `M(Σq² − γ) ≤ 0`. The minimum of a concave function over it lies at a
/// vertex: `m` tokens at `γ` and one with the rest. For `γ ≥ ½` it is `2γ(1 − γ)`. The time to
/// collapse below it is infinite.
///
/// ```
/// let least = fortifai_collapse::tce::floors::heterozygosity(0.9)?;
/// assert!((least - 0.18).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-floors`.
///
/// # Errors
/// If `gamma` is outside `(0, 1]`.
pub fn heterozygosity(gamma: f64) -> Result<f64, Refusal> {
    let (whole, rest) = vertex(gamma)?;
    Ok(whole * gamma * (1.0 - gamma) + rest * (1.0 - rest))
}

/// The least entropy in nats, `−mγ ln γ − (1 − mγ) ln(1 − mγ)`, `m = ⌊1/γ⌋`.
///
/// ```
/// let least = fortifai_collapse::tce::floors::entropy(0.5)?;
/// assert!((least - 2f64.ln()).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-floors`.
///
/// # Errors
/// If `gamma` is outside `(0, 1]`.
pub fn entropy(gamma: f64) -> Result<f64, Refusal> {
    let (whole, rest) = vertex(gamma)?;
    let last = if rest > 0.0 { -rest * rest.ln() } else { 0.0 };
    Ok(0.0 - whole * gamma * gamma.ln() + last)
}

/// `(m, 1 − mγ)`.
fn vertex(gamma: f64) -> Result<(f64, f64), Refusal> {
    require_gamma(gamma)?;
    let whole = ((1.0 + ROUNDING) / gamma).floor();
    Ok((whole, (1.0 - whole * gamma).max(0.0)))
}

/// The number of tokens that stay alive for ever in recursive training, `⌈1/γ⌉` (or all, if there
/// are fewer).
///
/// *Derivation.* A generation whose sample holds `K_s ≥ 1/γ` tokens forgets the others (water
/// filling); one with fewer cannot hold the mass on them and keeps the others alive (support loss).
/// So the number of living tokens falls, never below `⌈1/γ⌉`, and from any larger number a sample
/// that misses one comes with positive probability.
///
/// ```
/// assert_eq!(fortifai_collapse::tce::floors::survivors(0.9)?, 2.0);
/// assert_eq!(fortifai_collapse::tce::floors::survivors(1.0 / 3.0)?, 3.0);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-survivors`.
///
/// # Errors
/// If `gamma` is outside `(0, 1]`.
pub fn survivors(gamma: f64) -> Result<f64, Refusal> {
    require_gamma(gamma)?;
    Ok(((1.0 - ROUNDING) / gamma).ceil())
}

const DOMAIN: &str = "0 < gamma ≤ 1";

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "T2",
        name: "floor of the heterozygosity",
        formula: "heterozygosity floor",
        domain: DOMAIN,
        digits: Digits::Elementary,
        inputs: &[GAMMA],
        value: |inputs| heterozygosity(inputs.number("gamma")?),
        ..OWN
    },
    Entry {
        id: "T2",
        name: "floor of the entropy",
        formula: "entropy floor (nats)",
        domain: DOMAIN,
        digits: Digits::Elementary,
        inputs: &[GAMMA],
        value: |inputs| entropy(inputs.number("gamma")?),
        ..OWN
    },
    Entry {
        id: "T2",
        name: "tokens that stay alive for ever",
        formula: "survivors = ceil(1/gamma)",
        domain: DOMAIN,
        digits: Digits::Elementary,
        inputs: &[GAMMA],
        value: |inputs| survivors(inputs.number("gamma")?),
        ..OWN
    },
];
