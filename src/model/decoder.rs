//! Generation with a key-value cache.
//!
//! Every prompt owns a group of cache slots, one per row it may have. A row remembers for each
//! position the slot that holds it (its ancestry), so beams share their past without copying it.

use super::layout::Layer;
use super::{Activations, Gpt};
use crate::config::DecodeConfig;
use crate::sample::Decoder;
use crate::tier::{Affine, CacheRows, CacheShape, LinearShape, Tier};
use crate::{Error, Result};

/// Tokens that are worked off together while prompts are read.
const PREFILL_TOKENS: usize = 4096;

/// A [`Decoder`] over a model.
pub struct GptDecoder<'a, T: Tier> {
    model: &'a Gpt<T>,
    cache: T::Act,
    shape: CacheShape,
    /// The weights of every layer and the head, packed for products with few rows.
    weights: Vec<LayerWeights<T>>,
    head: T::Packed,
    buffers: Buffers<T>,
    rows: Vec<Row>,
    /// Cache slots per prompt.
    group: usize,
    logits: Vec<T::Number>,
    /// Where the tier chooses: by which settings, with which numbers, and what.
    choice: Option<DecodeConfig>,
    uniforms: Vec<f64>,
    chosen: Vec<Option<u32>>,
}

#[derive(Clone, Debug)]
struct Row {
    prompt: usize,
    length: usize,
    /// Slot of each position, `[length]`.
    ancestry: Vec<u32>,
}

/// The packed weights of a layer.
struct LayerWeights<T: Tier> {
    qkv: T::Packed,
    attproj: T::Packed,
    fc: T::Packed,
    fcproj: T::Packed,
}

struct Buffers<T: Tier> {
    residual: T::Act,
    residual_mid: T::Act,
    mean: T::Wide,
    rstd: T::Wide,
    normed: T::Act,
    qkv: T::Act,
    attended: T::Act,
    branch: T::Act,
    pre: T::Act,
    activated: T::Act,
    logits: T::Wide,
}

impl<'a, T: Tier> GptDecoder<'a, T> {
    /// A decoder for up to `max_rows` sequences of up to `context` tokens side by side.
    pub fn new(model: &'a Gpt<T>, max_rows: usize, context: usize) -> Result<Self> {
        let (tier, config) = (&model.tier, &model.config);
        let (n, c, v) = (max_rows.max(1), config.channels, config.vocab);
        let t = context.min(config.context);
        let hs = c / config.heads;
        let shape = CacheShape { layers: config.layers, slots: n, t, nh: config.heads, hs };
        let pack = |affine: Affine, c, oc| tier.pack(&model.params, affine.weight, c, oc, false);
        let layer = |layer: &Layer| -> Result<LayerWeights<T>> {
            Ok(LayerWeights {
                qkv: pack(layer.qkv, c, 3 * c)?,
                attproj: pack(layer.attproj, c, c)?,
                fc: pack(layer.fc, c, 4 * c)?,
                fcproj: pack(layer.fcproj, 4 * c, c)?,
            })
        };
        Ok(Self {
            model,
            cache: tier.cache(shape)?,
            shape,
            weights: model.layout.layers.iter().map(layer).collect::<Result<_>>()?,
            head: tier.pack(&model.params, model.layout.wte, c, v, true)?,
            buffers: Buffers {
                residual: tier.act(n * c)?,
                residual_mid: tier.act(n * c)?,
                mean: tier.wide(n)?,
                rstd: tier.wide(n)?,
                normed: tier.act(n * c)?,
                qkv: tier.act(3 * n * c)?,
                attended: tier.act(n * c)?,
                branch: tier.act(n * c)?,
                pre: tier.act(4 * n * c)?,
                activated: tier.act(4 * n * c)?,
                logits: tier.wide(n * v)?,
            },
            rows: Vec::new(),
            group: 1,
            logits: Vec::new(),
            choice: None,
            uniforms: Vec::new(),
            chosen: Vec::new(),
        })
    }

