//! Scoring text without training on it.

use super::Blocks;
use crate::Result;
use crate::loss::Rule;
use crate::model::{Activations, Batch, Gpt, RowScores};
use crate::tier::Tier;

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
/// token `i + 1`, predicted from the tokens before it. Sequences are padded to the longest of their
/// group; causality keeps the padding out of the scores.
pub fn score_rows<T: Tier>(
    model: &Gpt<T>,
    sequences: &[Vec<u32>],
    rule: &Rule,
) -> Result<Vec<RowScores>> {
    let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
    if longest < 2 {
        return Ok(vec![RowScores::default(); sequences.len()]);
    }
    let t = longest - 1;
    let rows = (TOGETHER / t).clamp(1, sequences.len());
    let mut acts = Activations::new(&model.tier, &model.config, rows, t, false)?;
    let mut all = Vec::with_capacity(sequences.len());
    for some in sequences.chunks(rows) {
        let (mut tokens, mut targets) = (vec![0; some.len() * t], vec![0; some.len() * t]);
        for (row, sequence) in some.iter().enumerate() {
            let len = sequence.len().saturating_sub(1);
            tokens[row * t..][..len].copy_from_slice(&sequence[..len]);
            targets[row * t..][..len].copy_from_slice(&sequence[sequence.len() - len..]);
        }
        let batch = Batch { tokens: &tokens, targets: &targets, mask: None, t };
        let scores = model.score(&mut acts, batch, rule)?;
        for (row, sequence) in some.iter().enumerate() {
            let range = row * t..row * t + sequence.len().saturating_sub(1);
            all.push(RowScores {
                loss: scores.loss[range.clone()].to_vec(),
                nll: scores.nll[range.clone()].to_vec(),
                probability: scores.probability[range.clone()].to_vec(),
                kept: scores.kept[range].to_vec(),
            });
        }
    }
    Ok(all)
}

fn append(all: &mut RowScores, more: RowScores) {
    all.loss.extend(more.loss);
    all.nll.extend(more.nll);
    all.probability.extend(more.probability);
    all.kept.extend(more.kept);
}
