//! The whole model in narrow numbers against double precision.

use super::budget::{Stored, starts};
use super::operator::{Finding, minus, normals, stream};
use super::operators::model::{Case, family, gradients};
use super::rounding::Along;
use crate::config::ModelConfig;
use crate::cpu::Real;
use crate::loss::Rule;
use crate::model::Activations;
use crate::tier::Tier;
use fortifai_oracle::constants;
use fortifai_oracle::loss::{Denominator, LossKind};
use fortifai_stream::Stream;

/// What is compared and how far it may be off: the mean loss relative to itself, logits relative to
/// the largest (or one), gradients in the Euclidean norm of each tensor.
///
/// A tensor's gradient may all but cancel: with two tokens the gradient of the last bias is
/// `Σ_rows d·(w₀ − w₁)`, one number times a vector, and no arithmetic in `f32` has that number to
/// 1e-4 of itself if it is a ten-thousandth of its terms. So a tensor that is off by more than the
/// tolerance is compared with the textbook itself in `f32`, and may be twice as wrong.
pub const TOLERANCES: [(&str, f64); 3] = [("loss", 2e-6), ("logits", 1e-5), ("gradients", 1e-4)];

/// How many times the textbook's own error a gradient that cancels may have.
const TIMES: f64 = 2.0;

/// Of a tensor that cancels so many entries are looked at.
const ENTRIES: usize = 48;

/// The worst errors in the order of the tolerances, and a sentence on each that is beyond.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// The worst errors; infinite where a number is missing.
    pub worst: [f64; 3],
    /// What is wrong: the model and the tensor.
    pub found: [Option<String>; 3],
    /// The logarithms of all relative errors of gradients that are off at all, and how many.
    logs: (f64, usize),
}

impl Measured {
    /// Records an error of that kind.
    pub(super) fn note(
        &mut self,
        which: usize,
        error: f64,
        tolerance: f64,
        what: impl FnOnce() -> String,
    ) {
        // A NaN must not vanish in a maximum.
        let error = if error.is_nan() { f64::INFINITY } else { error };
        if error > tolerance && error > self.worst[which] {
            self.found[which] = Some(what());
        }
        self.worst[which] = self.worst[which].max(error);
    }

    /// A tier that refuses has no numbers of any kind.
    pub(super) fn refuse(&mut self, finding: &Finding) {
        for which in 0..3 {
            self.note(which, f64::INFINITY, 0.0, || finding.message.clone());
        }
    }

    /// The geometric mean of the relative errors of all tensors' gradients. Unlike the worst, which is
    /// that of the tensor that cancels most, it is hardly a matter of luck.
    pub(super) fn typical(&self) -> f64 {
        (self.logs.0 / self.logs.1.max(1) as f64).exp()
    }

    /// The errors, or the first sentence.
    ///
    /// # Errors
    /// That sentence.
    pub fn verdict(self) -> Result<[f64; 3], String> {
        self.found.into_iter().flatten().next().map_or(Ok(self.worst), Err)
    }
}

/// The worst errors of so many models under every loss, with tolerances that name what
/// [`TOLERANCES`] names.
pub fn compare<D: Tier, S: Tier>(
    double: &D,
    single: &S,
    tolerances: [(&str, f64); 3],
    seed: u64,
    cases: u64,
    case: impl Fn(u64) -> Case,
) -> Measured {
    let mut measured = Measured::default();
    for item in 0..cases {
        let name = format!("seed {seed}, case {item}");
        let case = case(item);
        if let Err(finding) = compare_one(&mut measured, double, single, tolerances, &case, &name) {
            measured.refuse(&finding.of(&name));
        }
    }
    measured
}

/// Channels of a model that is compared in single precision, at the least.
pub const LEAST_CHANNELS: usize = 4;

/// A random small model. At least four channels: a normalised row of two numbers is (1, −1) up to
/// the ε of the layer norm, so that its gradient is a difference of almost equal numbers.
pub fn case(seed: u64, item: u64) -> Case {
    let mut stream = Stream::new(seed, "conformance-shape", 0, item);
    let mut pick = |most: usize| 1 + stream.below(most);
    let (layers, heads, hs) = (pick(3), pick(4), LEAST_CHANNELS - 1 + pick(5));
    let (b, t, vocab) = (pick(3), pick(17), 1 + pick(30));
    let config = ModelConfig { layers, heads, channels: heads * hs, context: t, vocab };
    Case::new(config, b, t, 0.2, seed.wrapping_add(item))
}