    /// Reads some prompts of any lengths; their last hidden rows go to `rows` of `normed`.
    fn read(&mut self, prompts: &[&[u32]], first: usize, acts: &mut Activations<T>) -> Result<()> {
        let (tier, c) = (&self.model.tier, self.model.config.channels);
        let t = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        let mut tokens = vec![0; prompts.len() * t];
        for (row, prompt) in tokens.chunks_exact_mut(t).zip(prompts) {
            row[..prompt.len()].copy_from_slice(prompt);
        }
        let slots: Vec<u32> =
            (0..prompts.len()).map(|index| ((first + index) * self.group) as u32).collect();
        let (cache, shape) = (&mut self.cache, self.shape);
        self.model.forward(acts, &tokens, t, |layer, qkv| {
            tier.cache_fill(cache, qkv, &slots, layer, t, shape)
        })?;
        let last: Vec<usize> =
            prompts.iter().enumerate().map(|(row, prompt)| row * t + prompt.len() - 1).collect();
        tier.gather_rows(&mut self.buffers.normed, &acts.normed, &last, c)?;
        self.classify(prompts.len())
    }

    /// Appends the logits of the first `n` rows of `normed`, or the tokens chosen by them.
    fn classify(&mut self, n: usize) -> Result<()> {
        let (tier, c, v) = (&self.model.tier, self.model.config.channels, self.model.config.vocab);
        let shape = LinearShape { n, c, oc: v };
        let b = &mut self.buffers;
        tier.packed_logits(&mut b.logits, &b.normed, &self.head, shape)?;
        if let Some(config) = &self.choice {
            let done = self.chosen.len();
            let uniforms = if config.sample { &self.uniforms[done..done + n] } else { &[] };
            self.chosen.extend(tier.choose(&b.logits, n, v, config, uniforms)?);
            return Ok(());
        }
        self.logits.extend(tier.download_wide(&b.logits, n * v)?);
        Ok(())
    }
}

impl<T: Tier> Decoder for GptDecoder<'_, T> {
    type Number = T::Number;

    fn vocab(&self) -> usize {
        self.model.config.vocab
    }

    fn context(&self) -> usize {
        self.shape.t
    }

    fn max_rows(&self) -> usize {
        self.shape.slots
    }

    fn logits(&self) -> &[T::Number] {
        &self.logits
    }

    fn choose_by(&mut self, config: Option<&DecodeConfig>) -> bool {
        self.choice = config.filter(|_| self.model.tier.chooses()).cloned();
        self.choice.is_some()
    }

    fn give_uniforms(&mut self, uniforms: Vec<f64>) {
        self.uniforms = uniforms;
    }

    fn chosen(&self) -> &[Option<u32>] {
        &self.chosen
    }

    fn prefill(&mut self, prompts: &[&[u32]]) -> Result<()> {
        if prompts.len() > self.shape.slots {
            return Err(Error::input(format!(
                "{} prompts do not fit into a decoder for {} rows.",
                prompts.len(),
                self.shape.slots
            )));
        }
        let Some(longest) = prompts.iter().map(|prompt| prompt.len()).max() else {
            return Err(Error::input("There is no prompt to continue."));
        };
        if longest > self.shape.t || prompts.iter().any(|prompt| prompt.is_empty()) {
            return Err(Error::input(format!(
                "A prompt must hold between 1 and {} tokens; the longest here has {longest}.",
                self.shape.t
            )));
        }
        self.group = self.shape.slots / prompts.len();
        self.logits.clear();
        self.chosen.clear();
        self.rows.clear();
        let together = (PREFILL_TOKENS / longest).clamp(1, prompts.len());
        let (tier, config) = (&self.model.tier, &self.model.config);
        let mut acts = Activations::new(tier, config, together, longest, false)?;
        for (index, some) in prompts.chunks(together).enumerate() {
            self.read(some, index * together, &mut acts)?;
        }
        self.rows.extend(prompts.iter().enumerate().map(|(prompt, tokens)| Row {
            prompt,
            length: tokens.len(),
            ancestry: vec![(prompt * self.group) as u32; tokens.len()],
        }));
        Ok(())
    }

    fn step(&mut self, parents: &[usize], tokens: &[u32]) -> Result<()> {
        let n = tokens.len();
        let mut used = vec![0; self.rows.iter().map(|row| row.prompt + 1).max().unwrap_or(0)];
        let mut rows = Vec::with_capacity(n);
        for &parent in parents {
            let mut row = self.rows[parent].clone();
            if row.length == self.shape.t || used[row.prompt] == self.group {
                return Err(Error::input(format!(
                    "A sequence cannot grow beyond {} tokens or {} rows per prompt here.",
                    self.shape.t, self.group
                )));
            }
            row.ancestry.push((row.prompt * self.group + used[row.prompt]) as u32);
            row.length += 1;
            used[row.prompt] += 1;
            rows.push(row);
        }
        self.rows = rows;
        let slots: Vec<u32> = self.rows.iter().map(|row| row.ancestry[row.length - 1]).collect();
        let lengths: Vec<u32> = self.rows.iter().map(|row| row.length as u32).collect();
        let positions: Vec<u32> = lengths.iter().map(|length| length - 1).collect();
        let mut ancestry = vec![0; n * self.shape.t];
        for (to, row) in ancestry.chunks_exact_mut(self.shape.t).zip(&self.rows) {
            to[..row.length].copy_from_slice(&row.ancestry);
        }
        let places = CacheRows { slots: &slots, lengths: &lengths, ancestry: &ancestry };
        self.advance(tokens, &positions, places)?;
        self.logits.clear();
        self.chosen.clear();
        self.classify(n)
    }
}

