//! What generation adds: attention against the key-value cache, and products with packed weights.
//! Values alone.

use crate::cpu::decode;
use crate::cpu::matmul::{BLOCK, PARALLEL_FROM};
use crate::tier::{CacheRows, CacheShape, LinearShape, Tier};
use crate::verify::buffers::*;
use crate::verify::operator::*;
use fortifai_oracle::{Scalar, attention, linear};
use fortifai_stream::Stream;

/// The last token of each of `b` sequences of `t` against the cache of the others.
#[derive(Clone, Debug)]
pub struct Decode {
    /// Sequences, positions, heads, head size.
    pub shape: (usize, usize, usize, usize),
}

impl Operator for Decode {
    fn label(&self) -> String {
        let (b, t, nh, hs) = self.shape;
        format!("attention_decode b {b} t {t} nh {nh} hs {hs}")
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let (b, t, nh, hs) = self.shape;
        vec![("qkv", b * t * 3 * nh * hs)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        let (b, _, nh, hs) = self.shape;
        vec![("out", b * nh * hs)]
    }
    fn differentiated(&self) -> bool {
        false
    }
    fn cotangent(&self, _stream: &mut Stream) -> Vec<f64> {
        vec![0.0; total(&self.outputs())]
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let (_, t, nh, hs) = self.shape;
        let last = |qkv: &[S]| -> Vec<S> {
            let rows: Vec<Vec<S>> = qkv.chunks_exact(3 * nh * hs).map(<[S]>::to_vec).collect();
            attention::sequence(&rows, nh).swap_remove(t - 1)
        };
        point.chunks_exact(3 * t * nh * hs).flat_map(last).collect()
    }
    /// The odd positions of a sequence lie in the slot behind its own, as after a beam search.
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        _cotangent: &[f64],
        _start: &[f64],
    ) -> Result<Ran, Finding> {
        let (b, t, nh, hs) = self.shape;
        let c = nh * hs;
        let shape = CacheShape { layers: 2, slots: 2 * b, t: t + 1, nh, hs };
        let mut cache = tier.cache(shape)?;
        let mut newest = Vec::new();
        for (row, sequence) in point.chunks_exact(3 * t * c).enumerate() {
            let past = &sequence[..3 * (t - 1) * c];
            // What the other slot holds elsewhere is never to be used.
            for (slot, spoilt) in [(2 * row, 1), (2 * row + 1, 0)] {
                let mut tokens = past.to_vec();
                for token in tokens.chunks_exact_mut(3 * c).skip(spoilt).step_by(2) {
                    token.fill(1e3);
                }
                if t > 1 {
                    let tokens = act(tier, &tokens)?;
                    tier.cache_fill(&mut cache, &tokens, &[slot as u32], 1, t - 1, shape)?;
                }
            }
            newest.extend_from_slice(&sequence[3 * (t - 1) * c..]);
        }
        let slot = |row: usize, position: usize| (2 * row + position % 2) as u32;
        let slots: Vec<u32> = (0..b).map(|row| slot(row, t - 1)).collect();
        let ancestry: Vec<u32> =
            (0..b).flat_map(|row| (0..t + 1).map(move |position| slot(row, position))).collect();
        let lengths = vec![t as u32; b];
        let rows = CacheRows { slots: &slots, lengths: &lengths, ancestry: &ancestry };
        let mut out = blank(tier, b * c)?;
        tier.attention_decode(&mut out, &mut cache, &act(tier, &newest)?, rows, 1, shape)?;
        Ok(Ran { outputs: read(tier, &out, b * c)?, gradient: vec![0.0; point.len()] })
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        let (b, t, nh, hs) = self.shape;
        vec![
            if t > 16 { "several blocks" } else { "one block" },
            if hs % 4 == 0 { "whole fours" } else { "ragged fours" },
            if b * t * nh * hs >= decode::PARALLEL_FROM { "shared out" } else { "one thread" },
        ]
    }
}

/// What [`Decode::branches`] can say.
pub const BRANCHES: [&str; 6] =
    ["several blocks", "one block", "whole fours", "ragged fours", "shared out", "one thread"];

/// A linear layer whose weight was packed.
#[derive(Clone, Debug)]
pub struct PackedLinear {
    /// Rows, channels in, channels out.
    pub shape: LinearShape,
    /// Whether the weight is given as `[oc, c]`.
    pub transposed: bool,
    /// Whether there is a bias.
    pub biased: bool,
}

impl PackedLinear {
    fn lens(&self) -> [usize; 3] {
        let LinearShape { n, c, oc } = self.shape;
        [n * c, c * oc, oc]
    }
}

impl Operator for PackedLinear {
    fn label(&self) -> String {
        format!("packed_linear {:?} transposed {}", self.shape, self.transposed)
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        ["x", "weight", "bias"].into_iter().zip(self.lens()).collect()
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("out", self.shape.n * self.shape.oc)]
    }
    fn differentiated(&self) -> bool {
        false
    }
    fn cotangent(&self, _stream: &mut Stream) -> Vec<f64> {
        vec![0.0; total(&self.outputs())]
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let [x, weight, bias] = parts(point, self.lens());
        let none = vec![S::zero(); bias.len()];
        let bias = if self.biased { bias } else { &none };
        let row = |x: &[S]| -> Vec<S> {
            match self.transposed {
                true => {
                    let sums = linear::transposed(x, weight);
                    sums.into_iter().zip(bias).map(|(sum, &b)| b + sum).collect()
                }
                false => linear::forward(x, weight, bias),
            }
        };
        x.chunks_exact(self.shape.c).flat_map(row).collect()
    }
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        cotangent: &[f64],
        _start: &[f64],
    ) -> Result<Ran, Finding> {
        let LinearShape { c, oc, .. } = self.shape;
        let [x, weight, bias] = parts(point, self.lens());
        let mut params = Arena::of_parameters();
        let (weight, bias) = (params.push(weight), params.push(bias));
        let params = params.upload(tier)?;
        let packed = tier.pack(&params, weight, c, oc, self.transposed)?;
        let (x, len) = (act(tier, x)?, cotangent.len());
        let outputs = if self.biased {
            let mut out = blank(tier, len)?;
            tier.packed_linear_forward(&mut out, &x, &packed, &params, bias, self.shape)?;
            read(tier, &out, len)?
        } else {
            let mut out = blank_wide(tier, len)?;
            tier.packed_logits(&mut out, &x, &packed, self.shape)?;
            read_wide(tier, &out, len)?
        };
        Ok(Ran { outputs, gradient: vec![0.0; point.len()] })
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        let LinearShape { n, c, oc } = self.shape;
        vec![
            if self.transposed { "transposed" } else { "as it is" },
            if self.biased { "bias" } else { "no bias" },
            if self.shape.n > 16 { "many rows" } else { "few rows" },
            if n * c * oc >= PARALLEL_FROM { "shared out" } else { "one thread" },
            if c > BLOCK { "several blocks" } else { "one block" },
        ]
    }
}

/// What [`PackedLinear::branches`] can say.
pub const PACKED_BRANCHES: [&str; 10] = [
    "transposed",
    "as it is",
    "bias",
    "no bias",
    "many rows",
    "few rows",
    "shared out",
    "one thread",
    "several blocks",
    "one block",
];
