//! The grammar: from every place in a document, what may come next and how likely.
//!
//! ```text
//! document  = sentence{1,4} end
//! sentence  = subject fact . | the scene . | where does subject live ? in TOWN .   (last: rare)
//! subject   = NAME | she          a document has one entity: `she` only after its NAME
//! fact      = lives in TOWN | works as a TRADE | owns a COLOUR house | eats FOOD  (rare synonyms)
//! scene     = [ADJ] NOUN [PREP the NOUN] [ADV] VERB               NOUN and VERB agree in number
//!           | [ADJ] NOUN is/are PARTICIPLE by the NOUN                                   (rare)
//! ```
//! A [`Place`] holds all that the future depends on, and the token read leads to exactly one next
//! place: the automaton is deterministic, so the law given a prefix is the law of its place.

use super::lexicon::{
    ADJECTIVES, ADVERBS, FUNCTION, NAMES, NOUNS, PARTICIPLES, PREPOSITIONS, VERBS,
};
use super::world::*;
use std::collections::HashMap;

/// The end token of the world.
pub const END_ID: u32 = 0;

/// Where in a document one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Finished sentences.
    pub sentences: u8,
    /// Who the document is about, once named.
    pub entity: Option<u8>,
    /// Where in the sentence.
    pub spot: Spot,
}

/// Where in a sentence one stands; `plural` is the number of the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spot {
    /// Before a sentence, or at the end of the document.
    Start,
    /// After the subject of a fact.
    Subject,
    /// In the statement of attribute `.0`, after `.1` words that follow the verb.
    Fact(u8, u8),
    /// In a question, after `.0` words.
    Question(u8),
    /// After the scene's article.
    Article,
    /// After the adjective.
    Adjective,
    /// After the subject noun.
    Noun { plural: bool },
    /// After the preposition.
    Preposition { plural: bool },
    /// After the article of the attractor.
    Attractor { plural: bool },
    /// After the attractor.
    Phrase { plural: bool },
    /// After the adverb.
    Adverb { plural: bool },
    /// In a passive, after `.0` words that follow the subject noun.
    Passive(u8),
    /// Before the full stop of a scene.
    Stop,
}

/// One way on.
#[derive(Clone, Copy, Debug)]
pub struct Arc {
    /// The word read.
    pub token: u32,
    /// Its probability, positive.
    pub probability: f64,
    /// Where it leads.
    pub target: Place,
    /// Opens a rare construction.
    pub rare: bool,
}

/// Vocabulary, facts and the rule book.
#[derive(Debug)]
pub struct Grammar {
    /// Every word once; word `i` is token `i + 1`.
    pub words: Vec<&'static str>,
    ids: HashMap<&'static str, u32>,
    /// See [`facts`].
    pub facts: Vec<[usize; ATTRIBUTES]>,
    entities: Vec<f64>,
    nouns: Vec<f64>,
    verbs: Vec<f64>,
    adjectives: Vec<f64>,
    adverbs: Vec<f64>,
    prepositions: Vec<f64>,
    participles: Vec<f64>,
}

impl Place {
    /// Before the first sentence.
    pub const FIRST: Self = Self { sentences: 0, entity: None, spot: Spot::Start };

    fn at(self, spot: Spot) -> Self {
        Self { spot, ..self }
    }

    fn next_sentence(self) -> Self {
        Self { sentences: self.sentences + 1, spot: Spot::Start, ..self }
    }
}

impl Grammar {
    /// The grammar of the standard world.
    pub fn new() -> Self {
        let values = ATTRIBUTE.iter().flat_map(|attribute| attribute.values);
        let forms = NOUNS.iter().chain(&VERBS).flatten();
        let lists =
            [&FUNCTION[..], &NAMES[..ENTITIES], &ADJECTIVES, &ADVERBS, &PREPOSITIONS, &PARTICIPLES];
        let words =
            lists.into_iter().flatten().chain(values).chain(forms).copied().collect::<Vec<_>>();
        let ids = words.iter().zip(END_ID + 1..).map(|(&word, id)| (word, id)).collect();
        Self {
            words,
            ids,
            facts: facts(),
            entities: zipf(ENTITIES, ENTITY_EXPONENT),
            nouns: zipf(NOUNS.len(), NOUN_EXPONENT),
            verbs: zipf(VERBS.len(), VERB_EXPONENT),
            adjectives: zipf(ADJECTIVES.len(), ADJECTIVE_EXPONENT),
            adverbs: zipf(ADVERBS.len(), SHORT_EXPONENT),
            prepositions: zipf(PREPOSITIONS.len(), SHORT_EXPONENT),
            participles: zipf(PARTICIPLES.len(), SHORT_EXPONENT),
        }
    }

