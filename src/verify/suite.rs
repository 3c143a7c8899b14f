//! Every operator of a tier and the whole model, checked over ragged and random shapes.

use super::adjoint::{Record, VALUE_TOLERANCE, Worst};
use super::budget::{Budget, Stored};
use super::certificate::Certificate;
use super::device;
use super::operator::{Finding, Operator, What};
use super::operators::adamw::{SquaredNorm, Update};
use super::operators::attention::Attention;
use super::operators::classifier::{Classifier, members};
use super::operators::decode::{Decode, PackedLinear};
use super::operators::embedding::Embedding;
use super::operators::gelu::GeluLinear;
use super::operators::layernorm::{Layernorm, ResidualLayernorm};
use super::operators::linear::Linear;
use super::operators::model::{Case, Model};
use super::single;
use crate::config::ModelConfig;
use crate::tier::{LinearShape, Tier};
use fortifai_stream::Stream;
use std::collections::BTreeMap;
use std::time::Instant;

/// What is checked, and how much of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Only the operators whose names contain this; with a shape, the one that has this name.
    pub operator: Option<String>,
    /// The seed of shapes and points.
    pub seed: u64,
    /// Random shapes per operator, beside the fixed ones; with a shape of its own, points.
    pub cases: usize,
    /// This shape alone: a size for each letter of the one operator that is named.
    pub shape: Option<BTreeMap<String, usize>>,
}

impl Plan {
    /// Shapes and points per operator.
    pub(super) fn items(&self) -> u64 {
        (if self.shape.is_some() { self.cases } else { RAGGED.len() + self.cases }) as u64
    }

    /// The shapes of one item.
    pub(super) fn shapes(&self, item: u64) -> Shapes<'_> {
        Shapes {
            stream: Stream::new(self.seed, "verify-shapes", 0, item),
            item: item as usize,
            seed: self.seed.wrapping_add(item),
            own: self.shape.as_ref(),
            asked: Vec::new(),
        }
    }

    /// The time for one operator's cases: a shape of one's own may be as large that some must do.
    fn time(&self) -> Time {
        Time(self.shape.is_some().then(Instant::now))
    }

    /// Whether this operator is meant: with a shape of its own by its whole name.
    fn names(&self, operator: &str) -> bool {
        match (&self.operator, &self.shape) {
            (None, _) => true,
            (Some(name), Some(_)) => operator == name,
            (Some(part), None) => operator.contains(part.as_str()),
        }
    }

    /// Whether branches are demanded: fewer random shapes do not reach all of them, and a single
    /// shape is not meant to.
    pub(super) fn demands_branches(&self) -> bool {
        self.shape.is_none() && self.cases >= ENOUGH_FOR_BRANCHES
    }

    /// The letters of an operator's sizes, as [`Plan::shape`] has them.
    pub fn letters(operator: &str) -> Vec<&'static str> {
        let mut letters = Letters::default();
        visit_one(&mut letters, operator);
        letters.0
    }
}

/// Seconds for the cases of one part of the checks in a shape of one's own.
const LONGEST_S: f64 = 20.0;

/// Since when cases are worked on, where they may take too long.
struct Time(Option<Instant>);

impl Time {
    fn is_left(&self) -> bool {
        self.0.is_none_or(|begun| begun.elapsed().as_secs_f64() < LONGEST_S)
    }
}

/// From so many random shapes up every branch is demanded.
pub const ENOUGH_FOR_BRANCHES: usize = 16;

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

/// Sizes at and beside those at which a tier may change its ways: ones, primes, vector widths and
/// tile sizes, each plus and minus one.
pub(super) const RAGGED: [usize; 16] = [1, 2, 3, 5, 7, 13, 15, 16, 17, 31, 32, 33, 61, 63, 64, 65];

/// Single precision needs this many cases, so that maxima are compared and not single roundings.
pub(super) const SINGLE_CASES: usize = 72;

/// The checks of all operators that the plan names: `double` against the textbook and its dual
/// numbers, `single` against the textbook in the same precision. `done` hears of each name first.
pub fn run<D: Tier, S: Tier>(
    double: &D,
    single: &S,
    plan: &Plan,
    done: impl FnMut(&str),
) -> Certificate {
    let mut suite = Suite { double, single, plan, certificate: Certificate::default() };
    visit(&mut suite, plan, done);
    if plan.shape.is_none() && !plan.demands_branches() {
        suite.certificate.skipped.push(format!(
            "branches: they are counted but demanded only from --cases {ENOUGH_FOR_BRANCHES} up"
        ));
    }
    suite.certificate
}

struct Suite<'a, D, S> {
    double: &'a D,
    single: &'a S,
    plan: &'a Plan,
    certificate: Certificate,
}

