//! GPT-2: pre-norm blocks, learned positions, a classifier tied to the token embedding.
//!
//! Source: Radford et al. 2019, "Language models are unsupervised multitask learners".
//!
//! The parameters are one flat slice in this order (`[in, out]` row by row):
//!
//! | name | shape |
//! |---|---|
//! | `wte` | `[v, c]` |
//! | `wpe` | `[context, c]` |
//! | per layer: `ln1.weight`, `ln1.bias` | `[c]` each |
//! | `qkv.weight`, `qkv.bias` | `[c, 3c]`, `[3c]` |
//! | `attproj.weight`, `attproj.bias` | `[c, c]`, `[c]` |
//! | `ln2.weight`, `ln2.bias` | `[c]` each |
//! | `fc.weight`, `fc.bias` | `[c, 4c]`, `[4c]` |
//! | `fcproj.weight`, `fcproj.bias` | `[4c, c]`, `[c]` |
//! | at the end: `lnf.weight`, `lnf.bias` | `[c]` each |

use crate::loss::{Denominator, LossKind, Row, mean_loss};
use crate::{Scalar, attention, embedding, gelu, layernorm, linear, residual};

/// The sizes of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GptShape {
    /// Number of blocks.
    pub layers: usize,
    /// Number of heads; divides `channels`.
    pub heads: usize,
    /// Width `c` of the residual stream.
    pub channels: usize,
    /// Largest number of positions.
    pub context: usize,
    /// Number `v` of tokens.
    pub vocab: usize,
}

impl GptShape {
    /// The length of the parameter slice.
    pub fn parameters(&self) -> usize {
        let c = self.channels;
        let layer = 2 * c
            + (3 * c * c + 3 * c)
            + (c * c + c)
            + 2 * c
            + (4 * c * c + 4 * c)
            + (4 * c * c + c);
        (self.vocab + self.context) * c + self.layers * layer + 2 * c
    }
}

/// The logits `[v]` after each token of one sequence.
///
/// # Panics
/// If `params` has the wrong length, or a token or position lies outside its table.
pub fn logits<S: Scalar>(shape: &GptShape, params: &[S], tokens: &[usize]) -> Vec<Vec<S>> {
    assert_eq!(params.len(), shape.parameters(), "gpt: number of parameters");
    let c = shape.channels;
    let mut rest = params;
    let mut take = |count: usize| {
        let (head, tail) = rest.split_at(count);
        rest = tail;
        head
    };
    let wte = take(shape.vocab * c);
    let wpe = take(shape.context * c);
    let embed = |(position, &token)| embedding::forward(token, position, wte, wpe, c);
    let mut x: Vec<Vec<S>> = tokens.iter().enumerate().map(embed).collect();
    for _ in 0..shape.layers {
        let (ln1_weight, ln1_bias) = (take(c), take(c));
        let (qkv_weight, qkv_bias) = (take(c * 3 * c), take(3 * c));
        let (attproj_weight, attproj_bias) = (take(c * c), take(c));
        let (ln2_weight, ln2_bias) = (take(c), take(c));
        let (fc_weight, fc_bias) = (take(c * 4 * c), take(4 * c));
        let (fcproj_weight, fcproj_bias) = (take(4 * c * c), take(c));

        let to_qkv = |x: &Vec<S>| {
            linear::forward(&layernorm::forward(x, ln1_weight, ln1_bias), qkv_weight, qkv_bias)
        };
        let attended = attention::sequence(&x.iter().map(to_qkv).collect::<Vec<_>>(), shape.heads);
        let block = |(x, attended): (&Vec<S>, &Vec<S>)| {
            let x = residual::forward(x, &linear::forward(attended, attproj_weight, attproj_bias));
            let normed = layernorm::forward(&x, ln2_weight, ln2_bias);
            let hidden = gelu::forward(&linear::forward(&normed, fc_weight, fc_bias));
            residual::forward(&x, &linear::forward(&hidden, fcproj_weight, fcproj_bias))
        };
        x = x.iter().zip(&attended).map(block).collect();
    }
    let (lnf_weight, lnf_bias) = (take(c), take(c));
    let classify =
        |x: &Vec<S>| linear::transposed(&layernorm::forward(x, lnf_weight, lnf_bias), wte);
    x.iter().map(classify).collect()
}

