//! N1, N2: second moments, and products of distinct tokens.

use super::given::remaining;
use super::given::{LAW, MASS, N, T, check_law, check_mass, check_samples, gone, input};
use super::heterozygosity;
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

/// `E H_t / H_0 = (1 − 1/n)^t` for the heterozygosity `H = 1 − Σ p²`.
///
/// *Derivation.* Two samples of a generation have the same parent sample with probability `1/n`;
/// otherwise they are two samples of the generation before.
///
/// Domain: `n ≥ 1`; one sample per generation collapses at once. Source: Wright 1931; Seddik et
/// al. 2024, arXiv 2404.05090. Guard: `categorical-moments`.
///
/// Proved: `replace_decay` in `theory/proofs/recursion.v`.
/// Proved: `one_step_variance` in `theory/proofs/recursion.v`.
///
/// ```
/// let kept = fortifai_collapse::categorical::moments::decay(12, 7)?;
/// assert!((kept - (11.0f64 / 12.0).powi(7)).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `n` is zero.
pub fn decay(n: usize, t: usize) -> Result<f64, Refusal> {
    check_samples(n)?;
    Ok(remaining(1.0 / n as f64, t as f64))
}

/// `E H_t = H_0 (1 − 1/n)^t`.
///
/// Derivation, source, guard: as [`decay`].
///
/// ```
/// use fortifai_collapse::categorical::moments::expected_heterozygosity;
/// // Two samples of two equal tokens differ half of the time, and then H = 1/2.
/// assert!((expected_heterozygosity(&[0.5, 0.5], 2, 1)? - 0.25).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `n` is zero.
pub fn expected_heterozygosity(p: &[f64], n: usize, t: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    Ok(heterozygosity(p) * decay(n, t)?)
}

/// `E|p_t − p_0|² = H_0 [1 − (1 − 1/n)^t]`.
///
/// *Derivation.* `E p_t = p_0`, so the displacement is `E Σp_t² − Σp_0² = H_0 − E H_t`.
///
/// Source: arXiv 2404.05090. Guard: `categorical-moments`.
///
/// ```
/// use fortifai_collapse::categorical::moments::expected_displacement;
/// // One sample moves the even law into a corner, (1/2)² + (1/2)² away.
/// assert!((expected_displacement(&[0.5, 0.5], 1, 1)? - 0.5).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `n` is zero.
pub fn expected_displacement(p: &[f64], n: usize, t: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    check_samples(n)?;
    Ok(heterozygosity(p) * gone(1.0 / n as f64, t as f64))
}

/// `Cov(p_i(t), p_j(t)) = −p_i p_j [1 − (1 − 1/n)^t]` of two different tokens.
///
/// *Derivation.* `E p_i p_j` is multiplied by `1 − 1/n` per generation ([`eigenvalue`] with
/// `r = 2`). Guard: `categorical-moments`.
///
/// ```
/// use fortifai_collapse::categorical::moments::covariance;
/// // One sample: never both tokens, so the covariance is −p_i p_j for ever.
/// assert!((covariance(0.3, 0.2, 1, 5)? - (-0.06)).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If a mass is no probability, both together exceed 1, or `n` is zero.
pub fn covariance(p_i: f64, p_j: f64, n: usize, t: usize) -> Result<f64, Refusal> {
    check_mass("p_i", p_i)?;
    check_mass("p_j", p_j)?;
    require(p_i + p_j <= 1.0 + 1e-9, "p_i + p_j", p_i + p_j, "at most 1")?;
    check_samples(n)?;
    Ok(-p_i * p_j * gone(1.0 / n as f64, t as f64))
}

/// `Var p(t) = p (1 − p) [1 − (1 − 1/n)^t]` of one token.
///
/// *Derivation.* As [`covariance`], with all other tokens merged into one. Guard:
/// `categorical-moments`.
///
/// ```
/// use fortifai_collapse::categorical::moments::variance;
/// // One sample decides: the variance of a coin.
/// assert!((variance(0.3, 1, 1)? - 0.21).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no probability or `n` is zero.
pub fn variance(p: f64, n: usize, t: usize) -> Result<f64, Refusal> {
    check_mass("p", p)?;
    Ok(-covariance(p, 1.0 - p, n, t)?)
}

