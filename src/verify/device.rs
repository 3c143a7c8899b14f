//! A tier without double precision: its operators and models against the CPU tier in `f64`, which
//! the gradient certificate has checked, and against the textbook's own error.

use super::budget::{Budget, Stored};
use super::certificate::Certificate;
use super::operator::{Finding, Operator, What, ensure, minus, normals, stream};
use super::single;
use super::suite::{Checks, Plan, RAGGED, SINGLE_CASES, Shapes, visit};
use crate::cpu::Cpu;
use crate::tier::Tier;

/// Half the distance of two bf16 numbers, relative to them.
const BF16_ROUNDING: f64 = 1.0 / 512.0;

/// Random models that are compared.
const MODELS: u64 = 32;

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
fn tolerance(stored: Stored) -> f64 {
    match stored {
        Stored::Single => 1e-4,
        Stored::Bf16 => 3e-2,
    }
}

/// Of whole models, in the order of [`single::TOLERANCES`].
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
        small: impl Fn(usize) -> O,
        _branches: &[&'static str],
    ) {
        if name == "classifier custom" {
            let line = format!("{name}: a loss given as a function runs on the CPU only");
            self.certificate.skipped.push(line);
            return;
        }
        let cases = (RAGGED.len() + self.plan.cases) as u64;
        let mut worst = 0.0;
        let found = (0..cases).find_map(|item| {
            let op = shape(&mut Shapes::new(self.plan.seed, item));
            let seed = self.plan.seed.wrapping_add(item);
            compare(&mut worst, &op, self.device, self.stored, seed).err()
        });
        let detail = found.map(|found| found.message);
        let title = format!("{name}/against f64");
        self.certificate.note(title, worst, tolerance(self.stored), cases as usize, detail);

        let mut budget = Budget::of(self.stored);
        let found = (0..SINGLE_CASES).find_map(|size| {
            let seed = self.plan.seed.wrapping_add(size as u64);
            budget.check(&small(size), self.device, seed).err()
        });
        self.certificate.budget(name, &budget, found);
    }

    fn model(&mut self) {
        let tolerances = model_tolerances(self.stored);
        let double = Cpu::<f64>::new();
        match single::compare(&double, self.device, tolerances, self.plan.seed, MODELS) {
            Ok(errors) => {
                for ((what, tolerance), error) in tolerances.into_iter().zip(errors) {
                    let name = format!("model/{what}");
                    self.certificate.note(name, error, tolerance, MODELS as usize, None);
                }
            }
            Err(found) => {
                self.certificate.note("model".into(), f64::NAN, 0.0, 0, Some(found.message));
            }
        }
    }
}

/// Outputs and gradients of one operator at one point, as the CPU in `f64` has them.
///
/// In bf16 what lies between two steps of an operator is rounded, too, which some points answer with
/// large changes: two channels whose sum almost cancels before they are normalised. So four times
/// the change under a rounding error in every input is allowed where that is more.
fn compare<O: Operator, T: Tier>(
    worst: &mut f64,
    op: &O,
    device: &T,
    stored: Stored,
    seed: u64,
) -> Result<(), Finding> {
    let name = || format!("{}, seed {seed}", op.label());
    let mut stream = stream(seed);
    let round =
        |numbers: Vec<f64>| -> Vec<f64> { numbers.into_iter().map(|x| stored.round(x)).collect() };
    let point = round(op.point(&mut stream));
    let v = round(op.cotangent(&mut stream));
    let start = round(normals(&mut stream, point.len()));
    let truth =
        op.run(&Cpu::<f64>::new(), &point, &v, &start).map_err(|found| found.of(&name()))?;
    let ours = op.run(device, &point, &v, &start).map_err(|found| found.of(&name()))?;
    let moved = match stored {
        Stored::Single => truth.clone(),
        Stored::Bf16 => {
            let mut sign = || if stream.below(2) == 0 { 1.0 } else { -1.0 };
            let near: Vec<f64> = point.iter().map(|x| x * (1.0 + sign() * BF16_ROUNDING)).collect();
            op.run(&Cpu::<f64>::new(), &near, &v, &start).map_err(|found| found.of(&name()))?
        }
    };
    let mut tensors = |prefix: &str, tensors: Vec<(&str, usize)>, runs: [&[f64]; 3]| {
        let ([ours, truth, moved], mut first) = (runs, 0);
        for (tensor, len) in tensors {
            let range = first..first + len;
            first += len;
            let largest = truth[range.clone()].iter().fold(1.0f64, |most, x| most.max(x.abs()));
            let change = minus(&moved[range.clone()], &truth[range.clone()]);
            let change = change.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            let largest = largest.max(4.0 * change / tolerance(stored));
            for (index, (ours, truth)) in ours[range.clone()].iter().zip(&truth[range]).enumerate()
            {
                let error = (ours - truth).abs() / largest;
                *worst = worst.max(error);
                ensure(error <= tolerance(stored), What::Value, || {
                    format!(
                        "{}: {prefix}{tensor}[{index}] is {ours:e}, should be {truth:e}",
                        name()
                    )
                })?;
            }
        }
        Ok(())
    };
    tensors("", op.outputs(), [&ours.outputs, &truth.outputs, &moved.outputs])?;
    tensors("d", op.inputs(), [&ours.gradient, &truth.gradient, &moved.gradient])
}
