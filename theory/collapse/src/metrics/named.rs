//! M1: the same metrics of laws that experiments start from.

use crate::categorical::entropy::surprise;
use crate::categorical::given::{ZIPF, check_mass, input};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::special::zeta::{zeta, zeta_minus_one};

/// The entropy of the geometric law `(1 − r) r^k`, `k ≥ 0`: `−ln(1 − r) − r ln r/(1 − r)` nats.
///
/// *Derivation.* `E k = r/(1 − r)`. Guard: `metrics-laws`.
///
/// ```
/// use fortifai_collapse::metrics::named::geometric_entropy;
/// // Tosses of a fair coin until a head: Σ k 2^−k = 2 tosses of ln 2 each.
/// assert!((geometric_entropy(0.5)? - 2.0 * 2f64.ln()).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `r` is outside `[0, 1)`.
pub fn geometric_entropy(r: f64) -> Result<f64, Refusal> {
    check_ratio(r)?;
    Ok(-(-r).ln_1p() + surprise(r) / (1.0 - r))
}

/// `Σ p² = (1 − r)/(1 + r)` of the geometric law.
///
/// *Derivation.* A geometric series in `r²`. Guard: `metrics-laws`.
///
/// ```
/// let simpson = fortifai_collapse::metrics::named::geometric_simpson(0.5)?;
/// assert!((simpson - 1.0 / 3.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `r` is outside `[0, 1)`.
pub fn geometric_simpson(r: f64) -> Result<f64, Refusal> {
    check_ratio(r)?;
    Ok((1.0 - r) / (1.0 + r))
}

/// The entropy of Zipf's law `i^−s/ζ(s)`, `i ≥ 1`: `ln ζ(s) − s ζ'(s)/ζ(s)` nats.
///
/// *Derivation.* `−Σ p ln p = s E ln i + ln ζ`, and `E ln i = −ζ'/ζ`. Guard: `metrics-laws`.
///
/// ```
/// use fortifai_collapse::metrics::named::zipf_entropy;
/// // mpmath: log(zeta(2)) - 2*zeta(2, derivative=1)/zeta(2).
/// assert!((zipf_entropy(2.0)? - 1.637_622_288_659_810_9).abs() < 1e-13);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `s ≤ 1`.
pub fn zipf_entropy(s: f64) -> Result<f64, Refusal> {
    check_exponent(s)?;
    let (above, slope) = zeta_minus_one(s);
    Ok(above.ln_1p() - s * slope / (1.0 + above))
}

/// `Σ p² = ζ(2s)/ζ(s)²` of Zipf's law.
///
/// Guard: `metrics-laws`.
///
/// ```
/// use fortifai_collapse::metrics::named::zipf_simpson;
/// // (π⁴/90)/(π²/6)².
/// assert!((zipf_simpson(2.0)? - 0.4).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `s ≤ 1`.
pub fn zipf_simpson(s: f64) -> Result<f64, Refusal> {
    check_exponent(s)?;
    Ok(zeta(2.0 * s) / zeta(s).powi(2))
}

/// The entropy of a spike of mass `a` with the rest uniform on `k − 1` other tokens:
/// `h(a) + (1 − a) ln(k − 1)` nats, `h(a) = −a ln a − (1 − a) ln(1 − a)`.
///
/// Guard: `metrics-laws`.
///
/// ```
/// use fortifai_collapse::metrics::named::spike_entropy;
/// // No spike: the uniform law on four tokens.
/// assert!((spike_entropy(0.25, 4)? - 4f64.ln()).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `a` is no probability, or `k < 2`.
pub fn spike_entropy(a: f64, k: usize) -> Result<f64, Refusal> {
    check_spike(a, k)?;
    let rest = if a < 1.0 { -(1.0 - a) * (-a).ln_1p() } else { 0.0 };
    Ok(surprise(a) + rest + (1.0 - a) * ((k - 1) as f64).ln())
}

/// `Σ p² = a² + (1 − a)²/(k − 1)` of a spike on a uniform law.
///
/// Guard: `metrics-laws`.
///
/// ```
/// use fortifai_collapse::metrics::named::spike_simpson;
/// // No spike: the uniform law on four tokens.
/// assert!((spike_simpson(0.25, 4)? - 0.25).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`spike_entropy`].
pub fn spike_simpson(a: f64, k: usize) -> Result<f64, Refusal> {
    check_spike(a, k)?;
    Ok(a * a + (1.0 - a) * (1.0 - a) / (k - 1) as f64)
}

/// Gini's coefficient `|a − 1/k|` of a spike on a uniform law.
///
/// *Derivation.* `k − 1` equal differences `a − (1 − a)/(k − 1)`, divided by `k`. Guard:
/// `metrics-laws`.
///
/// ```
/// use fortifai_collapse::metrics::named::spike_gini;
/// // Nothing but the spike.
/// assert!((spike_gini(1.0, 4)? - 0.75).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`spike_entropy`].
pub fn spike_gini(a: f64, k: usize) -> Result<f64, Refusal> {
    check_spike(a, k)?;
    Ok((a - 1.0 / k as f64).abs())
}

