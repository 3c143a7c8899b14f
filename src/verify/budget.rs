//! Single precision: no worse than twice the textbook.

use super::buffers::wide;
use super::operator::{Finding, Operator, Ran, stream};
use crate::tier::Tier;
use fortifai_oracle::{Dual, Scalar, constants};
use std::collections::BTreeMap;

/// Largest errors of one tensor over many cases.
#[derive(Clone, Copy, Debug, Default)]
struct Errors {
    cases: usize,
    ours: f64,
    textbook: f64,
    largest: f64,
}

/// Errors against the `f64` textbook, ours beside those of the textbook in `f32`. At least 32 cases
/// are needed for a fair comparison of maxima.
#[derive(Debug, Default)]
pub struct Budget {
    tensors: BTreeMap<String, Errors>,
}

impl Budget {
    /// Outputs and gradients of one operator at one point, all inputs rounded to `f32`. The
    /// textbook's gradients come from dual numbers over `f32`, one input at a time.
    pub fn check<O: Operator, T: Tier>(
        &mut self,
        op: &O,
        tier: &T,
        seed: u64,
    ) -> Result<(), Finding> {
        let mut stream = stream(seed);
        let single = |x: &f64| f64::from(*x as f32);
        let point: Vec<f64> = op.point(&mut stream).iter().map(single).collect();
        let v: Vec<f64> = op.cotangent(&mut stream).iter().map(single).collect();
        let Ran { outputs, gradient } = op.run(tier, &point, &v, &vec![0.0; point.len()])?;
        let textbook = op.textbook::<f32>(&constants(&point));
        let truth = op.textbook::<f64>(&point);
        self.add_tensors("", &op.outputs(), &outputs, &wide(textbook), &truth);
        let truth = gradient_by_definition::<f64, O>(op, &point, &v);
        let textbook = gradient_by_definition::<f32, O>(op, &point, &v);
        self.add_tensors("d", &op.inputs(), &gradient, &wide(textbook), &truth);
        Ok(())
    }

    fn add_tensors(
        &mut self,
        prefix: &str,
        tensors: &[(&'static str, usize)],
        ours: &[f64],
        textbook: &[f64],
        truth: &[f64],
    ) {
        let mut start = 0;
        for (name, len) in tensors {
            let range = start..start + len;
            let name = format!("{prefix}{name}");
            self.add(&name, &ours[range.clone()], &textbook[range.clone()], &truth[range]);
            start += len;
        }
    }

    /// One tensor of one case.
    pub fn add(&mut self, name: &str, ours: &[f64], textbook: &[f64], truth: &[f64]) {
        assert_eq!((ours.len(), textbook.len()), (truth.len(), truth.len()), "{name}: lengths");
        let errors = self.tensors.entry(name.into()).or_default();
        errors.cases += 1;
        for ((ours, textbook), truth) in ours.iter().zip(textbook).zip(truth) {
            let error = (ours - truth).abs();
            // A NaN must not vanish in a maximum.
            errors.ours = if error.is_nan() { f64::INFINITY } else { errors.ours.max(error) };
            errors.textbook = errors.textbook.max((textbook - truth).abs());
            errors.largest = errors.largest.max(truth.abs());
        }
    }

    /// For every tensor how much of what is allowed was used: `max |ours − truth|` over
    /// `2·max |textbook − truth| + 1 ulp of the largest value`; at most 1 passes.
    pub fn used(&self) -> Vec<Used> {
        let used = self.tensors.iter().map(|(name, errors)| {
            let ulp = f64::from((errors.largest as f32).next_up()) - errors.largest;
            let allowed = 2.0 * errors.textbook + ulp;
            let used = if errors.ours == 0.0 { 0.0 } else { errors.ours / allowed };
            Used { tensor: name.clone(), cases: errors.cases, error: errors.ours, allowed, used }
        });
        used.collect()
    }
}

/// How far one tensor is from the truth in single precision.
#[derive(Clone, Debug)]
pub struct Used {
    /// Its name; gradients begin with `d`.
    pub tensor: String,
    /// Points compared.
    pub cases: usize,
    /// The largest error.
    pub error: f64,
    /// The largest error allowed.
    pub allowed: f64,
    /// Their ratio.
    pub used: f64,
}

/// `Jᵀ v` one input at a time, by dual numbers over `B`.
fn gradient_by_definition<B, O: Operator>(op: &O, point: &[f64], v: &[f64]) -> Vec<B>
where
    B: Scalar + num_dual::DualNum,
{
    let constant = |value: f64| <B as Scalar>::from_f64(value);
    let mut duals: Vec<Dual<B>> =
        point.iter().map(|&x| Dual::new(constant(x), constant(0.0))).collect();
    let v: Vec<B> = constants(v);
    (0..point.len())
        .map(|j| {
            duals[j].eps = constant(1.0);
            let outputs = op.textbook(&duals);
            duals[j].eps = constant(0.0);
            B::dot(&v, &outputs.iter().map(|output| output.eps).collect::<Vec<_>>())
        })
        .collect()
}
