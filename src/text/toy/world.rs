//! The constants of the toy world and its facts: the one place to tune it.
//!
//! # The sampling floor
//! A model that knew the grammar and had only to estimate its free parameters from `N` tokens
//! would still lose about `k / 2N` nats per token, `k` the number of free parameters. Here `k` is
//! about 59 names + 240 facts + 2·30 nouns + 20 verbs + 24 adjectives + 30 choices ≈ 430, so
//! 0.0011 nats per token at `N = 200 000`; a network that must find the structure as well needs
//! ten times that or more.

use super::lexicon::{COLOURS, FOODS, TOWNS, TRADES};
use fortifai_stream::Stream;

/// Seeds the facts and the false answers. The world is fixed; this is not a run's seed.
pub const WORLD_SEED: u64 = 0x070f_0001;
/// Entities, each with one value of every attribute; at most as many as there are names.
pub const ENTITIES: usize = 60;
/// The probability of the entity of rank `r` (from 1) is proportional to `r^-EXPONENT`.
pub const ENTITY_EXPONENT: f64 = 1.0;
/// Attributes of an entity.
pub const ATTRIBUTES: usize = 4;

/// Probability that a document ends after 1, 2, 3, 4 sentences, given that it got there.
pub const STOP: [f64; 4] = [0.2, 0.3, 0.5, 1.0];
/// Probability that a sentence is about nouns and verbs, not about the entity.
pub const SCENE: f64 = 0.25;
/// Probability that a sentence is a question about the entity's town (rare).
pub const QUESTION: f64 = 0.005;
/// Probability that an entity already named is called `she`.
pub const PRONOUN: f64 = 0.6;
/// Probability of the rare synonym of a fact's verb.
pub const SYNONYM: f64 = 0.03;

/// Probability of an adjective before a scene's subject.
pub const ADJECTIVE: f64 = 0.4;
/// Probability of a prepositional phrase with an attractor noun after the subject.
pub const PHRASE: f64 = 0.35;
/// Probability of an adverb before the verb.
pub const ADVERB: f64 = 0.1;
/// Probability of a passive where there is neither phrase nor adverb (rare).
pub const PASSIVE: f64 = 0.07;
/// Probability that a noun is plural.
pub const PLURAL: f64 = 0.45;
/// Zipf exponents of nouns, verbs, adjectives and the short lists; the adjectives have the long
/// tail, down to about 0.001.
pub const NOUN_EXPONENT: f64 = 1.0;
/// See [`NOUN_EXPONENT`].
pub const VERB_EXPONENT: f64 = 1.2;
/// See [`NOUN_EXPONENT`].
pub const ADJECTIVE_EXPONENT: f64 = 1.9;
/// See [`NOUN_EXPONENT`].
pub const SHORT_EXPONENT: f64 = 1.0;

/// A token is rare but true where its true probability is positive and below this.
pub const RARE: f64 = 0.02;
/// No document of the world is longer, its end token included.
pub const MAX_DOCUMENT_TOKENS: usize = 40;

/// One attribute: how it is stated and what it can be.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its name in tables.
    pub name: &'static str,
    /// The verb and its rare synonym.
    pub verbs: [&'static str; 2],
    /// Words between verb and value.
    pub before: &'static [&'static str],
    /// What the value can be.
    pub values: &'static [&'static str],
    /// Words after the value.
    pub after: &'static [&'static str],
}

/// The attributes. The first one is what questions ask for.
pub const ATTRIBUTE: [Attribute; ATTRIBUTES] = [
    Attribute {
        name: "town",
        verbs: ["lives", "dwells"],
        before: &["in"],
        values: &TOWNS,
        after: &["."],
    },
    Attribute {
        name: "trade",
        verbs: ["works", "toils"],
        before: &["as", "a"],
        values: &TRADES,
        after: &["."],
    },
    Attribute {
        name: "colour",
        verbs: ["owns", "keeps"],
        before: &["a"],
        values: &COLOURS,
        after: &["house", "."],
    },
    Attribute {
        name: "food",
        verbs: ["eats", "devours"],
        before: &[],
        values: &FOODS,
        after: &["."],
    },
];

/// The facts: for each entity the index of its value in each attribute, uniform and independent.
pub fn facts() -> Vec<[usize; ATTRIBUTES]> {
    let of_entity = |entity| {
        let mut stream = Stream::new(WORLD_SEED, "toy-facts", 0, entity);
        ATTRIBUTE.each_ref().map(|attribute| stream.below(attribute.values.len()))
    };
    (0..ENTITIES as u64).map(of_entity).collect()
}

/// Zipf probabilities `r^-s / Σ r^-s` for ranks `1..=count`.
pub fn zipf(count: usize, exponent: f64) -> Vec<f64> {
    let weights = (1..=count).map(|rank| libm::pow(rank as f64, -exponent)).collect::<Vec<_>>();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}
