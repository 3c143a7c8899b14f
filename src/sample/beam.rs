//! Beam search over one batch of prompts: up to `beams` rows per prompt.

use super::Decoder;
use super::generate::{Job, Task, no_token};
use super::penalty::Penalty;
use super::pick::finite_max;
use crate::Result;
use crate::cpu::Real;

/// A text under construction: its last token and the node before it. Texts share their beginnings.
#[derive(Clone, Copy)]
struct Node {
    parent: Option<usize>,
    token: u32,
}

/// A text and the sum of its tokens' scores, divided by length^length_penalty once it is finished.
#[derive(Clone, Copy)]
struct Beam {
    score: f64,
    node: Option<usize>,
}

/// One continuation among those of all beams of a prompt.
#[derive(Clone, Copy)]
struct Candidate {
    score: f64,
    beam: usize,
    token: u32,
}

/// The search behind one prompt.
struct Search {
    item: usize,
    nodes: Vec<Node>,
    /// The running texts, best first; row `i` of the prompt belongs to `beams[i]`.
    beams: Vec<Beam>,
    /// At most as many as there are beams, best first; equal scores: earlier first.
    finished: Vec<Beam>,
}

/// The best text for each prompt of the batch.
///
/// A token's score is its log-probability, then penalised and barred. Each step takes the
/// `2·beams` best continuations of all beams (equal scores: lower beam, then lower token). Those
/// among the first `beams` that end, or reach the last position, are finished, with
/// score / length^length_penalty; the best `beams` of the others run on. A search stops when it
/// holds `beams` finished texts and the best running one, at its present length, is no better than
/// the worst of them.
///
/// Sums and logarithms are in f64. Source: transformers 5, `generate` with `early_stopping=False`.
pub(super) fn decode<D: Decoder>(
    decoder: &mut D,
    task: &Task,
    batch: &[Job],
) -> Result<Vec<Vec<u32>>> {
    let vocab = decoder.vocab();
    let prompts: Vec<&[u32]> = batch.iter().map(|job| job.prompt).collect();
    let mut texts = vec![Vec::new(); batch.len()];
    let mut searches: Vec<Search> = (0..batch.len()).map(Search::new).collect();
    let mut penalty = Penalty::new(task.config.repetition_penalty, vocab);
    let (mut scores, mut best) = (Vec::with_capacity(vocab), Vec::new());
    let (mut parents, mut tokens) = (Vec::new(), Vec::new());
    decoder.choose_by(None);
    decoder.prefill(&prompts)?;
    for length in 0..task.config.max_new_tokens {
        let mut rows = decoder.logits().chunks_exact(vocab);
        let mut first_row = 0;
        parents.clear();
        tokens.clear();
        for search in &mut searches {
            let job = &batch[search.item];
            best.clear();
            for (index, beam) in search.beams.iter().enumerate() {
                let logits = rows.next().expect("beam: the decoder lost a row");
                log_softmax(&mut scores, logits).ok_or_else(|| no_token(job, length))?;
                let present = job.prompt.iter().copied().chain(search.backwards(beam.node));
                penalty.apply(&mut scores, present);
                if let Some(token) = task.barred(length) {
                    scores[token as usize] = f64::NEG_INFINITY;
                }
                collect(&mut best, 2 * task.config.beams, index, beam.score, &scores);
            }
            if best.is_empty() {
                return Err(no_token(job, length));
            }
            let width = search.beams.len();
            if search.advance(task, length + 1, &best, |parent, token| {
                parents.push(first_row + parent);
                tokens.push(token);
            }) {
                texts[search.item] = search.best_text();
                let dropped = search.beams.len();
                parents.truncate(parents.len() - dropped);
                tokens.truncate(tokens.len() - dropped);
                search.beams.clear();
            }
            first_row += width;
        }
        searches.retain(|search| !search.beams.is_empty());
        if searches.is_empty() {
            break;
        }
        decoder.step(&parents, &tokens)?;
    }
    Ok(texts)
}

