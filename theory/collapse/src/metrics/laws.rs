//! M1, M2: metrics of any law.

use crate::categorical::given::{LAW, check_law, input};
use crate::categorical::{self, entropy::surprise};
use crate::inputs::{Inputs, Value};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

/// Shannon's entropy `−Σ p ln p` in nats.
///
/// Source: Shannon 1948. Guard: `metrics-laws`.
///
/// ```
/// let entropy = fortifai_collapse::metrics::laws::entropy(&[0.5, 0.5])?;
/// assert!((entropy - 2f64.ln()).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law.
pub fn entropy(p: &[f64]) -> Result<f64, Refusal> {
    check_law("p", p)?;
    Ok(p.iter().map(|&p| surprise(p)).sum())
}

/// The index of Gini and Simpson, `1 − Σ p²`, summed as `Σ p (1 − p)`.
///
/// Source: Gini 1912; Simpson 1949. Guard: `metrics-laws`.
///
/// ```
/// use fortifai_collapse::metrics::laws::gini_simpson;
/// // Two samples of two equal tokens differ half of the time.
/// assert!((gini_simpson(&[0.5, 0.5])? - 0.5).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law.
pub fn gini_simpson(p: &[f64]) -> Result<f64, Refusal> {
    check_law("p", p)?;
    Ok(categorical::heterozygosity(p))
}

/// Hill's number `D_q = (Σ p^q)^{1/(1−q)}`: the size of the uniform law with the same power sum.
///
/// `D_0` counts the tokens, `D_1 = e^H` is the law's perplexity on itself, `D_2 = 1/Σp²`,
/// `D_∞ = 1/max p`; it falls with `q`. Near `q = 1` the power sum is written as
/// `1 + Σ p (e^{(q−1) ln p} − 1)`, so that the exponent divides by `1 − q` without cancellation.
///
/// Domain: `0 ≤ q ≤ ∞`. Source: Hill 1973. Guard: `metrics-laws`.
///
/// ```
/// use fortifai_collapse::metrics::laws::hill;
/// // 1/(1/4 + 1/16 + 1/16).
/// assert!((hill(&[0.5, 0.25, 0.25], 2.0)? - 8.0 / 3.0).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `q` is negative or not a number.
pub fn hill(p: &[f64], q: f64) -> Result<f64, Refusal> {
    check_law("p", p)?;
    require(q >= 0.0, "q", q, "0 ≤ q ≤ inf")?;
    let alive = p.iter().copied().filter(|&p| p > 0.0);
    let top = p.iter().fold(0.0f64, |top, &p| top.max(p));
    if q == 1.0 {
        return Ok(alive.map(surprise).sum::<f64>().exp());
    }
    if q == f64::INFINITY {
        return Ok(1.0 / top);
    }
    if q < 4.0 {
        // Whatever rounding leaves of Σp − 1 would be divided by 1 − q: the sum is taken over the
        // given numbers as they stand, normalised.
        let total: f64 = p.iter().sum();
        let over: f64 = alive.map(|p| p / total * ((q - 1.0) * (p / total).ln()).exp_m1()).sum();
        return Ok((over.ln_1p() / (1.0 - q)).exp());
    }
    // Large powers underflow: the largest is taken out.
    let rest: f64 = alive.map(|p| (q * (p / top).ln()).exp()).sum();
    Ok(((q * top.ln() + rest.ln()) / (1.0 - q)).exp())
}

/// Gini's coefficient of inequality among the probabilities, `Σ_i (2i − K − 1) p_(i)/K` in rising
/// order: 0 for the uniform law, `1 − 1/K` for a single token.
///
/// Source: Gini 1912. Guard: `metrics-laws`.
///
/// ```
/// use fortifai_collapse::metrics::laws::gini_coefficient;
/// // A single token among four.
/// assert!((gini_coefficient(&[1.0, 0.0, 0.0, 0.0])? - 0.75).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law.
pub fn gini_coefficient(p: &[f64]) -> Result<f64, Refusal> {
    check_law("p", p)?;
    let mut sorted = p.to_vec();
    sorted.sort_by(f64::total_cmp);
    let k = sorted.len();
    // Pairs from both ends: (2i − K − 1) (p_(i) − p_(K+1−i)), without cancellation of equal ones.
    let pairs = (0..k / 2).map(|i| (k - 1 - 2 * i) as f64 * (sorted[k - 1 - i] - sorted[i]));
    Ok(pairs.sum::<f64>() / k as f64)
}

