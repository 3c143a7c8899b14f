//! A categorical law that is fitted to its own samples (the Wright–Fisher chain).
//!
//! With `n` tokens per generation and the counts divided by `n` as the next law, each token's
//! count is a Markov chain on `0..=n` with the rows `Binomial(n, i/n)`, and merging tokens gives
//! such a chain again. The closed forms are for replaced data unless they say otherwise.

use crate::prediction::Kind;
use crate::protocol::{Protocol, variance_kept};
use crate::stated::Stated;
use fortifai_stream::Stream;

/// A law on the tokens `0..K`.
#[derive(Clone, Debug, PartialEq)]
pub struct Categorical {
    /// The probability of each token.
    pub probabilities: Vec<f64>,
}

impl Categorical {
    /// The law with the given probabilities.
    ///
    /// # Panics
    /// If one is negative or their sum is not 1 within 1e-9.
    pub fn new(probabilities: &[f64]) -> Self {
        let total: f64 = probabilities.iter().sum();
        assert!((total - 1.0).abs() <= 1e-9, "Categorical::new: probabilities sum to {total}");
        assert!(
            probabilities.iter().all(|&p| p >= 0.0),
            "Categorical::new: a negative probability"
        );
        Self { probabilities: probabilities.to_vec() }
    }

    /// The maximum-likelihood law `counts/Σ counts`.
    ///
    /// # Panics
    /// If every count is zero.
    pub fn fit(counts: &[usize]) -> Self {
        let total: usize = counts.iter().sum();
        assert!(total > 0, "Categorical::fit: no samples");
        Self { probabilities: counts.iter().map(|&c| c as f64 / total as f64).collect() }
    }

    /// How often each token occurs among `n` samples.
    pub fn sample(&self, n: usize, stream: &mut Stream) -> Vec<usize> {
        let mut counts = vec![0; self.probabilities.len()];
        for _ in 0..n {
            counts[stream.categorical(&self.probabilities)] += 1;
        }
        counts
    }

    /// `1 − Σ p²`, the probability that two samples differ.
    pub fn heterozygosity(&self) -> f64 {
        1.0 - self.probabilities.iter().map(|p| p * p).sum::<f64>()
    }

    /// The number of tokens that can still occur.
    pub fn survivors(&self) -> usize {
        self.probabilities.iter().filter(|&&p| p > 0.0).count()
    }
}

/// Generations `0..=generations` of `n` tokens each, the first of them the truth. The random
/// numbers of generation `k` are the stream `(seed, "categorical", k, item)`.
pub fn chain(
    truth: &Categorical,
    n: usize,
    generations: usize,
    protocol: Protocol,
    seed: u64,
    item: u64,
) -> Vec<Categorical> {
    let mut models = vec![truth.clone()];
    let mut pool = vec![0; truth.probabilities.len()];
    for generation in 1..=generations {
        let mut stream = Stream::new(seed, "categorical", generation as u64, item);
        let counts = models[generation - 1].sample(n, &mut stream);
        if protocol == Protocol::Replace {
            pool.fill(0);
        }
        pool.iter_mut().zip(counts).for_each(|(pool, count)| *pool += count);
        models.push(Categorical::fit(&pool));
    }
    models
}

/// `E H_t = H_0 Π_k (1 − n_k/N_k²)`, which is `H_0 (1 − 1/n)^t` for replaced data.
///
/// Proved: `replace_decay` in `theory/proofs/recursion.v`.
/// Proved: `one_step_variance` in `theory/proofs/recursion.v`.
/// Proved: `accumulate_decay` in `theory/proofs/accumulate.v`.
pub fn expected_heterozygosity(
    truth: &Categorical,
    n: usize,
    generations: usize,
    protocol: Protocol,
) -> Stated {
    let kept = variance_kept(&protocol.blocks(n, generations)).value;
    exact(
        "N1 expected heterozygosity",
        "E H_t = H_0 Π_k (1 − n_k/N_k²); replaced: H_0 (1 − 1/n)^t",
        truth.heterozygosity() * kept,
        "arXiv 2404.05090 for replaced data",
    )
}

/// `E|p_t − p_0|² = H_0 − E H_t`.
pub fn expected_displacement(
    truth: &Categorical,
    n: usize,
    generations: usize,
    protocol: Protocol,
) -> Stated {
    let left = expected_heterozygosity(truth, n, generations, protocol).value;
    exact(
        "N1 expected squared displacement",
        "E|p_t − p_0|² = H_0 − E H_t",
        truth.heterozygosity() - left,
        "total-variance conservation",
    )
}

