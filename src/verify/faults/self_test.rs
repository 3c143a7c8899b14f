//! Do the checks notice every planted fault?

use super::{Class, Fault, Faulty, Plant, faults};
use crate::loss::Rule;
use crate::tier::LinearShape;
use crate::verify::adjoint::Record;
use crate::verify::budget::{Budget, Stored};
use crate::verify::operator::{Finding, Operator, What, stream};
use crate::verify::operators::adamw::{SquaredNorm, Update};
use crate::verify::operators::attention::Attention;
use crate::verify::operators::classifier::{Classifier, members};
use crate::verify::operators::decode::{Decode, PackedLinear};
use crate::verify::operators::embedding::Embedding;
use crate::verify::operators::gelu::GeluLinear;
use crate::verify::operators::layernorm::{Layernorm, ResidualLayernorm};
use crate::verify::operators::linear::Linear;
use crate::verify::operators::model::{Case, Model};
use crate::verify::plan::{Plan, Shapes};
use crate::verify::suite::{model_case, spend, spend_far_out};
use crate::verify::visit::{Checks, OPERATORS, visit_one};
use serde::Serialize;

/// What became of one fault.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The operator and what is wrong with it.
    pub name: String,
    /// The class of mistakes.
    pub class: Class,
    /// Whether the check named for it noticed it.
    pub caught: bool,
    /// That check.
    pub by: What,
    /// Whether a finite-difference test at 1e-3 would have let it pass.
    pub subtle: bool,
    /// What the checks said.
    pub said: String,
    /// Whether nothing was planted: then nothing may be noticed, and that is what `caught` says.
    #[serde(skip)]
    pub control: bool,
}

/// Plants every fault; first the wrapper without one, under every operator.
///
/// `done` hears how many are behind us, and how many there are.
pub fn self_test(mut done: impl FnMut(usize, usize)) -> Vec<Verdict> {
    let all = faults();
    let total = OPERATORS.len() + all.len();
    let mut verdicts = Vec::new();
    for operator in OPERATORS {
        let found = findings(operator, Plant::Nothing, false).0;
        let found = found.or_else(|| in_single_precision(operator, Plant::Nothing));
        verdicts.push(Verdict {
            name: format!("{operator}: no fault"),
            class: Class::Missing,
            caught: found.is_none(),
            by: What::Value,
            subtle: false,
            said: found.map_or_else(|| "passes, as it must".into(), |found| found.message),
            control: true,
        });
        done(verdicts.len(), total);
    }
    for fault in all {
        verdicts.push(verdict(&fault));
        done(verdicts.len(), total);
    }
    verdicts
}

fn verdict(fault: &Fault) -> Verdict {
    let (found, small) = match fault.single {
        true => (in_single_precision(fault.operator, fault.plant), false),
        false => findings(fault.operator, fault.plant, fault.subtle),
    };
    let by = found.as_ref().map(|found| found.what);
    Verdict {
        name: format!("{}: {}", fault.operator, fault.name),
        class: fault.class,
        caught: by == Some(fault.caught_by) && (!fault.subtle || small),
        by: fault.caught_by,
        subtle: small,
        said: found.map_or_else(|| "nothing noticed".into(), |found| found.message),
        control: false,
    }
}

/// What the budget of the operator notices on the faulty tier in single precision.
fn in_single_precision(operator: &str, plant: Plant) -> Option<Finding> {
    let plan = Plan { operator: Some(operator.into()), seed: 1, cases: 0, shape: None };
    let mut spending = Spending { tier: Faulty::new(plant), plan: &plan, found: None };
    visit_one(&mut spending, operator);
    spending.found
}

struct Spending<'a> {
    tier: Faulty<f32>,
    plan: &'a Plan,
    found: Option<Finding>,
}

impl Checks for Spending<'_> {
    fn check<O: Operator>(
        &mut self,
        _name: &str,
        shape: impl Fn(&mut Shapes) -> O,
        small: impl Fn(usize, u64) -> O,
        _branches: &[&'static str],
    ) {
        if self.found.is_some() {
            return;
        }
        let beyond = |(budget, found): (Budget, Option<Finding>)| {
            let spent = budget.used().into_iter().find(|used| used.used > 1.0);
            found.or_else(|| {
                spent.map(|used| Finding { what: What::Budget, message: format!("{used:?}") })
            })
        };
        self.found = beyond(spend_far_out(&self.tier, self.plan, &small))
            .or_else(|| beyond(spend(&self.tier, Stored::Single, self.plan, shape, small)));
    }
    fn model(&mut self, _case: impl Fn(&mut Shapes) -> Case) {}
}

