//! N15: how far one generation's law is from the law it was drawn from.

use super::entropy::surprise;
use super::given::{K, LAW, N, check_law, check_samples};
use crate::binomial::mass_near_the_mode;
use crate::prediction::{Digits, Entry, Kind};
use crate::refusal::{Refusal, require};

/// `E Σ (p̂ − p)²/p = (K − 1)/n`, for any law on `K` tokens of positive probability.
///
/// *Derivation.* `Var p̂_i = p_i (1 − p_i)/n`. Guard: `categorical-one-step`.
///
/// ```
/// use fortifai_collapse::categorical::one_step::expected_chi_square;
/// // One of two equal tokens: (1/4)/(1/2), twice.
/// assert!((expected_chi_square(2, 1)? - 1.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `k` or `n` is zero.
pub fn expected_chi_square(k: usize, n: usize) -> Result<f64, Refusal> {
    check_samples(n)?;
    require(k >= 1, "K", k, "K ≥ 1")?;
    Ok((k - 1) as f64 / n as f64)
}

/// `E TV(p̂, p) = Σ E|X_i − n p_i|/(2n)`, `X_i` the count of token `i`.
///
/// *Derivation.* De Moivre: `E|X − np| = 2 (m + 1)(1 − p) P(X = m + 1)` with `m = ⌊np⌋`, by
/// telescoping `k P(k)`; the same as `2 n C(n−1, m) p^{m+1} (1−p)^{n−m}`.
///
/// Domain: any `n`, at a cost of `√n` per token. Source: de Moivre 1730. Guard:
/// `categorical-one-step`.
///
/// ```
/// // One sample of two equal tokens is off by a half.
/// let tv = fortifai_collapse::categorical::one_step::expected_total_variation(&[0.5, 0.5], 1)?;
/// assert!((tv - 0.5).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `n` is zero.
pub fn expected_total_variation(p: &[f64], n: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    check_samples(n)?;
    Ok(p.iter().map(|&p| mean_deviation(n, p)).sum::<f64>() / (2.0 * n as f64))
}

/// [`expected_total_variation`] of the uniform law on `k` tokens.
///
/// Derivation, source, guard: as there.
///
/// ```
/// use fortifai_collapse::categorical::one_step::expected_total_variation_uniform;
/// // One of four tokens misses the mass of three.
/// assert!((expected_total_variation_uniform(4, 1)? - 0.75).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `k` or `n` is zero.
pub fn expected_total_variation_uniform(k: usize, n: usize) -> Result<f64, Refusal> {
    check_samples(n)?;
    require(k >= 1, "K", k, "K ≥ 1")?;
    Ok(k as f64 * mean_deviation(n, 1.0 / k as f64) / (2.0 * n as f64))
}

/// `E H(p̂) ≈ H − (K − 1)/(2n) + (1 − Σ 1/p)/(12n²)`.
///
/// *Derivation.* Taylor expansion of `−x ln x` about each `p`, with the central moments of the
/// binomial. The next term is of order `Σ p^{−2}/n³`. Source: Miller 1955; Harris 1975. Guard:
/// `categorical-one-step`.
///
/// ```
/// use fortifai_collapse::categorical::{entropy, one_step};
/// // Beside the exact sum over counts; the next term is below Σ p⁻²/n³ = 8e-6.
/// let exact = entropy::expected_entropy(&[0.5, 0.5], 100, 1)?;
/// assert!((one_step::expected_entropy(&[0.5, 0.5], 100)? - exact).abs() < 1e-6);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `n` is zero.
pub fn expected_entropy(p: &[f64], n: usize) -> Result<f64, Refusal> {
    Ok(p.iter().map(|&p| surprise(p)).sum::<f64>() - expected_divergence(p, n)?)
}

/// `E KL(p̂‖p) ≈ (K − 1)/(2n) − (1 − Σ 1/p)/(12n²)`, over the tokens of positive probability.
///
/// *Derivation.* `KL = Σ p̂ ln p̂ − Σ p̂ ln p`, and `E p̂ = p`: what the entropy loses. Source, guard:
/// as [`expected_entropy`].
///
/// ```
/// use fortifai_collapse::categorical::one_step::expected_divergence;
/// // 1/200 + 3/120000; mpmath's sum over counts: 0.005025342…
/// assert!((expected_divergence(&[0.5, 0.5], 100)? - 0.005_025).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `n` is zero.
pub fn expected_divergence(p: &[f64], n: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    check_samples(n)?;
    let size = n as f64;
    let (mut k, mut inverse) = (0.0, 0.0);
    for &p in p.iter().filter(|&&p| p > 0.0) {
        k += 1.0;
        inverse += 1.0 / p;
    }
    Ok((k - 1.0) / (2.0 * size) + (inverse - 1.0) / (12.0 * size * size))
}

/// `E|X − np|` for `X ~ Binomial(n, p)`.
fn mean_deviation(n: usize, p: f64) -> f64 {
    let below = (n as f64 * p).floor() as usize;
    if below >= n {
        return 0.0;
    }
    2.0 * (below + 1) as f64 * (1.0 - p) * mass_near_the_mode(n, p, below + 1)
}

/// The entries of N15.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "N15",
        name: "expected total variation from the law sampled, uniform law",
        formula: "one-step E TV (de Moivre), uniform K=4",
        kind: Kind::Exact,
        source: "de Moivre 1730",
        domain: "any K ≥ 1, n ≥ 1",
        digits: Digits::Special,
        inputs: &[N, K],
        value: |x| expected_total_variation_uniform(x.count("K")?, x.count("n")?),
    },
    Entry {
        id: "N15",
        name: "expected total variation from the law sampled",
        formula: "one-step E TV(phat,p)",
        kind: Kind::Exact,
        source: "de Moivre 1730",
        domain: "n ≥ 1",
        digits: Digits::Special,
        inputs: &[LAW, N],
        value: |x| expected_total_variation(x.law("p")?, x.count("n")?),
    },
    Entry {
        id: "N15",
        name: "expected chi-square distance from the law sampled",
        formula: "one-step E sum(phat-p)^2/p=(K-1)/n",
        kind: Kind::Exact,
        source: "variances of the multinomial",
        domain: "K tokens of positive probability, n ≥ 1",
        digits: Digits::Elementary,
        inputs: &[K, N],
        value: |x| expected_chi_square(x.count("K")?, x.count("n")?),
    },
    Entry {
        id: "N15",
        name: "expected entropy of the sample (nats)",
        formula: "one-step E entropy ~ H-(K-1)/(2n)+(1-sum 1/p)/(12n^2)",
        kind: Kind::Asymptotic,
        source: "Miller 1955; Harris 1975",
        domain: "n min p ≫ 1",
        digits: Digits::Elementary,
        inputs: &[LAW, N],
        value: |x| expected_entropy(x.law("p")?, x.count("n")?),
    },
    Entry {
        id: "N15",
        name: "expected divergence from the law sampled (nats)",
        formula: "one-step E KL(phat||p) ~ (K-1)/(2n)-(1-sum 1/p)/(12n^2)",
        kind: Kind::Asymptotic,
        source: "Miller 1955; Harris 1975",
        domain: "n min p ≫ 1",
        digits: Digits::Elementary,
        inputs: &[LAW, N],
        value: |x| expected_divergence(x.law("p")?, x.count("n")?),
    },
];
