//! A fixed list of tokens: characters or words.

use super::END;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// The token of what the vocabulary does not hold.
pub const UNKNOWN: &str = "<unk>";

/// What one token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A Unicode scalar value.
    Char,
    /// A stretch without white space, or one line break.
    Word,
}

/// Tokens with fixed ids; token 0 is the end.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    pub(super) unit: Unit,
    pub(super) tokens: Vec<String>,
    index: HashMap<String, u32>,
}

impl Vocabulary {
    /// End, unknown, then the units of the documents: characters by code point, words by falling
    /// count and then by spelling.
    pub fn train(unit: Unit, documents: &[String]) -> Result<Self> {
        let mut counts = BTreeMap::<&str, u64>::new();
        for document in documents {
            for piece in unit.pieces(document) {
                *counts.entry(piece).or_default() += 1;
            }
        }
        let mut pieces = counts.into_iter().collect::<Vec<_>>();
        if unit == Unit::Word {
            pieces.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        }
        let pieces = pieces.into_iter().map(|(piece, _)| piece);
        let tokens = [END, UNKNOWN].into_iter().chain(pieces.filter(|&p| p != END && p != UNKNOWN));
        Self::new(unit, tokens.map(str::to_owned).collect())
    }

    /// These tokens in this order, the first being the end token. Without [`UNKNOWN`] among them,
    /// encoding refuses what is not listed.
    pub fn new(unit: Unit, tokens: Vec<String>) -> Result<Self> {
        if tokens.first().is_none_or(|first| first != END) {
            return Err(Error::input(format!(
                "The first token of a vocabulary must be \"{END}\", not {:?}.",
                tokens.first()
            )));
        }
        let mut index = HashMap::with_capacity(tokens.len());
        for (id, token) in tokens.iter().enumerate() {
            if index.insert(token.clone(), id as u32).is_some() {
                return Err(Error::input(format!(
                    "The vocabulary lists the token \"{token}\" twice; remove entry {id}."
                )));
            }
        }
        Ok(Self { unit, tokens, index })
    }

    /// The ids of the pieces of `text`; text can never spell the end token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let unknown = self.id(UNKNOWN);
        let find = |piece: &str| match self.id(piece).filter(|&id| id != 0).or(unknown) {
            Some(id) => Ok(id),
            None => Err(Error::input(format!(
                "\"{piece}\" is not one of the {} tokens of this vocabulary, which has no {UNKNOWN} \
                 token; use another tokenizer for this text.",
                self.tokens.len()
            ))),
        };
        self.unit.pieces(text).map(find).collect()
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.index.get(token).copied()
    }

    /// Words are joined by one space, except around line breaks.
    pub fn decode(&self, tokens: impl Iterator<Item = String>) -> String {
        if self.unit == Unit::Char {
            return tokens.collect();
        }
        let mut text = String::new();
        for token in tokens {
            if !(text.is_empty() || text.ends_with('\n') || token == "\n") {
                text.push(' ');
            }
            text.push_str(&token);
        }
        text
    }
}

impl Unit {
    fn pieces(self, text: &str) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Char => Box::new(text.split_inclusive(|_| true)),
            Self::Word => Box::new(text.split_inclusive('\n').flat_map(|line| {
                let line_break = line.ends_with('\n').then_some("\n");
                line.split_whitespace().chain(line_break)
            })),
        }
    }
}
