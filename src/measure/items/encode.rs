//! An item as sequences of tokens that fit the model's context.

use super::Item;
use crate::text::Tokenizer;
use crate::{Error, Result};
use std::path::Path;

/// An item as tokens.
#[derive(Debug)]
pub(super) struct Encoded {
    /// Its number in the file, from 0.
    pub number: usize,
    /// Its part of the text.
    pub split: Option<usize>,
    /// Which answer is right.
    pub right: usize,
    /// The context.
    pub context: Vec<u32>,
    /// The answers.
    pub answers: Vec<Vec<u32>>,
    /// The answers' lengths as text.
    pub bytes: Vec<usize>,
}

/// One answer as the model reads it.
pub(super) struct Sequence {
    /// End token, context and answer, or the last of them.
    pub tokens: Vec<u32>,
    /// How many tokens at the end are scored.
    pub scored: usize,
    /// Whether something was cut off.
    pub cut: bool,
}

/// Encodes context and answers apart; an answer after a context has a space before it.
pub(super) fn encode(
    tokenizer: &Tokenizer,
    path: &Path,
    number: usize,
    item: &Item,
    split: Option<usize>,
) -> Result<Encoded> {
    let tokens = |text: &str| {
        let tokens = tokenizer.encode(text).map_err(|cause| {
            Error::input(format!("{}, item {number} (from 0): {cause}", path.display()))
        })?;
        match tokens.is_empty() && !text.is_empty() {
            false => Ok(tokens),
            true => Err(Error::input(format!(
                "{}, item {number} (from 0): the tokenizer makes no token of {text:?}; use another \
                 tokenizer.",
                path.display()
            ))),
        }
    };
    let space = if item.context.is_empty() { "" } else { " " };
    let answers = item.answers.iter().map(|answer| tokens(&format!("{space}{answer}")));
    Ok(Encoded {
        number,
        split,
        right: item.right,
        context: tokens(&item.context)?,
        answers: answers.collect::<Result<_>>()?,
        bytes: item.answers.iter().map(String::len).collect(),
    })
}

impl Encoded {
    /// The sequences of the answers. Inputs fill the context at most, and one token more is predicted.
    pub fn sequences(&self, end: u32, context: usize) -> impl Iterator<Item = Sequence> {
        self.answers.iter().map(move |answer| {
            let mut tokens = [&[end], self.context.as_slice(), answer].concat();
            let beyond = tokens.len().saturating_sub(context + 1);
            tokens.drain(..beyond);
            Sequence { scored: answer.len().min(tokens.len() - 1), tokens, cut: beyond > 0 }
        })
    }

    /// Tokens of all sequences.
    pub fn tokens(&self) -> usize {
        self.answers.iter().map(|answer| 1 + self.context.len() + answer.len()).sum()
    }
}
