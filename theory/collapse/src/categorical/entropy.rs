//! N5: entropy and other additive functionals after any number of generations.

use super::chain::Chain;
use super::given::{LAW, N, T, check_law, check_samples, input};
use crate::prediction::{Digits, Entry, Kind};
use crate::refusal::Refusal;

/// `E Σ_i f(p_i(t)) = Σ_i Bin(n, p_i) · P^{t−1} f`.
///
/// *Derivation.* Each token's count is a chain of its own, and expectations add whatever the
/// dependence.
///
/// Domain: `n ≤ 2000`, any `t`. Source: own use of lumping. Guard: `categorical-vocabulary`.
///
/// ```
/// use fortifai_collapse::categorical::entropy::expected_additive;
/// // Two samples of two equal tokens: the sum of squares is 1 or 1/2.
/// assert!((expected_additive(&[0.5, 0.5], 2, 1, |p| p * p)? - 0.75).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law, or `n` is zero or larger than 2000.
pub fn expected_additive(
    p: &[f64],
    n: usize,
    t: usize,
    f: impl Fn(f64) -> f64,
) -> Result<f64, Refusal> {
    check_law("p", p)?;
    check_samples(n)?;
    if t == 0 {
        return Ok(p.iter().map(|&p| f(p)).sum());
    }
    let chain = Chain::new(n)?;
    let values: Vec<f64> = (0..=n).map(|k| f(k as f64 / n as f64)).collect();
    let carried = chain.carried_back(&values, t - 1)?;
    Ok(p.iter().map(|&p| chain.first_generation(p, &carried)).sum())
}

/// `E H(p_t)`, Shannon's entropy in nats.
///
/// Derivation, domain, source, guard: as [`expected_additive`].
///
/// ```
/// let entropy = fortifai_collapse::categorical::entropy::expected_entropy;
/// // Two equal tokens and two samples: half of the time one of each.
/// let expected = 0.5 * 2f64.ln();
/// assert!((entropy(&[0.5, 0.5], 2, 1)? - expected).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`expected_additive`].
pub fn expected_entropy(p: &[f64], n: usize, t: usize) -> Result<f64, Refusal> {
    expected_additive(p, n, t, surprise)
}

/// `E KL(p_t‖p_0) = H(p_0) − E H(p_t)`.
///
/// *Derivation.* `KL = Σ p ln p − Σ p ln p_0`, and `E p_t = p_0`. Guard:
/// `categorical-vocabulary`.
///
/// ```
/// use fortifai_collapse::categorical::entropy::expected_divergence;
/// // Two samples of two equal tokens: one token, ln 2 away, half of the time.
/// assert!((expected_divergence(&[0.5, 0.5], 2, 1)? - 0.5 * 2f64.ln()).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`expected_additive`].
pub fn expected_divergence(p: &[f64], n: usize, t: usize) -> Result<f64, Refusal> {
    let left = expected_entropy(p, n, t)?;
    Ok(p.iter().map(|&p| surprise(p)).sum::<f64>() - left)
}

/// `E Σ p_i(t)^q` for a power `q ≥ 1`, from which Hill's numbers are judged.
///
/// Derivation, domain, source, guard: as [`expected_additive`].
///
/// ```
/// use fortifai_collapse::categorical::entropy::expected_power_sum;
/// // Two samples of two equal tokens: the sum of cubes is 1 or 1/4.
/// assert!((expected_power_sum(&[0.5, 0.5], 2, 3.0, 1)? - 0.625).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`expected_additive`], or if `q < 1`.
pub fn expected_power_sum(p: &[f64], n: usize, q: f64, t: usize) -> Result<f64, Refusal> {
    crate::refusal::require(q >= 1.0, "q", q, "q ≥ 1")?;
    expected_additive(p, n, t, |p| p.powf(q))
}

/// `−p ln p`, zero at zero.
pub(crate) fn surprise(p: f64) -> f64 {
    if p > 0.0 { -p * p.ln() } else { 0.0 }
}

/// The entries of N5.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "N5",
        name: "expected entropy at generation t",
        formula: "E Shannon entropy (nats)",
        kind: Kind::Exact,
        source: "lumped Wright-Fisher chain",
        domain: "n ≤ 2000",
        digits: Digits::Special,
        inputs: &[LAW, N, T],
        value: |x| expected_entropy(x.law("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N5",
        name: "expected divergence of generation t from the truth (nats)",
        formula: "E KL(p_t||p_0)=H(p_0)-E H(p_t)",
        kind: Kind::Exact,
        source: "lumped Wright-Fisher chain",
        domain: "n ≤ 2000",
        digits: Digits::Special,
        inputs: &[LAW, N, T],
        value: |x| expected_divergence(x.law("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N5",
        name: "expected power sum at generation t",
        formula: "E sum p_i(t)^q",
        kind: Kind::Exact,
        source: "lumped Wright-Fisher chain",
        domain: "n ≤ 2000, q ≥ 1",
        digits: Digits::Special,
        inputs: &[LAW, N, input("q", "the power", "3"), T],
        value: |x| expected_power_sum(x.law("p")?, x.count("n")?, x.number("q")?, x.count("t")?),
    },
];
