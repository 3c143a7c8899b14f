//! Every operator of a tier and the whole model, checked over ragged and random shapes.

use super::adjoint::{Record, VALUE_TOLERANCE, Worst};
use super::budget::{Budget, Stored};
use super::certificate::Certificate;
use super::device;
use super::operator::{Finding, Operator, What};
use super::operators::model::{Case, Model};
use super::plan::{ENOUGH_FOR_BRANCHES, Plan, Shapes};
use super::single;
use super::visit::{Checks, visit};
use crate::config::ModelConfig;
use crate::tier::Tier;
use fortifai_stream::Stream;

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
