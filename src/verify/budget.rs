//! Narrow numbers: no worse than twice the textbook in the same precision.

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

/// In what tensors are stored; arithmetic is in `f32` in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stored {
    /// `f32`.
    #[default]
    Single,
    /// bfloat16.
    Bf16,
}

impl Stored {
    /// The nearest number that can be stored.
    pub fn round(self, x: f64) -> f64 {
        match self {
            Self::Single => f64::from(x as f32),
            Self::Bf16 => f64::from(half::bf16::from_f64(x).to_f32()),
        }
    }

    /// The distance from the largest stored number of this size to the next.
    fn ulp(self, x: f64) -> f64 {
        match self {
            Self::Single => f64::from((x as f32).next_up()) - x,
            Self::Bf16 => {
                let bits = half::bf16::from_f64(x).to_bits();
                f64::from(half::bf16::from_bits(bits + 1).to_f32()) - x
            }
        }
    }
}

/// Errors against the `f64` textbook, ours beside those of the textbook in `f32`, its results
/// rounded as they are stored. At least 32 cases are needed for a fair comparison of maxima.
#[derive(Debug, Default)]
pub struct Budget {
    stored: Stored,
    tensors: BTreeMap<String, Errors>,
}

impl Budget {
    /// A budget for tensors stored so.
    pub fn of(stored: Stored) -> Self {
        Self { stored, tensors: BTreeMap::new() }
    }

    /// Outputs and gradients of one operator at one point, all inputs rounded as they are stored.
    /// The textbook's gradients come from dual numbers over `f32`, one input at a time.
    pub fn check<O: Operator, T: Tier>(
        &mut self,
        op: &O,
        tier: &T,
        seed: u64,
    ) -> Result<(), Finding> {
        let mut stream = stream(seed);
        let stored = self.stored;
        let round = |numbers: Vec<f64>| -> Vec<f64> {
            numbers.into_iter().map(|x| stored.round(x)).collect()
        };
        let point = round(op.point(&mut stream));
        let v = round(op.cotangent(&mut stream));
        let Ran { outputs, gradient } = op.run(tier, &point, &v, &vec![0.0; point.len()])?;
        let textbook = op.textbook::<f32>(&constants(&point));
        let textbook = round(wide(textbook));
        let truth = op.textbook::<f64>(&point);
        self.add_tensors("", &op.outputs(), &outputs, &textbook, &truth);
        let truth = gradient_by_definition::<f64, O>(op, &point, &v);
        let textbook = round(wide(gradient_by_definition::<f32, O>(op, &point, &v)));
        self.add_tensors("d", &op.inputs(), &gradient, &textbook, &truth);
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
            let ulp = self.stored.ulp(errors.largest);
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
