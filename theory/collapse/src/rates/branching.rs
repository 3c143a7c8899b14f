//! B2: the survival of a critical Poisson branching process.

use crate::gaussian::{entry, input};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::special::digamma_excess;

/// `g_k`: `g_1 = 1`, `g_{k+1} = 1 − exp(−g_k)`, the probability that a critical Poisson branching
/// process is alive after `k` generations if its first one is certain.
///
/// *Computed* as it stands for small `k`, then by the reciprocal `1/g_{k+1} = 1/g_k + ½ + g_k/12 −
/// g_k³/720 + …` with compensated sums, so that the error does not grow with `k`. *Domain:*
/// `1 ≤ k ≤ 10⁷`. *Source:* Suresh et al. (2024, arXiv 2412.17646). *Guard:* `branching-bounds`.
///
/// ```
/// let g = fortifai_collapse::rates::survival(2).expect("k = 2");
/// assert!((g - (1.0 - (-1.0f64).exp())).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn survival(k: usize) -> Result<f64, Refusal> {
    check(k)?;
    Ok(iterate(1.0, k - 1))
}

/// `x ↦ 1 − exp(−x)` applied `times` times.
pub(super) fn iterate(start: f64, times: usize) -> f64 {
    let (mut g, mut left) = (start, times);
    while left > 0 && g > 0.05 {
        g = -(-g).exp_m1();
        left -= 1;
    }
    if left == 0 || g == 0.0 {
        return g;
    }
    // Neumaier's sum of the reciprocal.
    let (mut sum, mut lost) = (1.0 / g, 0.0);
    for _ in 0..left {
        let x = 1.0 / (sum + lost);
        let y = x * x;
        let step = 0.5 + x * (1.0 / 12.0 - y * (1.0 / 720.0 - y * (1.0 / 30_240.0)));
        let next = sum + step;
        lost += (sum - next) + step;
        sum = next;
    }
    1.0 / (sum + lost)
}

/// `g_k ≥ 2/(k + 1 + (H_k − 1)/3)` with the harmonic number `H_k`; equality at `k = 1`.
///
/// *Derivation.* `0 ≤ 1/(1 − e^{−x}) − 1/x − ½ ≤ x/12`; summed over `k` with the upper bound of `g` in
/// the last term. *Domain:* `1 ≤ k ≤ 10⁷`. *Source:* derived here; sharpens Suresh et al.'s `1/k`
/// (2024, arXiv 2412.17646). *Guard:* `branching-bounds`.
///
/// ```
/// assert_eq!(fortifai_collapse::rates::survival_lower(1), Ok(1.0));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn survival_lower(k: usize) -> Result<f64, Refusal> {
    check(k)?;
    let k = k as f64;
    // H_k = ψ(k + 1) + γ.
    let harmonic = digamma_excess(k + 1.0) + (k + 1.0).ln() + EULER;
    Ok(2.0 / (k + 1.0 + (harmonic - 1.0) / 3.0))
}

/// `g_k ≤ 2/(k + 1)`; equality at `k = 1`.
///
/// *Derivation, domain, source, guard:* as [`survival_lower`]; sharpens `3/k`.
///
/// ```
/// assert_eq!(fortifai_collapse::rates::survival_upper(3), Ok(0.5));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn survival_upper(k: usize) -> Result<f64, Refusal> {
    check(k)?;
    Ok(2.0 / (k as f64 + 1.0))
}

/// `g_k ≈ 1/(k/2 + ln(k)/6 + 0.39912)`.
///
/// *Derivation.* The sum of `½ + g_k/12` to leading order; the constant is the numerical limit.
/// *Domain:* `k` large, at most `10⁷`. *Source:* derived here. *Guard:* `branching-bounds`.
///
/// ```
/// use fortifai_collapse::rates::{survival, survival_asymptotic};
/// let (g, about) = (survival(1_000), survival_asymptotic(1_000));
/// assert!((g.expect("k") / about.expect("k") - 1.0).abs() < 1e-5);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn survival_asymptotic(k: usize) -> Result<f64, Refusal> {
    check(k)?;
    let k = k as f64;
    Ok(1.0 / (0.5 * k + k.ln() / 6.0 + 0.399_12))
}

pub(super) fn check(k: usize) -> Result<(), Refusal> {
    require((1..=10_000_000).contains(&k), "k", k, "1 ≤ k ≤ 10000000")
}

/// The Euler–Mascheroni constant.
const EULER: f64 = 0.577_215_664_901_532_9;

pub(super) const K: Input = input("k", "generations", "10");

/// The entries of this section.
pub const ENTRIES: &[Entry] = &[
    Entry {
        source: "Suresh et al. (arXiv 2412.17646)",
        domain: "1 ≤ k ≤ 10000000",
        ..entry("B2", "g_k", "survival of a critical branching process", &[K], |i| {
            survival(i.count("k")?)
        })
    },
    Entry {
        kind: Kind::Bound,
        digits: Digits::Elementary,
        domain: "1 ≤ k ≤ 10000000",
        ..entry("B2", "sharp lower 2/(k+1+(H_k-1)/3)", "lower bound of the survival", &[K], |i| {
            survival_lower(i.count("k")?)
        })
    },
    Entry {
        kind: Kind::Bound,
        domain: "1 ≤ k ≤ 10000000",
        ..entry("B2", "sharp upper 2/(k+1)", "upper bound of the survival", &[K], |i| {
            survival_upper(i.count("k")?)
        })
    },
    Entry {
        kind: Kind::Asymptotic,
        domain: "k large, k ≤ 10000000",
        ..entry("B2", "1/(k/2 + ln(k)/6 + 0.39912)", "survival for large k", &[K], |i| {
            survival_asymptotic(i.count("k")?)
        })
    },
];
