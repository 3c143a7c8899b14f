//! The one table of the model's parameters: name, shape, place in the arena, decay, initial law.

use crate::config::ModelConfig;
use crate::tier::{Affine, Span};

/// One parameter tensor. Names and shapes are those of Hugging Face's GPT-2 (`Conv1D` weights are
/// `[in, out]`).
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Hugging Face's name, with the prefix `transformer.`.
    pub name: String,
    /// Row-major shape.
    pub shape: Vec<usize>,
    /// Place in the arena.
    pub span: Span,
    /// Whether weight decay applies: to matrices, not to biases and layer norms.
    pub decay: bool,
    /// Initial law.
    pub initial: Initial,
}

/// The law of a tensor's initial values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// Normal with mean zero and this standard deviation.
    Normal(f64),
}

/// The parameters of one transformer block.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// Layer norm before attention.
    pub ln1: Affine,
    /// Queries, keys and values, `[c, 3c]`.
    pub qkv: Affine,
    /// Output projection of attention, `[c, c]`.
    pub attproj: Affine,
    /// Layer norm before the feed-forward part.
    pub ln2: Affine,
    /// `[c, 4c]`.
    pub fc: Affine,
    /// `[4c, c]`.
    pub fcproj: Affine,
}

/// All parameters of a model.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The table, in arena order.
    pub tensors: Vec<Tensor>,
    /// Token embedding `[v, c]`, which is also the classifier's weight.
    pub wte: Span,
    /// Position embedding `[t, c]`.
    pub wpe: Span,
    /// The blocks.
    pub layers: Vec<Layer>,
    /// The last layer norm.
    pub lnf: Affine,
    /// Number of parameters.
    pub len: usize,
}

impl Layout {
    /// The layout of GPT-2 with this shape.
    pub fn gpt2(config: &ModelConfig) -> Self {
        let ModelConfig { layers, channels: c, context, vocab, .. } = *config;
        let mut table = Table { tensors: Vec::new(), len: 0 };
        let normal = Initial::Normal(0.02);
        // Residual projections start smaller, so that the stream's variance does not grow with depth.
        let projection = Initial::Normal(0.02 / (2.0 * layers as f64).sqrt());
        let wte = table.push("wte.weight".into(), vec![vocab, c], normal);
        let wpe = table.push("wpe.weight".into(), vec![context, c], normal);
        let blocks = (0..layers)
            .map(|layer| {
                let name = |part: &str| format!("h.{layer}.{part}");
                Layer {
                    ln1: table.norm(name("ln_1"), c),
                    qkv: table.affine(name("attn.c_attn"), c, 3 * c, normal),
                    attproj: table.affine(name("attn.c_proj"), c, c, projection),
                    ln2: table.norm(name("ln_2"), c),
                    fc: table.affine(name("mlp.c_fc"), c, 4 * c, normal),
                    fcproj: table.affine(name("mlp.c_proj"), 4 * c, c, projection),
                }
            })
            .collect();
        let lnf = table.norm("ln_f".into(), c);
        Self { wte, wpe, layers: blocks, lnf, len: table.len, tensors: table.tensors }
    }

    /// Maximal stretches of the arena with equal decay, for the optimiser.
    pub fn decay_spans(&self) -> Vec<(Span, bool)> {
        let mut spans: Vec<(Span, bool)> = Vec::new();
        for tensor in &self.tensors {
            match spans.last_mut() {
                Some((span, decay)) if *decay == tensor.decay => span.len += tensor.span.len,
                _ => spans.push((tensor.span, tensor.decay)),
            }
        }
        spans
    }
}

struct Table {
    tensors: Vec<Tensor>,
    len: usize,
}

impl Table {
    fn push(&mut self, name: String, shape: Vec<usize>, initial: Initial) -> Span {
        let span = Span { start: self.len, len: shape.iter().product() };
        self.len += span.len;
        let decay = shape.len() > 1;
        let name = format!("transformer.{name}");
        self.tensors.push(Tensor { name, shape, span, decay, initial });
        span
    }

    fn norm(&mut self, name: String, c: usize) -> Affine {
        Affine {
            weight: self.push(format!("{name}.weight"), vec![c], Initial::Ones),
            bias: self.push(format!("{name}.bias"), vec![c], Initial::Zeros),
        }
    }

    fn affine(&mut self, name: String, c: usize, oc: usize, initial: Initial) -> Affine {
        Affine {
            weight: self.push(format!("{name}.weight"), vec![c, oc], initial),
            bias: self.push(format!("{name}.bias"), vec![oc], Initial::Zeros),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::gpt2(&ModelConfig { layers: 8, heads: 2, channels: 6, context: 5, vocab: 11 })
    }

    #[test]
    fn tensors_lie_one_behind_the_other() {
        let layout = layout();
        let mut end = 0;
        for tensor in &layout.tensors {
            assert_eq!(tensor.span.start, end, "{}", tensor.name);
            assert_eq!(tensor.span.len, tensor.shape.iter().product::<usize>(), "{}", tensor.name);
            end += tensor.span.len;
        }
        assert_eq!(layout.len, end);
        // wte, wpe, then 12c² + 13c for each layer, and the last layer norm.
        assert_eq!(end, 11 * 6 + 5 * 6 + 8 * (12 * 36 + 13 * 6) + 2 * 6);
        assert_eq!((layout.layers[7].fcproj.weight.len, layout.lnf.bias.len), (24 * 6, 6));
    }

    #[test]
    fn residual_projections_start_smaller_by_the_root_of_twice_the_depth() {
        for tensor in &layout().tensors {
            let law = match &tensor.name {
                name if name.ends_with("c_proj.weight") => Initial::Normal(0.02 / 4.0),
                name if name.ends_with("bias") => Initial::Zeros,
                name if name.contains("ln_") => Initial::Ones,
                _ => Initial::Normal(0.02),
            };
            assert_eq!(tensor.initial, law, "{}", tensor.name);
        }
    }

    #[test]
    fn stretches_of_equal_decay_are_as_long_as_can_be() {
        let layout = layout();
        let spans = layout.decay_spans();
        assert!(spans.is_sorted_by(|a, b| a.0.start + a.0.len == b.0.start && a.1 != b.1));
        assert_eq!(spans.iter().map(|(span, _)| span.len).sum::<usize>(), layout.len);
        for tensor in &layout.tensors {
            let within = |span: &Span| span.range().contains(&tensor.span.start);
            let found = spans.iter().find(|(span, _)| within(span)).unwrap();
            assert_eq!(found.1, tensor.shape.len() == 2, "{}", tensor.name);
        }
    }
}
