//! N12: sampling at a temperature, tokens in proportion to `p^(1/τ)`.

use super::chain::Chain;
use super::given::{LAW, MASS, N, T, check_law, check_mass, check_samples, input};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

/// The most multiplications of an exact chain: `t n²`.
const MOST_WORK: f64 = 2e10;

/// `p_t` of unlimited samples: in proportion to `p_0^(1/τ^t)`, token by token. With two tokens
/// `logit p_t = logit p_0/τ^t`.
///
/// *Derivation.* Powers compose. Below `τ = 1` the collapse is doubly exponential; above it the
/// law tends to the uniform one on its support. Guard: `categorical-temperature`.
///
/// ```
/// let law = fortifai_collapse::categorical::temperature::unlimited(&[0.8, 0.2], 0.5, 1)?;
/// assert!((law[0] - 16.0 / 17.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `tau` not positive and finite.
pub fn unlimited(p: &[f64], tau: f64, t: usize) -> Result<Vec<f64>, Refusal> {
    check_law("p", p)?;
    check_temperature(tau)?;
    let exponent = (-(t as f64) * tau.ln()).exp();
    let top = p.iter().fold(0.0f64, |top, &p| top.max(p));
    let weight = |&p: &f64| {
        // The largest stays at weight 1 even where the exponent overflows.
        if p == top {
            1.0
        } else if p == 0.0 {
            0.0
        } else {
            (exponent * (p / top).ln()).exp()
        }
    };
    let weights: Vec<f64> = p.iter().map(weight).collect();
    let total: f64 = weights.iter().sum();
    Ok(weights.iter().map(|w| w / total).collect())
}

/// `E 2x(1 − x)` of two tokens after `t` generations of `n` samples drawn at temperature `τ`,
/// exact, from the chain with rows `Binomial(n, s_τ(i/n))`.
///
/// Domain: `n ≤ 2000`, `t n² ≤ 2·10¹⁰`. Source: derived here. Guard: `categorical-temperature`.
///
/// ```
/// use fortifai_collapse::categorical::temperature::expected_heterozygosity;
/// // At τ = 1/2 odds are squared, 16 : 1; two samples keep half of 2 · 16/17².
/// assert!((expected_heterozygosity(0.8, 2, 0.5, 1)? - 16.0 / 289.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no probability, `n` or `tau` outside the domain, or the work too large.
pub fn expected_heterozygosity(p: f64, n: usize, tau: f64, t: usize) -> Result<f64, Refusal> {
    functional(p, n, tau, t, |x| 2.0 * x * (1.0 - x))
}

/// `P(both of two tokens are alive at t)` at temperature `τ`, from the same chain.
///
/// Derivation, domain, source, guard: as [`expected_heterozygosity`].
///
/// ```
/// use fortifai_collapse::categorical::temperature::mixed;
/// // At τ = 1/2 odds are squared, 16 : 1; two samples differ with 2 · 16/17².
/// assert!((mixed(0.8, 2, 0.5, 1)? - 32.0 / 289.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`expected_heterozygosity`].
pub fn mixed(p: f64, n: usize, tau: f64, t: usize) -> Result<f64, Refusal> {
    functional(p, n, tau, t, |x| f64::from(u8::from(x > 0.0 && x < 1.0)))
}

fn functional(
    p: f64,
    n: usize,
    tau: f64,
    t: usize,
    f: impl Fn(f64) -> f64,
) -> Result<f64, Refusal> {
    check_mass("p", p)?;
    check_temperature(tau)?;
    check_samples(n)?;
    if t == 0 {
        return Ok(f(p));
    }
    let work = t as f64 * (n as f64).powi(2);
    require(work <= MOST_WORK, "t n^2", work, "t n^2 ≤ 2e10 (the chain is run)")?;
    let chain = Chain::sampled(n, |x| heated(x, tau))?;
    let values: Vec<f64> = (0..=n).map(|k| f(k as f64 / n as f64)).collect();
    let later = chain.stepped_back(&values, t - 1)?;
    Ok(chain.first_generation(heated(p, tau), &later))
}

