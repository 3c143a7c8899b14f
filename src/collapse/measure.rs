//! The metrics of one generation; their names are those of [`super::record::METRICS`].

use super::Corpus;
use super::record::{GenerationRecord, ReadToken};
use super::write::Written;
use crate::cpu::Real;
use crate::loss::{Loss, Rule};
use crate::measure::calibration::Calibration;
use crate::measure::confidence::Confidence;
use crate::measure::diversity::{distinct, self_repetition, vocabulary_alive};
use crate::measure::evenness::{
    DECILES, bigram_jensen_shannon_nats, decile_mass, gini, hill, jensen_shannon_nats, simpson,
    total_variation, zipf_exponent,
};
use crate::measure::histogram::Histogram;
use crate::measure::items::{self, ItemScore};
use crate::measure::ngram::Ngram;
use crate::measure::retention::{Scoring, accuracy, scores};
use crate::model::{Activations, Gpt, RowScores};
use crate::text::{ToyWorld, split_documents};
use crate::tier::Tier;
use crate::train::{Blocks, score_blocks, score_rows};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Rows of toy documents whose logits are held at once.
const TOGETHER: usize = 64;
/// Held-out tokens whose whole laws are looked at.
const CALIBRATED: usize = 4096;
/// Logits that are held at once there.
const LOGITS: usize = 1 << 23;

/// Sets a metric unless it is undefined; JSON has no NaN, so one that is not finite stays absent.
pub fn set(metrics: &mut BTreeMap<String, f64>, name: &str, value: impl Into<Option<f64>>) {
    if let Some(value) = value.into().filter(|value| value.is_finite()) {
        metrics.insert(name.into(), value);
    }
}

/// What the model does with held-out real text. Returns whether its loss there is finite.
pub fn real_text<T: Tier>(
    record: &mut GenerationRecord,
    model: &Gpt<T>,
    corpus: &Corpus,
    loss: &Loss,
) -> Result<bool> {
    let blocks = Blocks::new(corpus.heldout(), model.config.context, "held-out text")?;
    let scores = score_blocks(model, &blocks, &loss.rule(1.0))?;
    let nats = mean(&scores.nll);
    set(&mut record.metrics, "heldout_nats", nats);
    set(&mut record.metrics, "heldout_perplexity", nats.exp());
    if corpus.heldout_bytes() > 0 {
        // The nats of every held-out token, those in the tail that fills no block at the mean.
        let bits = nats / std::f64::consts::LN_2 * (corpus.heldout().len() - 1) as f64;
        set(&mut record.metrics, "heldout_bits_per_byte", bits / corpus.heldout_bytes() as f64);
    }
    set(&mut record.metrics, "kept_fraction_real", kept_fraction(&scores, loss));
    record.p_histogram_real = shares(&scores);
    if !nats.is_finite() {
        return Ok(false);
    }
    calibration(&mut record.metrics, model, corpus.heldout())?;
    if let Some(world) = corpus.toy() {
        toy_knowledge(&mut record.metrics, model, world, corpus.heldout())?;
    }
    Ok(true)
}

/// What counting alone makes of the training text: the 5-gram model that a network must beat on the
/// held-out tokens that it is measured by.
pub fn counted(
    metrics: &mut BTreeMap<String, f64>,
    train: &[u32],
    corpus: &Corpus,
    context: usize,
) {
    let heldout = corpus.heldout();
    let scored = &heldout[..(heldout.len() - 1) / context * context + 1];
    let model = Ngram::fit(train, corpus.tokenizer().vocab_size(), 5);
    set(metrics, "heldout_5gram_nats", model.ok().and_then(|model| model.nats(scored)));
}

/// The scores of the run's items, where it has any, and the accuracies that follow.
pub fn items<T: Tier>(
    record: &mut GenerationRecord,
    model: &Gpt<T>,
    corpus: &Corpus,
) -> Result<Vec<ItemScore>> {
    let Some(items) = corpus.items() else { return Ok(Vec::new()) };
    let scores = items.score(model)?;
    for (name, value) in items::metrics(&scores) {
        set(&mut record.metrics, &name, value);
    }
    Ok(scores)
}

