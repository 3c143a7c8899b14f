//! N11: Laplace smoothing, which keeps every token alive and forgets the truth.

use super::given::{K, LAW, MASS, N, T, check_law, check_mass, check_samples, input, remaining};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

/// The weight `b = Ka/(n + Ka)` that smoothing gives to the uniform law:
/// `(c + a)/(n + Ka) = (1 − b) c/n + b/K`.
///
/// Guard: `categorical-smoothing`, by what is made of it.
///
/// ```
/// use fortifai_collapse::categorical::smoothing::uniform_weight;
/// // Ten samples and five of each of two tokens added.
/// assert!((uniform_weight(2, 10, 5.0)? - 0.5).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `k` or `n` is zero, or `a` negative or not finite.
pub fn uniform_weight(k: usize, n: usize, a: f64) -> Result<f64, Refusal> {
    check_samples(n)?;
    require(k >= 1, "K", k, "K ≥ 1")?;
    require(a >= 0.0 && a.is_finite(), "a", a, "0 ≤ a < ∞")?;
    Ok(k as f64 * a / (n as f64 + k as f64 * a))
}

/// `E p_t = 1/K + (p_0 − 1/K)(1 − b)^t` of one token.
///
/// *Derivation.* [`uniform_weight`], with `E c/n` the law sampled. Guard:
/// `categorical-smoothing`.
///
/// ```
/// let mean = fortifai_collapse::categorical::smoothing::expected_mass(0.7, 2, 10, 5.0, 1)?;
/// assert!((mean - 0.6).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`uniform_weight`], or if `p` is no probability.
pub fn expected_mass(p: f64, k: usize, n: usize, a: f64, t: usize) -> Result<f64, Refusal> {
    check_mass("p", p)?;
    let b = uniform_weight(k, n, a)?;
    let uniform = 1.0 / k as f64;
    Ok(uniform + (p - uniform) * remaining(b, t as f64))
}

/// The fixed point `F*` of `E Σ p²`:
/// `[(1−b)²/n + (1 − (1−b)²)/K]/[1 − (1−b)²(1 − 1/n)]`.
///
/// *Derivation.* `F' = (1−b)² [(1 − 1/n) F + 1/n] + (1 − (1−b)²)/K`, since
/// `Σ p (1/K) = 1/K`. Guard: `categorical-smoothing`.
///
/// ```
/// use fortifai_collapse::categorical::smoothing::fixed_point;
/// // One sample: the law is always (2/3, 1/3).
/// assert!((fixed_point(2, 1, 1.0)? - 5.0 / 9.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`uniform_weight`].
pub fn fixed_point(k: usize, n: usize, a: f64) -> Result<f64, Refusal> {
    let b = uniform_weight(k, n, a)?;
    let (kept, lost) = ((1.0 - b) * (1.0 - b), b * (2.0 - b));
    let size = n as f64;
    Ok((kept / size + lost / k as f64) / (lost + kept / size))
}

/// `E Σ p_t² = F* + (F_0 − F*) [(1−b)²(1 − 1/n)]^t`.
///
/// *Derivation.* The map of [`fixed_point`] is linear. Guard: `categorical-smoothing`.
///
/// ```
/// use fortifai_collapse::categorical::smoothing::expected_simpson;
/// // One sample: the law is (2/3, 1/3) at once.
/// assert!((expected_simpson(&[0.8, 0.2], 1, 1.0, 1)? - 5.0 / 9.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`uniform_weight`], or if `p` is no law.
pub fn expected_simpson(p: &[f64], n: usize, a: f64, t: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    let end = fixed_point(p.len(), n, a)?;
    let b = uniform_weight(p.len(), n, a)?;
    let start: f64 = p.iter().map(|p| p * p).sum();
    let ratio = remaining(b, 2.0 * t as f64) * remaining(1.0 / n as f64, t as f64);
    Ok(end + (start - end) * ratio)
}

const A: Input = input("a", "what smoothing adds to each count", "0.5");
const SOURCE: &str = "derived here";
const DOMAIN: &str = "K ≥ 1, n ≥ 1, a ≥ 0";

/// The entries of N11.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "N11",
        name: "stationary sum of squares under Laplace smoothing",
        formula: "Laplace fixed point F*",
        kind: Kind::Exact,
        source: SOURCE,
        domain: DOMAIN,
        digits: Digits::Elementary,
        inputs: &[K, N, A],
        value: |x| fixed_point(x.count("K")?, x.count("n")?, x.number("a")?),
    },
    Entry {
        id: "N11",
        name: "expected probability of a token under Laplace smoothing",
        formula: "Laplace E p_t=1/K+(p_0-1/K)(1-b)^t, b=Ka/(n+Ka)",
        kind: Kind::Exact,
        source: SOURCE,
        domain: DOMAIN,
        digits: Digits::Elementary,
        inputs: &[MASS, K, N, A, T],
        value: |x| {
            let (p, k) = (x.number("p")?, x.count("K")?);
            expected_mass(p, k, x.count("n")?, x.number("a")?, x.count("t")?)
        },
    },
    Entry {
        id: "N11",
        name: "expected sum of squares under Laplace smoothing",
        formula: "Laplace E F_t=F*+(F_0-F*)((1-b)^2(1-1/n))^t",
        kind: Kind::Exact,
        source: SOURCE,
        domain: DOMAIN,
        digits: Digits::Elementary,
        inputs: &[LAW, N, A, T],
        value: |x| expected_simpson(x.law("p")?, x.count("n")?, x.number("a")?, x.count("t")?),
    },
];
