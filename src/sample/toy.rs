//! A decoder for tests: the logits depend on the last token, and on request on the length.

use super::Decoder;
use crate::{Result, Stream};

/// A Markov chain given by its table of logits.
pub(super) struct Markov {
    table: Vec<f64>,
    vocab: usize,
    context: usize,
    max_rows: usize,
    lengths: Vec<usize>,
    logits: Vec<f64>,
    /// This much of table row `length mod v` is added to the logits.
    pub(super) drift: f64,
    /// Rows fed to [`Decoder::step`] so far.
    pub(super) rows_stepped: usize,
}

impl Markov {
    /// The chain with logits `table[v·last + next]`.
    pub(super) fn new(table: Vec<f64>, context: usize, max_rows: usize) -> Self {
        let vocab = table.len().isqrt();
        assert_eq!(vocab * vocab, table.len(), "Markov: the table is not square");
        let (lengths, logits) = (Vec::new(), Vec::new());
        Self { table, vocab, context, max_rows, lengths, logits, drift: 0.0, rows_stepped: 0 }
    }

    /// A chain with standard normal logits.
    pub(super) fn random(vocab: usize, seed: u64, context: usize, max_rows: usize) -> Self {
        let mut stream = Stream::new(seed, "markov", 0, 0);
        Self::new((0..vocab * vocab).map(|_| stream.normal()).collect(), context, max_rows)
    }

    /// The logits after token `last`.
    pub(super) fn row(&self, last: u32) -> &[f64] {
        &self.table[last as usize * self.vocab..][..self.vocab]
    }

    fn fill(&mut self, last: &[u32]) {
        assert!(last.len() <= self.max_rows, "Markov: {} rows", last.len());
        self.logits.clear();
        for (&token, &length) in last.iter().zip(&self.lengths) {
            let drift = &self.table[length % self.vocab * self.vocab..];
            let row = &self.table[token as usize * self.vocab..][..self.vocab];
            self.logits.extend(row.iter().zip(drift).map(|(z, d)| z + self.drift * d));
        }
    }
}

impl Decoder for Markov {
    type Number = f64;

    fn vocab(&self) -> usize {
        self.vocab
    }
    fn context(&self) -> usize {
        self.context
    }
    fn prefill(&mut self, prompts: &[&[u32]]) -> Result<()> {
        self.lengths = prompts.iter().map(|prompt| prompt.len()).collect();
        self.fill(&prompts.iter().map(|prompt| prompt[prompt.len() - 1]).collect::<Vec<_>>());
        Ok(())
    }
    fn step(&mut self, parents: &[usize], tokens: &[u32]) -> Result<()> {
        assert_eq!(parents.len(), tokens.len());
        self.lengths = parents.iter().map(|&parent| self.lengths[parent] + 1).collect();
        assert!(self.lengths.iter().all(|&length| length <= self.context));
        self.rows_stepped += tokens.len();
        self.fill(tokens);
        Ok(())
    }
    fn logits(&self) -> &[f64] {
        &self.logits
    }
    fn max_rows(&self) -> usize {
        self.max_rows
    }
}