    /// The id of a word of the world.
    ///
    /// # Panics
    /// When the word is not one of them.
    pub fn id(&self, word: &str) -> u32 {
        *self.ids.get(word).unwrap_or_else(|| panic!("toy grammar: no word {word:?}"))
    }

    /// The token of attribute `attribute` of `entity`.
    pub fn true_value(&self, entity: usize, attribute: usize) -> u32 {
        self.id(ATTRIBUTE[attribute].values[self.facts[entity][attribute]])
    }

    /// The attribute whose value comes next, if one does.
    pub fn attribute_at(&self, spot: Spot) -> Option<usize> {
        match spot {
            Spot::Fact(attribute, step) => {
                let attribute = attribute as usize;
                (step as usize == ATTRIBUTE[attribute].before.len()).then_some(attribute)
            }
            Spot::Question(5) => Some(0),
            _ => None,
        }
    }

    /// Everything that may come next at `place`, with probabilities that sum to one.
    pub fn arcs(&self, place: Place) -> Vec<Arc> {
        let mut arcs = Vec::new();
        let mut add = |word: &str, probability: f64, target: Place| {
            arcs.push(Arc { token: self.id(word), probability, target, rare: false });
        };
        match place.spot {
            Spot::Start => return self.openings(place),
            Spot::Subject => {
                for (index, attribute) in ATTRIBUTE.iter().enumerate() {
                    let target = place.at(Spot::Fact(index as u8, 0));
                    let share = 1.0 / ATTRIBUTES as f64;
                    add(attribute.verbs[0], share * (1.0 - SYNONYM), target);
                    add(attribute.verbs[1], share * SYNONYM, target);
                }
            }
            Spot::Fact(index, step) => return vec![self.fact_step(place, index, step)],
            Spot::Question(step) => match step {
                0 => add("does", 1.0, place.at(Spot::Question(1))),
                1 => self.mention(place, 1.0, Spot::Question(2), &mut add),
                2 => add("live", 1.0, place.at(Spot::Question(3))),
                3 => add("?", 1.0, place.at(Spot::Question(4))),
                4 => add("in", 1.0, place.at(Spot::Question(5))),
                5 => return vec![self.value(place, 0, place.at(Spot::Stop))],
                _ => unreachable!("toy grammar: a question has six steps"),
            },
            Spot::Article => {
                for (adjective, probability) in ADJECTIVES.iter().zip(&self.adjectives) {
                    add(adjective, ADJECTIVE * probability, place.at(Spot::Adjective));
                }
                self.nouns(1.0 - ADJECTIVE, |plural| place.at(Spot::Noun { plural }), &mut add);
            }
            Spot::Adjective => self.nouns(1.0, |plural| place.at(Spot::Noun { plural }), &mut add),
            Spot::Noun { plural } => {
                for (word, probability) in PREPOSITIONS.iter().zip(&self.prepositions) {
                    add(word, PHRASE * probability, place.at(Spot::Preposition { plural }));
                }
                self.predicate(place, plural, 1.0 - PHRASE - PASSIVE, &mut add);
                let token = self.id(["is", "are"][plural as usize]);
                let target = place.at(Spot::Passive(0));
                arcs.push(Arc { token, probability: PASSIVE, target, rare: true });
            }
            Spot::Preposition { plural } => add("the", 1.0, place.at(Spot::Attractor { plural })),
            Spot::Attractor { plural } => {
                self.nouns(1.0, |_| place.at(Spot::Phrase { plural }), &mut add);
            }
            Spot::Phrase { plural } => self.predicate(place, plural, 1.0, &mut add),
            Spot::Adverb { plural } => self.verbs(place, plural, 1.0, &mut add),
            Spot::Passive(step) => match step {
                0 => {
                    for (word, &probability) in PARTICIPLES.iter().zip(&self.participles) {
                        add(word, probability, place.at(Spot::Passive(1)));
                    }
                }
                1 => add("by", 1.0, place.at(Spot::Passive(2))),
                2 => add("the", 1.0, place.at(Spot::Passive(3))),
                3 => self.nouns(1.0, |_| place.at(Spot::Stop), &mut add),
                _ => unreachable!("toy grammar: a passive has four steps"),
            },
            Spot::Stop => add(".", 1.0, place.next_sentence()),
        }
        arcs
    }