/// The mean loss of a batch: `targets[i][j]` is the token after `inputs[i][..=j]`. `mask`, read by
/// [`LossKind::RandomMask`] alone, has one entry per predicted token, sequence after sequence.
///
/// # Panics
/// If `inputs`, `targets` and `mask` do not fit together.
pub fn loss<S: Scalar>(
    shape: &GptShape,
    params: &[S],
    inputs: &[&[usize]],
    targets: &[&[usize]],
    mask: Option<&[bool]>,
    kind: LossKind,
    denominator: Denominator,
) -> S {
    assert_eq!(inputs.len(), targets.len(), "gpt: number of target sequences");
    let mut rows = Vec::new();
    for (tokens, targets) in inputs.iter().zip(targets) {
        assert_eq!(tokens.len(), targets.len(), "gpt: length of a target sequence");
        for (logits, &target) in logits(shape, params, tokens).into_iter().zip(*targets) {
            let mask = mask.is_none_or(|mask| mask[rows.len()]);
            rows.push(Row { logits, target, mask });
        }
    }
    mean_loss(&rows, kind, denominator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, differentiates, numbers};
    use crate::{Dual64, constants};

    const SHAPE: GptShape = GptShape { layers: 2, heads: 2, channels: 4, context: 5, vocab: 7 };

    #[test]
    fn gpt2_small_has_the_published_size() {
        // 124,439,808 parameters with the classifier tied (Hugging Face model card of gpt2).
        let small = GptShape { layers: 12, heads: 12, channels: 768, context: 1024, vocab: 50257 };
        assert_eq!(small.parameters(), 124_439_808);
    }

    #[test]
    fn zero_weights_predict_every_token_alike() {
        // With lnf.weight = 0 and lnf.bias = 0 every logit is 0, so the loss is ln V.
        let params = vec![0.0; SHAPE.parameters()];
        let loss =
            loss(&SHAPE, &params, &[&[1, 2]], &[&[2, 3]], None, LossKind::Ce, Denominator::All);
        close(&[loss], &[7f64.ln()], 1e-15);
    }

    #[test]
    fn blocks_with_zero_projections_pass_the_residual_stream() {
        // attproj and fcproj at zero: logits = LN(wte[t] + wpe[i])·wteᵀ, whatever the rest is.
        let c = SHAPE.channels;
        let mut params = numbers(SHAPE.parameters(), 3);
        let layer = (params.len() - (SHAPE.vocab + SHAPE.context) * c - 2 * c) / SHAPE.layers;
        for start in (0..SHAPE.layers).map(|l| (SHAPE.vocab + SHAPE.context) * c + l * layer) {
            let attproj = start + 2 * c + 3 * c * c + 3 * c;
            params[attproj..attproj + c * c + c].fill(0.0);
            params[start + layer - 4 * c * c - c..start + layer].fill(0.0);
        }
        let (wte, tail) = params.split_at(SHAPE.vocab * c);
        let x: Vec<f64> = (0..c).map(|i| wte[6 * c + i] + tail[c + i]).collect();
        let lnf = &params[params.len() - 2 * c..];
        let truth = linear::transposed(&layernorm::forward(&x, &lnf[..c], &lnf[c..]), wte);
        assert_eq!(logits(&SHAPE, &params, &[0, 6])[1], truth);
    }

    #[test]
    fn later_tokens_do_not_change_earlier_logits() {
        let params = numbers(SHAPE.parameters(), 4);
        let long = logits(&SHAPE, &params, &[1, 5, 2, 6]);
        let short = logits(&SHAPE, &params, &[1, 5]);
        assert_eq!(long[..2], short[..]);
    }

    #[test]
    fn masked_tokens_drop_out() {
        let params = numbers(SHAPE.parameters(), 5);
        let run = |inputs: &[&[usize]], targets: &[&[usize]], mask: Option<&[bool]>, kind| {
            loss(&SHAPE, &params, inputs, targets, mask, kind, Denominator::Kept)
        };
        let mask = [true, true, false, false];
        let masked =
            run(&[&[1, 5], &[2, 6]], &[&[5, 3], &[6, 0]], Some(&mask), LossKind::RandomMask);
        assert_eq!(masked, run(&[&[1, 5]], &[&[5, 3]], None, LossKind::Ce));
    }

    #[test]
    fn duals_differentiate_the_whole_model() {
        fn f<S: Scalar>(params: &[S]) -> Vec<S> {
            let kind = LossKind::Focal { gamma: 2.0 };
            let (inputs, targets) = ([[1usize, 5, 2], [0, 0, 6]], [[5usize, 2, 3], [0, 6, 4]]);
            let inputs: Vec<&[usize]> = inputs.iter().map(|row| &row[..]).collect();
            let targets: Vec<&[usize]> = targets.iter().map(|row| &row[..]).collect();
            vec![loss(&SHAPE, params, &inputs, &targets, None, kind, Denominator::All)]
        }
        // Half-scale weights and a unit direction keep the sixth derivative small.
        let params: Vec<f64> =
            numbers(SHAPE.parameters(), 6).iter().map(|x| 0.5 * x + 0.1).collect();
        let scale = 1.0 / 32.0;
        let value =
            |p: &[f64]| f(&params.iter().zip(p).map(|(a, b)| a + scale * b).collect::<Vec<_>>());
        let dual = |p: &[Dual64]| {
            let base = constants::<Dual64>(&params);
            let scale = Dual64::from_f64(scale);
            f(&base.iter().zip(p).map(|(&a, &b)| a + scale * b).collect::<Vec<_>>())
        };
        differentiates(&vec![0.0; params.len()], 7, value, dual);
    }

    #[test]
    fn single_precision_agrees_to_its_rounding() {
        let params = numbers(SHAPE.parameters(), 8);
        let wide = logits(&SHAPE, &params, &[3, 1, 4]).concat();
        let narrow = logits(&SHAPE, &constants::<f32>(&params), &[3, 1, 4]).concat();
        let narrow: Vec<f64> = narrow.into_iter().map(f64::from).collect();
        // About a hundred roundings of 6e-8 on values of order one.
        close(&narrow, &wide, 1e-5);
    }
}
