//! One row of logits becomes one token.

use super::penalty::Penalty;
use super::top_p::keep_nucleus;
use crate::Stream;
use crate::config::DecodeConfig;
use crate::cpu::Real;

/// Weights summed together before the search for the drawn token.
const BLOCK: usize = 16;

/// Picks tokens under fixed settings; holds the buffers, so that a pick allocates nothing.
///
/// Order: repetition penalty, barred token, temperature, top-k, top-p, draw. Greedy picks stop
/// after the second.
pub struct Picker<N> {
    sample: bool,
    temperature: N,
    top_k: usize,
    top_p: f64,
    penalty: Penalty,
    scores: Vec<N>,
    weights: Vec<N>,
    sorted: Vec<N>,
    left: Vec<(N, u32)>,
    sums: Vec<f64>,
}

impl<N: Real> Picker<N> {
    /// A picker for rows of `vocab` logits.
    pub fn new(config: &DecodeConfig, vocab: usize) -> Self {
        Self {
            sample: config.sample,
            temperature: N::of(config.temperature),
            top_k: if config.top_k < vocab { config.top_k } else { 0 },
            top_p: config.top_p,
            penalty: Penalty::new(config.repetition_penalty, vocab),
            scores: Vec::with_capacity(vocab),
            weights: Vec::with_capacity(vocab),
            sorted: Vec::with_capacity(vocab),
            left: Vec::with_capacity(vocab),
            sums: Vec::with_capacity(vocab.div_ceil(BLOCK)),
        }
    }

    /// The next token, or `None` if no finite logit is left or one is NaN or plus infinity.
    ///
    /// `present` are the tokens of the prompt and those generated, `barred` may not be picked.
    /// Greedy: the first of the largest, no random number. Sampling: exactly one uniform number.
    pub fn pick(
        &mut self,
        logits: &[N],
        present: impl Iterator<Item = u32>,
        barred: Option<u32>,
        stream: &mut Stream,
    ) -> Option<u32> {
        let scores = if barred.is_some() || self.penalty.is_on() {
            self.scores.clear();
            self.scores.extend_from_slice(logits);
            self.penalty.apply(&mut self.scores, present);
            if let Some(token) = barred {
                self.scores[token as usize] = N::NEG_INFINITY;
            }
            self.scores.as_slice()
        } else {
            logits
        };
        let max = finite_max(scores)?;
        if !self.sample {
            return scores.iter().position(|score| *score == max).map(|token| token as u32);
        }
        let scale = N::one() / self.temperature;
        self.weights.clear();
        self.weights.extend(scores.iter().map(|score| ((*score - max) * scale).exp()));
        if self.top_k > 0 {
            self.keep_best();
        }
        if self.top_p < 1.0 {
            keep_nucleus(&mut self.weights, &mut self.left, self.top_p);
        }
        Some(draw(&self.weights, &mut self.sums, stream.uniform()) as u32)
    }

    /// Sets to zero the weights below the k-th largest; ties with it stay, as in transformers.
    fn keep_best(&mut self) {
        self.sorted.clear();
        self.sorted.extend_from_slice(&self.weights);
        let descending = |a: &N, b: &N| b.wide().total_cmp(&a.wide());
        let (_, &mut least, _) = self.sorted.select_nth_unstable_by(self.top_k - 1, descending);
        for weight in &mut self.weights {
            if *weight < least {
                *weight = N::zero();
            }
        }
    }
}

/// The largest score; `None` if any is NaN or plus infinity or if all are minus infinity.
///
/// Eight lanes, so that it becomes SIMD code; the result does not depend on the order.
pub(super) fn finite_max<N: Real>(scores: &[N]) -> Option<N> {
    let mut lanes = [N::NEG_INFINITY; 8];
    let mut nan = false;
    let (chunks, rest) = scores.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &score) in lanes.iter_mut().zip(chunk) {
            *lane = score.max(*lane);
            nan |= score.partial_cmp(&score).is_none();
        }
    }
    let mut max = N::NEG_INFINITY;
    for &score in lanes.iter().chain(rest) {
        max = score.max(max);
        nan |= score.partial_cmp(&score).is_none();
    }
    (max.is_finite() && !nan).then_some(max)
}

/// The token whose piece of `[0, Σ weights)`, in index order, holds `uniform·Σ weights`.
///
/// Sums are in f64: blocks of 16 in index order, then the blocks in order.
fn draw<N: Real>(weights: &[N], sums: &mut Vec<f64>, uniform: f64) -> usize {
    let sum = |block: &[N]| block.iter().fold(0.0, |sum, weight| sum + weight.wide());
    let (blocks, rest) = weights.as_chunks::<BLOCK>();
    sums.clear();
    sums.extend(blocks.iter().map(|block| sum(block)));
    sums.push(sum(rest));
    let total = sums.iter().fold(0.0, |total, sum| total + sum);
    let (block, left) = locate(sums.iter().copied(), uniform * total);
    let start = block * BLOCK;
    let end = weights.len().min(start + BLOCK);
    start + locate(weights[start..end].iter().map(|weight| weight.wide()), left).0
}

