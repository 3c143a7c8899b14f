//! GPT-2: backward reads as forward in reverse. Written once over [`Tier`].

use super::activations::{ActivationGradients, Activations};
use super::initial;
use super::layout::Layout;
use crate::config::ModelConfig;
use crate::cpu::Real;
use crate::loss::Rule;
use crate::tier::{AttentionShape, ClassifierGradients, LinearShape, Span, Tier};
use crate::{Error, Result};

/// A GPT-2 model on a tier.
pub struct Gpt<T: Tier> {
    /// The machine.
    pub tier: T,
    /// The shape.
    pub config: ModelConfig,
    /// Where the parameters lie.
    pub layout: Layout,
    /// The parameters.
    pub params: T::Param,
}

/// Rows of tokens: `b` sequences of `t`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Inputs, `[b, t]`.
    pub tokens: &'a [u32],
    /// What is predicted at each position, `[b, t]`.
    pub targets: &'a [u32],
    /// For random masks: whether the position may count, `[b, t]`.
    pub mask: Option<&'a [bool]>,
    /// Sequence length.
    pub t: usize,
}

/// Per-position results of a pass, `[b, t]`.
#[derive(Clone, Debug, Default)]
pub struct RowScores {
    /// The loss `f`.
    pub loss: Vec<f64>,
    /// `−ln p` of the target.
    pub nll: Vec<f64>,
    /// The target's probability.
    pub probability: Vec<f64>,
    /// Whether the loss kept the position.
    pub kept: Vec<bool>,
}

impl<T: Tier> Gpt<T> {
    /// A model with GPT-2's initial weights for `seed`.
    pub fn new(tier: T, config: ModelConfig, seed: u64) -> Result<Self> {
        let mut model = Self::zeros(tier, config)?;
        let arena: Vec<T::Number> =
            initial::arena(&model.layout, seed).into_iter().map(T::Number::of).collect();
        model.set_params(&arena)?;
        Ok(model)
    }

    /// A model with all parameters zero, to be filled.
    pub fn zeros(tier: T, config: ModelConfig) -> Result<Self> {
        config.validate()?;
        let layout = Layout::gpt2(&config);
        let params = tier.param(layout.len)?;
        Ok(Self { tier, config, layout, params })
    }

    /// All parameters in arena order.
    pub fn get_params(&self) -> Result<Vec<T::Number>> {
        self.tier.download(&self.params, self.whole())
    }

    /// Replaces all parameters, given in arena order.
    pub fn set_params(&mut self, values: &[T::Number]) -> Result<()> {
        let whole = self.whole();
        self.tier.upload(&mut self.params, whole, values)
    }

    /// The span of the whole arena.
    pub fn whole(&self) -> Span {
        Span { start: 0, len: self.layout.len }
    }

    /// Loss per position, nothing kept for a backward pass.
    pub fn score(&self, acts: &mut Activations<T>, batch: Batch, rule: &Rule) -> Result<RowScores> {
        self.forward(acts, batch.tokens, batch.t, |_, _| Ok(()))?;
        self.classify(acts, None, batch, rule)?;
        self.scores(acts, batch.tokens.len())
    }

    /// Logits at every position, `[b, t, v]`.
    pub fn logits(
        &self,
        acts: &mut Activations<T>,
        tokens: &[u32],
        t: usize,
    ) -> Result<Vec<T::Number>> {
        self.forward(acts, tokens, t, |_, _| Ok(()))?;
        let shape = self.head_shape(tokens.len());
        let mut out = self.tier.wide(shape.n * shape.oc)?;
        self.tier.logits(&mut out, &acts.normed, &self.params, self.layout.wte, shape)?;
        self.tier.download_wide(&out, shape.n * shape.oc)
    }

    /// Adds `scale · d(Σ loss)/d(params)` to `gradients`; returns the losses per position.
    pub fn accumulate_gradients(
        &self,
        gradients: &mut T::Param,
        acts: &mut Activations<T>,
        batch: Batch,
        rule: &Rule,
        scale: f64,
    ) -> Result<RowScores> {
        self.forward(acts, batch.tokens, batch.t, |_, _| Ok(()))?;
        let mut d = acts.gradients.take().ok_or_else(|| {
            Error::input("These activations were made without room for gradients; make them with train = true.")
        })?;
        self.tier.zero_act(&mut d.narrow, batch.tokens.len() * self.config.channels)?;
        let to = ClassifierGradients { dx: &mut d.narrow, gradients, scale };
        // The scores are waited for once everything has been asked for.
        let result = self
            .classify(acts, Some(to), batch, rule)
            .and_then(|()| self.backward(gradients, acts, &mut d, batch.tokens, batch.t));
        acts.gradients = Some(d);
        result.and_then(|()| self.scores(acts, batch.tokens.len()))
    }

