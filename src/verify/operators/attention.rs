//! Causal attention.

use crate::cpu::attention::QUERY_BLOCK;
use crate::tier::{AttentionShape, Tier};
use crate::verify::buffers::*;
use crate::verify::operator::*;
use fortifai_oracle::{Scalar, attention};
use fortifai_stream::Stream;

/// Causal attention of some sequences.
#[derive(Debug)]
pub struct Attention {
    /// Sequences, positions, heads, head size.
    pub shape: AttentionShape,
    /// Standard deviation of queries and keys.
    pub spread: f64,
}

impl Attention {
    /// Queries and keys of standard deviation one.
    pub fn new((b, t, nh, hs): (usize, usize, usize, usize)) -> Self {
        Self { shape: AttentionShape { b, t, nh, hs }, spread: 1.0 }
    }

    /// The same with a standard deviation of its own for each seed.
    #[must_use]
    pub fn spread_by(self, seed: u64) -> Self {
        let spread = 0.1 + 2.0 * Stream::new(seed, "verify-attention", 0, 0).uniform();
        Self { spread, ..self }
    }

    fn len(&self) -> usize {
        let AttentionShape { b, t, nh, hs } = self.shape;
        b * t * nh * hs
    }
    /// The outputs alone.
    ///
    /// # Errors
    /// As the tier, or if a guard was written to.
    pub fn forward<T: Tier>(&self, tier: &T, qkv: &[f64]) -> Result<Vec<f64>, Finding> {
        let AttentionShape { b, t, nh, .. } = self.shape;
        let mut out = blank(tier, self.len())?;
        let mut lse = blank_wide(tier, b * nh * t)?;
        let mut workspace = blank_wide(tier, tier.attention_workspace(self.shape))?;
        let qkv = act(tier, qkv)?;
        tier.attention_forward(&mut out, &mut lse, &qkv, &mut workspace, self.shape)?;
        read(tier, &out, self.len())
    }
}

impl Operator for Attention {
    fn label(&self) -> String {
        let AttentionShape { b, t, nh, hs } = self.shape;
        format!("attention b {b} t {t} nh {nh} hs {hs} spread {}", self.spread)
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("qkv", 3 * self.len())]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("out", self.len())]
    }
    fn point(&self, stream: &mut Stream) -> Vec<f64> {
        let mut point = normals(stream, 3 * self.len());
        let c = self.shape.nh * self.shape.hs;
        for token in point.chunks_exact_mut(3 * c) {
            token[..2 * c].iter_mut().for_each(|x| *x *= self.spread);
        }
        point
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let AttentionShape { t, nh, hs, .. } = self.shape;
        let sequence = |qkv: &[S]| -> Vec<S> {
            let rows: Vec<Vec<S>> = qkv.chunks_exact(3 * nh * hs).map(<[S]>::to_vec).collect();
            attention::sequence(&rows, nh).concat()
        };
        point.chunks_exact(3 * t * nh * hs).flat_map(sequence).collect()
    }
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        cotangent: &[f64],
        start: &[f64],
    ) -> Result<Ran, Finding> {
        let AttentionShape { b, t, nh, .. } = self.shape;
        let len = self.len();
        let mut out = blank(tier, len)?;
        let mut lse = blank_wide(tier, b * nh * t)?;
        let room = tier.attention_workspace(self.shape);
        let mut workspace = blank_wide(tier, room)?;
        let qkv = act(tier, point)?;
        tier.attention_forward(&mut out, &mut lse, &qkv, &mut workspace, self.shape)?;
        read_wide(tier, &lse, b * nh * t)?;
        let mut dqkv = gradient_act(tier, start)?;
        let mut workspace = blank_wide(tier, room)?;
        tier.attention_backward(
            &mut dqkv,
            &act(tier, cotangent)?,
            &qkv,
            &out,
            &lse,
            &mut workspace,
            self.shape,
        )?;
        Ok(Ran {
            outputs: read(tier, &out, len)?,
            gradient: minus(&read(tier, &dqkv, 3 * len)?, start),
        })
    }
    /// Scores of some hundreds to thousands.
    fn extreme(self) -> Option<Self> {
        Some(Self { spread: 30.0, ..self })
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        let AttentionShape { b, t, nh, hs } = self.shape;
        vec![
            if t > QUERY_BLOCK { "several blocks" } else { "one block" },
            if t % QUERY_BLOCK == 0 { "full block" } else { "ragged block" },
            if nh > 1 { "several heads" } else { "one head" },
            if hs % 16 == 0 { "full lanes" } else { "ragged lanes" },
            if b * nh > 2 { "more heads than workers" } else { "few heads" },
        ]
    }
}

/// What [`Attention::branches`] can say.
pub const BRANCHES: [&str; 10] = [
    "several blocks",
    "one block",
    "full block",
    "ragged block",
    "several heads",
    "one head",
    "full lanes",
    "ragged lanes",
    "more heads than workers",
    "few heads",
];
