//! An n-gram model that is fitted to the text it writes.
//!
//! The caller brings a text as token ids; the n-grams of that text span a [`Frame`] on which every
//! later generation lives, since counting can lose n-grams but never find new ones. A model is the
//! count of each n-gram; how a generation is written is its [`Design`].
//!
//! | file | what |
//! |---|---|
//! | [`contexts`] | N14 closed forms: fixed and random numbers of draws per context, one path |
//! | [`corpus`] | a text's decline over generations, simulated and predicted |

pub mod contexts;
pub mod corpus;
mod figures;
mod frame;
mod guards;

pub use frame::Frame;

use crate::binomial::{multinomial, resampled};
use crate::catalogue::Family;
use crate::model::Model;
use crate::refusal::{Refusal, require};
use fortifai_stream::Stream;
use std::sync::Arc;

/// The n-gram family: section N14.
pub const FAMILY: Family = Family {
    name: "N-gram",
    about: "Conditional laws of the next token, refitted to the text they write.",
    entries: &[contexts::ENTRIES],
    guards: &[guards::GUARDS],
    figures: &[figures::FIGURES],
};

/// How a generation's text is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Design {
    /// One long path from the start symbols, each token drawn in the context of those before it.
    /// A context without continuations starts anew.
    Path,
    /// Every context is prompted a fixed number of times, so the contexts are independent chains:
    /// the design under which N1 to N7 hold per context.
    Stack {
        /// Prompts of each context in a generation of their sum.
        prompts: Arc<[u64]>,
    },
    /// Each draw prompts a context at random; a context that is not visited keeps its law.
    Random {
        /// The share of each context.
        shares: Arc<[f64]>,
    },
}

/// Conditional laws of the next token on a fixed [`Frame`] of n-grams.
#[derive(Clone, Debug)]
pub struct NGram {
    frame: Arc<Frame>,
    /// The weight of each n-gram among those of its context.
    weights: Vec<u64>,
    design: Design,
}

impl NGram {
    /// The model counted from a text, written on as one path.
    ///
    /// ```
    /// use fortifai_collapse::ngram::NGram;
    /// let model = NGram::counted(&[0, 1, 0, 1, 0, 2], 2)?;
    /// assert_eq!(model.frame().contexts(), 4); // the start, 0, 1, 2 (which ends the text)
    /// assert_eq!(model.frame().ngrams(), 4); // start 0, 0 1, 0 2, 1 0
    /// # Ok::<(), fortifai_collapse::Refusal>(())
    /// ```
    ///
    /// # Errors
    /// As [`Frame::of`].
    pub fn counted(text: &[u32], order: usize) -> Result<Self, Refusal> {
        let (frame, weights) = Frame::of(text, order)?;
        Ok(Self { frame: Arc::new(frame), weights, design: Design::Path })
    }

    /// The same laws, each context prompted as often as it occurs now.
    #[must_use]
    pub fn stacked(self) -> Self {
        let prompts = self.frame.context_counts(&self.weights).into();
        Self { design: Design::Stack { prompts }, ..self }
    }

    /// The same laws, contexts prompted at random in the shares in which they occur now.
    #[must_use]
    pub fn randomly_prompted(self) -> Self {
        let counts = self.frame.context_counts(&self.weights);
        let total = counts.iter().sum::<u64>() as f64;
        let shares = counts.iter().map(|&count| count as f64 / total).collect();
        Self { design: Design::Random { shares }, ..self }
    }

    /// The n-grams on which the model lives.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The weight of each n-gram, in the order of the frame.
    pub fn weights(&self) -> &[u64] {
        &self.weights
    }

    fn path(&self, pool: &mut [u64], count: usize, cumulative: &[f64], stream: &mut Stream) {
        let frame = &*self.frame;
        let mut context = frame.start();
        for _ in 0..count {
            let mut row = frame.row(context);
            if cumulative[row.end] <= cumulative[row.start] {
                context = frame.start();
                row = frame.row(context);
            }
            let (low, high) = (cumulative[row.start], cumulative[row.end]);
            let level = low + stream.uniform() * (high - low);
            let ngram = row.start
                + cumulative[row.start + 1..row.end].partition_point(|&upper| upper <= level);
            pool[ngram] += 1;
            context = frame.next(ngram);
        }
    }

    fn prompted(
        &self,
        pool: &mut [u64],
        context: usize,
        count: u64,
        weights: &[f64],
        stream: &mut Stream,
    ) {
        let row = self.frame.row(context);
        if weights[row.clone()].iter().any(|&weight| weight > 0.0) {
            let pool = &mut pool[row.clone()];
            multinomial(count, &weights[row], stream, |index, times| pool[index] += times);
        }
    }
}

impl Model for NGram {
    /// How often each n-gram of the frame occurs.
    type Pool = Vec<u64>;

    fn pool(&self) -> Vec<u64> {
        vec![0; self.weights.len()]
    }

    /// Under [`Design::Stack`] the prompts are dealt out in proportion, so that `count` equal to
    /// their sum gives each context its own number.
    fn draw(&self, pool: &mut Vec<u64>, count: usize, bias: f64, stream: &mut Stream) {
        let weight =
            |&w: &u64| if w == 0 || bias == 1.0 { w as f64 } else { (w as f64).powf(1.0 / bias) };
        let weights: Vec<f64> = self.weights.iter().map(weight).collect();
        match &self.design {
            Design::Path => {
                let mut cumulative = vec![0.0; weights.len() + 1];
                for (index, weight) in weights.iter().enumerate() {
                    cumulative[index + 1] = cumulative[index] + weight;
                }
                self.path(pool, count, &cumulative, stream);
            }
            Design::Stack { prompts } => {
                let total = prompts.iter().sum::<u64>() as u128;
                let (mut before, mut dealt) = (0u128, 0u64);
                for (context, &prompts) in prompts.iter().enumerate() {
                    before += prompts as u128;
                    let until = (before * count as u128 / total) as u64;
                    self.prompted(pool, context, until - dealt, &weights, stream);
                    dealt = until;
                }
            }
            Design::Random { shares } => {
                let mut visits = vec![0; shares.len()];
                multinomial(count as u64, shares, stream, |context, times| {
                    visits[context] += times
                });
                for (context, visits) in visits.into_iter().enumerate() {
                    self.prompted(pool, context, visits, &weights, stream);
                }
            }
        }
    }

    fn subsample(
        &self,
        pool: &Vec<u64>,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Vec<u64> {
        resampled(pool, count as u64, with_replacement, stream)
    }

    /// The counts themselves. Where contexts are prompted from outside, one that was not visited
    /// keeps the law it had.
    fn fit(&self, pool: &Vec<u64>) -> Result<Self, Refusal> {
        require(pool.iter().any(|&c| c > 0), "the number of tokens", 0, "at least 1")?;
        let mut weights = pool.clone();
        if self.design != Design::Path {
            for context in 0..self.frame.contexts() {
                let row = self.frame.row(context);
                if weights[row.clone()].iter().all(|&c| c == 0) {
                    weights[row.clone()].copy_from_slice(&self.weights[row]);
                }
            }
        }
        Ok(Self { frame: Arc::clone(&self.frame), weights, design: self.design.clone() })
    }
}

#[cfg(test)]
mod tests;
