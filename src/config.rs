//! Settings: the run, the model, its training, its decoding. Every table refuses unknown keys.

mod resolve;
mod run;

pub use resolve::{difference, parse, resolve};
pub use run::{BaseConfig, GenerateConfig, GenerateMode, Init, MOST_SEEDS, RunConfig, ToyConfig};

use crate::loss::Denominator;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The shape of a GPT-2 model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Transformer blocks, `l`.
    pub layers: usize,
    /// Attention heads, `nh`; divides `channels`.
    pub heads: usize,
    /// Width of the residual stream, `c`.
    pub channels: usize,
    /// Longest context in tokens, `t`.
    pub context: usize,
    /// Number of tokens, `v`.
    pub vocab: usize,
}

/// The most parameters, rows or other items that a setting may ask for: far beyond what this
/// program is for, and far below what overflows.
const MOST: usize = 1 << 33;

impl ModelConfig {
    /// Checks every size but the vocabulary, which is 0 until the tokenizer is known.
    ///
    /// # Errors
    /// A size that is zero or absurd, or heads that do not divide the channels.
    pub fn validate(&self) -> Result<()> {
        let Self { layers, heads, channels, context, vocab } = *self;
        for (name, value, most) in [
            ("layers", layers, 1 << 12),
            ("heads", heads, 1 << 12),
            ("channels", channels, 1 << 16),
            ("context", context, 1 << 20),
            ("vocab", vocab.max(1), 1 << 24),
        ] {
            if value == 0 || value > most {
                return Err(Error::input(format!(
                    "The model's {name} is {value}; use a number from 1 to {most}."
                )));
            }
        }
        if !channels.is_multiple_of(heads) {
            return Err(Error::input(format!(
                "The model's {channels} channels cannot be divided among {heads} heads; choose \
                 channels as a multiple of heads."
            )));
        }
        let per_layer = 12 * channels * channels + 13 * channels;
        let weights = layers * per_layer + (vocab + context + 2) * channels;
        if weights > MOST {
            return Err(Error::input(format!(
                "The model would have {weights} weights, more than the {MOST} that are allowed; choose \
                 fewer layers or channels."
            )));
        }
        Ok(())
    }
}

/// Training of one generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training text.
    pub epochs: f64,
    /// Optimiser steps in place of passes: each generation then costs the same, however long its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Rows (blocks of `context` predictions) per optimiser step, over all accumulation steps.
    pub batch: usize,
    /// The batch is worked off in this many equal parts to save memory.
    pub accumulation: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Shape of the learning rate over the steps.
    pub schedule: Schedule,
    /// Steps of linear warm-up.
    pub warmup: usize,
    /// Decoupled weight decay on the matrices.
    pub weight_decay: f64,
    /// First-moment decay of AdamW.
    pub beta1: f64,
    /// Second-moment decay of AdamW.
    pub beta2: f64,
    /// AdamW's epsilon.
    pub epsilon: f64,
    /// Global-norm clip; 0 turns clipping off.
    pub clip_norm: f64,
    /// What the summed loss is divided by.
    pub denominator: Denominator,
    /// Validations per epoch; the best weights by validation nats are kept. 0 keeps the last ones.
    pub validations_per_epoch: usize,
    /// Stop after this many validations without improvement; 0 never stops early.
    pub patience: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 3.0,
            steps: None,
            batch: 16,
            accumulation: 1,
            learning_rate: 3e-3,
            schedule: Schedule::Cosine,
            warmup: 50,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            clip_norm: 1.0,
            denominator: Denominator::All,
            validations_per_epoch: 1,
            patience: 0,
        }
    }
}

impl TrainConfig {
    /// Optimiser steps on a text of so many blocks.
    pub fn steps_on(&self, blocks: f64) -> usize {
        let passes = (self.epochs * blocks / self.batch as f64).round() as usize;
        self.steps.unwrap_or(passes).max(1)
    }
}

/// The learning rate over the steps, after warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The peak all the way.
    Constant,
    /// Half a cosine from the peak to a tenth of it.
    Cosine,
    /// A straight line from the peak to zero.
    Linear,
}

/// Decoding, with the meaning these names have in transformers' `generate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecodeConfig {
    /// Sample (`true`) or take the best token or beam (`false`).
    pub sample: bool,
    /// Logits are divided by this; sampling only.
    pub temperature: f64,
    /// Keep the k best tokens; 0 keeps all; sampling only.
    pub top_k: usize,
    /// Keep the smallest set of tokens with this mass; 1 keeps all; sampling only.
    pub top_p: f64,
    /// Beams; 1 is greedy; beam search does not sample.
    pub beams: usize,
    /// Exponent of the length normalisation of finished beams.
    pub length_penalty: f64,
    /// Logits of tokens already present are divided (if positive) or multiplied by this; 1 is off.
    pub repetition_penalty: f64,
    /// Fewest new tokens; the end token is barred before.
    pub min_new_tokens: usize,
    /// Most new tokens.
    pub max_new_tokens: usize,
}

impl Default for DecodeConfig {
    fn default() -> Self {
        Self {
            sample: true,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            beams: 1,
            length_penalty: 1.0,
            repetition_penalty: 1.0,
            min_new_tokens: 0,
            max_new_tokens: 128,
        }
    }
}
