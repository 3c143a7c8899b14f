//! The n-grams of a text, by context.

use crate::refusal::{Refusal, require};
use std::collections::HashMap;
use std::ops::Range;

/// The symbol before the text.
const BEFORE: u32 = u32::MAX;

/// Every n-gram of a text, grouped by context: the support of all later generations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    order: usize,
    /// The distinct tokens of the text, rising.
    vocabulary: Vec<u32>,
    /// Where each context's n-grams begin; one more entry than contexts.
    offsets: Vec<usize>,
    /// The last token of each n-gram, by its place in the vocabulary.
    tokens: Vec<u32>,
    /// The context in which the n-gram leaves the text.
    next: Vec<u32>,
}

impl Frame {
    /// The frame of a text, with how often each n-gram occurs in it. The text is preceded by
    /// `order − 1` start symbols. Contexts are numbered as they first appear, the start first.
    ///
    /// # Errors
    /// If the text is empty, the order is not in 1..=16, or a token is the largest `u32`, which
    /// stands for the start.
    pub fn of(text: &[u32], order: usize) -> Result<(Self, Vec<u64>), Refusal> {
        require(!text.is_empty(), "the number of tokens", 0, "at least 1")?;
        require((1..=16).contains(&order), "the order", order, "1 ≤ order ≤ 16")?;
        let most = text.iter().copied().max().unwrap_or(0);
        require(most < BEFORE, "a token", most, "a token below 4294967295")?;
        let mut padded = vec![BEFORE; order - 1];
        padded.extend_from_slice(text);
        let mut numbers: HashMap<&[u32], u32> = HashMap::new();
        // The context before each token, and the one after the last.
        let visited: Vec<u32> = (0..=text.len())
            .map(|at| {
                let fresh = numbers.len() as u32;
                *numbers.entry(&padded[at..at + order - 1]).or_insert(fresh)
            })
            .collect();
        let mut vocabulary = text.to_vec();
        vocabulary.sort_unstable();
        vocabulary.dedup();
        let place = |token: &u32| vocabulary.partition_point(|known| known < token) as u32;
        let mut steps: Vec<(u32, u32, u32)> =
            text.iter().zip(visited.windows(2)).map(|(t, c)| (c[0], place(t), c[1])).collect();
        steps.sort_unstable();
        let (mut tokens, mut next, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let mut offsets = vec![0; numbers.len() + 1];
        let mut last = None;
        for step in steps {
            if last == Some(step) {
                *counts.last_mut().expect("there is a last n-gram") += 1;
                continue;
            }
            let (context, token, after) = step;
            offsets[context as usize + 1] += 1;
            tokens.push(token);
            next.push(after);
            counts.push(1);
            last = Some(step);
        }
        for context in 0..numbers.len() {
            offsets[context + 1] += offsets[context];
        }
        Ok((Self { order, vocabulary, offsets, tokens, next }, counts))
    }

    /// The length of an n-gram; 1 has no context.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Distinct tokens of the text, rising.
    pub fn vocabulary(&self) -> &[u32] {
        &self.vocabulary
    }

    /// Distinct contexts of the text, the start and the one after its end among them.
    pub fn contexts(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Distinct n-grams of the text.
    pub fn ngrams(&self) -> usize {
        self.tokens.len()
    }

    /// The last token of an n-gram.
    ///
    /// # Panics
    /// If there is no such n-gram.
    pub fn token(&self, ngram: usize) -> u32 {
        self.vocabulary[self.place(ngram)]
    }

    /// The place of an n-gram's last token in the vocabulary.
    ///
    /// # Panics
    /// If there is no such n-gram.
    pub fn place(&self, ngram: usize) -> usize {
        self.tokens[ngram] as usize
    }

    /// The n-grams of a context.
    ///
    /// # Panics
    /// If there is no such context.
    pub fn row(&self, context: usize) -> Range<usize> {
        self.offsets[context]..self.offsets[context + 1]
    }

    /// The context of the start symbols.
    pub fn start(&self) -> usize {
        0
    }

    /// The context after an n-gram.
    ///
    /// # Panics
    /// If there is no such n-gram.
    pub fn next(&self, ngram: usize) -> usize {
        self.next[ngram] as usize
    }

    /// How often each context is continued, given how often each n-gram occurs.
    pub fn context_counts(&self, counts: &[u64]) -> Vec<u64> {
        (0..self.contexts()).map(|context| counts[self.row(context)].iter().sum()).collect()
    }

    /// How often each token of the vocabulary occurs, given how often each n-gram does.
    pub fn token_counts(&self, counts: &[u64]) -> Vec<u64> {
        let mut sums = vec![0; self.vocabulary.len()];
        self.tokens.iter().zip(counts).for_each(|(&token, &count)| sums[token as usize] += count);
        sums
    }
}