/// `λ_r = n(n−1)…(n−r+1)/n^r`, the `r`-th eigenvalue of the chain of counts; 0 for `r > n`.
///
/// *Derivation.* The factorial moment `E n_1 … n_r` of distinct tokens among `n` multinomial draws
/// is `n(n−1)…(n−r+1) p_1 … p_r`, so products of distinct tokens are eigenfunctions.
///
/// Domain: `n ≥ 1`, any `r`, at a cost of `min(r, n)` multiplications. Source: Feller 1951; own
/// use. Guard: `categorical-moments`.
///
/// ```
/// use fortifai_collapse::categorical::moments::eigenvalue;
/// // 4·3·2/4³, the probability that three throws of a four-sided die differ.
/// assert!((eigenvalue(4, 3)? - 0.375).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `n` is zero.
pub fn eigenvalue(n: usize, r: usize) -> Result<f64, Refusal> {
    check_samples(n)?;
    if r > n {
        return Ok(0.0);
    }
    let size = n as f64;
    let mut value = 1.0;
    for i in 1..r {
        value *= (n - i) as f64 / size;
        if value == 0.0 {
            break;
        }
    }
    Ok(value)
}

/// `E Π_{i∈S} p_i(t) = λ_|S|^t Π_{i∈S} p_i(0)` for the masses of distinct tokens.
///
/// Source: [`eigenvalue`], iterated. Guard: `categorical-moments`.
///
/// ```
/// use fortifai_collapse::categorical::moments::expected_product;
/// // One token each, 1/2 · 1/2, in 2 · 0.5 · 0.3 of the cases.
/// assert!((expected_product(&[0.5, 0.3], 2, 1)? - 0.075).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If the masses are none, negative, or sum to more than 1, or `n` is zero.
pub fn expected_product(masses: &[f64], n: usize, t: usize) -> Result<f64, Refusal> {
    masses.iter().try_for_each(|&p| check_mass("a mass of S", p))?;
    let total: f64 = masses.iter().sum();
    require(total <= 1.0 + 1e-9, "the sum of the masses", total, "at most 1")?;
    Ok(masses.iter().product::<f64>() * power(eigenvalue(n, masses.len())?, t))
}

/// An upper bound on the probability that at least `r` tokens are alive at `t`:
/// `λ_r^t e_r(p_0) n^r/(n − r + 1)`, with the elementary symmetric polynomial `e_r`.
///
/// *Derivation.* `E e_r(p_t) = λ_r^t e_r(p_0)` is the sum of [`expected_product`] over all sets of
/// `r`. With `m ≥ r` tokens alive, each of mass at least `1/n`, `e_r` is smallest at one large and
/// `m − 1` smallest masses (it falls when two masses are spread), and that value grows with `m`;
/// at `m = r` it is `(n − r + 1)/n^r`. With two tokens the bound is that of
/// [`super::fixation::mixed_at_most`].
///
/// Domain: `1 ≤ r ≤ n`. Source: derived here. Guard: `categorical-vocabulary`.
///
/// ```
/// use fortifai_collapse::categorical::moments::at_least_alive_bound;
/// // Two samples of two equal tokens: attained, both are seen half of the time.
/// assert!((at_least_alive_bound(&[0.5, 0.5], 2, 2, 1)? - 0.5).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `r` is outside `1..=n`.
pub fn at_least_alive_bound(p: &[f64], n: usize, r: usize, t: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    check_samples(n)?;
    require((1..=n).contains(&r), "r", r, &format!("1 ≤ r ≤ n = {n}"))?;
    // e_0 … e_r of n·p, one token at a time: n^r stays inside.
    let mut symmetric = vec![0.0; r + 1];
    symmetric[0] = 1.0;
    for &p in p {
        for degree in (1..=r).rev() {
            symmetric[degree] += symmetric[degree - 1] * p * n as f64;
        }
    }
    let bound = power(eigenvalue(n, r)?, t) * symmetric[r] / (n - r + 1) as f64;
    require(bound.is_finite(), "the bound", bound, "a smaller r (the bound overflows)")?;
    Ok(bound)
}

