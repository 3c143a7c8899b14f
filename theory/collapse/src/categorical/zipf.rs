//! N13: how the vocabulary of Zipf's law, and of any law with a tail, shrinks.

use super::given::{LAW, N, T, ZIPF, check_law, check_mass, check_samples, input};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::rates;
use crate::refusal::{Refusal, require};
use crate::special::zeta::zeta;
use statrs::function::gamma::ln_gamma;

/// `E distinct ≈ Γ(1 − 1/s) (n/ζ(s))^{1/s}` among `n` samples of `p_i = i^−s/ζ(s)`.
///
/// *Derivation.* `Σ 1 − e^{−n p_i}` becomes an integral over `i`; substitute `u = n p_i`. The next
/// term is `−1/2` (from the sum) and smaller ones.
///
/// Source: Karlin 1967. Guard: `categorical-zipf`.
///
/// ```
/// use fortifai_collapse::categorical::zipf::distinct;
/// use std::f64::consts::PI;
/// // Γ(1/2) = √π and ζ(2) = π²/6.
/// assert!((distinct(2.0, 1000)? - (6000.0 / PI).sqrt()).abs() < 1e-12);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `s ≤ 1` or `n` is zero.
pub fn distinct(s: f64, n: usize) -> Result<f64, Refusal> {
    check_exponent(s)?;
    check_samples(n)?;
    Ok((ln_gamma(1.0 - 1.0 / s) + (n as f64 / zeta(s)).ln() / s).exp())
}

/// The probability of all unseen tokens: `≈ (1/s) Γ(1 − 1/s) ζ(s)^{−1/s} n^{1/s − 1}`.
///
/// *Derivation.* The derivative of [`distinct`] by `n`. Source: Karlin 1967. Guard:
/// `categorical-zipf`.
///
/// ```
/// use fortifai_collapse::categorical::zipf::missing_mass;
/// use std::f64::consts::PI;
/// // Γ(1/2) = √π and ζ(2) = π²/6.
/// assert!((missing_mass(2.0, 1000)? - (6000.0 / PI).sqrt() / 2000.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `s ≤ 1` or `n` is zero.
pub fn missing_mass(s: f64, n: usize) -> Result<f64, Refusal> {
    Ok(distinct(s, n)? / (s * n as f64))
}

/// [`rates::survival`] of the number of generations that is called `t` here.
pub(crate) fn branching(t: usize) -> Result<f64, Refusal> {
    require((1..=10_000_000).contains(&t), "t", t, "1 ≤ t ≤ 10000000")?;
    rates::survival(t)
}

/// `distinct_t/distinct_1 ≈ g_t^{1/s}` for Zipf's law and `t ≪ n`, with the survival `g_t` of a
/// critical branching process ([`rates::survival`]).
///
/// *Derivation.* A rare token's count is nearly a critical Poisson branching process, so
/// `P(alive) ≈ 1 − e^{−n p g_t}`: the sample seems shrunk to `n g_t`. Source: derived here from
/// Karlin 1967 and arXiv 2412.17646. Guard: `categorical-zipf`.
///
/// ```
/// use fortifai_collapse::categorical::zipf::vocabulary_kept;
/// // g_2 = 1 − 1/e.
/// assert!((vocabulary_kept(2.0, 2)? - (1.0 - (-1.0f64).exp()).sqrt()).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `s ≤ 1` or `t` outside `1..=10⁷`.
pub fn vocabulary_kept(s: f64, t: usize) -> Result<f64, Refusal> {
    check_exponent(s)?;
    Ok(branching(t)?.powf(1.0 / s))
}

/// [`vocabulary_kept`] with `g_t ≈ 2/t`: the vocabulary shrinks as `t^{−1/s}`.
///
/// *Derivation.* `1/g_{t+1} ≈ 1/g_t + 1/2`. Source, guard: as [`vocabulary_kept`].
///
/// ```
/// use fortifai_collapse::categorical::zipf::vocabulary_kept_late;
/// // √(2/200).
/// assert!((vocabulary_kept_late(2.0, 200)? - 0.1).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `s ≤ 1` or `t` is zero.
pub fn vocabulary_kept_late(s: f64, t: usize) -> Result<f64, Refusal> {
    check_exponent(s)?;
    require(t >= 1, "t", t, "t ≥ 1")?;
    Ok((2.0 / t as f64).powf(1.0 / s))
}

