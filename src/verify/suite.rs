//! Every operator of a tier and the whole model, checked over ragged and random shapes.

use super::adjoint::{Record, VALUE_TOLERANCE};
use super::budget::Budget;
use super::certificate::Certificate;
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

/// What is checked, and how much of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Only the operators whose names contain this.
    pub operator: Option<String>,
    /// The seed of shapes and points.
    pub seed: u64,
    /// Random shapes per operator, beside the fixed ones.
    pub cases: usize,
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
pub(super) const SINGLE_CASES: usize = 36;

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
    suite.certificate
}

struct Suite<'a, D, S> {
    double: &'a D,
    single: &'a S,
    plan: &'a Plan,
    certificate: Certificate,
}

/// One size of each of some dimensions: from [`RAGGED`] up to `most` for the first few items, then
/// uniform.
pub(super) struct Shapes {
    stream: Stream,
    item: usize,
}

impl Shapes {
    pub(super) fn new(seed: u64, item: u64) -> Self {
        Self { stream: Stream::new(seed, "verify-shapes", 0, item), item: item as usize }
    }

    fn pick(&mut self, most: usize) -> usize {
        if self.item < 2 * RAGGED.len() || self.stream.below(2) == 0 {
            let fits = RAGGED.iter().filter(|&&size| size <= most).count();
            return RAGGED[self.stream.below(fits)];
        }
        1 + self.stream.below(most)
    }
}