/// The piece in which `position` lies and how far inside; the last positive one if rounding put
/// it behind the end.
fn locate(pieces: impl Iterator<Item = f64>, position: f64) -> (usize, f64) {
    let mut left = position;
    let mut last = (0, 0.0);
    for (index, piece) in pieces.enumerate() {
        if piece > 0.0 {
            if left < piece {
                return (index, left);
            }
            last = (index, piece);
            left -= piece;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::{Picker, draw, finite_max};
    use crate::Stream;
    use crate::config::DecodeConfig;
    use statrs::distribution::{ChiSquared, ContinuousCDF};

    fn counts(config: &DecodeConfig, logits: &[f32], draws: usize) -> Vec<f64> {
        let mut picker = Picker::new(config, logits.len());
        let mut stream = Stream::new(11, "pick", 0, 0);
        let mut counts = vec![0.0; logits.len()];
        for _ in 0..draws {
            let token = picker.pick(logits, std::iter::empty(), None, &mut stream).unwrap();
            counts[token as usize] += 1.0;
        }
        counts
    }

    /// Pearson's statistic against the given weights; the p-value must not be below 1e-9.
    /// Zero weights must never be drawn. Three uses: false alarm 3e-9 in all.
    fn fits(counts: &[f64], weights: &[f64]) {
        let draws: f64 = counts.iter().sum();
        let total: f64 = weights.iter().sum();
        let (mut statistic, mut cells) = (0.0, 0);
        for (count, weight) in counts.iter().zip(weights) {
            if *weight == 0.0 {
                assert_eq!(*count, 0.0);
                continue;
            }
            let expected = draws * weight / total;
            assert!(expected >= 20.0, "cell too small for the chi-squared limit: {expected}");
            statistic += (count - expected).powi(2) / expected;
            cells += 1;
        }
        let p_value = ChiSquared::new(cells as f64 - 1.0).unwrap().sf(statistic);
        assert!(p_value >= 1e-9, "chi-squared {statistic} with {cells} cells, p = {p_value:e}");
    }

    #[test]
    fn frequencies_match_the_softmax_and_its_filters() {
        let logits: Vec<f32> = (0..67).map(|i| ((i * 29) % 67) as f32 / 20.0).collect();
        let config = DecodeConfig::default();
        let weights: Vec<f64> = logits.iter().map(|z| (*z as f64).exp()).collect();
        fits(&counts(&config, &logits, 200_000), &weights);

        let config = DecodeConfig { temperature: 0.5, ..DecodeConfig::default() };
        let weights: Vec<f64> = logits.iter().map(|z| (*z as f64 / 0.5).exp()).collect();
        fits(&counts(&config, &logits, 400_000), &weights);

        // Temperature first, then the ten best, then the smallest set with 70 % of their mass.
        let config = DecodeConfig { temperature: 2.0, top_k: 10, top_p: 0.7, ..config };
        let mut weights: Vec<f64> = logits.iter().map(|z| (*z as f64 / 2.0).exp()).collect();
        let mut order: Vec<usize> = (0..67).collect();
        order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
        let best: f64 = order[..10].iter().map(|&i| weights[i]).sum();
        let mut mass = 0.0;
        for (rank, &index) in order.iter().enumerate() {
            let weight = weights[index];
            if rank >= 10 || mass >= 0.7 * best {
                weights[index] = 0.0;
            }
            mass += weight;
        }
        fits(&counts(&config, &logits, 200_000), &weights);
    }

    #[test]
    fn top_k_keeps_ties_with_the_kth_and_one_is_greedy() {
        let logits = [1.0, 3.0, 2.0, 2.0, 0.0];
        let config = DecodeConfig { top_k: 2, ..DecodeConfig::default() };
        let kept: Vec<bool> = counts(&config, &logits, 2_000).iter().map(|&c| c > 0.0).collect();
        assert_eq!(kept, [false, true, true, true, false]);
        let config = DecodeConfig { top_k: 1, ..DecodeConfig::default() };
        assert_eq!(counts(&config, &logits, 50)[1], 50.0);
        let config = DecodeConfig { top_k: 99, ..DecodeConfig::default() };
        assert!(counts(&config, &logits, 2_000).iter().all(|&c| c > 0.0));
    }

    #[test]
    fn greedy_takes_the_first_of_the_largest_after_penalty_and_bar() {
        let config =
            DecodeConfig { sample: false, repetition_penalty: 2.0, ..DecodeConfig::default() };
        let mut picker = Picker::new(&config, 4);
        let mut stream = Stream::new(0, "unused", 0, 0);
        let mut pick = |present: &[u32], barred| {
            let logits = [4.0f64, 3.0, 3.0, -1.0];
            picker.pick(&logits, present.iter().copied(), barred, &mut stream)
        };
        assert_eq!(pick(&[], None), Some(0));
        assert_eq!(pick(&[0, 0, 3], None), Some(1));
        assert_eq!(pick(&[0], Some(1)), Some(2));
        assert_eq!(pick(&[0, 1, 2], None), Some(0));
    }

    #[test]
    fn rows_without_a_finite_largest_logit_give_no_token() {
        for length in [1, 7, 8, 9, 20] {
            let mut row = vec![0.5f32; length];
            assert_eq!(finite_max(&row), Some(0.5));
            for bad in [f32::NAN, f32::INFINITY] {
                for place in 0..length {
                    row[place] = bad;
                    assert_eq!(finite_max(&row), None);
                    row[place] = 0.5;
                }
            }
            assert_eq!(finite_max(&vec![f32::NEG_INFINITY; length]), None);
        }
    }

    #[test]
    fn draws_reach_every_positive_weight_and_no_zero() {
        let mut weights = vec![0.0f64; 40];
        (weights[3], weights[16], weights[39]) = (1.0, 2.0, 1.0);
        let at = |uniform| draw(&weights, &mut Vec::new(), uniform);
        assert_eq!([at(0.0), at(0.249), at(0.25), at(0.749), at(0.75)], [3, 3, 16, 16, 39]);
        assert_eq!(at(1.0 - f64::EPSILON / 2.0), 39);
        assert_eq!(at(1.0), 39);
    }
}
