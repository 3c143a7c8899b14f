//! A categorical law that is fitted to its own samples (the Wright–Fisher chain).
//!
//! With `n` tokens per generation and the counts divided by `n` as the next law, each token's
//! count is a Markov chain on `0..=n` with the rows `Binomial(n, i/n)`, and merging tokens gives
//! such a chain again. The closed forms are for replaced data unless they say otherwise.

use crate::prediction::{Kind, Prediction};
use crate::protocol::{Protocol, variance_kept};
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
pub fn expected_heterozygosity(
    truth: &Categorical,
    n: usize,
    generations: usize,
    protocol: Protocol,
) -> Prediction {
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
) -> Prediction {
    let left = expected_heterozygosity(truth, n, generations, protocol).value;
    exact(
        "N1 expected squared displacement",
        "E|p_t − p_0|² = H_0 − E H_t",
        truth.heterozygosity() - left,
        "total-variance conservation",
    )
}

/// `λ_r = n(n−1)…(n−r+1)/n^r`, the `r`-th eigenvalue of the chain.
pub fn eigenvalue(n: usize, r: usize) -> Prediction {
    let value = (0..r).fold(1.0, |product, i| product * (n as f64 - i as f64) / n as f64);
    exact("N2 eigenvalue", "λ_r = n(n−1)…(n−r+1)/n^r", value.max(0.0), "Feller")
}

/// `E Π_{i∈S} p_i(t) = λ_{|S|}^t Π_{i∈S} p_i(0)` for distinct tokens `S`.
pub fn expected_product(
    truth: &Categorical,
    tokens: &[usize],
    n: usize,
    generations: usize,
) -> Prediction {
    let start: f64 = tokens.iter().map(|&i| truth.probabilities[i]).product();
    exact(
        "N2 expected product of distinct tokens",
        "E Π p_i(t) = λ_|S|^t Π p_i(0)",
        start * eigenvalue(n, tokens.len()).value.powi(generations as i32),
        "factorial moments of the multinomial",
    )
}

/// The expected number of distinct tokens among `n` samples, `Σ 1 − (1 − p_i)^n`.
pub fn expected_distinct(truth: &Categorical, n: usize) -> Prediction {
    let value = truth.probabilities.iter().map(|&p| 1.0 - missed(p, n)).sum();
    exact("N3 expected distinct tokens", "Σ 1 − (1−p_i)^n", value, "linearity of expectation")
}

/// The variance of the number of distinct tokens among `n` samples,
/// `Σ q_i(1 − q_i) + Σ_{i≠j} [(1 − p_i − p_j)^n − q_i q_j]` with `q_i = (1 − p_i)^n`.
pub fn variance_of_distinct(truth: &Categorical, n: usize) -> Prediction {
    exact(
        "N3 variance of the distinct tokens",
        "Σ q_i(1−q_i) + Σ_{i≠j} (1−p_i−p_j)^n − q_i q_j, q_i = (1−p_i)^n",
        absence_variance(truth, |p| missed(p, n)),
        "pairwise absence",
    )
}

/// The expected probability of the tokens that `n` samples miss, `Σ p_i (1 − p_i)^n`.
pub fn expected_missing_mass(truth: &Categorical, n: usize) -> Prediction {
    let value = truth.probabilities.iter().map(|&p| p * missed(p, n)).sum();
    exact("N3 expected missing mass", "Σ p_i (1−p_i)^n", value, "linearity of expectation")
}

/// The probability that a token of initial mass `p` is extinct by generation `generations ≥ 1`:
/// the entry 0 of `Bin(n, p) P^{t−1}` on `n + 1` states.
///
/// # Panics
/// As [`count_law`].
pub fn extinct_by(p: f64, n: usize, generations: usize) -> Prediction {
    exact(
        "N4 probability of extinction",
        "P(extinct by t) = [Bin(n, p) P^(t−1)]_0",
        count_law(p, n, generations)[0],
        "lumped Wright–Fisher chain",
    )
}

/// The expected number of tokens alive after `generations ≥ 1`.
pub fn expected_survivors(truth: &Categorical, n: usize, generations: usize) -> Prediction {
    let alive = |&p: &f64| 1.0 - extinct_by(p, n, generations).value;
    exact(
        "N4 expected surviving tokens",
        "Σ_i 1 − P(i extinct by t)",
        truth.probabilities.iter().map(alive).sum(),
        "lumped Wright–Fisher chain",
    )
}

