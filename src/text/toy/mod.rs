//! The toy world: a language of about three hundred words about sixty invented people, whose exact
//! law is known after every prefix.
//!
//! Because the law is exact, what a model has lost can be measured without sampling noise: the
//! excess loss over the entropy ([`State::excess_nats`]), the mass left on what is rare but true
//! ([`State::tail`]), the facts it still knows ([`ToyWorld::fact_questions`]), whether its verbs
//! agree ([`ToyWorld::agreement_pairs`]), and whether what it writes is grammatical and true
//! ([`ToyWorld::judge`]).
//!
//! | figure | value |
//! |---|---|
//! | tokens in the vocabulary | 289 |
//! | entropy, nats per token | 1.0872 |
//! | mean tokens of a document, with its end | 15.27 |
//! | statements of a fact per 100,000 tokens, rarest and most frequent entity | 11.5 and 688 |
//!
//! The constants are in [`world`], the words in [`lexicon`]; a change of either is value-breaking.
//!
//! ```
//! use fortifai::text::ToyWorld;
//! let world = ToyWorld::standard();
//! let prefix = world.tokenizer().encode("zorin lives in")?;
//! let state = world.state_after(&prefix).unwrap();
//! assert_eq!(state.next_law().len(), 1); // zorin's town is certain
//! # Ok::<(), fortifai::Error>(())
//! ```

mod entropy;
mod grammar;
mod judge;
mod law;
pub mod lexicon;
mod questions;
pub mod world;

pub use entropy::Figures;
pub use judge::Judgement;
pub use law::State;
pub use questions::{FactQuestion, MinimalPair};

use super::Tokenizer;
use fortifai_stream::Stream;
use grammar::{END_ID, Grammar};
use law::Site;
use std::sync::OnceLock;
use world::ATTRIBUTES;

/// The world: grammar, facts, exact law and its own word tokenizer.
#[derive(Debug)]
pub struct ToyWorld {
    grammar: Grammar,
    sites: Vec<Site>,
    tokenizer: Tokenizer,
    figures: Figures,
}

impl ToyWorld {
    /// The one standard world, built on first use.
    pub fn standard() -> &'static Self {
        static WORLD: OnceLock<ToyWorld> = OnceLock::new();
        WORLD.get_or_init(|| {
            let grammar = Grammar::new();
            let sites = law::compile(&grammar);
            let tokenizer = Tokenizer::from_words(grammar.words.iter().copied())
                .expect("ToyWorld: its words are distinct");
            let figures = entropy::figures(&sites);
            Self { grammar, sites, tokenizer, figures }
        })
    }

    /// The tokenizer of the world: one token per word, the end token is 0.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The number of tokens, the end token included.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.vocab_size()
    }

    /// The number of states of the automaton.
    pub fn states(&self) -> usize {
        self.sites.len()
    }

    /// Exact entropy, document length and their variances.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// The state at the start of a document.
    pub fn start(&self) -> State<'_> {
        State { sites: &self.sites, number: 0 }
    }

    /// The state after a prefix that starts with a document (a leading end token, as streams have
    /// it, is passed over), or `None` if the grammar forbids it.
    pub fn state_after(&self, prefix: &[u32]) -> Option<State<'_>> {
        let prefix = prefix.strip_prefix(&[END_ID]).unwrap_or(prefix);
        prefix.iter().try_fold(self.start(), |state, &token| state.advance(token))
    }

    /// The exact law of the next token over the whole vocabulary, or `None` if the grammar forbids
    /// the prefix.
    pub fn law(&self, prefix: &[u32]) -> Option<Vec<f64>> {
        let mut law = vec![0.0; self.vocab_size()];
        for &(token, q) in self.state_after(prefix)?.next_law() {
            law[token as usize] = q;
        }
        Some(law)
    }

    /// One document, without end tokens.
    pub fn sample_document(&self, stream: &mut Stream) -> Vec<u32> {
        let mut document = Vec::new();
        let mut state = self.start();
        let mut weights = Vec::new();
        loop {
            let law = state.next_law();
            weights.clear();
            weights.extend(law.iter().map(|entry| entry.1));
            let token = law[stream.categorical(&weights)].0;
            if token == END_ID {
                return document;
            }
            document.push(token);
            state = state.advance(token).expect("ToyWorld: the law leads somewhere");
        }
    }

    /// Whole documents as `end doc end doc … end`, at least `min_tokens` tokens.
    pub fn sample_stream(&self, stream: &mut Stream, min_tokens: usize) -> Vec<u32> {
        let mut tokens = vec![END_ID];
        while tokens.len() < min_tokens {
            tokens.extend(self.sample_document(stream));
            tokens.push(END_ID);
        }
        tokens
    }

    /// How often each fact is stated per token of the stream, exactly: by entity and attribute.
    pub fn fact_rates(&self) -> Vec<[f64; ATTRIBUTES]> {
        let mut rates = vec![[0.0; ATTRIBUTES]; self.grammar.facts.len()];
        for (site, visits) in self.sites.iter().zip(entropy::visits(&self.sites)) {
            if let Some((entity, attribute)) = site.fact {
                rates[entity][attribute] += visits / self.figures.document_tokens;
            }
        }
        rates
    }
}

#[cfg(test)]
mod tests;
