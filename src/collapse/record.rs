//! What a run writes down: one [`GenerationRecord`] per line of `metrics.jsonl`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One finished generation of one (loss, seed) chain.
///
/// Holds nothing that depends on the clock or the machine, so that two runs can be compared bit by
/// bit; times live in `timings.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GenerationRecord {
    /// The loss as the user names it, for example `tce:0.9`.
    pub loss: String,
    /// The seed of the chain; chains with equal seeds share their random numbers across losses.
    pub seed: u64,
    /// 0 is trained on real text only.
    pub generation: usize,
    /// How training ended.
    pub outcome: Outcome,
    /// Scalars by name; see [`METRICS`]. Absent where not defined.
    pub metrics: BTreeMap<String, f64>,
    /// Share of held-out real tokens with `p_t` in each of 20 equal bins of `[0, 1]`.
    pub p_histogram_real: Vec<f64>,
    /// The same for the model's own text (what it generates after training).
    pub p_histogram_synthetic: Vec<f64>,
    /// Loss and validation while training.
    pub training: Vec<TrainPoint>,
    /// A few pieces of generated text.
    pub samples: Vec<String>,
    /// The first of them as the model that wrote them reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Vec<ReadToken>>,
}

/// A token of generated text as its model reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadToken {
    /// Its text.
    pub text: String,
    /// The probability given to it, to four decimals.
    pub p: f64,
    /// Whether the chain's loss would keep it.
    pub kept: bool,
}

/// How the training of a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All steps done, or stopped early by validation.
    Finished,
    /// The loss or a gradient stopped being finite: recorded, the chain ends here.
    Diverged,
}

/// One point of the training curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainPoint {
    /// Optimiser steps so far.
    pub step: usize,
    /// Mean training loss since the point before, in nats per predicted token.
    pub loss_nats: f64,
    /// Share of tokens that the loss kept since the point before.
    pub kept_fraction: f64,
    /// Cross entropy on the validation text in nats per token.
    pub validation_nats: Option<f64>,
}

/// What [`METRICS`] says of a metric, if there is such a metric.
pub fn metric(name: &str) -> Option<&'static (&'static str, &'static str, i8)> {
    METRICS.iter().find(|entry| match entry.0.strip_suffix('*') {
        Some(family) => name.strip_prefix(family).is_some_and(|member| !member.is_empty()),
        None => entry.0 == name,
    })
}

/// The metrics by name, with their meaning and whether larger is better (+1), worse (−1) or
/// neither (0). A name that ends in `*` stands for a family.
pub const METRICS: &[(&str, &str, i8)] = &[
    ("heldout_nats", "cross entropy on held-out real text, nats per token", -1),
    ("heldout_perplexity", "exp of heldout_nats", -1),
    (
        "heldout_5gram_nats",
        "cross entropy on held-out real text of an interpolated 5-gram model of the training text of \
         generation 0, nats per token",
        0,
    ),
    ("heldout_bits_per_byte", "cross entropy on held-out real text, bits per byte of it", -1),
    (
        "calibration_error",
        "expected calibration error on held-out text, 20 bins of the top probability",
        -1,
    ),
    ("top_probability", "mean of the largest probability on held-out text", 0),
    ("top_accuracy", "share of held-out tokens that the model thought likeliest", 1),
    ("self_nats", "cross entropy of the model on its own text, nats per token", 0),
    ("excess_nats", "toy world: mean KL(truth || model) per token, nats", -1),
    (
        "tail_mass",
        "toy world: probability the model gives to rare but true tokens / their true probability",
        1,
    ),
    ("facts_accuracy", "toy world: share of fact questions answered right", 1),
    ("agreement_accuracy", "toy world: share of agreement pairs ranked right", 1),
    (
        "grammatical_share",
        "toy world: share of generated documents that the grammar can produce",
        1,
    ),
    ("true_fact_share", "toy world: share of generated fact statements that are true", 1),
    ("kl_synthetic_real_nats", "KL(synthetic || real) of token histograms, floor 1e-10, nats", -1),
    ("kl_real_synthetic_nats", "KL(real || synthetic) of token histograms, floor 1e-10, nats", -1),
    ("js_nats", "Jensen-Shannon divergence of token histograms, generated and real, nats", -1),
    ("total_variation", "total variation of token histograms, generated and real", -1),
    ("bigram_js_nats", "Jensen-Shannon divergence of bigrams, generated and real, nats", -1),
    ("token_entropy_nats", "entropy of the token histogram of the generated text, nats", 0),
    ("distinct_1", "distinct unigrams / unigrams in the generated text", 0),
    ("distinct_2", "distinct bigrams / bigrams in the generated text", 0),
    ("distinct_3", "distinct trigrams / trigrams in the generated text", 0),
    ("self_repetition", "share of four-grams that their document had before", -1),
    ("surplexity", "perplexity of the model on its own text, exp of self_nats", 0),
    ("simpson", "sum of squared token shares in the generated text", 0),
    ("hill_2", "Hill number of order 2: effective number of tokens in the generated text", 0),
    ("gini", "Gini coefficient of the token counts of the generated text", 0),
    ("zipf_exponent", "minus the slope of ln count over ln rank in the generated text", 0),
    (
        "rare_decile_mass",
        "share of generated tokens in the rarest tenth of the real text's mass",
        1,
    ),
    (
        "common_decile_mass",
        "share of generated tokens in the most frequent tenth of the real text's mass",
        0,
    ),
    (
        "vocabulary_alive",
        "share of the real text's token types that occur in the generated text",
        1,
    ),
    ("kept_fraction_real", "share of held-out real tokens that the loss would keep", 0),
    ("kept_fraction_synthetic", "share of own-text tokens that the loss would keep", 0),
    ("kept_fraction_training", "share of training tokens that the loss kept", 0),
    ("validation_nats", "best cross entropy on the validation text, nats per token", -1),
    ("train_tokens", "tokens in the training text", 0),
    ("real_share", "share of real tokens in the training text", 0),
    ("synthetic_tokens_cumulative", "distinct generated tokens that entered training so far", 0),
    ("update_norm", "mean norm of what one step changes in the weights", 0),
    (
        "matched_to",
        "what a matched arm took from its parent: kept fraction, or factor on the rate",
        0,
    ),
    ("filter_kept_share", "share of generated documents that the arm's filter kept", 0),
    ("edited_share", "share of generated tokens that the arm's editing changed", 0),
    ("empty_share", "share of generated documents that hold no token but the end", -1),
    (
        "retention_accuracy",
        "knowledge retention: share of questions whose true answer has the larger mean log-probability \
         up to the shorter answer's length",
        1,
    ),
    (
        "retention_sum_accuracy",
        "knowledge retention: share of questions whose true answer has the larger log-probability",
        1,
    ),
    ("retention_split_*", "retention_accuracy over the questions of one part of the text", 1),
    ("blimp_*", "share of minimal pairs whose good sentence has the larger log-probability", 1),
    (
        "choice_accuracy",
        "multiple choice: share of items whose right ending has the largest log-probability",
        1,
    ),
    (
        "choice_normalised_accuracy",
        "multiple choice: share of items whose right ending has the largest log-probability per byte",
        1,
    ),
    ("items_cut", "items longer than the context, of which the last tokens were read", 0),
];

#[cfg(test)]
mod tests {
    use super::METRICS;

    #[test]
    fn the_readme_explains_every_measure_by_name() {
        let readme = include_str!("../../README.md");
        for (name, _, _) in METRICS {
            let named = format!("`{}", name.trim_end_matches('*'));
            assert!(readme.contains(&named), "README.md does not explain {name}");
        }
    }
}