fn compare_one<D: Tier, S: Tier>(
    measured: &mut Measured,
    double: &D,
    single: &S,
    tolerances: [(&str, f64); 3],
    case: &Case,
    name: &str,
) -> Result<(), Finding> {
    let (double, single) = (case.model(double.clone())?, case.model(single.clone())?);
    let (n, t) = (case.tokens.len(), case.t);
    let mut logs = measured.logs;
    let mut within = |error: f64, which: usize, what: &dyn Fn() -> String| {
        let (of, tolerance) = tolerances[which];
        measured.note(which, error, tolerance, || {
            format!("{name}: {}, {}: {of} off by {error:e}", case.label(), what())
        });
    };
    let truth = case.logits::<f64>(&case.params).concat();
    let largest = truth.iter().fold(1.0f64, |most, x| most.max(x.abs()));
    let mut acts = Activations::new(&single.tier, &single.config, n / t, t, false)?;
    for (index, (got, truth)) in
        single.logits(&mut acts, &case.tokens, t)?.iter().zip(truth).enumerate()
    {
        let error = (got.wide() - truth).abs() / largest;
        within(error, 1, &|| format!("logit {index}"));
    }
    let (zero, scale) = (vec![0.0; case.params.len()], 1.0 / n as f64);
    let (_, scores) = gradients(&double, case.batch(), &Rule::Ce, 1.0, &zero)?;
    let mut random = stream(n as u64);
    for (rule, kind) in family(&scores.probability) {
        let (truth, _) = gradients(&double, case.batch(), &rule, scale, &zero)?;
        let start = starts(&truth, &normals(&mut random, truth.len()));
        let start: Vec<f64> = start.into_iter().map(|x| Stored::Single.round(x)).collect();
        let (gradient, scores) = gradients(&single, case.batch(), &rule, scale, &start)?;
        let gradient = minus(&gradient, &start);
        let loss = scores.loss.iter().sum::<f64>() / n as f64;
        let true_loss = case.loss::<f64>(&case.params, kind, Denominator::All);
        let error = (loss - true_loss).abs();
        let error = if error == 0.0 { 0.0 } else { error / true_loss };
        within(error, 0, &|| format!("{rule:?}"));
        for tensor in &single.layout.tensors {
            let range = tensor.span.range();
            let truth = &truth[range.clone()];
            let off = minus(&gradient[range.clone()], truth);
            let error = if norm(&off) == 0.0 { 0.0 } else { norm(&off) / norm(truth) };
            if error > 0.0 && error.is_finite() {
                logs = (logs.0 + error.ln(), logs.1 + 1);
            }
            let (_, tolerance) = tolerances[2];
            let error = match error > tolerance {
                true => {
                    let fair = TIMES * textbook_error(case, kind, range, truth);
                    norm(&off) / norm(truth).max(fair / tolerance)
                }
                false => error,
            };
            within(error, 2, &|| format!("{rule:?}, {}", tensor.name));
        }
    }
    measured.logs = logs;
    Ok(())
}

/// The Euclidean norm.
pub(super) fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The norm of the error that the textbook in `f32` makes in the gradient of the mean loss with respect
/// to these weights, judged by some of them.
fn textbook_error(
    case: &Case,
    kind: LossKind,
    range: std::ops::Range<usize>,
    truth: &[f64],
) -> f64 {
    let mut params: Vec<Along<f32>> = constants(&case.params);
    let entries: Vec<usize> =
        (0..range.len()).step_by(range.len().div_ceil(ENTRIES).max(1)).collect();
    let squares = entries.iter().map(|&j| {
        params[range.start + j].slope = 1.0;
        let loss = case.loss(&params, kind, Denominator::All);
        params[range.start + j].slope = 0.0;
        (f64::from(loss.slope) - truth[j]).powi(2)
    });
    (squares.sum::<f64>() * range.len() as f64 / entries.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_in_f32_is_measured_by_what_the_textbook_has() {
        // Two tokens: all of the last bias's gradient is one number times a vector. Case 5 of seed
        // 17 under Linear(0.6) has that number as the small rest of a sum.
        let tiers = (crate::cpu::Cpu::<f64>::new(), crate::cpu::Cpu::<f32>::new());
        let (rule, kind) = (Rule::Linear(0.6), LossKind::Linear { gamma: 0.6 });
        let worst = |case: &Case| {
            let model = case.model(tiers.0).unwrap();
            let (zero, n) = (vec![0.0; case.params.len()], case.tokens.len() as f64);
            let truth = gradients(&model, case.batch(), &rule, 1.0 / n, &zero).unwrap().0;
            let shares = model.layout.tensors.iter().map(|tensor| {
                let range = tensor.span.range();
                let of = &truth[range.clone()];
                textbook_error(case, kind, range, of) / norm(of)
            });
            shares.fold(0.0f64, f64::max)
        };
        let case = case(17, 5);
        assert_eq!(case.config.vocab, 2);
        let share = worst(&case);
        assert!(share > 2e-5, "the textbook is off by {share:e}");
        assert!(compare(&tiers.0, &tiers.1, TOLERANCES, 17, 1, |_| case.clone()).verdict().is_ok());
        // Little is given away: elsewhere the textbook is far better than the tolerance.
        let share = worst(&super::case(17, 1));
        assert!(TIMES * share < 2e-5, "{share:e}");
    }
}