    /// The end of the document, or the first word of a sentence.
    fn openings(&self, place: Place) -> Vec<Arc> {
        let stop = if place.sentences == 0 { 0.0 } else { STOP[place.sentences as usize - 1] };
        let end = Arc { token: END_ID, probability: stop, target: Place::FIRST, rare: false };
        let mut arcs = vec![end];
        let mut add = |word: &str, probability: f64, target: Place| {
            let rare = target.spot == Spot::Question(0);
            arcs.push(Arc { token: self.id(word), probability, target, rare });
        };
        let on = 1.0 - stop;
        add("the", on * SCENE, place.at(Spot::Article));
        add("where", on * QUESTION, place.at(Spot::Question(0)));
        self.mention(place, on * (1.0 - SCENE - QUESTION), Spot::Subject, &mut add);
        arcs.retain(|arc| arc.probability > 0.0);
        arcs
    }

    /// The entity by name, or by pronoun once it is known.
    fn mention(&self, place: Place, mass: f64, spot: Spot, add: &mut impl FnMut(&str, f64, Place)) {
        if let Some(entity) = place.entity {
            add("she", mass * PRONOUN, place.at(spot));
            add(NAMES[entity as usize], mass * (1.0 - PRONOUN), place.at(spot));
            return;
        }
        for (entity, (name, probability)) in NAMES.iter().zip(&self.entities).enumerate() {
            add(name, mass * probability, Place { entity: Some(entity as u8), spot, ..place });
        }
    }

    /// The next word of a statement: before the value, the value, or after it.
    fn fact_step(&self, place: Place, index: u8, step: u8) -> Arc {
        let Attribute { before, after, .. } = &ATTRIBUTE[index as usize];
        let next = place.at(Spot::Fact(index, step + 1));
        let step = step as usize;
        if step == before.len() {
            return self.value(place, index as usize, next);
        }
        let (word, last) = match step.checked_sub(before.len() + 1) {
            None => (before[step], false),
            Some(rest) => (after[rest], rest + 1 == after.len()),
        };
        let target = if last { place.next_sentence() } else { next };
        Arc { token: self.id(word), probability: 1.0, target, rare: false }
    }

    fn value(&self, place: Place, attribute: usize, target: Place) -> Arc {
        let entity = place.entity.expect("toy grammar: a fact has an entity") as usize;
        let token = self.true_value(entity, attribute);
        Arc { token, probability: 1.0, target, rare: false }
    }

    fn nouns(
        &self,
        mass: f64,
        target: impl Fn(bool) -> Place,
        add: &mut impl FnMut(&str, f64, Place),
    ) {
        for ([singular, plural], probability) in NOUNS.iter().zip(&self.nouns) {
            add(singular, mass * probability * (1.0 - PLURAL), target(false));
            add(plural, mass * probability * PLURAL, target(true));
        }
    }

    /// An optional adverb and the verb.
    fn predicate(
        &self,
        place: Place,
        plural: bool,
        mass: f64,
        add: &mut impl FnMut(&str, f64, Place),
    ) {
        for (word, probability) in ADVERBS.iter().zip(&self.adverbs) {
            add(word, mass * ADVERB * probability, place.at(Spot::Adverb { plural }));
        }
        self.verbs(place, plural, mass * (1.0 - ADVERB), add);
    }

    fn verbs(&self, place: Place, plural: bool, mass: f64, add: &mut impl FnMut(&str, f64, Place)) {
        for (forms, probability) in VERBS.iter().zip(&self.verbs) {
            add(forms[plural as usize], mass * probability, place.at(Spot::Stop));
        }
    }
}
