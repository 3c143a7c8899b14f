//! The predictions that stand beside a simulated decline.

use super::{Claim, NGram, Writing};
use crate::categorical::chain::Chain;
use crate::categorical::entropy::surprise;
use crate::categorical::zipf::branching;
use crate::prediction::Kind;
use crate::refusal::Refusal;
use std::collections::BTreeMap;

/// Contexts up to this size have exact chains; larger ones the branching limit, whose error is of
/// the order of one token's share, `1/256`.
const EXACT_UP_TO: u64 = 256;

/// Counts up to this size have the law of the branching process; larger ones two terms of its
/// expansion, whose error is below `t²/128²` of a token's share.
const COUNTED_UP_TO: usize = 128;

/// What is expected of every generation of a text.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// Vocabulary, entropy, contexts and n-grams of each generation.
    expected: Vec<[f64; 4]>,
}

impl Forecast {
    /// The predictions for a truth whose counts are those of a text.
    ///
    /// # Errors
    /// If there are more than 10⁵ generations.
    pub fn of(truth: &NGram, writing: Writing, generations: usize) -> Result<Self, Refusal> {
        crate::refusal::require(
            generations <= 100_000,
            "generations",
            generations,
            "at most 100000",
        )?;
        let (frame, counts) = (truth.frame(), truth.weights());
        let tokens = frame.token_counts(counts);
        let contexts = frame.context_counts(counts);
        let expected = match writing {
            Writing::Path => {
                let entropies = Entropies::new(&tokens, generations);
                (0..=generations)
                    .map(|t| {
                        Ok([
                            alive(&tokens, t)?,
                            entropies.of(&tokens, |_| t as f64),
                            alive(&contexts, t)?,
                            alive(counts, t)?,
                        ])
                    })
                    .collect::<Result<_, Refusal>>()?
            }
            Writing::Stack => stacked(truth, &tokens, &contexts, generations)?,
        };
        Ok(Self { expected })
    }

    /// Vocabulary, entropy, contexts and n-grams of a generation.
    ///
    /// # Panics
    /// If it is later than those forecast.
    pub fn at(&self, generation: usize) -> [f64; 4] {
        let mut expected = self.expected[generation];
        // The branching limit of a short text may fall below what an entropy can be.
        expected[1] = expected[1].max(0.0);
        expected
    }

    /// What the predictions claim and assume for this truth: rows of at most 256 draws are exact.
    pub fn claims(truth: &NGram, writing: Writing) -> [Claim; 4] {
        let claim =
            |quantity, formula, assumption, kind| Claim { quantity, formula, assumption, kind };
        match writing {
            Writing::Path => {
                let assumption = "every count is a critical Poisson branching process: the \
                                  visits of a path are not clustered";
                [
                    claim("vocabulary", "N13 sum 1-exp(-n_w g_t)", assumption, Kind::Asymptotic),
                    claim("entropy", "N5 in the branching limit", assumption, Kind::Asymptotic),
                    claim("contexts", "N13 sum 1-exp(-n_c g_t)", assumption, Kind::Asymptotic),
                    claim("n-grams", "N13 sum 1-exp(-n_g g_t)", assumption, Kind::Asymptotic),
                ]
            }
            Writing::Stack => {
                let sizes = truth.frame().context_counts(truth.weights());
                let kind = match sizes.iter().all(|&size| size <= EXACT_UP_TO) {
                    true => Kind::Exact,
                    false => Kind::Asymptotic,
                };
                let rows = "contexts are independent chains of fixed size (exact up to 256 \
                            draws, the branching limit beyond)";
                [
                    claim("vocabulary", "N14, N4 sum_w 1-prod_c ext(n_cw/n_c,t)", rows, kind),
                    claim(
                        "entropy",
                        "N14, N5 in the branching limit of the exact variance",
                        "a token's total varies like a branching process of the same variance",
                        Kind::Asymptotic,
                    ),
                    claim("contexts", "N14 all of them", "every context is prompted", Kind::Exact),
                    claim("n-grams", "N14, N4 sum 1-ext(n_cw/n_c,t)", rows, kind),
                ]
            }
        }
    }
}

/// `Σ 1 − e^{−m g_t}` over the counts of a text; at generation 0 those that are not zero.
fn alive(counts: &[u64], t: usize) -> Result<f64, Refusal> {
    if t == 0 {
        return Ok(counts.iter().filter(|&&m| m > 0).count() as f64);
    }
    let g = branching(t)?;
    Ok(counts.iter().map(|&m| -(-(m as f64) * g).exp_m1()).sum())
}

