//! Carries out an arm's treatment of the text that a generation wrote.

use super::arm::Treatment;
use super::write::{Order, Written, write};
use crate::config::DecodeConfig;
use crate::cpu::Real;
use crate::loss::Rule;
use crate::model::{Activations, Gpt};
use crate::sample::Picker;
use crate::text::{ToyWorld, split_documents};
use crate::tier::Tier;
use crate::train::score_rows;
use crate::{Result, Stream};

/// Rounds of writing after which a verifier's arm goes on with what it has been given.
const ROUNDS: usize = 4;
/// Logits that are held at once while tokens are drawn again.
const LOGITS: usize = 1 << 23;

/// Text to be trained on, and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Treated {
    /// As written, before the treatment.
    pub raw: Written,
    /// What is trained on, an end token first.
    pub stream: Vec<u32>,
    /// Documents marked as flawed, an end token first; empty unless they are unlearned.
    pub flawed: Vec<u32>,
    /// Share of the written documents that a filter kept.
    pub kept_share: Option<f64>,
    /// Share of tokens that were drawn again and changed.
    pub edited_share: Option<f64>,
}

/// Who writes and who judges.
pub struct Judges<'a, T: Tier> {
    /// The model that writes.
    pub model: &'a Gpt<T>,
    /// The model of generation 0, for `verify`.
    pub reference: Option<&'a Gpt<T>>,
    /// The toy world, for `grammar`.
    pub world: Option<&'a ToyWorld>,
}

/// Writes what is ordered and treats it. A filter is given `1/K` times as much to choose from; a
/// verifier without a fixed share gets more, a round at a time, until enough is accepted. Where a
/// filter leaves not even one block to train on, the text stays as it was written; `kept_share` tells.
pub fn written<T: Tier>(
    judges: &Judges<T>,
    treatment: &Treatment,
    order: &Order,
) -> Result<Treated> {
    let share = treatment.surplexity.or(treatment.verify);
    let asked = share.map_or(order.tokens, |share| (order.tokens as f64 / share).ceil() as usize);
    let raw = write(judges.model, &Order { tokens: asked, ..*order })?;
    let mut treated = Treated { stream: raw.stream.clone(), raw, ..Treated::default() };
    if treatment.filters() {
        let mut choice = chosen(judges, treatment, order, &treated.raw.stream)?;
        for round in 1..ROUNDS {
            if !treatment.grammar || choice.kept.len() > order.tokens {
                break;
            }
            let more = write(judges.model, &Order { round, ..*order })?;
            choice.join(chosen(judges, treatment, order, &more.stream)?);
        }
        treated.kept_share = Some(choice.accepted as f64 / choice.documents.max(1) as f64);
        if choice.kept.len() > order.config.model.context + 1 {
            treated.stream = until(&choice.kept, order.end, order.tokens);
        }
        if treatment.unlearn.is_some() {
            treated.flawed = until(&choice.rejected, order.end, order.tokens);
        }
    }
    if let Some(threshold) = treatment.edit {
        let changed = edit(judges.model, order, threshold, &mut treated.stream)?;
        treated.edited_share = Some(changed as f64 / (treated.stream.len() - 1).max(1) as f64);
    }
    Ok(treated)
}

/// What a filter kept and what it rejected; both streams begin with the end token.
#[derive(Debug)]
struct Choice {
    kept: Vec<u32>,
    rejected: Vec<u32>,
    accepted: usize,
    documents: usize,
}

impl Choice {
    fn join(&mut self, more: Self) {
        self.kept.extend(&more.kept[1..]);
        self.rejected.extend(&more.rejected[1..]);
        self.accepted += more.accepted;
        self.documents += more.documents;
    }
}

fn chosen<T: Tier>(
    judges: &Judges<T>,
    treatment: &Treatment,
    order: &Order,
    stream: &[u32],
) -> Result<Choice> {
    let documents = split_documents(stream, order.end, true);
    let keep = match (treatment.surplexity, treatment.verify, judges.world) {
        (Some(share), ..) => {
            let surprise = nats_per_token(judges.model, order.end, &documents)?;
            highest(&surprise, share)
        }
        (_, Some(share), _) => {
            let reference = judges.reference.unwrap_or(judges.model);
            let nats = nats_per_token(reference, order.end, &documents)?;
            highest(&nats.iter().map(|nats| -nats).collect::<Vec<_>>(), share)
        }
        (_, _, Some(world)) => {
            documents.iter().map(|document| world.judge(document).grammatical).collect()
        }
        _ => vec![true; documents.len()],
    };
    let mut choice = Choice {
        kept: vec![order.end],
        rejected: vec![order.end],
        accepted: 0,
        documents: documents.len(),
    };
    for (document, keep) in documents.into_iter().zip(keep) {
        let to = if keep { &mut choice.kept } else { &mut choice.rejected };
        to.extend_from_slice(document);
        to.push(order.end);
        choice.accepted += usize::from(keep);
    }
    Ok(choice)
}