/// `KL(p‖q) = Σ p ln(p/q)` in nats.
///
/// Near laws are compared by `Σ p ln(p/q) − p + q`, whose terms are all positive. Source: Kullback
/// and Leibler 1951. Guard: `metrics-laws`.
///
/// ```
/// use fortifai_collapse::metrics::laws::divergence;
/// // A certain token that the model gives one half.
/// assert!((divergence(&[1.0, 0.0], &[0.5, 0.5])? - 2f64.ln()).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If one is no law, their lengths differ, or `q` is zero where `p` is not.
pub fn divergence(p: &[f64], q: &[f64]) -> Result<f64, Refusal> {
    check_pair(p, q)?;
    let term = |(&p, &q): (&f64, &f64)| {
        if p == 0.0 {
            return q;
        }
        // ln(p/q) = −ln(1 + (q − p)/p).
        let off = (q - p) / p;
        p * (off - off.ln_1p())
    };
    Ok(p.iter().zip(q).map(term).sum())
}

/// What is called surplexity here: the perplexity `exp(H(p) + KL(p‖q)) = exp(−Σ p ln q)` of a
/// receiving model `q` on data from `p`.
///
/// Source: after Gambetta et al. 2024, arXiv 2410.12341, whose own definition may differ. Guard:
/// `metrics-laws`.
///
/// ```
/// use fortifai_collapse::metrics::laws::surplexity;
/// // A certain token that the model takes for one of four.
/// assert!((surplexity(&[1.0, 0.0], &[0.25, 0.75])? - 4.0).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`divergence`].
pub fn surplexity(p: &[f64], q: &[f64]) -> Result<f64, Refusal> {
    check_pair(p, q)?;
    let cross = p.iter().zip(q).map(|(&p, &q)| if p > 0.0 { -p * q.ln() } else { 0.0 });
    Ok(cross.sum::<f64>().exp())
}

fn check_pair(p: &[f64], q: &[f64]) -> Result<(), Refusal> {
    check_law("p", p)?;
    check_law("q", q)?;
    require(p.len() == q.len(), "the length of q", q.len(), &format!("that of p, {},", p.len()))?;
    let lost = p.iter().zip(q).position(|(&p, &q)| p > 0.0 && q == 0.0);
    match lost {
        None => Ok(()),
        Some(at) => Err(Refusal::new(format!(
            "q is 0 for token {at}, where p is {}, but q > 0 is needed wherever p > 0.",
            p[at]
        ))),
    }
}

/// A power: a number, or the word `inf`.
fn power(inputs: &Inputs) -> Result<f64, Refusal> {
    match inputs.get("q") {
        Some(Value::Number(q)) if *q == f64::INFINITY => Ok(*q),
        Some(Value::Text(word)) if word == "inf" => Ok(f64::INFINITY),
        _ => inputs.number("q"),
    }
}

const OTHER: Input = input("q", "the receiving model's law", "[0.4, 0.4, 0.2]");

/// The entries of M1 for any law, and of M2.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "M1",
        name: "Shannon's entropy (nats)",
        formula: "H1=-sum p ln p",
        kind: Kind::Exact,
        source: "Shannon 1948",
        domain: "any law",
        digits: Digits::Elementary,
        inputs: &[LAW],
        value: |x| entropy(x.law("p")?),
    },
    Entry {
        id: "M1",
        name: "Gini and Simpson's index",
        formula: "Gini-Simpson 1-sum p^2",
        kind: Kind::Exact,
        source: "Gini 1912; Simpson 1949",
        domain: "any law",
        digits: Digits::Elementary,
        inputs: &[LAW],
        value: |x| gini_simpson(x.law("p")?),
    },
    Entry {
        id: "M1",
        name: "Hill's number, the effective number of tokens",
        formula: "Hill D_q=(sum p^q)^(1/(1-q))",
        kind: Kind::Exact,
        source: "Hill 1973",
        domain: "0 ≤ q ≤ inf; q = 1 is e^H1, q = inf is 1/max p",
        digits: Digits::Elementary,
        inputs: &[LAW, input("q", "the order of the number", "2")],
        value: |x| hill(x.law("p")?, power(x)?),
    },
    Entry {
        id: "M1",
        name: "Gini's coefficient of inequality",
        formula: "Gini coefficient of p",
        kind: Kind::Exact,
        source: "Gini 1912",
        domain: "any law",
        digits: Digits::Elementary,
        inputs: &[LAW],
        value: |x| gini_coefficient(x.law("p")?),
    },
    Entry {
        id: "M2",
        name: "divergence of two laws (nats)",
        formula: "KL(p||q)=sum p ln(p/q)",
        kind: Kind::Exact,
        source: "Kullback and Leibler 1951",
        domain: "q > 0 wherever p > 0",
        digits: Digits::Elementary,
        inputs: &[LAW, OTHER],
        value: |x| divergence(x.law("p")?, x.law("q")?),
    },
    Entry {
        id: "M2",
        name: "surplexity: the receiving model's perplexity on the data",
        formula: "surplexity=exp(H1(p)+KL(p||q))",
        kind: Kind::Exact,
        source: "after Gambetta et al. 2024, arXiv 2410.12341",
        domain: "q > 0 wherever p > 0",
        digits: Digits::Elementary,
        inputs: &[LAW, OTHER],
        value: |x| surplexity(x.law("p")?, x.law("q")?),
    },
];
