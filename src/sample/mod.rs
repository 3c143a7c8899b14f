//! Decoding: greedy, sampling, beam search, with the meaning of transformers' `generate`.
//!
//! | file | idea |
//! |---|---|
//! | `settings` | which settings are accepted |
//! | `generate` | the entry: checks, batches, one random stream per prompt |
//! | `sampling` | the loop over a batch of single rows |
//! | `pick` | logits → one token |
//! | `top_p` | the smallest set of tokens with a given mass |
//! | `penalty` | the repetition penalty |
//! | `beam` | beam search |

mod beam;
mod generate;
mod penalty;
mod pick;
mod sampling;
mod settings;
mod top_p;
#[cfg(test)]
mod toy;

pub use generate::generate;
pub use pick::Picker;

use crate::Result;
use crate::config::DecodeConfig;
use crate::cpu::Real;

/// A language model that continues sequences side by side. Rows are independent.
pub trait Decoder {
    /// The precision of the logits.
    type Number: Real;

    /// Number of tokens.
    fn vocab(&self) -> usize;
    /// Longest sequence in tokens.
    fn context(&self) -> usize;
    /// Starts over with one row per prompt (lengths may differ, none may be empty) and leaves the
    /// logits after each prompt's last token in [`Decoder::logits`].
    fn prefill(&mut self, prompts: &[&[u32]]) -> Result<()>;
    /// New row `i` continues old row `parents[i]` with `tokens[i]`. Rows may be repeated, dropped
    /// or reordered; their number may change but not exceed `max_rows`.
    fn step(&mut self, parents: &[usize], tokens: &[u32]) -> Result<()>;
    /// Logits of the present rows, `[rows, v]`.
    fn logits(&self) -> &[Self::Number];
    /// The most rows that can live side by side.
    fn max_rows(&self) -> usize;

    /// Asks the decoder to choose the tokens itself by these settings, without penalty or beams, or with
    /// `None` no longer to. Says whether it does: then [`Decoder::chosen`] has what
    /// [`Decoder::logits`] is asked for otherwise.
    fn choose_by(&mut self, _config: Option<&DecodeConfig>) -> bool {
        false
    }
    /// The uniform numbers that the next prefill or step draws with, one per row.
    fn give_uniforms(&mut self, _uniforms: Vec<f64>) {}
    /// The tokens chosen, one per row; `None` for a row whose logits leave none.
    fn chosen(&self) -> &[Option<u32>] {
        &[]
    }
}
