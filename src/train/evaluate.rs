//! Scoring text without training on it.

use super::Blocks;
use crate::Result;
use crate::loss::Rule;
use crate::model::{Activations, Batch, Gpt, RowScores};
use crate::tier::Tier;
use std::collections::BTreeMap;

/// Tokens that are scored together.
const TOGETHER: usize = 4096;

/// Scores every position of every block, in order, under `rule`.
pub fn score_blocks<T: Tier>(model: &Gpt<T>, blocks: &Blocks, rule: &Rule) -> Result<RowScores> {
    let t = blocks.t();
    let rows = (TOGETHER / t).clamp(1, blocks.count());
    let mut acts = Activations::new(&model.tier, &model.config, rows, t, false)?;
    let mut all = RowScores::default();
    let (mut tokens, mut targets) = (Vec::new(), Vec::new());
    for first in (0..blocks.count()).step_by(rows) {
        tokens.clear();
        targets.clear();
        for block in first..blocks.count().min(first + rows) {
            blocks.push(block, &mut tokens, &mut targets);
        }
        let batch = Batch { tokens: &tokens, targets: &targets, mask: None, t };
        append(&mut all, model.score(&mut acts, batch, rule)?);
    }
    Ok(all)
}

/// Scores sequences of any length one by one, in order: entry `i` of a sequence's scores belongs to
/// token `i + 1`, predicted from the tokens before it.
///
/// A sequence is padded to a length that follows from its own, and shares batches with others of
/// that length only. Causality keeps the padding out of its scores, and since no row of a product
/// depends on the rows beside it, neither its company nor the threads can alter their bits.
pub fn score_rows<T: Tier>(
    model: &Gpt<T>,
    sequences: &[Vec<u32>],
    rule: &Rule,
) -> Result<Vec<RowScores>> {
    score_rows_together(model, sequences, rule, TOGETHER)
}

/// As [`score_rows`], with about so many tokens in a batch; the scores do not depend on it.
pub fn score_rows_together<T: Tier>(
    model: &Gpt<T>,
    sequences: &[Vec<u32>],
    rule: &Rule,
    together: usize,
) -> Result<Vec<RowScores>> {
    let mut all = vec![RowScores::default(); sequences.len()];
    let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, sequence) in sequences.iter().enumerate().filter(|(_, s)| s.len() > 1) {
        let t = padded(sequence.len() - 1, model.config.context);
        by_length.entry(t).or_default().push(index);
    }
    for (t, members) in by_length {
        let rows = (together / t).clamp(1, members.len());
        let mut acts = Activations::new(&model.tier, &model.config, rows, t, false)?;
        for some in members.chunks(rows) {
            let (mut tokens, mut targets) = (vec![0; some.len() * t], vec![0; some.len() * t]);
            let places = tokens.chunks_exact_mut(t).zip(targets.chunks_exact_mut(t));
            for ((tokens, targets), &index) in places.zip(some) {
                let sequence = &sequences[index];
                let len = sequence.len() - 1;
                tokens[..len].copy_from_slice(&sequence[..len]);
                targets[..len].copy_from_slice(&sequence[1..]);
            }
            let batch = Batch { tokens: &tokens, targets: &targets, mask: None, t };
            let scores = model.score(&mut acts, batch, rule)?;
            for (row, &index) in some.iter().enumerate() {
                let range = row * t..row * t + sequences[index].len() - 1;
                all[index] = RowScores {
                    loss: scores.loss[range.clone()].to_vec(),
                    nll: scores.nll[range.clone()].to_vec(),
                    probability: scores.probability[range.clone()].to_vec(),
                    kept: scores.kept[range].to_vec(),
                };
            }
        }
    }
    Ok(all)
}

/// The length to which a row of `len` predictions is padded: the next multiple of 8 up to 64, of 64
/// beyond, and no more than the context.
fn padded(len: usize, context: usize) -> usize {
    len.next_multiple_of(if len <= 64 { 8 } else { 64 }).min(context).max(len)
}

fn append(all: &mut RowScores, more: RowScores) {
    all.loss.extend(more.loss);
    all.nll.extend(more.nll);
    all.probability.extend(more.probability);
    all.kept.extend(more.kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::cpu::{Cpu, Real};
    use fortifai_stream::Stream;

    /// Lengths on both sides of every padding, and of 512, where products are cut into blocks.
    const LENGTHS: [usize; 14] = [0, 1, 2, 3, 8, 9, 10, 65, 66, 130, 500, 577, 600, 601];

    fn check_company<R: Real>() {
        let config = ModelConfig { layers: 2, heads: 2, channels: 16, context: 600, vocab: 29 };
        let model = Gpt::new(Cpu::<R>::new(), config, 1).unwrap();
        let mut stream = Stream::new(1, "company", 0, 0);
        let sequences: Vec<Vec<u32>> = LENGTHS
            .iter()
            .flat_map(|&len| [len; 3])
            .map(|len| (0..len).map(|_| stream.below(29) as u32).collect())
            .collect();
        let alone: Vec<Vec<u64>> = sequences
            .iter()
            .map(|sequence| {
                let one = std::slice::from_ref(sequence);
                let scores = score_rows(&model, one, &Rule::Ce).unwrap();
                assert_eq!(scores[0].nll.len(), sequence.len().saturating_sub(1));
                bits(&scores[0])
            })
            .collect();
        for (together, threads) in [(1, 1), (16, 3), (700, 2), (4096, 4), (1 << 20, 2)] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let scores = pool
                .install(|| score_rows_together(&model, &sequences, &Rule::Ce, together))
                .unwrap();
            for ((scores, alone), sequence) in scores.iter().zip(&alone).zip(&sequences) {
                assert_eq!(bits(scores), *alone, "{} tokens, {together} together", sequence.len());
            }
        }
    }

    fn bits(scores: &RowScores) -> Vec<u64> {
        scores.nll.iter().chain(&scores.probability).map(|x| x.to_bits()).collect()
    }

    #[test]
    fn a_score_has_the_same_bits_in_every_company_and_on_every_number_of_threads() {
        check_company::<f32>();
        check_company::<f64>();
    }

    #[test]
    fn a_sequence_beyond_the_context_is_refused() {
        let config = ModelConfig { layers: 1, heads: 1, channels: 4, context: 5, vocab: 3 };
        let model = Gpt::new(Cpu::<f64>::new(), config, 1).unwrap();
        assert!(score_rows(&model, &[vec![1; 6]], &Rule::Ce).is_ok());
        let sentence = score_rows(&model, &[vec![1; 7]], &Rule::Ce).unwrap_err().to_string();
        assert!(sentence.contains("context of 5"), "{sentence}");
    }
}
