//! A tier without double precision: its operators and models against the CPU tier in `f64`, which
//! the gradient certificate has checked, and against the textbook's own error.

use super::budget::{Stored, deviation};
use super::certificate::Certificate;
use super::faults::{Faulty, Narrow, Plant};
use super::operator::{Finding, Operator, What, ensure, normals, ran, stream};
use super::operators::model::Case;
use super::plan::{Plan, Shapes};
use super::single;
use super::suite::{MODELS, spend};
use super::visit::{Checks, visit};
use crate::cpu::Cpu;
use crate::tier::Tier;

/// The checks of all operators that the plan names on a device that stores tensors so. `done` hears
/// of each name first.
///
/// Per operator: over small shapes no worse than twice the textbook in the same precision; over
/// ragged and random shapes outputs and gradients as the CPU in `f64` has them, with outputs that
/// start as NaN, gradients that start at random, and guards around every buffer.
pub fn run<T: Tier>(
    device: &T,
    stored: Stored,
    plan: &Plan,
    done: impl FnMut(&str),
) -> Certificate {
    let mut suite = Suite { device, stored, plan, certificate: Certificate::default() };
    visit(&mut suite, plan, done);
    suite.certificate
}

struct Suite<'a, T> {
    device: &'a T,
    stored: Stored,
    plan: &'a Plan,
    certificate: Certificate,
}

/// Of a tensor over ragged shapes, relative to the larger of one and its largest number.
pub(super) fn tolerance(stored: Stored) -> f64 {
    match stored {
        Stored::Single => 1e-4,
        Stored::Bf16 => 3e-2,
    }
}

/// A number that is off by more than [`tolerance`] may be so by as many of its own deviations. The
/// largest shape has 1.1·10⁶ numbers, of whose independent errors the largest is near `√(2 ln 1.1·10⁶) = 5.3`,
/// and another order of summation errs by as much again in the mean square: `5.3·√2 = 7.5`.
const DEVIATIONS: f64 = 7.5;

/// Of whole models, in the order of [`single::TOLERANCES`]. In bfloat16 a single tensor's gradient may
/// all but cancel, so that its limit is wide; all of them together are held to twice the textbook's.
fn model_tolerances(stored: Stored) -> [(&'static str, f64); 3] {
    match stored {
        Stored::Single => [("loss", 1e-6), ("logits", 1e-5), ("gradients", 1e-4)],
        Stored::Bf16 => [("loss", 1e-2), ("logits", 0.1), ("gradients", 0.1)],
    }
}

impl<T: Tier> Checks for Suite<'_, T> {
    fn check<O: Operator>(
        &mut self,
        name: &str,
        shape: impl Fn(&mut Shapes) -> O,
        small: impl Fn(usize, u64) -> O,
        _branches: &[&'static str],
    ) {
        if name == "classifier custom" {
            let line = format!("{name}: a loss given as a function runs on the CPU only");
            self.certificate.skipped.push(line);
            return;
        }
        let (plan, cases) = (self.plan, self.plan.items());
        let mut worst = 0.0;
        let found = (0..cases).find_map(|item| {
            let op = shape(&mut plan.device_shapes(item));
            let seed = plan.seed.wrapping_add(item);
            compare(&mut worst, &op, self.device, (self.stored, tolerance(self.stored)), seed).err()
        });
        let detail = self.certificate.heard(found);
        let title = format!("{name}/against f64");
        self.certificate.note(title, worst, tolerance(self.stored), cases as usize, detail);

        let (budget, found) = spend(self.device, self.stored, plan, shape, small);
        self.certificate.budget(&format!("{name}/f32 budget"), &budget, found);
    }

    fn model(&mut self, own: impl Fn(&mut Shapes) -> Case) {
        let (plan, tolerances) = (self.plan, model_tolerances(self.stored));
        let own = |item| plan.shape.as_ref().map(|_| own(&mut plan.shapes(item)));
        let models = if plan.shape.is_some() { plan.items() } else { MODELS };
        let case = |item| own(item).unwrap_or_else(|| single::case(plan.seed, item));
        let double = Cpu::<f64>::new();
        let measured = single::compare(&double, self.device, tolerances, plan.seed, models, case);
        let typical = measured.typical();
        self.certificate.measured("model/", tolerances, measured, models as usize);
        if self.stored == Stored::Bf16 {
            // The same models with every tensor stored in bfloat16 and nothing else inexact.
            let textbook = stored_as(Stored::Bf16);
            let textbook =
                single::compare(&double, &textbook, tolerances, plan.seed, models, case).typical();
            let share = typical / (2.0 * textbook);
            let name = "model/gradients, share of twice the textbook's".to_owned();
            self.certificate.note(name, share, 1.0, models as usize, None);
        }
    }
}

/// The CPU in `f64` that stores tensors so.
fn stored_as(stored: Stored) -> Faulty<f64> {
    Faulty::new(Plant::Narrow(match stored {
        Stored::Single => Narrow::StoredSingle,
        Stored::Bf16 => Narrow::Stored,
    }))
}

/// Outputs and gradients of one operator at one point, as the CPU in `f64` has them: with every
/// tensor rounded as it is stored, since that is what the next step reads. (Where the two channels
/// of a sum almost cancel, its normalised row is that of the rounded sum, and another one than that
/// of the sum itself.)
pub(super) fn compare<O: Operator, T: Tier>(
    worst: &mut f64,
    op: &O,
    device: &T,
    (stored, tolerance): (Stored, f64),
    seed: u64,
) -> Result<(), Finding> {
    let name = || format!("{}, seed {seed}", op.label());
    let mut stream = stream(seed);
    let round =
        |numbers: Vec<f64>| -> Vec<f64> { numbers.into_iter().map(|x| stored.round(x)).collect() };
    let point = round(op.point(&mut stream));
    let v = round(op.cotangent(&mut stream));
    let start = round(normals(&mut stream, point.len()));
    let reference = stored_as(stored);
    let truth = ran(op, &reference, &point, &v, &start).map_err(|found| found.of(&name()))?;
    let ours = ran(op, device, &point, &v, &start).map_err(|found| found.of(&name()))?;
    // Gradients were added to `start`, and the sum was stored.
    let mut tensors = |prefix: &str, tensors: Vec<(&str, usize)>, runs: [&[f64]; 3]| {
        let ([ours, truth, start], mut first) = (runs, 0);
        for (tensor, len) in tensors {
            let range = first..first + len;
            first += len;
            let held = truth[range.clone()].iter().chain(&start[range.clone()]);
            let largest = held.fold(1.0f64, |most, x| most.max(x.abs()));
            for (index, (ours, truth)) in ours[range.clone()].iter().zip(&truth[range]).enumerate()
            {
                let mut error = (ours - truth).abs() / largest;
                if error > tolerance && stored == Stored::Single {
                    // What is badly conditioned at this point is off for whoever computes it.
                    let place = (!prefix.is_empty(), first - len + index);
                    let fair = DEVIATIONS * deviation(op, &point, &v, place) / largest;
                    error *= (tolerance / fair).min(1.0);
                }
                *worst = worst.max(error);
                ensure(error <= tolerance, What::Value, || {
                    format!(
                        "{}: {prefix}{tensor}[{index}] is {ours:e}, should be {truth:e}",
                        name()
                    )
                })?;
            }
        }
        Ok(())
    };
    tensors("", op.outputs(), [&ours.outputs, &truth.outputs, &vec![0.0; truth.outputs.len()]])?;
    tensors("d", op.inputs(), [&ours.gradient, &truth.gradient, &start])
}