/// What the model's own text looks like. `compared` tokens of it are compared with the real text:
/// diversity falls with length, so every generation gives as many.
pub fn own_text<T: Tier>(
    record: &mut GenerationRecord,
    model: &Gpt<T>,
    corpus: &Corpus,
    loss: &Loss,
    real: &[u32],
    own: &Written,
    compared: usize,
) -> Result<()> {
    let metrics = &mut record.metrics;
    let stream = &own.stream[..own.stream.len().min(compared + 1)];
    let (end, vocab) = (corpus.tokenizer().end_token(), corpus.tokenizer().vocab_size());
    set(metrics, "empty_share", own.empty_share);
    let documents = split_documents(stream, end, true);
    for n in 1..=3 {
        set(metrics, &format!("distinct_{n}"), distinct(documents.iter().copied(), n));
    }
    set(metrics, "self_repetition", self_repetition(documents.iter().copied()));
    let of_real = split_documents(real, end, true);
    set(metrics, "bigram_js_nats", bigram_jensen_shannon_nats(&documents, &of_real));
    let real = Histogram::from_tokens(vocab, &real[1..])?;
    let synthetic = Histogram::from_tokens(vocab, &stream[1..])?;
    set(metrics, "kl_synthetic_real_nats", synthetic.kl_nats(&real));
    set(metrics, "kl_real_synthetic_nats", real.kl_nats(&synthetic));
    set(metrics, "js_nats", jensen_shannon_nats(&synthetic, &real));
    set(metrics, "total_variation", total_variation(&synthetic, &real));
    set(metrics, "token_entropy_nats", synthetic.entropy_nats());
    set(metrics, "simpson", simpson(&synthetic));
    set(metrics, "hill_2", hill(&synthetic, 2.0));
    set(metrics, "gini", gini(&synthetic));
    set(metrics, "zipf_exponent", zipf_exponent(&synthetic));
    if let Some(masses) = decile_mass(&real, &synthetic) {
        set(metrics, "common_decile_mass", masses[0]);
        set(metrics, "rare_decile_mass", masses[DECILES - 1]);
    }
    set(metrics, "vocabulary_alive", vocabulary_alive(&real, &synthetic));
    if let Some(world) = corpus.toy() {
        toy_text(metrics, world, &documents);
    }
    let scored = &stream[..stream.len().min(corpus.heldout().len())];
    if scored.len() > 1 {
        let t = model.config.context.min(scored.len() - 1);
        let blocks = Blocks::new(scored, t, "generated text")?;
        let scores = score_blocks(model, &blocks, &loss.rule(1.0))?;
        set(metrics, "self_nats", mean(&scores.nll));
        set(metrics, "surplexity", mean(&scores.nll).exp());
        set(metrics, "kept_fraction_synthetic", kept_fraction(&scores, loss));
        record.p_histogram_synthetic = shares(&scores);
    }
    Ok(())
}

/// What the model makes of every token of some pieces of text, each read from its beginning.
pub fn readings<T: Tier>(
    model: &Gpt<T>,
    corpus: &Corpus,
    loss: &Loss,
    pieces: &[&[u32]],
) -> Result<Vec<Vec<ReadToken>>> {
    let end = corpus.tokenizer().end_token();
    let cut = |piece: &&[u32]| piece.len().min(model.config.context);
    let rows: Vec<Vec<u32>> =
        pieces.iter().map(|piece| [&[end], &piece[..cut(piece)]].concat()).collect();
    let scores = score_rows(model, &rows, &loss.rule(1.0))?;
    let read = |(row, scores): (&Vec<u32>, RowScores)| {
        let mut before = String::new();
        let tokens = (1..row.len()).map(|i| {
            let whole = corpus.tokenizer().decode(&row[1..=i]);
            // A token in the middle of a character changes what was before it.
            let text = match whole.strip_prefix(&before) {
                Some(rest) => rest.to_owned(),
                None => corpus.tokenizer().decode(&row[i..=i]),
            };
            before = whole;
            let p = (scores.probability[i - 1] * 1e4).round() / 1e4;
            ReadToken { text, p, kept: scores.kept[i - 1] }
        });
        tokens.collect()
    };
    Ok(rows.iter().zip(scores).map(read).collect())
}

