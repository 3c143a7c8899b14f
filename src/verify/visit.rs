//! The operators one by one, each with the shapes it is tried at and the branches that must be seen.

use super::operator::Operator;
use super::operators::adamw::{SquaredNorm, Update};
use super::operators::attention::Attention;
use super::operators::classifier::{Classifier, members};
use super::operators::decode::{Decode, PackedLinear};
use super::operators::embedding::Embedding;
use super::operators::gelu::GeluLinear;
use super::operators::layernorm::{Layernorm, ResidualLayernorm};
use super::operators::linear::Linear;
use super::operators::model::Case;
use super::plan::{Plan, Shapes};
use crate::config::ModelConfig;
use crate::tier::LinearShape;

/// The names of all operators, as [`Plan::operator`] knows them.
pub const OPERATORS: [&str; 12] = [
    "embedding",
    "linear",
    "gelu_linear",
    "layernorm",
    "residual_layernorm",
    "attention",
    "classifier",
    "adamw",
    "squared_norm",
    "attention_decode",
    "packed_linear",
    "model",
];

/// What is done with every operator.
pub(super) trait Checks {
    /// One operator: over the plan's shapes and over small ones; the branches that must be seen.
    fn check<O: Operator>(
        &mut self,
        name: &str,
        shape: impl Fn(&mut Shapes) -> O,
        small: impl Fn(usize, u64) -> O,
        branches: &[&'static str],
    );
    /// Whole models.
    fn model(&mut self, case: impl Fn(&mut Shapes) -> Case);
}

/// The operators that the plan names, in order. `done` hears of each name first.
pub(super) fn visit(checks: &mut impl Checks, plan: &Plan, mut done: impl FnMut(&str)) {
    for name in OPERATORS {
        if plan.names(name) {
            done(name);
            visit_one(checks, name);
        }
    }
}

pub(super) fn visit_one(checks: &mut impl Checks, name: &str) {
    match name {
        "embedding" => checks.check(
            name,
            |pick| {
                let (v, context) = (pick.pick("v", 101), pick.pick("context", 33));
                let (c, n) = (pick.pick("c", 65), pick.pick("n", 65));
                Embedding::new(v, context, c, n, pick.seed)
            },
            |size, seed| Embedding::new(7, 5, 1 + size % 9, 5 + size % 29, seed),
            &["repeated", "distinct", "several row pieces", "one row piece"],
        ),
        "linear" => checks.check(
            name,
            |pick| match pick.item {
                // Shared out to threads; and an inner dimension of several blocks in each product.
                0 if pick.is(0) => Linear { n: 67, c: 61, oc: 71 },
                1 if pick.is(1) => Linear { n: 3, c: 1027, oc: 5 },
                2 if pick.is(2) => Linear { n: 5, c: 3, oc: 515 },
                3 if pick.is(3) => Linear { n: 1025, c: 5, oc: 2 },
                // A product of 66 tiles of 128 x 128 for each layout, the least that `wgmma` is given; the
                // first has more slabs of 64 terms than its ring of six stages, the others three.
                4 if pick.is_on_device(4) => Linear { n: 641, c: 456, oc: 1288 },
                5 if pick.is_on_device(5) => Linear { n: 641, c: 1288, oc: 136 },
                6 if pick.is_on_device(6) => Linear { n: 136, c: 648, oc: 1288 },
                _ => {
                    Linear { n: pick.pick("n", 65), c: pick.pick("c", 65), oc: pick.pick("oc", 65) }
                }
            },
            |size, _| Linear { n: 1 + size % 7, c: 3 + size % 16, oc: 1 + size % 11 },
            &super::operators::linear::BRANCHES,
        ),
        "gelu_linear" => checks.check(
            name,
            |pick| match pick.item {
                // More than one piece of the activation, shared out to threads.
                0 if pick.is(0) => GeluLinear { n: 67, c: 131, oc: 31 },
                1 if pick.is(1) => GeluLinear { n: 2, c: 1027, oc: 3 },
                _ => {
                    let (n, c) = (pick.pick("n", 65), pick.pick("c", 65));
                    GeluLinear { n, c, oc: pick.pick("oc", 33) }
                }
            },
            |size, _| GeluLinear { n: 1 + size % 7, c: 3 + size % 16, oc: 1 + size % 11 },
            &super::operators::gelu::BRANCHES,
        ),
        "layernorm" => checks.check(
            name,
            |pick| match pick.item {
                // Rows for more than four workers of 32.
                0 if pick.is(0) => Layernorm { n: 131, c: 33 },
                _ => Layernorm { n: pick.pick("n", 65), c: pick.pick("c", 131) },
            },
            |size, _| Layernorm { n: 1 + size % 5, c: 5 + size },
            &super::operators::layernorm::BRANCHES,
        ),
        "residual_layernorm" => checks.check(
            name,
            |pick| ResidualLayernorm { n: pick.pick("n", 65), c: pick.pick("c", 131) },
            |size, _| ResidualLayernorm { n: 1 + size % 5, c: 5 + size },
            &super::operators::layernorm::BRANCHES,
        ),
        "attention" => checks.check(
            name,
            |pick| {
                let t = match pick.item {
                    _ if pick.own.is_some() => pick.pick("t", 65),
                    // One whole block of queries; longer than one.
                    4 => 64,
                    item if item.is_multiple_of(8) => 65 + item,
                    _ => pick.pick("t", 65),
                };
                let (b, nh, hs) = (pick.pick("b", 3), pick.pick("nh", 3), pick.pick("hs", 17));
                let shape = match pick.item {
                    // The head sizes that matrix units are fed with.
                    1 if pick.is(1) => (1, 65, 1, 64),
                    2 if pick.is(2) => (2, 33, 2, 32),
                    3 if pick.is(3) => (1, 31, 1, 128),
                    _ => (b, t, nh, hs),
                };
                Attention::new(shape).spread_by(pick.seed)
            },
            |size, seed| {
                Attention::new((1 + size % 2, 1 + size % 13, 1 + size % 3, 1 + size % 5))
                    .spread_by(seed)
            },
            &super::operators::attention::BRANCHES,
        ),
        "classifier" => {
            for member in members() {
                let title = format!("classifier {}", member.name());
                let branches = member.branches();
                checks.check(
                    &title,
                    |pick| {
                        let shape = match pick.item {
                            // Rows of two chunks wait for each other, those of the last for none.
                            0 if pick.is(0) => (1300, 2, 3),
                            _ => (pick.pick("n", 33), pick.pick("c", 17), pick.pick("v", 65)),
                        };
                        Classifier::new(shape, member.clone(), pick.seed)
                    },
                    |size, seed| {
                        let shape = (1 + size % 9, 1 + size % 6, 2 + size % 19);
                        Classifier::new(shape, member.clone(), seed)
                    },
                    &branches,
                );
            }
        }
        "adamw" => checks.check(
            name,
            |pick| {
                let len = if pick.is(0) { 16385 } else { pick.pick("len", 65) };
                Update::new(len, pick.seed)
            },
            |size, seed| Update::new(1 + 3 * size, seed),
            &["first step", "later step", "decay", "no decay", "several pieces", "one piece"],
        ),
        "squared_norm" => checks.check(
            name,
            |pick| SquaredNorm { len: if pick.is(0) { 16385 } else { pick.pick("len", 65) } },
            |size, _| SquaredNorm { len: 1 + 7 * size },
            &["several pieces", "one piece"],
        ),
        "attention_decode" => checks.check(
            name,
            |pick| {
                let long = pick.own.is_some() || pick.item.is_multiple_of(4);
                let t = pick.pick("t", if long { 65 } else { 17 });
                match pick.item {
                    // Large enough to be shared out to threads.
                    1 if pick.is(1) => Decode { shape: (3, 131, 3, 32) },
                    _ => Decode {
                        shape: (pick.pick("b", 3), t, pick.pick("nh", 3), pick.pick("hs", 33)),
                    },
                }
            },
            |size, _| Decode { shape: (1 + size % 2, 1 + size % 19, 1 + size % 2, 1 + size % 9) },
            &super::operators::decode::BRANCHES,
        ),
        "packed_linear" => checks.check(
            name,
            |pick| {
                let (n, c, oc) = match pick.item {
                    0 | 1 if pick.is(pick.item) => (33, 67, 131),
                    2 if pick.is(2) => (3, 1027, 5),
                    _ => (pick.pick("n", 33), pick.pick("c", 65), pick.pick("oc", 131)),
                };
                PackedLinear {
                    shape: LinearShape { n, c, oc },
                    transposed: pick.seed.is_multiple_of(2),
                    biased: !pick.seed.is_multiple_of(3),
                }
            },
            |size, seed| PackedLinear {
                shape: LinearShape { n: 1 + size % 18, c: 3 + size % 9, oc: 1 + size % 11 },
                transposed: seed.is_multiple_of(2),
                biased: !seed.is_multiple_of(3),
            },
            &super::operators::decode::PACKED_BRANCHES,
        ),
        _ => checks.model(own_model),
    }
}

/// A model of the plan's own sizes.
fn own_model(pick: &mut Shapes) -> Case {
    let mut size = |letter| pick.pick(letter, 3);
    let (layers, heads, hs) = (size("layers"), size("nh"), size("hs"));
    let (b, t, vocab) = (size("b"), size("t"), size("v"));
    let config = ModelConfig { layers, heads, channels: heads * hs, context: t, vocab };
    Case::new(config, b, t, 0.2, pick.seed)
}

/// The letters of an operator's sizes.
pub(super) fn letters(operator: &str) -> Vec<&'static str> {
    let mut letters = Letters::default();
    visit_one(&mut letters, operator);
    letters.0
}

/// What an operator asks for.
#[derive(Default)]
struct Letters(Vec<&'static str>);

impl Checks for Letters {
    fn check<O: Operator>(
        &mut self,
        _name: &str,
        shape: impl Fn(&mut Shapes) -> O,
        _small: impl Fn(usize, u64) -> O,
        _branches: &[&'static str],
    ) {
        let plan = Plan { operator: None, seed: 0, cases: 0, shape: None };
        // No item at which an operator has a shape of its own making.
        let mut shapes = plan.shapes(u64::from(u16::MAX));
        shape(&mut shapes);
        self.0 = shapes.asked;
    }
    fn model(&mut self, case: impl Fn(&mut Shapes) -> Case) {
        let plan = Plan { operator: None, seed: 0, cases: 0, shape: None };
        let mut shapes = plan.shapes(u64::from(u16::MAX));
        case(&mut shapes);
        self.0 = shapes.asked;
    }
}