/// `λ^t` for `0 ≤ λ ≤ 1` and any number of generations.
fn power(lambda: f64, t: usize) -> f64 {
    if t == 0 { 1.0 } else { (t as f64 * lambda.ln()).exp() }
}

const R: Input = input("r", "number of distinct tokens", "3");

/// The entries of N1 and N2.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "N1",
        name: "share of the heterozygosity kept",
        formula: "H_t/H_0=(1-1/n)^t",
        kind: Kind::Exact,
        source: "Wright 1931; Seddik et al. 2024, arXiv 2404.05090",
        domain: "n ≥ 1",
        digits: Digits::Elementary,
        inputs: &[N, T],
        value: |x| decay(x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N1",
        name: "expected heterozygosity",
        formula: "E H_t=H_0 (1-1/n)^t",
        kind: Kind::Exact,
        source: "Wright 1931; Seddik et al. 2024, arXiv 2404.05090",
        domain: "n ≥ 1",
        digits: Digits::Elementary,
        inputs: &[LAW, N, T],
        value: |x| expected_heterozygosity(x.law("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N1",
        name: "expected squared displacement of the law",
        formula: "E|p_t-p_0|^2=H_0 (1-(1-1/n)^t)",
        kind: Kind::Exact,
        source: "Seddik et al. 2024, arXiv 2404.05090",
        domain: "n ≥ 1",
        digits: Digits::Elementary,
        inputs: &[LAW, N, T],
        value: |x| expected_displacement(x.law("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N1",
        name: "variance of a token's probability",
        formula: "Var p_i(t)=p_i(1-p_i)(1-(1-1/n)^t)",
        kind: Kind::Exact,
        source: "Wright 1931",
        domain: "n ≥ 1, 0 ≤ p ≤ 1",
        digits: Digits::Elementary,
        inputs: &[MASS, N, T],
        value: |x| variance(x.number("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N1",
        name: "covariance of two tokens' probabilities",
        formula: "Cov(p_i,p_j)(t)=-p_i p_j (1-(1-1/n)^t)",
        kind: Kind::Exact,
        source: "factorial moments of the multinomial",
        domain: "n ≥ 1, p_i + p_j ≤ 1",
        digits: Digits::Elementary,
        inputs: &[
            input("p_i", "the true probability of one token", "0.3"),
            input("p_j", "the true probability of another", "0.2"),
            N,
            T,
        ],
        value: |x| covariance(x.number("p_i")?, x.number("p_j")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N2",
        name: "eigenvalue of the chain of counts",
        formula: "lambda_r",
        kind: Kind::Exact,
        source: "Feller 1951",
        domain: "n ≥ 1; n(n-1)...(n-r+1)/n^r",
        digits: Digits::Elementary,
        inputs: &[N, R],
        value: |x| eigenvalue(x.count("n")?, x.count("r")?),
    },
    Entry {
        id: "N2",
        name: "expected product of distinct tokens' probabilities",
        formula: "E prod_S p_i(t)=lambda_|S|^t prod_S p_i(0)",
        kind: Kind::Exact,
        source: "factorial moments of the multinomial",
        domain: "n ≥ 1, masses that sum to at most 1",
        digits: Digits::Elementary,
        inputs: &[
            input("p", "the true probabilities of the tokens of S", "[0.3, 0.25, 0.2]"),
            N,
            T,
        ],
        value: |x| expected_product(x.list("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N2",
        name: "bound on the probability that at least r tokens are alive",
        formula: "P(at least r alive at t) <= lambda_r^t e_r(p_0) n^r/(n-r+1)",
        kind: Kind::Bound,
        source: "derived here from the eigenvalues",
        domain: "1 ≤ r ≤ n",
        digits: Digits::Elementary,
        inputs: &[LAW, N, R, T],
        value: |x| at_least_alive_bound(x.law("p")?, x.count("n")?, x.count("r")?, x.count("t")?),
    },
];