    /// Runs the blocks; the last layer norm's output stands in `acts.normed`. `on_qkv` sees each
    /// layer's queries, keys and values.
    pub(super) fn forward(
        &self,
        acts: &mut Activations<T>,
        tokens: &[u32],
        t: usize,
        mut on_qkv: impl FnMut(usize, &T::Act) -> Result<()>,
    ) -> Result<()> {
        let (tier, params, c) = (&self.tier, &self.params, self.config.channels);
        let n = tokens.len();
        self.check_tokens(acts, tokens, t)?;
        let shape = |c, oc| LinearShape { n, c, oc };
        let attention = self.attention_shape(n, t);
        let positions = positions(n, t);
        let (wte, wpe) = (self.layout.wte, self.layout.wpe);
        tier.embedding_forward(&mut acts.residual[0], tokens, &positions, params, wte, wpe, c)?;
        let kept = acts.residual.len();
        for (index, layer) in self.layout.layers.iter().enumerate() {
            let (now, before) = (index % kept, index.wrapping_sub(1) % kept);
            if index == 0 {
                tier.layernorm_forward(
                    &mut acts.normed,
                    &mut acts.mean1[now],
                    &mut acts.rstd1[now],
                    &acts.residual[now],
                    params,
                    layer.ln1,
                    n,
                )?;
            } else {
                tier.residual_layernorm_forward(
                    &mut acts.normed,
                    &mut acts.residual[now],
                    &mut acts.mean1[now],
                    &mut acts.rstd1[now],
                    &acts.residual_mid[before],
                    &acts.branch,
                    params,
                    layer.ln1,
                    n,
                )?;
            }
            tier.linear_forward(
                &mut acts.qkv[now],
                &acts.normed,
                params,
                layer.qkv,
                shape(c, 3 * c),
            )?;
            on_qkv(index, &acts.qkv[now])?;
            tier.attention_forward(
                &mut acts.attended[now],
                &mut acts.lse[now],
                &acts.qkv[now],
                &mut acts.attention_workspace,
                attention,
            )?;
            let attended = &acts.attended[now];
            tier.linear_forward(&mut acts.branch, attended, params, layer.attproj, shape(c, c))?;
            tier.residual_layernorm_forward(
                &mut acts.normed,
                &mut acts.residual_mid[now],
                &mut acts.mean2[now],
                &mut acts.rstd2[now],
                &acts.residual[now],
                &acts.branch,
                params,
                layer.ln2,
                n,
            )?;
            tier.linear_forward(
                &mut acts.pre[now],
                &acts.normed,
                params,
                layer.fc,
                shape(c, 4 * c),
            )?;
            tier.gelu_linear_forward(
                &mut acts.branch,
                &mut acts.activated,
                &acts.pre[now],
                params,
                layer.fcproj,
                shape(4 * c, c),
            )?;
        }
        tier.residual_layernorm_forward(
            &mut acts.normed,
            &mut acts.last,
            &mut acts.meanf,
            &mut acts.rstdf,
            &acts.residual_mid[(self.config.layers - 1) % kept],
            &acts.branch,
            params,
            self.layout.lnf,
            n,
        )
    }