/// What is done with every operator.
pub(super) trait Checks {
    /// One operator: over the plan's shapes and over small ones; the branches that must be seen.
    fn check<O: Operator>(
        &mut self,
        name: &str,
        shape: impl Fn(&mut Shapes) -> O,
        small: impl Fn(usize) -> O,
        branches: &[&'static str],
    );
    /// Whole models.
    fn model(&mut self);
}

/// The operators that the plan names, in order. `done` hears of each name first.
pub(super) fn visit(checks: &mut impl Checks, plan: &Plan, mut done: impl FnMut(&str)) {
    for name in OPERATORS {
        if plan.operator.as_ref().is_none_or(|part| name.contains(part.as_str())) {
            done(name);
            visit_one(checks, name);
        }
    }
}

fn visit_one(checks: &mut impl Checks, name: &str) {
    match name {
        "embedding" => checks.check(
            name,
            |pick| {
                let (v, context, c, n) =
                    (pick.pick(101), pick.pick(33), pick.pick(65), pick.pick(65));
                Embedding::new(v, context, c, n, pick.item as u64)
            },
            |size| Embedding::new(7, 5, 1 + size % 9, 5 + size % 29, size as u64),
            &["repeated", "distinct"],
        ),
        "linear" => checks.check(
            name,
            |pick| match pick.item {
                // Large enough to be shared out to threads.
                0 => Linear { n: 67, c: 61, oc: 71 },
                _ => Linear { n: pick.pick(65), c: pick.pick(65), oc: pick.pick(65) },
            },
            |size| Linear { n: 1 + size % 7, c: 3 + size % 16, oc: 1 + size % 11 },
            &["few rows", "many rows", "shared out", "one thread"],
        ),
        "gelu_linear" => checks.check(
            name,
            |pick| GeluLinear { n: pick.pick(65), c: pick.pick(65), oc: pick.pick(33) },
            |size| GeluLinear { n: 1 + size % 7, c: 3 + size % 16, oc: 1 + size % 11 },
            &["positive", "negative", "few rows", "many rows"],
        ),
        "layernorm" => checks.check(
            name,
            |pick| Layernorm { n: pick.pick(65), c: pick.pick(131) },
            |size| Layernorm { n: 1 + size % 5, c: 5 + size },
            &super::operators::layernorm::BRANCHES,
        ),
        "residual_layernorm" => checks.check(
            name,
            |pick| ResidualLayernorm { n: pick.pick(65), c: pick.pick(131) },
            |size| ResidualLayernorm { n: 1 + size % 5, c: 5 + size },
            &super::operators::layernorm::BRANCHES,
        ),
        "attention" => checks.check(
            name,
            |pick| {
                let t = if pick.item % 8 == 0 { 65 + pick.item } else { pick.pick(65) };
                let attention = Attention::new((pick.pick(3), t, pick.pick(3), pick.pick(17)));
                let spread = 0.1 + 2.0 * pick.stream.uniform();
                Attention { spread, ..attention }
            },
            |size| Attention::new((1 + size % 2, 1 + size % 13, 1 + size % 3, 1 + size % 5)),
            &[
                "several blocks",
                "one block",
                "ragged block",
                "several heads",
                "one head",
                "full lanes",
                "ragged lanes",
            ],
        ),
        "classifier" => {
            for member in members() {
                let title = format!("classifier {}", member.name());
                let branches = member.branches();
                checks.check(
                    &title,
                    |pick| {
                        let shape = (pick.pick(33), pick.pick(17), pick.pick(65));
                        Classifier::new(shape, member.clone(), pick.item as u64)
                    },
                    |size| {
                        let shape = (1 + size % 9, 1 + size % 6, 2 + size % 19);
                        Classifier::new(shape, member.clone(), size as u64)
                    },
                    &branches,
                );
            }
        }
        "adamw" => checks.check(
            name,
            |pick| {
                let len = if pick.item == 0 { 16385 } else { pick.pick(65) };
                Update::new(len, pick.item as u64)
            },
            |size| Update::new(1 + 3 * size, size as u64),
            &["first step", "later step", "decay", "no decay"],
        ),
        "squared_norm" => checks.check(
            name,
            |pick| SquaredNorm { len: if pick.item == 0 { 16385 } else { pick.pick(65) } },
            |size| SquaredNorm { len: 1 + 7 * size },
            &[],
        ),
        "attention_decode" => checks.check(
            name,
            |pick| {
                let t = if pick.item % 4 == 0 { pick.pick(65) } else { pick.pick(17) };
                Decode { shape: (pick.pick(3), t, pick.pick(3), pick.pick(33)) }
            },
            |size| Decode { shape: (1 + size % 2, 1 + size % 19, 1 + size % 2, 1 + size % 9) },
            &["several blocks", "one block", "whole fours", "ragged fours"],
        ),
        "packed_linear" => checks.check(
            name,
            |pick| PackedLinear {
                shape: LinearShape { n: pick.pick(33), c: pick.pick(65), oc: pick.pick(131) },
                transposed: pick.item % 2 == 0,
                biased: pick.item % 3 > 0,
            },
            |size| PackedLinear {
                shape: LinearShape { n: 1 + size % 18, c: 3 + size % 9, oc: 1 + size % 11 },
                transposed: size % 2 == 0,
                biased: size % 3 > 0,
            },
            &["transposed", "as it is", "bias", "no bias", "many rows", "few rows"],
        ),
        _ => checks.model(),
    }
}

impl<D: Tier, S: Tier> Checks for Suite<'_, D, S> {
    /// Double precision over the plan's shapes, then single precision over small ones.
    fn check<O: Operator>(
        &mut self,
        name: &str,
        shape: impl Fn(&mut Shapes) -> O,
        small: impl Fn(usize) -> O,
        branches: &[&'static str],
    ) {
        let record = Record::default();
        let cases = (RAGGED.len() + self.plan.cases) as u64;
        let found = (0..cases).find_map(|item| {
            let op = shape(&mut Shapes::new(self.plan.seed, item));
            record.check(&op, self.double, self.plan.seed.wrapping_add(item)).err()
        });
        self.record(name, &record, found, branches, 1e-13);
        let mut budget = Budget::default();
        let found = (0..SINGLE_CASES).find_map(|size| {
            let seed = self.plan.seed.wrapping_add(size as u64);
            budget.check(&small(size), self.single, seed).err()
        });
        self.certificate.budget(name, &budget, found);
    }

    fn model(&mut self) {
        let record = Record::default();
        let cases = 4 + self.plan.cases as u64 / 4;
        let found = (0..cases).find_map(|item| {
            let case = model_case(self.plan.seed, item);
            Model::family(&case).iter().find_map(|model| {
                record.check(model, self.double, self.plan.seed.wrapping_add(item)).err()
            })
        });
        self.record("model", &record, found, &["kept", "dropped"], 1e-10);
        let tolerances = single::TOLERANCES;
        let measured = single::compare(self.double, self.single, tolerances, self.plan.seed, 32);
        match measured {
            Ok(errors) => {
                for ((what, tolerance), error) in tolerances.into_iter().zip(errors) {
                    self.certificate.note(format!("model/f32 {what}"), error, tolerance, 32, None);
                }
            }
            Err(finding) => {
                self.certificate.note("model/f32".into(), f64::NAN, 0.0, 0, Some(finding.message));
            }
        }
    }
}

impl<D, S> Suite<'_, D, S> {
    fn record(
        &mut self,
        name: &str,
        record: &Record,
        found: Option<Finding>,
        branches: &[&'static str],
        tolerance: f64,
    ) {
        let (worst, seen) = (record.worst(), record.branches());
        let of = |what: &[What]| {
            found.as_ref().filter(|found| what.contains(&found.what)).map(|f| f.message.clone())
        };
        let value = of(&[What::Value, What::Consistency, What::Refused]);
        self.certificate.note(
            format!("{name}/value"),
            worst.value,
            VALUE_TOLERANCE,
            worst.cases,
            value,
        );
        let adjoint = of(&[What::Adjoint]);
        self.certificate.note(
            format!("{name}/adjoint"),
            worst.adjoint,
            tolerance,
            worst.cases,
            adjoint,
        );
        let guard = of(&[What::Guard]);
        let written = f64::from(u8::from(guard.is_some()));
        self.certificate.note(format!("{name}/guards"), written, 0.0, worst.cases, guard);
        if found.is_none() && self.plan.cases >= 16 {
            let missing: Vec<&str> =
                branches.iter().filter(|name| !seen.contains_key(*name)).copied().collect();
            let detail = format!("no case visits {missing:?}");
            let detail = (!missing.is_empty()).then_some(detail);
            self.certificate.note(
                format!("{name}/branches"),
                missing.len() as f64,
                0.0,
                worst.cases,
                detail,
            );
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
