//! Questions about facts and pairs about agreement, all drawn once from the world's seed.

use super::ToyWorld;
use super::grammar::END_ID;
use super::lexicon::{ADJECTIVES, NAMES, NOUNS, PREPOSITIONS, VERBS};
use super::world::{ATTRIBUTE, ENTITIES, WORLD_SEED};
use fortifai_stream::Stream;

/// A knowledge question: which continuation of the context is more likely?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactQuestion {
    /// `end NAME lives in`: a prefix of a document after the end token.
    pub context: Vec<u32>,
    /// The true value.
    pub answer_true: Vec<u32>,
    /// Another value of the same attribute, true of some other entity.
    pub answer_false: Vec<u32>,
    /// Rank of the entity, 0 the most frequent.
    pub entity_rank: usize,
    /// Number of the attribute.
    pub attribute: usize,
}

/// Two prefixes that differ in their last token, the verb, in number only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinimalPair {
    /// The verb agrees with its subject.
    pub good: Vec<u32>,
    /// It does not, and the grammar forbids it.
    pub bad: Vec<u32>,
    /// The noun next to the verb has the other number than the subject.
    pub attracted: bool,
}

impl ToyWorld {
    /// Every attribute of every entity as a question, by entity and then attribute.
    pub fn fact_questions(&self) -> Vec<FactQuestion> {
        let grammar = &self.grammar;
        let question = |entity: usize, number: usize| {
            let attribute = &ATTRIBUTE[number];
            let words = [NAMES[entity], attribute.verbs[0]];
            let words = words.iter().chain(attribute.before).map(|word| grammar.id(word));
            let truth = grammar.true_value(entity, number);
            let others = (0..ENTITIES).map(|other| grammar.true_value(other, number));
            let others = others.filter(|&value| value != truth).collect::<Vec<_>>();
            let item = (entity * ATTRIBUTE.len() + number) as u64;
            let lie = others[Stream::new(WORLD_SEED, "toy-lies", 0, item).below(others.len())];
            FactQuestion {
                context: [END_ID].into_iter().chain(words).collect(),
                answer_true: vec![truth],
                answer_false: vec![lie],
                entity_rank: entity,
                attribute: number,
            }
        };
        let entities = 0..ENTITIES;
        entities
            .flat_map(|entity| (0..ATTRIBUTE.len()).map(move |a| (entity, a)))
            .map(|(entity, attribute)| question(entity, attribute))
            .collect()
    }

    /// Every noun in both numbers, each without a phrase, with one of the same number and with one
    /// of the other number; adjective, preposition, attractor and verb are drawn uniformly.
    pub fn agreement_pairs(&self) -> Vec<MinimalPair> {
        let mut pairs = Vec::new();
        for (item, noun) in NOUNS.iter().enumerate() {
            let mut stream = Stream::new(WORLD_SEED, "toy-agreement", 0, item as u64);
            for number in [0, 1] {
                for attractor in [None, Some(number), Some(1 - number)] {
                    let mut words = vec!["the"];
                    if stream.below(2) == 1 {
                        words.push(ADJECTIVES[stream.below(ADJECTIVES.len())]);
                    }
                    words.push(noun[number]);
                    if let Some(other) = attractor {
                        let place = PREPOSITIONS[stream.below(PREPOSITIONS.len())];
                        words.extend([place, "the", NOUNS[stream.below(NOUNS.len())][other]]);
                    }
                    let verb = VERBS[stream.below(VERBS.len())];
                    let prefix = |last: &str| {
                        let ids = words.iter().chain([&last]).map(|word| self.grammar.id(word));
                        [END_ID].into_iter().chain(ids).collect::<Vec<_>>()
                    };
                    pairs.push(MinimalPair {
                        good: prefix(verb[number]),
                        bad: prefix(verb[1 - number]),
                        attracted: attractor == Some(1 - number),
                    });
                }
            }
        }
        pairs
    }
}