/// How sure the model is of its likeliest token, and how often that is the one that comes, over the
/// first [`CALIBRATED`] held-out tokens.
fn calibration<T: Tier>(
    metrics: &mut BTreeMap<String, f64>,
    model: &Gpt<T>,
    heldout: &[u32],
) -> Result<()> {
    let (t, v) = (model.config.context, model.config.vocab);
    let count = ((heldout.len() - 1) / t).min(CALIBRATED.div_ceil(t));
    let rows = (LOGITS / (t * v)).clamp(1, count.max(1));
    let mut measured = Calibration::default();
    for first in (0..count).step_by(rows) {
        let some = rows.min(count - first);
        let tokens = &heldout[first * t..(first + some) * t];
        let targets = &heldout[first * t + 1..(first + some) * t + 1];
        let mut acts = Activations::new(&model.tier, &model.config, some, t, false)?;
        let logits = model.logits(&mut acts, tokens, t)?;
        for (logits, &target) in logits.chunks_exact(v).zip(targets) {
            let (top, most) =
                (logits.iter().enumerate()).fold((0, f64::NEG_INFINITY), |best, (token, z)| {
                    if z.wide() > best.1 { (token, z.wide()) } else { best }
                });
            let sum: f64 = logits.iter().map(|z| libm::exp(z.wide() - most)).sum();
            measured.push(1.0 / sum, top == target as usize);
        }
    }
    set(metrics, "calibration_error", measured.error());
    set(metrics, "top_probability", measured.confidence());
    set(metrics, "top_accuracy", measured.accuracy());
    Ok(())
}

/// The share of tokens that the loss keeps. A random mask keeps its own share of any text, and
/// `tce-dynamic` has the threshold that it would have after an epoch on this text.
fn kept_fraction(scores: &RowScores, loss: &Loss) -> f64 {
    let p = &scores.probability;
    let share = |kept: usize| kept as f64 / p.len().max(1) as f64;
    match *loss {
        Loss::RandomMask { keep } => keep,
        Loss::TceDynamic { alpha } => {
            let centre = mean(p);
            let squares: Vec<f64> = p.iter().map(|p| (p - centre) * (p - centre)).collect();
            let gamma = centre + alpha * mean(&squares).sqrt();
            share(p.iter().filter(|p| **p <= gamma).count())
        }
        _ => share(scores.kept.iter().filter(|kept| **kept).count()),
    }
}

fn shares(scores: &RowScores) -> Vec<f64> {
    let mut confidence = Confidence::default();
    confidence.extend(scores.probability.iter().copied());
    confidence.shares()
}

fn toy_knowledge<T: Tier>(
    metrics: &mut BTreeMap<String, f64>,
    model: &Gpt<T>,
    world: &ToyWorld,
    heldout: &[u32],
) -> Result<()> {
    let (excess, tail) = exact(model, world, heldout)?;
    set(metrics, "excess_nats", excess);
    set(metrics, "tail_mass", tail);
    let questions = world.fact_questions();
    let pairs = questions.iter().map(|question| {
        let with = |answer: &[u32]| [&question.context[..], answer].concat();
        (with(&question.answer_true), with(&question.answer_false), question.context.len())
    });
    set(metrics, "facts_accuracy", ranked(model, pairs.collect())?);
    let pairs = world.agreement_pairs().into_iter().map(|pair| {
        let context = pair.good.len() - 1;
        (pair.good, pair.bad, context)
    });
    set(metrics, "agreement_accuracy", ranked(model, pairs.collect())?);
    Ok(())
}

