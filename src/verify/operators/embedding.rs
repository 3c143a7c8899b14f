//! The embedding.

use crate::cpu::ROW_PIECE;
use crate::tier::Tier;
use crate::verify::buffers::*;
use crate::verify::operator::*;
use fortifai_oracle::{Scalar, embedding};
use fortifai_stream::Stream;

/// Sum of a token's and a position's row.
#[derive(Debug)]
pub struct Embedding {
    /// Tokens known.
    pub v: usize,
    /// Positions known.
    pub context: usize,
    /// Channels.
    pub c: usize,
    /// Tokens looked up, `[n]`.
    pub tokens: Vec<u32>,
    /// Their positions, `[n]`.
    pub positions: Vec<u32>,
}

impl Embedding {
    /// `n` random tokens at random positions.
    pub fn new(v: usize, context: usize, c: usize, n: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, "conformance-tokens", 0, 0);
        let tokens = (0..n).map(|_| stream.below(v) as u32).collect();
        let positions = (0..n).map(|_| stream.below(context) as u32).collect();
        Self { v, context, c, tokens, positions }
    }
}

impl Operator for Embedding {
    fn label(&self) -> String {
        let Self { v, context, c, tokens, .. } = self;
        format!("embedding v {v} context {context} c {c} n {}", tokens.len())
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("wte", self.v * self.c), ("wpe", self.context * self.c)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("out", self.tokens.len() * self.c)]
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let (wte, wpe) = point.split_at(self.v * self.c);
        let row = |(&token, &position): (&u32, &u32)| {
            embedding::forward(token as usize, position as usize, wte, wpe, self.c)
        };
        self.tokens.iter().zip(&self.positions).flat_map(row).collect()
    }
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        cotangent: &[f64],
        start: &[f64],
    ) -> Result<Ran, Finding> {
        let Self { v, context, c, tokens, positions } = self;
        let lens = [v * c, context * c];
        let mut params = Arena::of_parameters();
        let [wte, wpe] = parts(point, lens).map(|tensor| params.push(tensor));
        let params = params.upload(tier)?;
        let mut out = blank(tier, cotangent.len())?;
        tier.embedding_forward(&mut out, tokens, positions, &params, wte, wpe, *c)?;
        let mut arena = Arena::of_gradients();
        for tensor in parts(start, lens) {
            arena.push(tensor);
        }
        let mut gradients = arena.upload(tier)?;
        let dout = act(tier, cotangent)?;
        tier.embedding_backward(&mut gradients, &dout, tokens, positions, wte, wpe, *c)?;
        Ok(Ran {
            outputs: read(tier, &out, cotangent.len())?,
            gradient: minus(&arena.read(tier, &gradients)?, start),
        })
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        let mut tokens = self.tokens.clone();
        tokens.sort_unstable();
        tokens.dedup();
        vec![
            if tokens.len() < self.tokens.len() { "repeated" } else { "distinct" },
            if self.tokens.len() > ROW_PIECE { "several row pieces" } else { "one row piece" },
        ]
    }
}