impl Search {
    /// The search that has only its prompt.
    fn new(item: usize) -> Self {
        let beams = vec![Beam { score: 0.0, node: None }];
        Self { item, nodes: Vec::new(), beams, finished: Vec::new() }
    }

    /// Sorts the candidates, best first, into finished and running texts, which now have `length`
    /// new tokens, and reports (old beam, token) of those that run. Says whether the search is
    /// over.
    fn advance(
        &mut self,
        task: &Task,
        length: usize,
        best: &[Candidate],
        mut run: impl FnMut(usize, u32),
    ) -> bool {
        let width = task.config.beams;
        let divisor = libm::pow(length as f64, task.config.length_penalty);
        let mut beams = Vec::with_capacity(width);
        for (rank, candidate) in best.iter().enumerate() {
            let Candidate { score, beam, token } = *candidate;
            let ends = Some(token) == task.end || length == task.config.max_new_tokens;
            let surplus = if ends { rank >= width } else { beams.len() == width };
            if surplus {
                continue;
            }
            let node = Some(self.nodes.len());
            self.nodes.push(Node { parent: self.beams[beam].node, token });
            if ends {
                self.finished.push(Beam { score: score / divisor, node });
            } else {
                beams.push(Beam { score, node });
                run(beam, token);
            }
        }
        self.beams = beams;
        self.finished.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.finished.truncate(width);
        match (self.beams.first(), self.finished.get(width - 1)) {
            (None, _) => true,
            (Some(running), Some(worst)) => running.score / divisor <= worst.score,
            (Some(_), None) => false,
        }
    }

    /// The new tokens up to `node`, last first.
    fn backwards(&self, node: Option<usize>) -> impl Iterator<Item = u32> {
        let parent = |&node: &usize| self.nodes[node].parent;
        std::iter::successors(node, parent).map(|node| self.nodes[node].token)
    }

    /// The best finished text.
    fn best_text(&self) -> Vec<u32> {
        let mut text: Vec<u32> = self.backwards(self.finished[0].node).collect();
        text.reverse();
        text
    }
}

/// `scores_k = z_k − m − ln Σ e^{z−m}` with m = max z; `None` if there is no finite maximum.
fn log_softmax<N: Real>(scores: &mut Vec<f64>, logits: &[N]) -> Option<()> {
    let max = finite_max(logits)?.wide();
    scores.clear();
    scores.extend(logits.iter().map(|logit| Real::exp(logit.wide() - max)));
    let sum = scores.iter().fold(0.0, |sum, weight| sum + weight);
    let log_sum = Real::ln(sum);
    for (score, logit) in scores.iter_mut().zip(logits) {
        *score = logit.wide() - max - log_sum;
    }
    Some(())
}

