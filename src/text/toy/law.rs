//! The law: every place of the grammar compiled into one table, walked by [`State`].

use super::grammar::{Grammar, Place};
use super::world::RARE;
use std::collections::HashMap;

/// One place, compiled.
#[derive(Debug)]
pub(super) struct Site {
    /// Tokens that may follow with their probabilities, by rising token.
    pub law: Vec<(u32, f64)>,
    /// Where each of them leads, and whether it opens a rare construction.
    pub targets: Vec<(u32, bool)>,
    /// The attribute whose value comes here, with the entity it belongs to.
    pub fact: Option<(usize, usize)>,
}

/// All places that can be reached, the first sentence's start being number 0.
pub(super) fn compile(grammar: &Grammar) -> Vec<Site> {
    let mut numbers = HashMap::from([(Place::FIRST, 0u32)]);
    let mut places = vec![Place::FIRST];
    let mut sites = Vec::new();
    while let Some(&place) = places.get(sites.len()) {
        let mut arcs = grammar.arcs(place);
        arcs.sort_by_key(|arc| arc.token);
        let mut number = |target: Place| {
            *numbers.entry(target).or_insert_with(|| {
                places.push(target);
                places.len() as u32 - 1
            })
        };
        let targets = arcs.iter().map(|arc| (number(arc.target), arc.rare)).collect();
        let entity = place.entity.map(usize::from);
        sites.push(Site {
            law: arcs.iter().map(|arc| (arc.token, arc.probability)).collect(),
            targets,
            fact: entity.and_then(|entity| Some((entity, grammar.attribute_at(place.spot)?))),
        });
    }
    sites
}

/// What a prefix determines: the exact law of the next token, and the state after each token.
///
/// The state after the end token is the start of the next document, so a whole stream can be
/// walked.
#[derive(Clone, Copy)]
pub struct State<'w> {
    pub(super) sites: &'w [Site],
    pub(super) number: u32,
}

impl std::fmt::Debug for State<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "State({})", self.number)
    }
}

impl PartialEq for State<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<'w> State<'w> {
    pub(super) fn site(&self) -> &'w Site {
        &self.sites[self.number as usize]
    }

    /// The number of this state, below [`super::ToyWorld::states`].
    pub fn number(&self) -> usize {
        self.number as usize
    }

    /// The tokens that may come next with their probabilities, by rising token; all positive, sum 1.
    pub fn next_law(&self) -> &'w [(u32, f64)] {
        &self.site().law
    }

    /// The exact probability of `token` here.
    pub fn probability(&self, token: u32) -> f64 {
        let law = self.next_law();
        law.binary_search_by_key(&token, |entry| entry.0).map_or(0.0, |index| law[index].1)
    }

    /// The state after `token`, or `None` where the grammar forbids it.
    pub fn advance(&self, token: u32) -> Option<Self> {
        let index = self.next_law().binary_search_by_key(&token, |entry| entry.0).ok()?;
        Some(Self { number: self.site().targets[index].0, ..*self })
    }

    /// Whether `token` opens a rare construction here (a passive or a question).
    pub fn opens_rare(&self, token: u32) -> bool {
        let index = self.next_law().binary_search_by_key(&token, |entry| entry.0);
        index.is_ok_and(|index| self.site().targets[index].1)
    }

    /// The entity (by rank from 0) and the attribute whose value must come next, if one must.
    pub fn fact(&self) -> Option<(usize, usize)> {
        self.site().fact
    }

    /// Entropy of the next token in nats, `−Σ q ln q`.
    pub fn entropy_nats(&self) -> f64 {
        self.next_law().iter().map(|&(_, q)| -q * q.ln()).sum()
    }

    /// What a model loses here in nats: `KL(q ‖ p) = Σ q (ln q − ln p)`, the expectation of its
    /// log loss over the true next token less the entropy, without sampling noise.
    ///
    /// # Panics
    /// When `log_probs` has no entry for a token of the law.
    pub fn excess_nats(&self, log_probs: &[f32]) -> f64 {
        let term = |&(token, q): &(u32, f64)| q * (q.ln() - f64::from(log_probs[token as usize]));
        self.next_law().iter().map(term).sum()
    }

    /// The mass of the rare but true tokens here, `0 < q <` [`RARE`]: (model's, true).
    ///
    /// A model's tail retention over positions is the ratio of the two sums. Both are 0 where no
    /// token is rare.
    ///
    /// # Panics
    /// When `probs` has no entry for a token of the law.
    pub fn tail(&self, probs: &[f32]) -> (f64, f64) {
        let rare = self.next_law().iter().filter(|entry| entry.1 < RARE);
        rare.fold((0.0, 0.0), |(model, truth), &(token, q)| {
            (model + f64::from(probs[token as usize]), truth + q)
        })
    }
}