/// `P(alive at t) ≈ 1 − e^{−n p g_t}` of a token of mass `p`, for any `n`.
///
/// *Error.* At `t = 1` the law `(1 − p)^n` of absence is replaced by `e^{−np}`: at most `p/4` off
/// in probability (`n p² e^{−np}/2` to leading order). Later the binomial's smaller variance adds
/// about `p t`-fold of that; exact values ([`super::vocabulary::extinct_by`]) are within
/// `p t/2` in all cases tested. Guard: `categorical-zipf`.
///
/// ```
/// use fortifai_collapse::categorical::zipf::survival;
/// // One is expected: a Poisson count is positive.
/// assert!((survival(0.01, 100, 1)? - (1.0 - (-1.0f64).exp())).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no probability, `n` is zero, or `t` outside `1..=10⁷`.
pub fn survival(p: f64, n: usize, t: usize) -> Result<f64, Refusal> {
    check_mass("p", p)?;
    check_samples(n)?;
    Ok(-(-(n as f64) * p * branching(t)?).exp_m1())
}

/// `E distinct_t ≈ Σ 1 − e^{−n p_i g_t}` for any law and `t ≪ n`.
///
/// *Derivation, error.* [`survival`], summed over the tokens. Guard: as there, token by token.
///
/// ```
/// use fortifai_collapse::categorical::zipf::survivors;
/// // Two of each are expected: Poisson counts are positive.
/// assert!((survivors(&[0.5, 0.5], 4, 1)? - 2.0 * (1.0 - (-2.0f64).exp())).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`survival`], or if `p` is no law.
pub fn survivors(p: &[f64], n: usize, t: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    check_samples(n)?;
    let reach = n as f64 * branching(t)?;
    Ok(p.iter().map(|&p| -(-reach * p).exp_m1()).sum())
}

fn check_exponent(s: f64) -> Result<(), Refusal> {
    require(s > 1.0 && s.is_finite(), "s", s, "1 < s < ∞")
}

const MANY: Input = input("n", "samples per generation", "1000000");

/// The entries of N13.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "N13",
        name: "distinct tokens among n samples of Zipf's law",
        formula: "Karlin distinct",
        kind: Kind::Asymptotic,
        source: "Karlin 1967; Gamma(1-1/s)(n/zeta(s))^(1/s)",
        domain: "s > 1, n ≫ 1",
        digits: Digits::Special,
        inputs: &[ZIPF, MANY],
        value: |x| distinct(x.number("s")?, x.count("n")?),
    },
    Entry {
        id: "N13",
        name: "probability that n samples of Zipf's law leave unseen",
        formula: "Zipf missing mass",
        kind: Kind::Asymptotic,
        source: "Karlin 1967; (1/s)Gamma(1-1/s)zeta(s)^(-1/s) n^(1/s-1)",
        domain: "s > 1, n ≫ 1",
        digits: Digits::Special,
        inputs: &[ZIPF, MANY],
        value: |x| missing_mass(x.number("s")?, x.count("n")?),
    },
    Entry {
        id: "N13",
        name: "share of the first generation's vocabulary alive at t, Zipf's law",
        formula: "distinct_t/distinct_1 ~ g_t^(1/s)",
        kind: Kind::Asymptotic,
        source: "derived here from Karlin 1967 and arXiv 2412.17646",
        domain: "s > 1, 1 ≤ t ≪ n",
        digits: Digits::Elementary,
        inputs: &[ZIPF, T],
        value: |x| vocabulary_kept(x.number("s")?, x.count("t")?),
    },
    Entry {
        id: "N13",
        name: "share of the first generation's vocabulary alive late, Zipf's law",
        formula: "distinct_t/distinct_1 ~ (2/t)^(1/s)",
        kind: Kind::Asymptotic,
        source: "derived here from Karlin 1967 and arXiv 2412.17646",
        domain: "s > 1, 1 ≪ t ≪ n",
        digits: Digits::Elementary,
        inputs: &[ZIPF, T],
        value: |x| vocabulary_kept_late(x.number("s")?, x.count("t")?),
    },
    Entry {
        id: "N13",
        name: "tokens alive at generation t, any law, in the branching limit",
        formula: "E distinct_t ~ sum 1-exp(-n p_i g_t)",
        kind: Kind::Asymptotic,
        source: "derived here from arXiv 2412.17646",
        domain: "1 ≤ t ≪ n",
        digits: Digits::Elementary,
        inputs: &[LAW, N, T],
        value: |x| survivors(x.law("p")?, x.count("n")?, x.count("t")?),
    },
];