/// One size of each of some dimensions: from [`RAGGED`] up to `most` for the first few items, then
/// uniform; or the plan's own.
pub(super) struct Shapes<'a> {
    stream: Stream,
    item: usize,
    /// That of the operator's point; with the shape it names all of a case.
    seed: u64,
    own: Option<&'a BTreeMap<String, usize>>,
    asked: Vec<&'static str>,
}

impl Shapes<'_> {
    fn pick(&mut self, letter: &'static str, most: usize) -> usize {
        self.asked.push(letter);
        if let Some(own) = self.own {
            return own[letter];
        }
        if self.item < 2 * RAGGED.len() || self.stream.below(2) == 0 {
            let fits = RAGGED.iter().filter(|&&size| size <= most).count();
            return RAGGED[self.stream.below(fits)];
        }
        1 + self.stream.below(most)
    }

    /// Whether this is the item of that number, at which an operator may have a shape of its own
    /// making, large enough to be worked off in pieces.
    fn is(&self, item: usize) -> bool {
        self.own.is_none() && self.item == item
    }
}

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
                    transposed: pick.item.is_multiple_of(2),
                    biased: !pick.item.is_multiple_of(3),
                }
            },
            |size, _| PackedLinear {
                shape: LinearShape { n: 1 + size % 18, c: 3 + size % 9, oc: 1 + size % 11 },
                transposed: size % 2 == 0,
                biased: size % 3 > 0,
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
    Case::new(config, b, t, 0.2, pick.item as u64)
}

impl<D: Tier, S: Tier> Checks for Suite<'_, D, S> {
    /// Double precision over the plan's shapes, then single precision over small ones (over the
    /// plan's own, if it has one).
    fn check<O: Operator>(
        &mut self,
        name: &str,
        shape: impl Fn(&mut Shapes) -> O,
        small: impl Fn(usize, u64) -> O,
        branches: &[&'static str],
    ) {
        let (record, plan) = (Record::default(), self.plan);
        let time = plan.time();
        let differentiated = shape(&mut plan.shapes(0)).differentiated();
        let found = (0..plan.items()).take_while(|_| time.is_left()).find_map(|item| {
            let op = shape(&mut plan.shapes(item));
            record.check(&op, self.double, plan.seed.wrapping_add(item)).err()
        });
        self.record(name, &record, found, branches, differentiated.then_some(1e-13));
        if plan.shape.is_none() {
            let record = Record::default();
            let found = (0..plan.items().min(EXTREMES)).find_map(|item| {
                let op = shape(&mut plan.shapes(item)).extreme()?;
                record.check(&op, self.double, plan.seed.wrapping_add(item)).err()
            });
            let Worst { cases, value, adjoint } = record.worst();
            if cases > 0 || found.is_some() {
                let detail = found.map(|found| found.message);
                let name = format!("{name}/far out");
                self.certificate.note(name, value.max(adjoint), VALUE_TOLERANCE, cases, detail);
            }
        }

        // The same shapes in single precision: whatever is shared out or worked off in blocks.
        let tolerance = match name {
            // It is summed in double precision.
            "squared_norm" => 1e-12,
            _ => device::tolerance(Stored::Single),
        };
        let (time, mut worst, mut cases) = (plan.time(), 0.0, 0);
        let found = (0..plan.items()).take_while(|_| time.is_left()).find_map(|item| {
            let op = shape(&mut plan.shapes(item));
            let (seed, how) = (plan.seed.wrapping_add(item), (Stored::Single, tolerance));
            cases += 1;
            device::compare(&mut worst, &op, self.single, how, seed).err()
        });
        let detail = self.certificate.heard(found);
        self.certificate.note(format!("{name}/f32 shapes"), worst, tolerance, cases, detail);

        if plan.shape.is_none() {
            let (far, found) = spend_far_out(self.single, plan, &small);
            if far.any() || found.is_some() {
                self.certificate.budget(&format!("{name}/f32 far out"), &far, found);
            }
        }
        let (budget, found) = spend(self.single, Stored::Single, plan, shape, small);
        self.certificate.budget(&format!("{name}/f32 budget"), &budget, found);
    }

    fn model(&mut self, own: impl Fn(&mut Shapes) -> Case) {
        let (record, plan) = (Record::default(), self.plan);
        let own = |item| plan.shape.as_ref().map(|_| own(&mut plan.shapes(item)));
        let cases = if plan.shape.is_some() { plan.items() } else { 4 + plan.cases as u64 / 4 };
        let time = plan.time();
        let found = (0..cases).take_while(|_| time.is_left()).find_map(|item| {
            let case = own(item).unwrap_or_else(|| model_case(plan.seed, item));
            Model::family(&case).iter().find_map(|model| {
                record.check(model, self.double, plan.seed.wrapping_add(item)).err()
            })
        });
        self.record("model", &record, found, &["kept", "dropped"], Some(1e-10));
        let models = if plan.shape.is_some() { plan.items() } else { MODELS };
        if own(0).is_some_and(|case| case.config.channels < single::LEAST_CHANNELS) {
            self.certificate.skipped.push(format!(
                "model/f32: with fewer than {} channels a normalised row is a difference of almost equal \
                 numbers, of which f32 has few digits",
                single::LEAST_CHANNELS
            ));
            return;
        }
        let case = |item| own(item).unwrap_or_else(|| single::case(plan.seed, item));
        let measured =
            single::compare(self.double, self.single, single::TOLERANCES, plan.seed, models, case);
        self.certificate.measured("model/f32 ", single::TOLERANCES, measured, models as usize);
    }
}