/// The variance of the number of tokens alive after `generations ≥ 1`.
pub fn variance_of_survivors(truth: &Categorical, n: usize, generations: usize) -> Prediction {
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

fn exact(
    name: &'static str,
    formula: &'static str,
    value: f64,
    source: &'static str,
) -> Prediction {
    Prediction { name, formula, value, kind: Kind::Exact, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Z_LIMIT, replicates, z_statistic};
    use quickcheck::quickcheck;

    const SEED: u64 = 20_250_902;
    const LAW: [f64; 5] = [0.5, 0.25, 0.15, 0.07, 0.03];

    #[test]
    fn closed_forms_agree_with_mpmath() {
        let law = Categorical::new(&LAW);
        // Every truth: mpmath, 40 digits, rounded to the nearest f64.
        let half = Categorical::new(&[0.5, 0.5]);
        let heterozygosity = expected_heterozygosity(&half, 12, 7, Protocol::Replace);
        for (prediction, truth) in [
            (heterozygosity, 0.5 * 0.543_851_178_260_388_1),
            (eigenvalue(20, 5), 0.5814),
            (expected_distinct(&law, 12), 3.713_399_091_739_941),
            (expected_missing_mass(&law, 12), 0.079_494_433_542_364_5),
            (extinct_by(0.03, 12, 7), 0.909_067_785_096_14),
            (expected_survivors(&law, 12, 7), 2.132_037_556_644_102),
        ] {
            let error = (prediction.value - truth).abs();
            assert!(error <= 1e-12 * truth.abs(), "{prediction} against {truth}");
        }
    }

    #[test]
    fn the_chain_of_counts_knows_the_moments() {
        // N1 and N2 from the (n+1)-state chain: E x(1−x) = p(1−p)(1−1/n)^t, E x = p.
        let (p, n, t) = (0.3, 20, 6);
        let law = count_law(p, n, t);
        let mean = |f: fn(f64) -> f64| -> f64 {
            law.iter().enumerate().map(|(k, mass)| mass * f(k as f64 / n as f64)).sum()
        };
        assert!((mean(|_| 1.0) - 1.0).abs() <= 1e-13);
        assert!((mean(|x| x) - p).abs() <= 1e-13);
        let product = expected_product(&Categorical::new(&[p, 1.0 - p]), &[0, 1], n, t).value;
        assert!((mean(|x| x * (1.0 - x)) - product).abs() <= 1e-13);
        // One generation: N3 and N4 are the same formula.
        let (law, n) = (Categorical::new(&LAW), 12);
        for (a, b) in [
            (expected_distinct(&law, n), expected_survivors(&law, n, 1)),
            (variance_of_distinct(&law, n), variance_of_survivors(&law, n, 1)),
        ] {
            assert!((a.value - b.value).abs() <= 1e-13, "{a} against {b}");
        }
        // Everyone or no one: no variance.
        let certain = variance_of_survivors(&Categorical::new(&[1.0, 0.0]), 5, 3).value;
        assert!(certain.abs() <= 1e-15, "{certain}");
    }

    #[test]
    fn two_tokens_lose_heterozygosity_at_the_stated_rate() {
        // K = 2, n = 20, t = 10, R = 100,000; the variance of H is exact, from the chain of counts.
        // |z| ≤ 6.5: false alarm 8e-11.
        let truth = Categorical::new(&[0.3, 0.7]);
        for protocol in [Protocol::Replace, Protocol::Accumulate] {
            let values = replicates(100_000, |item| {
                chain(&truth, 20, 10, protocol, SEED, item)[10].heterozygosity()
            });
            let expected = |n, t| expected_heterozygosity(&truth, n, t, protocol).value;
            // H lies in [0, 1/2]; for accumulated data E H² ≤ E H/2 bounds the variance.
            let spread = match protocol {
                Protocol::Replace => {
                    let law = count_law(0.3, 20, 10);
                    let h = |k: usize| 2.0 * (k as f64 / 20.0) * (1.0 - k as f64 / 20.0);
                    let square: f64 = law.iter().enumerate().map(|(k, p)| p * h(k) * h(k)).sum();
                    square - expected(20, 10).powi(2)
                }
                Protocol::Accumulate => 0.5 * expected(20, 10) - expected(20, 10).powi(2),
            };
            let z = |truth: f64| z_statistic(&values, truth, spread).abs();
            assert!(z(expected(20, 10)) <= Z_LIMIT);
            // Power: the other protocol is rejected; so are one generation more and n − 1 samples
            // where the data are replaced.
            let other = match protocol {
                Protocol::Replace => Protocol::Accumulate,
                Protocol::Accumulate => Protocol::Replace,
            };
            assert!(z(expected_heterozygosity(&truth, 20, 10, other).value) > Z_LIMIT);
            if protocol == Protocol::Replace {
                assert!(z(expected(20, 11)) > Z_LIMIT);
                assert!(z(expected(19, 10)) > Z_LIMIT);
            }
        }
    }

    #[test]
    fn products_of_three_tokens_decay_with_the_third_eigenvalue() {
        // 0 ≤ p₁p₂p₃ ≤ 1/27, so its variance is at most E/27: |z| ≤ 6.5 is conservative.
        let truth = Categorical::new(&[0.3, 0.25, 0.25, 0.1, 0.1]);
        let values = replicates(40_000, |item| {
            let end = &chain(&truth, 20, 10, Protocol::Replace, SEED, item)[10];
            end.probabilities[..3].iter().product::<f64>()
        });
        let expected = |t| expected_product(&truth, &[0, 1, 2], 20, t).value;
        let z = |truth: f64| z_statistic(&values, truth, expected(10) / 27.0).abs();
        assert!(z(expected(10)) <= Z_LIMIT);
        assert!(z(expected(11)) > Z_LIMIT);
        let second = 0.3 * 0.25 * 0.25 * eigenvalue(20, 2).value.powi(10);
        assert!(z(second) > Z_LIMIT);
    }

    #[test]
    fn tokens_go_missing_and_die_out_as_predicted() {
        // n = 12, t = 7, R = 40,000: counts of distinct tokens with their exact variances, and a
        // binomial count of extinctions. Four tests, |z| ≤ 6.5 each.
        let truth = Categorical::new(&LAW);
        let runs = replicates(40_000, |item| chain(&truth, 12, 7, Protocol::Replace, SEED, item));
        let survivors =
            |t: usize| -> Vec<f64> { runs.iter().map(|run| run[t].survivors() as f64).collect() };
        for t in [1, 7] {
            let spread = variance_of_survivors(&truth, 12, t).value;
            let z = |truth: f64| z_statistic(&survivors(t), truth, spread).abs();
            assert!(z(expected_survivors(&truth, 12, t).value) <= Z_LIMIT);
            assert!(z(expected_survivors(&truth, 12, t + 1).value) > Z_LIMIT);
            assert!(z(expected_survivors(&truth, 13, t).value) > Z_LIMIT);
        }
        let extinct: Vec<f64> =
            runs.iter().map(|run| f64::from(u8::from(run[7].probabilities[2] == 0.0))).collect();
        let p = extinct_by(0.15, 12, 7).value;
        let z = |truth: f64| z_statistic(&extinct, truth, p * (1.0 - p)).abs();
        assert!(z(p) <= Z_LIMIT);
        assert!(z(extinct_by(0.15, 12, 6).value) > Z_LIMIT);
        let missing: Vec<f64> = runs
            .iter()
            .map(|run| {
                let lost = |(&p, &now): (&f64, &f64)| if now == 0.0 { p } else { 0.0 };
                LAW.iter().zip(&run[1].probabilities).map(lost).sum()
            })
            .collect();
        // The missing mass lies in [0, 1], so its variance is at most E(1 − E).
        let mass = expected_missing_mass(&truth, 12).value;
        assert!(z_statistic(&missing, mass, mass * (1.0 - mass)).abs() <= Z_LIMIT);
        let wrong = expected_missing_mass(&truth, 10).value;
        assert!(z_statistic(&missing, wrong, mass * (1.0 - mass)).abs() > Z_LIMIT);
    }

    #[test]
    fn water_filling_agrees_with_mpmath() {
        // By rational algebra (and mpmath): law, threshold, capped law, masked share 1 − M.
        let cases: [(&[f64], f64, &[f64], f64); 3] = [
            (
                &[0.55, 0.25, 0.1, 0.06, 0.04],
                0.4,
                &[0.4, 1.0 / 3.0, 2.0 / 15.0, 0.08, 0.8 / 15.0],
                0.25,
            ),
            (&[0.5, 0.3, 0.1, 0.06, 0.04], 0.3, &[0.3, 0.3, 0.2, 0.12, 0.08], 0.5),
            (&[0.9, 0.1], 0.8, &[0.8, 0.2], 0.5),
        ];
        for (law, gamma, truth, masked) in cases {
            let fit = capped_fit(&Categorical::new(law), gamma).expect("a large enough support");
            for (q, truth) in fit.law.probabilities.iter().zip(truth) {
                assert!((q - truth).abs() <= 1e-14, "{q} against {truth}");
            }
            assert!((1.0 - fit.kept - masked).abs() <= 1e-14, "{}", fit.kept);
        }
        assert_eq!(capped_fit(&Categorical::new(&[0.5, 0.5, 0.0]), 0.4), None);
        let tight = capped_fit(&Categorical::new(&[0.6, 0.3, 0.1]), 1.0 / 3.0);
        assert_eq!(tight.expect("K γ = 1").law.probabilities, [1.0 / 3.0; 3]);
        let free = capped_fit(&Categorical::new(&LAW), 0.6).expect("nothing is capped");
        assert_eq!((free.law.probabilities.as_slice(), free.kept), (&LAW[..], 1.0));
    }

    #[test]
    fn gradient_descent_on_tce_ends_at_the_capped_law() {
        // Steps of η = 0.01 leave a sliding mode of width O(η): tolerance 2η. Logits move by
        // p_j m_j − M q_j with m_j = [q_j ≤ γ] and M = Σ p m.
        let p = [0.55, 0.25, 0.1, 0.06, 0.04];
        let descend = |gamma: f64| -> Vec<f64> {
            let mut z = [0.0f64; 5];
            let softmax = |z: &[f64; 5]| {
                let e = z.map(f64::exp);
                let total: f64 = e.iter().sum();
                e.map(|e| e / total)
            };
            for _ in 0..60_000 {
                let q = softmax(&z);
                let kept: [f64; 5] =
                    std::array::from_fn(|j| if q[j] <= gamma { p[j] } else { 0.0 });
                let share: f64 = kept.iter().sum();
                (0..5).for_each(|j| z[j] += 0.01 * (kept[j] - share * q[j]));
            }
            softmax(&z).to_vec()
        };
        let off = |gamma: f64, truth: &[f64]| -> f64 {
            descend(gamma).iter().zip(truth).fold(0.0, |worst, (q, t)| (q - t).abs().max(worst))
        };
        let fit = capped_fit(&Categorical::new(&p), 0.4).expect("a large enough support");
        assert!(off(0.4, &fit.law.probabilities) <= 0.02);
        // Power: renormalising min(p, γ) is another law.
        let clipped = p.map(|p| p.min(0.4));
        let total: f64 = clipped.iter().sum();
        assert!(off(0.4, &clipped.map(|q| q / total)) > 0.02);
    }

    quickcheck! {
        fn capped_laws_satisfy_the_optimality_conditions(weights: Vec<u8>, level: u8) -> bool {
            let total: f64 = weights.iter().map(|&w| f64::from(w)).sum();
            if total == 0.0 {
                return true;
            }
            let law: Vec<f64> = weights.iter().map(|&w| f64::from(w) / total).collect();
            let gamma = (f64::from(level) + 1.0) / 256.0;
            let data = Categorical::new(&law);
            let Some(CappedFit { law: fit, kept }) = capped_fit(&data, gamma) else {
                return (data.survivors() as f64) * gamma < 1.0;
            };
            let q = &fit.probabilities;
            let normed = (q.iter().sum::<f64>() - 1.0).abs() <= 1e-12;
            // Uncapped: q = p/M. Capped: q = γ ≤ p/M.
            let optimal = law.iter().zip(q).all(|(&p, &q)| {
                let below = (q * kept - p).abs() <= 1e-12 && q <= gamma * (1.0 + 1e-12);
                let capped = q == gamma && p >= kept * gamma * (1.0 - 1e-12);
                below || capped
            });
            normed && optimal
        }
    }
}
