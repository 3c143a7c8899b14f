//! The buffers of one forward and backward pass. The comments are the shape table.

use crate::config::ModelConfig;
use crate::tier::{AttentionShape, LinearShape, RowBuffers, Tier};
use crate::{Error, Result};

/// Activations for up to `b` sequences of `t` tokens, `n = b·t`.
///
/// With gradients, what backward needs is kept per layer: 10 numbers per channel and token. Without
/// them, one layer's buffers serve all.
pub struct Activations<T: Tier> {
    /// Residual stream before attention, `[n, c]` per kept layer.
    pub(super) residual: Vec<T::Act>,
    /// Residual stream before the feed-forward part, `[n, c]` per kept layer.
    pub(super) residual_mid: Vec<T::Act>,
    /// Queries, keys, values, `[n, 3c]` per kept layer.
    pub(super) qkv: Vec<T::Act>,
    /// Attention's output, `[n, c]` per kept layer.
    pub(super) attended: Vec<T::Act>,
    /// Log-sum-exp of the attention scores, `[b, nh, t]` per kept layer.
    pub(super) lse: Vec<T::Wide>,
    /// Input of GELU, `[n, 4c]` per kept layer.
    pub(super) pre: Vec<T::Act>,
    /// Statistics of the layer norms, `[n]` per kept layer.
    pub(super) mean1: Vec<T::Wide>,
    pub(super) rstd1: Vec<T::Wide>,
    pub(super) mean2: Vec<T::Wide>,
    pub(super) rstd2: Vec<T::Wide>,
    /// Residual stream after the last block, `[n, c]`, and the last layer norm's statistics.
    pub(super) last: T::Act,
    pub(super) meanf: T::Wide,
    pub(super) rstdf: T::Wide,
    /// Output of the latest layer norm, `[n, c]`.
    pub(super) normed: T::Act,
    /// Output of the latest branch, `[n, c]`.
    pub(super) branch: T::Act,
    /// Output of GELU, `[n, 4c]`.
    pub(super) activated: T::Act,
    pub(super) attention_workspace: T::Wide,
    pub(super) rows: RowBuffers<T::Wide>,
    pub(super) classifier_workspace: T::Wide,
    pub(super) gradients: Option<ActivationGradients<T>>,
    pub(super) n: usize,
    pub(super) t: usize,
}

/// Gradients of activations.
pub(super) struct ActivationGradients<T: Tier> {
    /// Of the residual stream, `[n, c]`.
    pub residual: T::Act,
    /// Of whatever has `c` channels at the moment, `[n, c]`.
    pub narrow: T::Act,
    /// Of whatever has `3c` or `4c` channels at the moment, `[n, 4c]`.
    pub wide: T::Act,
}

impl<T: Tier> Activations<T> {
    /// Whether buffers for `b` sequences of `t` tokens fit into the machine's memory.
    ///
    /// # Errors
    /// If they do not, with both sizes.
    pub fn check(config: &ModelConfig, b: usize, t: usize, train: bool) -> Result<()> {
        let kept = if train { config.layers } else { 1 };
        let n = b.saturating_mul(t);
        let numbers = n.saturating_mul(config.channels).saturating_mul(10 * kept + 20);
        check_memory(numbers.saturating_mul(4), n)
    }

    /// Buffers for up to `b` sequences of `t` tokens.
    pub fn new(tier: &T, config: &ModelConfig, b: usize, t: usize, train: bool) -> Result<Self> {
        let ModelConfig { layers, heads, channels: c, vocab, .. } = *config;
        Self::check(config, b, t, train)?;
        let n = b * t;
        let kept = if train { layers } else { 1 };
        let per_layer = |len: usize| (0..kept).map(|_| tier.act(len)).collect::<Result<Vec<_>>>();
        let wide_per_layer =
            |len: usize| (0..kept).map(|_| tier.wide(len)).collect::<Result<Vec<_>>>();
        let attention = AttentionShape { b, t, nh: heads, hs: c / heads };
        let classifier = LinearShape { n, c, oc: vocab };
        let gradients = match train {
            true => Some(ActivationGradients {
                residual: tier.act(n * c)?,
                narrow: tier.act(n * c)?,
                wide: tier.act(4 * n * c)?,
            }),
            false => None,
        };
        Ok(Self {
            residual: per_layer(n * c)?,
            residual_mid: per_layer(n * c)?,
            qkv: per_layer(3 * n * c)?,
            attended: per_layer(n * c)?,
            lse: wide_per_layer(b * heads * t)?,
            pre: per_layer(4 * n * c)?,
            mean1: wide_per_layer(n)?,
            rstd1: wide_per_layer(n)?,
            mean2: wide_per_layer(n)?,
            rstd2: wide_per_layer(n)?,
            last: tier.act(n * c)?,
            meanf: tier.wide(n)?,
            rstdf: tier.wide(n)?,
            normed: tier.act(n * c)?,
            branch: tier.act(n * c)?,
            activated: tier.act(4 * n * c)?,
            attention_workspace: tier.wide(tier.attention_workspace(attention))?,
            rows: RowBuffers {
                loss: tier.wide(n)?,
                nll: tier.wide(n)?,
                probability: tier.wide(n)?,
                kept: tier.wide(n)?,
            },
            classifier_workspace: tier.wide(tier.classifier_workspace(classifier))?,
            gradients,
            n,
            t,
        })
    }
}

/// Refuses buffers beyond the machine's memory before they are asked for.
fn check_memory(bytes: usize, n: usize) -> Result<()> {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok())
        .map_or(usize::MAX / 2, |kib| kib.saturating_mul(1024));
    if bytes <= total {
        return Ok(());
    }
    let gib = |bytes: usize| bytes as f64 / (1u64 << 30) as f64;
    Err(Error::input(format!(
        "{n} tokens at a time would need {:.1} GiB for activations, and this machine has {:.1} GiB; \
         lower batch, raise accumulation, or choose a smaller model.",
        gib(bytes),
        gib(total)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Cpu;

    const CONFIG: ModelConfig =
        ModelConfig { layers: 6, heads: 4, channels: 32, context: 64, vocab: 100 };

    #[test]
    fn buffers_beyond_the_memory_are_refused_before_they_are_made() {
        let check = |b, t, train| Activations::<Cpu<f32>>::check(&CONFIG, b, t, train);
        assert!(check(16, 64, true).is_ok() && check(16, 64, false).is_ok());
        // Ten numbers per channel, token and kept layer, and twenty more: 2^40 tokens of 32 channels
        // are 2^40·32·80·4 bytes with gradients, and 2^40·32·30·4 without.
        for (train, size) in [(true, "10485760.0 GiB"), (false, "3932160.0 GiB")] {
            let message = check(1 << 20, 1 << 20, train).unwrap_err().to_string();
            assert!(message.contains(&format!("would need {size} for")), "{message}");
        }
        assert!(check(usize::MAX, usize::MAX, true).is_err());
    }
}