/// `λ_r = n(n−1)…(n−r+1)/n^r`, the `r`-th eigenvalue of the chain.
pub fn eigenvalue(n: usize, r: usize) -> Stated {
    let value = (0..r).fold(1.0, |product, i| product * (n as f64 - i as f64) / n as f64);
    exact("N2 eigenvalue", "λ_r = n(n−1)…(n−r+1)/n^r", value.max(0.0), "Feller")
}

/// `E Π_{i∈S} p_i(t) = λ_{|S|}^t Π_{i∈S} p_i(0)` for distinct tokens `S`.
pub fn expected_product(
    truth: &Categorical,
    tokens: &[usize],
    n: usize,
    generations: usize,
) -> Stated {
    let start: f64 = tokens.iter().map(|&i| truth.probabilities[i]).product();
    exact(
        "N2 expected product of distinct tokens",
        "E Π p_i(t) = λ_|S|^t Π p_i(0)",
        start * eigenvalue(n, tokens.len()).value.powi(generations as i32),
        "factorial moments of the multinomial",
    )
}

/// The expected number of distinct tokens among `n` samples, `Σ 1 − (1 − p_i)^n`.
pub fn expected_distinct(truth: &Categorical, n: usize) -> Stated {
    let value = truth.probabilities.iter().map(|&p| 1.0 - missed(p, n)).sum();
    exact("N3 expected distinct tokens", "Σ 1 − (1−p_i)^n", value, "linearity of expectation")
}

/// The variance of the number of distinct tokens among `n` samples,
/// `Σ q_i(1 − q_i) + Σ_{i≠j} [(1 − p_i − p_j)^n − q_i q_j]` with `q_i = (1 − p_i)^n`.
pub fn variance_of_distinct(truth: &Categorical, n: usize) -> Stated {
    exact(
        "N3 variance of the distinct tokens",
        "Σ q_i(1−q_i) + Σ_{i≠j} (1−p_i−p_j)^n − q_i q_j, q_i = (1−p_i)^n",
        absence_variance(truth, |p| missed(p, n)),
        "pairwise absence",
    )
}

/// The expected probability of the tokens that `n` samples miss, `Σ p_i (1 − p_i)^n`.
pub fn expected_missing_mass(truth: &Categorical, n: usize) -> Stated {
    let value = truth.probabilities.iter().map(|&p| p * missed(p, n)).sum();
    exact("N3 expected missing mass", "Σ p_i (1−p_i)^n", value, "linearity of expectation")
}

/// The probability that a token of initial mass `p` is extinct by generation `generations ≥ 1`:
/// the entry 0 of `Bin(n, p) P^{t−1}` on `n + 1` states.
///
/// # Panics
/// As [`count_law`].
pub fn extinct_by(p: f64, n: usize, generations: usize) -> Stated {
    exact(
        "N4 probability of extinction",
        "P(extinct by t) = [Bin(n, p) P^(t−1)]_0",
        count_law(p, n, generations)[0],
        "lumped Wright–Fisher chain",
    )
}

/// The expected number of tokens alive after `generations ≥ 1`.
pub fn expected_survivors(truth: &Categorical, n: usize, generations: usize) -> Stated {
    let alive = |&p: &f64| 1.0 - extinct_by(p, n, generations).value;
    exact(
        "N4 expected surviving tokens",
        "Σ_i 1 − P(i extinct by t)",
        truth.probabilities.iter().map(alive).sum(),
        "lumped Wright–Fisher chain",
    )
}

/// The variance of the number of tokens alive after `generations ≥ 1`.
pub fn variance_of_survivors(truth: &Categorical, n: usize, generations: usize) -> Stated {
    exact(
        "N4 variance of the surviving tokens",
        "Σ_ij ext(p_i + p_j) − ext(p_i) ext(p_j), diagonal ext(p_i)(1 − ext(p_i))",
        absence_variance(truth, |p| extinct_by(p, n, generations).value),
        "lumped Wright–Fisher chain",
    )
}