/// Merges the finite `base + score` of one beam into the `count` best, kept best first.
fn collect(best: &mut Vec<Candidate>, count: usize, beam: usize, base: f64, scores: &[f64]) {
    let mut bar = match best.get(count - 1) {
        Some(worst) => worst.score,
        None => f64::NEG_INFINITY,
    };
    for (token, score) in scores.iter().enumerate() {
        let score = base + score;
        if score > bar {
            let place = best.partition_point(|other| other.score >= score);
            best.truncate(count - 1);
            best.insert(place, Candidate { score, beam, token: token as u32 });
            if best.len() == count {
                bar = best[count - 1].score;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::DecodeConfig;
    use crate::sample::{generate, toy::Markov};
    use crate::{Stream, cpu::Real};
    use serde::Deserialize;

    const END: u32 = 2;

    fn search(
        mut decoder: Markov,
        prompt: &[u32],
        config: &DecodeConfig,
        end: Option<u32>,
    ) -> Vec<u32> {
        let unused = |_| Stream::new(0, "unused", 0, 0);
        generate(&mut decoder, &[prompt.to_vec()], config, end, unused).unwrap().remove(0)
    }

    /// The best score over all texts of at most `most` new tokens, by full enumeration.
    fn enumerate(
        chain: &Markov,
        text: &mut Vec<u32>,
        score: f64,
        most: usize,
        length_penalty: f64,
        best: &mut (f64, Vec<u32>),
    ) {
        let length = text.len() - 1;
        if length == most || text.last() == Some(&END) && length > 0 {
            let normalised = score / (length as f64).powf(length_penalty);
            if normalised > best.0 {
                *best = (normalised, text[1..].to_vec());
            }
            return;
        }
        let row = chain.row(text[length]);
        let log_sum = row.iter().map(|z| z.exp()).sum::<f64>().ln();
        for (token, logit) in row.iter().enumerate() {
            text.push(token as u32);
            enumerate(chain, text, score + logit - log_sum, most, length_penalty, best);
            text.pop();
        }
    }

    #[test]
    fn with_a_beam_for_every_text_the_best_one_is_found() {
        let mut lengths = [0; 5];
        for seed in 0..60 {
            let mut stream = Stream::new(seed, "beam", 0, 0);
            let table: Vec<f64> = (0..9).map(|_| 2.0 * stream.normal()).collect();
            for length_penalty in [0.0, 1.0, 2.0] {
                let config = DecodeConfig {
                    sample: false,
                    beams: 81,
                    length_penalty,
                    max_new_tokens: 4,
                    ..DecodeConfig::default()
                };
                let chain = Markov::new(table.clone(), 64, 1);
                let mut best = (f64::NEG_INFINITY, Vec::new());
                enumerate(&chain, &mut vec![0], 0.0, 4, length_penalty, &mut best);
                let decoder = Markov::new(table.clone(), 64, 81);
                assert_eq!(search(decoder, &[0], &config, Some(END)), best.1);
                lengths[best.1.len()] += 1;
            }
        }
        assert!(lengths[1] > 5 && lengths[2] > 0 && lengths[4] > 5, "{lengths:?}");
    }

    #[derive(Deserialize)]
    struct Reference {
        cases: Vec<Case>,
    }

    /// seed, prompt, beams, length and repetition penalty, fewest and most new tokens, end, text.
    #[derive(Deserialize)]
    struct Case(u64, Vec<u32>, usize, f64, f64, usize, usize, Option<u32>, Vec<u32>);

    /// The table of `reference/markov.py`.
    fn table(seed: u64) -> Vec<f64> {
        let mut state = seed;
        let entry = |index: usize| {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            let bonus = if index % 13 == 5 { 0.75 } else { 0.0 };
            ((state >> 16) % 1024) as f64 / 256.0 - 2.0 + bonus
        };
        (0..13 * 13).map(entry).collect()
    }

    #[test]
    fn texts_are_those_of_transformers() {
        let reference: Reference =
            serde_json::from_str(include_str!("reference/markov.json")).unwrap();
        assert!(reference.cases.len() > 100);
        for Case(seed, prompt, beams, length_penalty, repetition_penalty, least, most, end, text) in
            reference.cases
        {
            let config = DecodeConfig {
                sample: false,
                beams,
                length_penalty,
                repetition_penalty,
                min_new_tokens: least,
                max_new_tokens: most,
                ..DecodeConfig::default()
            };
            let mut decoder = Markov::new(table(seed), 64, beams);
            decoder.drift = 0.25;
            assert_eq!(search(decoder, &prompt, &config, end), text, "{seed}: {config:?}");
        }
    }

    #[test]
    fn log_softmax_is_exact_far_from_zero() {
        let mut scores = Vec::new();
        super::log_softmax(&mut scores, &[1000.0f64, 1000.0, f64::NEG_INFINITY]).unwrap();
        assert_eq!(scores, [-Real::ln(2.0f64), -Real::ln(2.0f64), f64::NEG_INFINITY]);
    }
}