/// `x^(1/τ)/(x^(1/τ) + (1−x)^(1/τ))`.
fn heated(x: f64, tau: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return x;
    }
    1.0 / (1.0 + (((-x).ln_1p() - x.ln()) / tau).exp())
}

/// `Var* ≈ (1/(4n))/(1 − τ^−2)` around the even law of two tokens for `τ > 1`, while both live.
///
/// *Derivation.* The map has slope `1/τ` at 1/2 and the draw adds the variance `1/(4n)`. Guard:
/// `categorical-temperature`.
///
/// ```
/// use fortifai_collapse::categorical::temperature::stationary_variance;
/// // (1/400)/(1 − 1/4).
/// assert!((stationary_variance(100, 2.0)? - 1.0 / 300.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `n` is zero or `tau ≤ 1`.
pub fn stationary_variance(n: usize, tau: f64) -> Result<f64, Refusal> {
    check_samples(n)?;
    check_temperature(tau)?;
    require(tau > 1.0, "tau", tau, "tau > 1")?;
    Ok(tau * tau / ((tau - 1.0) * (tau + 1.0)) / (4.0 * n as f64))
}

fn check_temperature(tau: f64) -> Result<(), Refusal> {
    require(tau > 0.0 && tau.is_finite(), "tau", tau, "0 < tau < ∞")
}

const TAU: Input = input("tau", "sampling temperature, 1 is none", "1.3");

/// The entries of N12.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "N12",
        name: "probability of one of two tokens, unlimited samples at a temperature",
        formula: "n=inf: p_t from logit_t=logit_0/tau^t, K=2",
        kind: Kind::Exact,
        source: "derived here",
        domain: "0 ≤ p ≤ 1, tau > 0",
        digits: Digits::Elementary,
        inputs: &[MASS, TAU, T],
        value: |x| {
            let p = x.number("p")?;
            check_mass("p", p)?;
            Ok(unlimited(&[p, 1.0 - p], x.number("tau")?, x.count("t")?)?[0])
        },
    },
    Entry {
        id: "N12",
        name: "largest probability, unlimited samples at a temperature",
        formula: "n=inf: max p_t, p_t ~ p_0^(1/tau^t)",
        kind: Kind::Exact,
        source: "derived here",
        domain: "tau > 0",
        digits: Digits::Elementary,
        inputs: &[LAW, TAU, T],
        value: |x| {
            let law = unlimited(x.law("p")?, x.number("tau")?, x.count("t")?)?;
            Ok(law.iter().fold(0.0f64, |top, &p| top.max(p)))
        },
    },
    Entry {
        id: "N12",
        name: "expected heterozygosity of two tokens at a temperature",
        formula: "E 2x(1-x) at t with temperature, K=2",
        kind: Kind::Exact,
        source: "exact chain of counts",
        domain: "n ≤ 2000, t n^2 ≤ 2e10",
        digits: Digits::Special,
        inputs: &[MASS, N, TAU, T],
        value: |x| {
            let (p, tau) = (x.number("p")?, x.number("tau")?);
            expected_heterozygosity(p, x.count("n")?, tau, x.count("t")?)
        },
    },
    Entry {
        id: "N12",
        name: "probability that two tokens are both alive at a temperature",
        formula: "P(mixed at t) with temperature, K=2",
        kind: Kind::Exact,
        source: "exact chain of counts",
        domain: "n ≤ 2000, t n^2 ≤ 2e10",
        digits: Digits::Special,
        inputs: &[MASS, N, TAU, T],
        value: |x| {
            let (p, tau) = (x.number("p")?, x.number("tau")?);
            mixed(p, x.count("n")?, tau, x.count("t")?)
        },
    },
    Entry {
        id: "N12",
        name: "long-lived variance of two tokens' even law above temperature 1",
        formula: "Var* ~ (1/(4n))/(1-tau^-2)",
        kind: Kind::Asymptotic,
        source: "derived here by linearising at 1/2",
        domain: "n ≫ 1, tau > 1",
        digits: Digits::Elementary,
        inputs: &[N, TAU],
        value: |x| stationary_variance(x.count("n")?, x.number("tau")?),
    },
];
