//! A token stream cut into blocks of equal length, each predicting the token after its last.

use crate::{Error, Result, Stream};

/// `count` blocks of `t` inputs; block `i` reads tokens `[i·t, (i+1)·t)` and predicts
/// `[i·t + 1, (i+1)·t + 1)`. The tail that fills no block is left out.
///
/// Proved: `no_input_twice` in `theory/proofs/blocks.smt2`.
/// Proved: `no_input_lost` in `theory/proofs/blocks.smt2`.
/// Proved: `no_target_twice` in `theory/proofs/blocks.smt2`.
/// Proved: `no_target_lost` in `theory/proofs/blocks.smt2`.
/// Proved: `tail_is_shorter_than_a_block` in `theory/proofs/blocks.smt2`.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    tokens: &'a [u32],
    t: usize,
}

impl<'a> Blocks<'a> {
    /// Cuts the stream. `what` names the text in the error if it is too short for one block.
    pub fn new(tokens: &'a [u32], t: usize, what: &str) -> Result<Self> {
        if tokens.len() <= t {
            return Err(Error::input(format!(
                "The {what} has {} tokens, fewer than one block of {t} and the token after it; give a \
                 longer text or a model with a shorter context.",
                tokens.len()
            )));
        }
        Ok(Self { tokens, t })
    }

    /// Number of blocks.
    pub fn count(&self) -> usize {
        (self.tokens.len() - 1) / self.t
    }

    /// Inputs per block.
    pub fn t(&self) -> usize {
        self.t
    }

    /// Appends one block to a batch under construction.
    ///
    /// Proved: `blocks_stay_inside` in `theory/proofs/blocks.smt2`.
    pub fn push(&self, block: usize, tokens: &mut Vec<u32>, targets: &mut Vec<u32>) {
        let start = block * self.t;
        tokens.extend_from_slice(&self.tokens[start..start + self.t]);
        targets.extend_from_slice(&self.tokens[start + 1..start + self.t + 1]);
    }

    /// The order of the blocks in one epoch.
    pub fn order(&self, seed: u64, generation: usize, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.count()).collect();
        Stream::new(seed, "shuffle", generation as u64, epoch as u64).shuffle(&mut order);
        order
    }
}