/// Far out an exponential below the least normal number may be 0, and so may what it is a factor of:
/// numbers up to this, with rows of some thousands.
const UNDERFLOW: f64 = 1e-33;

/// Items of the plan that are checked at points far out, too.
const EXTREMES: u64 = 24;

/// Random models that are compared in narrow numbers.
pub(super) const MODELS: u64 = 32;

/// Gradient entries that are looked at per tensor and point of the plan's own shape, since each
/// takes the textbook once.
const ENTRIES: usize = 8;

/// What one operator uses of its budget far out, and what stopped it.
pub(super) fn spend_far_out<O: Operator, T: Tier>(
    tier: &T,
    plan: &Plan,
    small: impl Fn(usize, u64) -> O,
) -> (Budget, Option<Finding>) {
    let mut budget = Budget::default();
    budget.floor = UNDERFLOW;
    let found = (0..SINGLE_CASES).find_map(|size| {
        let seed = plan.seed.wrapping_add(size as u64);
        budget.check(&small(size, seed).extreme()?, tier, seed).err()
    });
    (budget, found)
}

/// What one operator uses of its budget, and what stopped it.
pub(super) fn spend<O: Operator, T: Tier>(
    tier: &T,
    stored: Stored,
    plan: &Plan,
    shape: impl Fn(&mut Shapes) -> O,
    small: impl Fn(usize, u64) -> O,
) -> (Budget, Option<Finding>) {
    let mut budget = Budget::of(stored);
    if plan.shape.is_some() {
        budget.entries = ENTRIES;
    }
    let time = plan.time();
    let found = (0..SINGLE_CASES).take_while(|_| time.is_left()).find_map(|size| {
        let seed = plan.seed.wrapping_add(size as u64);
        let own = plan.shape.as_ref().map(|_| shape(&mut plan.shapes(size as u64)));
        budget.check(&own.unwrap_or_else(|| small(size, seed)), tier, seed).err()
    });
    (budget, found)
}

impl<D, S> Suite<'_, D, S> {
    /// Without a tolerance there is no adjoint to speak of.
    fn record(
        &mut self,
        name: &str,
        record: &Record,
        found: Option<Finding>,
        branches: &[&'static str],
        tolerance: Option<f64>,
    ) {
        let (worst, seen) = (record.worst(), record.branches());
        let of = |what: &[What]| {
            found.as_ref().filter(|found| what.contains(&found.what)).map(|f| f.message.clone())
        };
        let value = of(&[What::Value, What::Consistency, What::Refused]);
        let (name_of, cases) = (|what: &str| format!("{name}/{what}"), worst.cases);
        self.certificate.note(name_of("value"), worst.value, VALUE_TOLERANCE, cases, value);
        if let Some(tolerance) = tolerance {
            let adjoint = of(&[What::Adjoint]);
            self.certificate.note(name_of("adjoint"), worst.adjoint, tolerance, cases, adjoint);
        }
        let guard = of(&[What::Guard]);
        let written = f64::from(u8::from(guard.is_some()));
        self.certificate.note(name_of("guards"), written, 0.0, cases, guard);
        if found.is_none() && self.plan.demands_branches() {
            let missing: Vec<&str> =
                branches.iter().filter(|name| !seen.contains_key(*name)).copied().collect();
            let detail = format!("no case visits {missing:?}");
            let detail = (!missing.is_empty()).then_some(detail);
            let missed = missing.len() as f64;
            self.certificate.note(name_of("branches"), missed, 0.0, cases, detail);
        }
        if let Some(check) = self.certificate.checks.last_mut() {
            check.branches = seen.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
        }
    }
}

/// A random small model with its batch.
pub fn model_case(seed: u64, item: u64) -> Case {
    let mut stream = Stream::new(seed, "verify-model", 0, item);
    let mut pick = |most: usize| 1 + stream.below(most);
    let (layers, heads, hs) = (pick(3), pick(4), pick(4));
    let (b, t, vocab, spare) = (pick(2), pick(17), 1 + pick(30), pick(3) - 1);
    let config = ModelConfig { layers, heads, channels: heads * hs, context: t + spare, vocab };
    let spread = 0.1 + 0.4 * stream.uniform();
    Case::new(config, b, t, spread, seed.wrapping_add(item))
}