/// The law of the count of a token of initial mass `p` after `generations ≥ 1` generations of `n`.
///
/// # Panics
/// If `p` is outside `[0, 1]`, `generations` is 0, or `n` exceeds 1000 (beyond which the binomial
/// recursion would underflow).
pub fn count_law(p: f64, n: usize, generations: usize) -> Vec<f64> {
    assert!((0.0..=1.0).contains(&p), "count_law: the mass {p} is outside [0, 1]");
    assert!(generations > 0, "count_law: generations are counted from 1");
    assert!(n <= 1000, "count_law: {n} samples per generation, at most 1000");
    let rows: Vec<Vec<f64>> = (0..=n).map(|i| binomial(n, i as f64 / n as f64)).collect();
    let mut law = binomial(n, p);
    for _ in 1..generations {
        let mut next = vec![0.0; n + 1];
        for (mass, row) in law.iter().zip(&rows) {
            next.iter_mut().zip(row).for_each(|(next, p)| *next += mass * p);
        }
        law = next;
    }
    law
}

/// What Truncated Cross Entropy learns from a categorical law.
#[derive(Clone, Debug, PartialEq)]
pub struct CappedFit {
    /// The learnt law `q_j = min(γ, p_j/M)`.
    pub law: Categorical,
    /// The share `M` of tokens that are kept at the end of training.
    pub kept: f64,
}

/// The law that gradient flow on TCE reaches from data with law `data`: the minimiser of the cross
/// entropy under `max q ≤ γ`, by water-filling. With the capped set `S` of mass `P_S`,
/// `q_j = γ` on `S`, `q_j = p_j/M` elsewhere, and `M = (1 − P_S)/(1 − |S|γ)`.
///
/// `None` where the support is too small to hold the mass, `K_supp·γ < 1`: training then freezes
/// with mass left on unseen tokens, and the end depends on the start.
///
/// Derived from arXiv 2509.08972; the mask carries no derivative, and masked tokens are
/// pushed down by the others.
///
/// # Panics
/// If `gamma` is outside `(0, 1]`.
pub fn capped_fit(data: &Categorical, gamma: f64) -> Option<CappedFit> {
    assert!(gamma > 0.0 && gamma <= 1.0, "capped_fit: the threshold {gamma} is outside (0, 1]");
    let p = &data.probabilities;
    let support = data.survivors();
    // A support of exactly 1/γ tokens must not fail by a rounding.
    if support as f64 * gamma < 1.0 - 4.0 * f64::EPSILON {
        return None;
    }
    let mut order: Vec<usize> = (0..p.len()).filter(|&i| p[i] > 0.0).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    // Cap the largest until the rest, scaled to the mass that is left, stays below γ.
    let mut capped = 0;
    let mut rest: f64 = order.iter().map(|&i| p[i]).sum();
    let mut room = 1.0;
    while capped < support && p[order[capped]] * room > gamma * rest {
        capped += 1;
        rest = order[capped..].iter().map(|&i| p[i]).sum();
        room = 1.0 - capped as f64 * gamma;
    }
    let mut q = vec![0.0; p.len()];
    order[..capped].iter().for_each(|&i| q[i] = gamma);
    order[capped..].iter().for_each(|&i| q[i] = p[i] * room / rest);
    let kept = if capped == support { 0.0 } else { rest / room };
    Some(CappedFit { law: Categorical { probabilities: q }, kept })
}

/// The binomial law of `n` draws by the recursion `f(j+1) = f(j)·(n−j)/(j+1)·p/(1−p)`, started at
/// the likelier end.
fn binomial(n: usize, p: f64) -> Vec<f64> {
    if p > 0.5 {
        let mut mirrored = binomial(n, 1.0 - p);
        mirrored.reverse();
        return mirrored;
    }
    let odds = p / (1.0 - p);
    let mut law = vec![(1.0 - p).powi(n as i32)];
    for j in 0..n {
        law.push(law[j] * (n - j) as f64 / (j + 1) as f64 * odds);
    }
    law
}

/// `(1 − p)^n`, where rounding may have brought a sum of probabilities above 1.
fn missed(p: f64, n: usize) -> f64 {
    (1.0 - p).max(0.0).powi(n as i32)
}

/// The variance of the number of tokens present, given the probability that a set of mass `p` is
/// absent altogether.
fn absence_variance(truth: &Categorical, absent: impl Fn(f64) -> f64) -> f64 {
    let p = &truth.probabilities;
    let q: Vec<f64> = p.iter().map(|&p| absent(p)).collect();
    let mut variance = 0.0;
    for i in 0..p.len() {
        variance += q[i] * (1.0 - q[i]);
        for j in 0..i {
            variance += 2.0 * (absent((p[i] + p[j]).min(1.0)) - q[i] * q[j]);
        }
    }
    variance
}

fn exact(name: &'static str, formula: &'static str, value: f64, source: &'static str) -> Stated {
    Stated { name, formula, value, kind: Kind::Exact, source }
}

#[cfg(test)]
mod tests;