impl<T: Tier> GptDecoder<'_, T> {
    /// The blocks for one new token per row.
    fn advance(&mut self, tokens: &[u32], positions: &[u32], places: CacheRows) -> Result<()> {
        let (model, b) = (self.model, &mut self.buffers);
        let (tier, params, c, n) =
            (&model.tier, &model.params, model.config.channels, tokens.len());
        let shape = |c, oc| LinearShape { n, c, oc };
        let linear = |out: &mut T::Act, x: &T::Act, weight: &T::Packed, affine: Affine, shape| {
            tier.packed_linear_forward(out, x, weight, params, affine.bias, shape)
        };
        let (wte, wpe) = (model.layout.wte, model.layout.wpe);
        tier.embedding_forward(&mut b.residual, tokens, positions, params, wte, wpe, c)?;
        for (index, (layer, weights)) in model.layout.layers.iter().zip(&self.weights).enumerate() {
            if index == 0 {
                tier.layernorm_forward(
                    &mut b.normed,
                    &mut b.mean,
                    &mut b.rstd,
                    &b.residual,
                    params,
                    layer.ln1,
                    n,
                )?;
            } else {
                tier.residual_layernorm_forward(
                    &mut b.normed,
                    &mut b.residual,
                    &mut b.mean,
                    &mut b.rstd,
                    &b.residual_mid,
                    &b.branch,
                    params,
                    layer.ln1,
                    n,
                )?;
            }
            linear(&mut b.qkv, &b.normed, &weights.qkv, layer.qkv, shape(c, 3 * c))?;
            let cache = &mut self.cache;
            tier.attention_decode(&mut b.attended, cache, &b.qkv, places, index, self.shape)?;
            linear(&mut b.branch, &b.attended, &weights.attproj, layer.attproj, shape(c, c))?;
            tier.residual_layernorm_forward(
                &mut b.normed,
                &mut b.residual_mid,
                &mut b.mean,
                &mut b.rstd,
                &b.residual,
                &b.branch,
                params,
                layer.ln2,
                n,
            )?;
            linear(&mut b.pre, &b.normed, &weights.fc, layer.fc, shape(c, 4 * c))?;
            tier.gelu_forward(&mut b.activated, &b.pre, 4 * n * c)?;
            linear(&mut b.branch, &b.activated, &weights.fcproj, layer.fcproj, shape(4 * c, c))?;
        }
        tier.residual_layernorm_forward(
            &mut b.normed,
            &mut b.residual,
            &mut b.mean,
            &mut b.rstd,
            &b.residual_mid,
            &b.branch,
            params,
            model.layout.lnf,
            n,
        )
    }
}