/// Mean cross entropy of each document and its end, read from its beginning, nats per token.
fn nats_per_token<T: Tier>(model: &Gpt<T>, end: u32, documents: &[&[u32]]) -> Result<Vec<f64>> {
    let longest = model.config.context;
    let sequences: Vec<Vec<u32>> = (documents.iter())
        .map(|document| {
            let mut sequence = [&[end], *document, &[end]].concat();
            sequence.truncate(longest + 1);
            sequence
        })
        .collect();
    let scores = score_rows(model, &sequences, &Rule::Ce)?;
    let mean = |nats: &[f64]| nats.iter().sum::<f64>() / nats.len().max(1) as f64;
    Ok(scores.iter().map(|row| mean(&row.nll)).collect())
}

/// Marks the share of the values that is highest, at least one; among equals the first.
fn highest(values: &[f64], share: f64) -> Vec<bool> {
    let count = ((values.len() as f64 * share).round() as usize).clamp(1, values.len().max(1));
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    let mut marks = vec![false; values.len()];
    order.into_iter().take(count).for_each(|index| marks[index] = true);
    marks
}

/// The first documents of a stream that hold `tokens` tokens, or all of it.
fn until(stream: &[u32], end: u32, tokens: usize) -> Vec<u32> {
    let reached = (tokens.min(stream.len() - 1)..stream.len()).find(|&at| stream[at] == end);
    stream[..=reached.unwrap_or(stream.len() - 1)].to_vec()
}

/// Draws every token anew to which the model, reading blocks of its context from this very text, gave
/// more than `threshold`. End tokens stay and none is drawn, so that documents keep their lengths.
/// Returns how many became other tokens.
fn edit<T: Tier>(
    model: &Gpt<T>,
    order: &Order,
    threshold: f64,
    stream: &mut [u32],
) -> Result<usize> {
    let (context, v) = (model.config.context, model.config.vocab);
    let t = context.min(stream.len().saturating_sub(1));
    if t == 0 {
        return Ok(0);
    }
    let rows = (LOGITS / (t * v)).max(1);
    let old = stream.to_vec();
    let starts: Vec<usize> = (0..old.len() - 1).step_by(t).collect();
    let mut picker = Picker::new(&DecodeConfig::default(), v);
    let mut changed = 0;
    for some in starts.chunks(rows) {
        let mut tokens = vec![order.end; some.len() * t];
        for (row, &start) in tokens.chunks_exact_mut(t).zip(some) {
            let len = t.min(old.len() - 1 - start);
            row[..len].copy_from_slice(&old[start..start + len]);
        }
        let mut acts = Activations::new(&model.tier, &model.config, some.len(), t, false)?;
        let logits = model.logits(&mut acts, &tokens, t)?;
        for (rows, &start) in logits.chunks_exact(t * v).zip(some) {
            for (logits, place) in rows.chunks_exact(v).zip(start + 1..old.len()) {
                let token = old[place];
                if token == order.end || probability(logits, token) <= threshold {
                    continue;
                }
                let mut draw =
                    Stream::new(order.seed, "edit", order.generation as u64, place as u64);
                let drawn = picker.pick(logits, [].into_iter(), Some(order.end), &mut draw);
                stream[place] = drawn.unwrap_or(token);
                changed += usize::from(stream[place] != token);
            }
        }
    }
    Ok(changed)
}

fn probability<R: Real>(logits: &[R], token: u32) -> f64 {
    let most = logits.iter().fold(f64::NEG_INFINITY, |most, z| most.max(z.wide()));
    let sum: f64 = logits.iter().map(|z| libm::exp(z.wide() - most)).sum();
    libm::exp(logits[token as usize].wide() - most) / sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_share_is_marked_and_ties_go_to_the_first() {
        assert_eq!(highest(&[1.0, 3.0, 2.0, 3.0], 0.5), [false, true, false, true]);
        assert_eq!(highest(&[1.0, 1.0, 1.0], 0.34), [true, false, false]);
        assert_eq!(highest(&[5.0], 0.01), [true]);
        assert!(highest(&[], 0.5).is_empty());
    }

    #[test]
    fn a_stream_is_cut_behind_the_document_that_fills_the_budget() {
        let stream = [0, 1, 2, 0, 3, 0, 4, 5, 0];
        assert_eq!(until(&stream, 0, 3), [0, 1, 2, 0]);
        assert_eq!(until(&stream, 0, 4), [0, 1, 2, 0, 3, 0]);
        assert_eq!(until(&stream, 0, 100), stream);
        assert_eq!(until(&[0], 0, 5), [0]);
    }
}