/// Row by row: extinction of every n-gram in its context, and of a token in all of them.
fn stacked(
    truth: &NGram,
    tokens: &[u64],
    contexts: &[u64],
    generations: usize,
) -> Result<Vec<[f64; 4]>, Refusal> {
    let (frame, counts) = (truth.frame(), truth.weights());
    let entropies = Entropies::new(tokens, generations);
    let mut chains: BTreeMap<u64, (Chain, Vec<f64>)> = BTreeMap::new();
    for &size in contexts.iter().filter(|&&size| size > 0 && size <= EXACT_UP_TO) {
        if let std::collections::btree_map::Entry::Vacant(free) = chains.entry(size) {
            let extinct = (0..=size).map(|k| f64::from(u8::from(k == 0))).collect();
            free.insert((Chain::new(size as usize)?, extinct));
        }
    }
    let all_contexts = contexts.iter().filter(|&&size| size > 0).count() as f64;
    let mut expected = Vec::with_capacity(generations + 1);
    for t in 0..=generations {
        let g = if t == 0 { f64::INFINITY } else { branching(t)? };
        let mut gone = vec![1.0; tokens.len()];
        let mut spread = vec![0.0; tokens.len()];
        let mut ngrams = 0.0;
        for (context, &size) in contexts.iter().enumerate() {
            let left = (1.0 - 1.0 / size.max(1) as f64).powi(t as i32);
            for ngram in frame.row(context) {
                let m = counts[ngram];
                let extinct = match chains.get(&size) {
                    Some((_, extinct)) => extinct[m as usize],
                    None => (-(m as f64) * g).exp(),
                };
                ngrams += 1.0 - extinct;
                gone[frame.place(ngram)] *= extinct;
                spread[frame.place(ngram)] += m as f64 * (size - m) as f64 * (1.0 - left);
            }
        }
        let vocabulary = gone.iter().map(|gone| 1.0 - gone).sum();
        let age = |token: usize| spread[token] / tokens[token].max(1) as f64;
        expected.push([vocabulary, entropies.of(tokens, age), all_contexts, ngrams]);
        for (chain, extinct) in chains.values_mut() {
            *extinct = chain.expectation(extinct);
        }
    }
    Ok(expected)
}

/// `E −x ln x` of `x = X_t/L` for a critical Poisson branching process from the count `m`.
struct Entropies {
    total: f64,
    /// For each generation, the expectation from each count up to [`COUNTED_UP_TO`].
    small: Vec<Vec<f64>>,
}

impl Entropies {
    fn new(tokens: &[u64], generations: usize) -> Self {
        let total = tokens.iter().sum::<u64>() as f64;
        let start = COUNTED_UP_TO as f64;
        // Twelve standard deviations beyond the largest start.
        let states = COUNTED_UP_TO + (12.0 * (generations as f64 * start).sqrt()) as usize + 64;
        let states = states.min(4000);
        let mut values: Vec<f64> = (0..states).map(|k| surprise(k as f64 / total)).collect();
        let mut small = vec![values[..=COUNTED_UP_TO].to_vec()];
        for _ in 0..generations {
            values = (0..states).map(|mean| poisson_expectation(mean as f64, &values)).collect();
            small.push(values[..=COUNTED_UP_TO].to_vec());
        }
        Self { total, small }
    }

    /// The entropy of all tokens, each at its own age (in generations, interpolated).
    fn of(&self, tokens: &[u64], age: impl Fn(usize) -> f64) -> f64 {
        let one = |(token, &m): (usize, &u64)| {
            let age = age(token);
            if m as usize <= COUNTED_UP_TO {
                let before = (age as usize).min(self.small.len() - 1);
                let after = (before + 1).min(self.small.len() - 1);
                let share = (age - before as f64).min(1.0);
                let (a, b) = (self.small[before][m as usize], self.small[after][m as usize]);
                return a + share * (b - a);
            }
            let x = m as f64 / self.total;
            surprise(x) - age * (1.0 - x + 1.0 / (6.0 * m as f64)) / (2.0 * self.total)
        };
        tokens.iter().enumerate().map(one).sum()
    }
}

/// `E f(X)` for `X ~ Poisson(mean)` on the states of `f`, outwards from the mode.
fn poisson_expectation(mean: f64, f: &[f64]) -> f64 {
    if mean == 0.0 {
        return f[0];
    }
    let mode = (mean as usize).min(f.len() - 1);
    let (mut total, mut sum) = (1.0, f[mode]);
    let mut weight = 1.0;
    for (k, value) in f.iter().enumerate().skip(mode + 1) {
        weight *= mean / k as f64;
        if weight < 1e-18 {
            break;
        }
        total += weight;
        sum += weight * value;
    }
    let mut weight = 1.0;
    for k in (0..mode).rev() {
        weight *= (k + 1) as f64 / mean;
        if weight < 1e-18 {
            break;
        }
        total += weight;
        sum += weight * f[k];
    }
    sum / total
}