/// The first finding of the operator's checks on the faulty tier, and whether finite differences
/// would have let the fault pass at every point (looked at if asked for).
fn findings(operator: &str, plant: Plant, differences: bool) -> (Option<Finding>, bool) {
    let tier = Faulty::new(plant);
    let hunt = Hunt { tier, differences };
    match operator {
        "embedding" => hunt.through((0..3).map(|s| Embedding::new(5, 4, 3, 9, s))),
        "linear" => hunt.through([(3, 4, 5), (2, 3, 3)].map(|(n, c, oc)| Linear { n, c, oc })),
        "gelu_linear" => {
            hunt.through([(3, 4, 5), (2, 3, 3)].map(|(n, c, oc)| GeluLinear { n, c, oc }))
        }
        "layernorm" => hunt.through([(3, 5), (2, 7)].map(|(n, c)| Layernorm { n, c })),
        "residual_layernorm" => {
            hunt.through([(3, 5), (2, 7)].map(|(n, c)| ResidualLayernorm { n, c }))
        }
        "attention" => hunt.through([(2, 5, 2, 3), (1, 4, 1, 2)].map(Attention::new)),
        "classifier" => hunt.through(
            members()
                .into_iter()
                .filter(|member| !matches!(member.rule(), Rule::Tce(gamma) if gamma == 0.0))
                .map(|member| Classifier::new((6, 3, 5), member, 1)),
        ),
        "adamw" => hunt.through((0..12).map(|seed| Update::new(7, seed))),
        "squared_norm" => hunt.through([SquaredNorm { len: 9 }]),
        "attention_decode" => {
            hunt.through([(2, 5, 2, 3), (1, 19, 1, 4)].map(|shape| Decode { shape }))
        }
        "packed_linear" => hunt.through([false, true].map(|transposed| PackedLinear {
            shape: LinearShape { n: 3, c: 4, oc: 5 },
            transposed,
            biased: true,
        })),
        _ => hunt.through((0..2).flat_map(|item| Model::family(&model_case(2, item)))),
    }
}

struct Hunt {
    tier: Faulty,
    differences: bool,
}

impl Hunt {
    fn through<O: Operator>(&self, ops: impl IntoIterator<Item = O>) -> (Option<Finding>, bool) {
        let (mut found, mut judged, mut passed) = (None, 0, 0);
        for (seed, op) in (0..).zip(ops) {
            found = found.or_else(|| Record::default().check(&op, &self.tier, seed).err());
            // Finite differences know no detached factors: only points count at which they accept
            // the right gradient.
            if self.differences && passes_differences(&op, &Faulty::new(Plant::Nothing), seed) {
                judged += 1;
                passed += usize::from(passes_differences(&op, &self.tier, seed));
            }
            if found.is_some() && (!self.differences || passed < judged) {
                break;
            }
        }
        (found, judged > 0 && passed == judged)
    }
}

/// The usual test: every entry of the gradient within 1e-3 relative (1e-5 absolute) of a central
/// difference, on up to 64 of the entries.
fn passes_differences<O: Operator>(op: &O, tier: &Faulty, seed: u64) -> bool {
    const STEP: f64 = 1e-5;
    let mut stream = stream(seed);
    let point = op.point(&mut stream);
    let v = op.cotangent(&mut stream);
    let Ok(ran) = op.run(tier, &point, &v, &vec![0.0; point.len()]) else {
        return false;
    };
    let value =
        |point: &[f64]| op.textbook::<f64>(point).iter().zip(&v).map(|(y, v)| y * v).sum::<f64>();
    let stride = point.len().div_ceil(64);
    (0..point.len()).step_by(stride).all(|index| {
        let mut moved = point.clone();
        moved[index] = point[index] + STEP;
        let above = value(&moved);
        moved[index] = point[index] - STEP;
        let slope = (above - value(&moved)) / (2.0 * STEP);
        (ran.gradient[index] - slope).abs() <= 1e-5 + 1e-3 * slope.abs()
    })
}