/// Share of (true, false, length of the common context) in which the true continuation has the
/// higher mean log-probability per token.
fn ranked<T: Tier>(model: &Gpt<T>, pairs: Vec<(Vec<u32>, Vec<u32>, usize)>) -> Result<Option<f64>> {
    let contexts: Vec<usize> = pairs.iter().map(|pair| pair.2).collect();
    let sequences: Vec<Vec<u32>> = pairs.into_iter().flat_map(|(yes, no, _)| [yes, no]).collect();
    let scored = score_rows(model, &sequences, &Rule::Ce)?;
    let answer = |row: &RowScores, context: usize| -> Vec<f64> {
        row.nll[context - 1..].iter().map(|nll| -nll).collect()
    };
    let outcomes: Vec<(f64, f64)> = scored
        .chunks_exact(2)
        .zip(contexts)
        .map(|(pair, context)| {
            let (yes, no) = (answer(&pair[0], context), answer(&pair[1], context));
            scores(&yes, &no, Scoring::MeanToShorter)
        })
        .collect();
    Ok(accuracy(&outcomes))
}

/// Mean `KL(truth ‖ model)` per token over the held-out documents, each read from its beginning,
/// and the model's mass on rare but true tokens relative to the truth.
fn exact<T: Tier>(model: &Gpt<T>, world: &ToyWorld, heldout: &[u32]) -> Result<(f64, f64)> {
    let end = world.tokenizer().end_token();
    let mut documents = split_documents(heldout, end, false);
    // Documents of like length share a batch, which saves padding.
    documents.sort_by_key(|document| document.len());
    let v = model.config.vocab;
    let (mut excess, mut count, mut tail, mut truth) = (0.0, 0usize, 0.0, 0.0);
    for some in documents.chunks(TOGETHER) {
        let t = some.iter().map(|document| document.len() + 1).max().unwrap_or(1);
        if t > model.config.context {
            return Err(Error::input(format!(
                "The toy world's documents have up to {t} tokens, more than the model's context of \
                 {}; raise the context.",
                model.config.context
            )));
        }
        let mut tokens = vec![end; some.len() * t];
        for (row, document) in tokens.chunks_exact_mut(t).zip(some) {
            row[1..=document.len()].copy_from_slice(document);
        }
        let mut acts = Activations::new(&model.tier, &model.config, some.len(), t, false)?;
        let logits = model.logits(&mut acts, &tokens, t)?;
        for (rows, document) in logits.chunks_exact(t * v).zip(some) {
            let mut state = world.start();
            for (position, logits) in rows.chunks_exact(v).take(document.len() + 1).enumerate() {
                let (log_probs, probs) = softmax(logits);
                excess += state.excess_nats(&log_probs);
                let mass = state.tail(&probs);
                tail += mass.0;
                truth += mass.1;
                count += 1;
                if let Some(&token) = document.get(position) {
                    state = state.advance(token).expect("held-out documents are of the world");
                }
            }
        }
    }
    Ok((excess / count.max(1) as f64, tail / truth))
}

fn softmax<R: Real>(logits: &[R]) -> (Vec<f32>, Vec<f32>) {
    let most = logits.iter().fold(f64::NEG_INFINITY, |most, z| most.max(z.wide()));
    let sum: f64 = logits.iter().map(|z| libm::exp(z.wide() - most)).sum();
    let lse = most + libm::log(sum);
    let log_probs: Vec<f32> = logits.iter().map(|z| (z.wide() - lse) as f32).collect();
    let probs = log_probs.iter().map(|&log| libm::expf(log)).collect();
    (log_probs, probs)
}

fn toy_text(metrics: &mut BTreeMap<String, f64>, world: &ToyWorld, documents: &[&[u32]]) {
    let (mut grammatical, mut stated, mut true_ones) = (0, 0, 0);
    for document in documents {
        let verdict = world.judge(document);
        grammatical += usize::from(verdict.grammatical);
        stated += verdict.facts_stated;
        true_ones += verdict.facts_true;
    }
    set(metrics, "grammatical_share", grammatical as f64 / documents.len() as f64);
    set(metrics, "true_fact_share", true_ones as f64 / stated as f64);
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