fn check_ratio(r: f64) -> Result<(), Refusal> {
    require((0.0..1.0).contains(&r), "r", r, "0 ≤ r < 1")
}

fn check_exponent(s: f64) -> Result<(), Refusal> {
    require(s > 1.0 && s.is_finite(), "s", s, "1 < s < ∞")
}

fn check_spike(a: f64, k: usize) -> Result<(), Refusal> {
    check_mass("a", a)?;
    require(k >= 2, "K", k, "K ≥ 2")
}

const RATIO: Input = input("r", "ratio of neighbouring probabilities", "0.7");
const SPIKE: Input = input("a", "probability of the spike", "0.6");
const SIZE: Input = input("K", "number of tokens", "100");
const OWN: &str = "by algebra";

/// The entries of M1 for named laws.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "M1",
        name: "entropy of the geometric law (nats)",
        formula: "geometric entropy",
        kind: Kind::Exact,
        source: OWN,
        domain: "0 ≤ r < 1; -ln(1-r)-r ln r/(1-r)",
        digits: Digits::Elementary,
        inputs: &[RATIO],
        value: |x| geometric_entropy(x.number("r")?),
    },
    Entry {
        id: "M1",
        name: "sum of squares of the geometric law",
        formula: "geometric Simpson",
        kind: Kind::Exact,
        source: OWN,
        domain: "0 ≤ r < 1; (1-r)/(1+r)",
        digits: Digits::Elementary,
        inputs: &[RATIO],
        value: |x| geometric_simpson(x.number("r")?),
    },
    Entry {
        id: "M1",
        name: "entropy of Zipf's law (nats)",
        formula: "Zipf(2) entropy",
        kind: Kind::Exact,
        source: OWN,
        domain: "any s > 1; ln zeta(s)-s zeta'(s)/zeta(s)",
        digits: Digits::Special,
        inputs: &[ZIPF],
        value: |x| zipf_entropy(x.number("s")?),
    },
    Entry {
        id: "M1",
        name: "sum of squares of Zipf's law",
        formula: "Zipf(2) Simpson",
        kind: Kind::Exact,
        source: OWN,
        domain: "any s > 1; zeta(2s)/zeta(s)^2",
        digits: Digits::Special,
        inputs: &[ZIPF],
        value: |x| zipf_simpson(x.number("s")?),
    },
    Entry {
        id: "M1",
        name: "sum of squares of Zipf's law (named by its value at 1.5)",
        formula: "Zipf(1.5) Simpson",
        kind: Kind::Exact,
        source: OWN,
        domain: "any s > 1; zeta(2s)/zeta(s)^2",
        digits: Digits::Special,
        inputs: &[ZIPF],
        value: |x| zipf_simpson(x.number("s")?),
    },
    Entry {
        id: "M1",
        name: "entropy of a spike on a uniform law (nats)",
        formula: "spike+uniform entropy",
        kind: Kind::Exact,
        source: OWN,
        domain: "0 ≤ a ≤ 1, K ≥ 2",
        digits: Digits::Elementary,
        inputs: &[SPIKE, SIZE],
        value: |x| spike_entropy(x.number("a")?, x.count("K")?),
    },
    Entry {
        id: "M1",
        name: "effective number of tokens of a spike on a uniform law",
        formula: "spike+uniform exp entropy (effective support)",
        kind: Kind::Exact,
        source: OWN,
        domain: "0 ≤ a ≤ 1, K ≥ 2",
        digits: Digits::Elementary,
        inputs: &[SPIKE, SIZE],
        value: |x| Ok(spike_entropy(x.number("a")?, x.count("K")?)?.exp()),
    },
    Entry {
        id: "M1",
        name: "sum of squares of a spike on a uniform law",
        formula: "spike+uniform Simpson",
        kind: Kind::Exact,
        source: OWN,
        domain: "0 ≤ a ≤ 1, K ≥ 2; a^2+(1-a)^2/(K-1)",
        digits: Digits::Elementary,
        inputs: &[SPIKE, SIZE],
        value: |x| spike_simpson(x.number("a")?, x.count("K")?),
    },
    Entry {
        id: "M1",
        name: "Gini's coefficient of a spike on a uniform law",
        formula: "spike+uniform Gini |a-1/K|",
        kind: Kind::Exact,
        source: OWN,
        domain: "0 ≤ a ≤ 1, K ≥ 2",
        digits: Digits::Elementary,
        inputs: &[SPIKE, SIZE],
        value: |x| spike_gini(x.number("a")?, x.count("K")?),
    },
];