    /// From the gradient of the last layer norm's output, in `d.narrow`, down to the embeddings.
    fn backward(
        &self,
        gradients: &mut T::Param,
        acts: &mut Activations<T>,
        d: &mut ActivationGradients<T>,
        tokens: &[u32],
        t: usize,
    ) -> Result<()> {
        let (tier, params, c) = (&self.tier, &self.params, self.config.channels);
        let n = tokens.len();
        let shape = |c, oc| LinearShape { n, c, oc };
        let attention = self.attention_shape(n, t);
        tier.zero_act(&mut d.residual, n * c)?;
        tier.layernorm_backward(
            &mut d.residual,
            gradients,
            &acts.meanf,
            &acts.rstdf,
            &d.narrow,
            &acts.last,
            params,
            self.layout.lnf,
            n,
        )?;
        for (index, layer) in self.layout.layers.iter().enumerate().rev() {
            tier.gelu_linear_backward(
                &mut d.wide,
                gradients,
                &mut acts.activated,
                &d.residual,
                &acts.pre[index],
                params,
                layer.fcproj,
                layer.fc.bias,
                shape(4 * c, c),
            )?;
            let (mean, rstd) = (&acts.mean2[index], &acts.rstd2[index]);
            let residual = &acts.residual_mid[index];
            tier.layernorm_apply(&mut acts.normed, mean, rstd, residual, params, layer.ln2, n)?;
            tier.linear_backward(
                &mut d.narrow,
                gradients,
                &d.wide,
                &acts.normed,
                params,
                // The sums over the rows of `d.wide` have been taken.
                layer.fc.without_bias(),
                shape(c, 4 * c),
            )?;
            tier.layernorm_backward(
                &mut d.residual,
                gradients,
                mean,
                rstd,
                &d.narrow,
                residual,
                params,
                layer.ln2,
                n,
            )?;
            tier.linear_backward(
                &mut d.narrow,
                gradients,
                &d.residual,
                &acts.attended[index],
                params,
                layer.attproj,
                shape(c, c),
            )?;
            tier.zero_act(&mut d.wide, 3 * n * c)?;
            tier.attention_backward(
                &mut d.wide,
                &d.narrow,
                &acts.qkv[index],
                &acts.attended[index],
                &acts.lse[index],
                &mut acts.attention_workspace,
                attention,
            )?;
            let (mean, rstd) = (&acts.mean1[index], &acts.rstd1[index]);
            let residual = &acts.residual[index];
            tier.layernorm_apply(&mut acts.normed, mean, rstd, residual, params, layer.ln1, n)?;
            tier.linear_backward(
                &mut d.narrow,
                gradients,
                &d.wide,
                &acts.normed,
                params,
                layer.qkv,
                shape(c, 3 * c),
            )?;
            tier.layernorm_backward(
                &mut d.residual,
                gradients,
                mean,
                rstd,
                &d.narrow,
                residual,
                params,
                layer.ln1,
                n,
            )?;
        }
        let (wte, wpe) = (self.layout.wte, self.layout.wpe);
        tier.embedding_backward(gradients, &d.residual, tokens, &positions(n, t), wte, wpe, c)
    }

    fn classify(
        &self,
        acts: &mut Activations<T>,
        gradients: Option<ClassifierGradients<T>>,
        batch: Batch,
        rule: &Rule,
    ) -> Result<()> {
        self.tier.classifier(
            &mut acts.rows,
            gradients,
            &acts.normed,
            batch.targets,
            batch.mask,
            &self.params,
            self.layout.wte,
            rule,
            &mut acts.classifier_workspace,
            self.head_shape(batch.tokens.len()),
        )
    }

    /// What the classifier has left of the first `n` rows.
    fn scores(&self, acts: &Activations<T>, n: usize) -> Result<RowScores> {
        let numbers = |wide| -> Result<Vec<f64>> {
            Ok(self.tier.download_wide(wide, n)?.into_iter().map(Real::wide).collect())
        };
        Ok(RowScores {
            loss: numbers(&acts.rows.loss)?,
            nll: numbers(&acts.rows.nll)?,
            probability: numbers(&acts.rows.probability)?,
            kept: numbers(&acts.rows.kept)?.into_iter().map(|kept| kept != 0.0).collect(),
        })
    }

    pub(super) fn head_shape(&self, n: usize) -> LinearShape {
        LinearShape { n, c: self.config.channels, oc: self.config.vocab }
    }

    fn attention_shape(&self, n: usize, t: usize) -> AttentionShape {
        let nh = self.config.heads;
        AttentionShape { b: n / t, t, nh, hs: self.config.channels / nh }
    }

    fn check_tokens(&self, acts: &Activations<T>, tokens: &[u32], t: usize) -> Result<()> {
        let ModelConfig { context, vocab, .. } = self.config;
        if t == 0 || tokens.is_empty() || !tokens.len().is_multiple_of(t) {
            return Err(Error::input(format!(
                "{} tokens cannot be cut into sequences of {t}; pass a positive multiple.",
                tokens.len()
            )));
        }
        if t > context || t > acts.t || tokens.len() > acts.n {
            return Err(Error::input(format!(
                "Sequences of {t} tokens ({} in all) exceed the model's context of {context} or the \
                 buffers for {} tokens; shorten the sequences or use a model with a longer context.",
                tokens.len(),
                acts.n
            )));
        }
        if let Some(&bad) = tokens.iter().find(|&&token| token as usize >= vocab) {
            return Err(Error::input(format!(
                "Token {bad} lies outside the model's vocabulary of {vocab}; encode the text with the \
                 tokenizer the model was trained with."
            )));
        }
        Ok(())
    }
}

/// `0..t` over and over.
fn positions(n: usize, t: usize) -> Vec<u32> {
    (0..n).map(|row| (row % t) as u32).collect()
}
