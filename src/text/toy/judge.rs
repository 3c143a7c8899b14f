//! What a document is worth: is it grammatical, and does it tell the truth?

use super::grammar::END_ID;
use super::world::ATTRIBUTE;
use super::{State, ToyWorld};
use std::ops::Range;

/// The verdict on one document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The grammar can produce it when every attribute may take any of its values: a false
    /// statement is grammatical, a colour in place of a town is not.
    pub grammatical: bool,
    /// Attribute values stated, up to the first error of grammar.
    pub facts_stated: usize,
    /// Those that are true.
    pub facts_true: usize,
    /// Rare constructions (passives and questions), up to the first error of grammar.
    pub rare_constructions: usize,
}

impl ToyWorld {
    /// Judges one document; a leading and a trailing end token may be given or left out.
    ///
    /// A document that breaks off inside a sentence is not grammatical, nor is an empty one.
    pub fn judge(&self, document: &[u32]) -> Judgement {
        let document = document.strip_prefix(&[END_ID]).unwrap_or(document);
        let document = document.strip_suffix(&[END_ID]).unwrap_or(document);
        let mut verdict = Judgement::default();
        let mut state = self.start();
        for &token in document {
            let Some(next) = self.advance_loosely(state, token).filter(|_| token != END_ID) else {
                return verdict;
            };
            if state.fact().is_some() {
                verdict.facts_stated += 1;
                verdict.facts_true += usize::from(state.probability(token) > 0.0);
            }
            verdict.rare_constructions += usize::from(state.opens_rare(token));
            state = next;
        }
        verdict.grammatical = state.probability(END_ID) > 0.0;
        verdict
    }

    /// As [`State::advance`], but where a fact is due any value of its attribute will do.
    pub fn advance_loosely<'w>(&self, state: State<'w>, token: u32) -> Option<State<'w>> {
        match state.fact() {
            Some((_, attribute)) if self.value_tokens(attribute).contains(&token) => {
                state.advance(state.next_law()[0].0)
            }
            _ => state.advance(token),
        }
    }

    /// The tokens that attribute number `attribute` can take; the vocabulary lists them in a row.
    pub fn value_tokens(&self, attribute: usize) -> Range<u32> {
        let values = ATTRIBUTE[attribute].values;
        let first = self.grammar.id(values[0]);
        first..first + values.len() as u32
    }
}
