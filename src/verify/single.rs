//! The whole model in single precision against double precision and the textbook.

use super::operator::{Finding, What, ensure, minus};
use super::operators::model::{Case, family, gradients};
use crate::config::ModelConfig;
use crate::cpu::Real;
use crate::loss::Rule;
use crate::model::Activations;
use crate::tier::Tier;
use fortifai_oracle::loss::Denominator;
use fortifai_stream::Stream;

/// What is compared and how far it may be off: the mean loss relative to itself, logits relative to
/// the largest (or one), gradients in the Euclidean norm of each tensor.
pub const TOLERANCES: [(&str, f64); 3] = [("loss", 2e-6), ("logits", 1e-5), ("gradients", 1e-4)];

/// The worst errors of so many random models under every loss, in the order of the tolerances, which
/// name what [`TOLERANCES`] names.
///
/// # Errors
/// The first error beyond its tolerance, with the model and the tensor.
pub fn compare<D: Tier, S: Tier>(
    double: &D,
    single: &S,
    tolerances: [(&str, f64); 3],
    seed: u64,
    cases: u64,
) -> Result<[f64; 3], Finding> {
    let mut worst = [0.0f64; 3];
    for item in 0..cases {
        compare_one(&mut worst, double, single, tolerances, &case(seed, item))
            .map_err(|finding| finding.of(&format!("seed {seed}, case {item}")))?;
    }
    Ok(worst)
}

/// At least four channels: a normalised row of two numbers is (1, −1) up to the ε of the layer norm,
/// so that its gradient is a difference of almost equal numbers.
fn case(seed: u64, item: u64) -> Case {
    let mut stream = Stream::new(seed, "conformance-shape", 0, item);
    let mut pick = |most: usize| 1 + stream.below(most);
    let (layers, heads, hs) = (pick(3), pick(4), 3 + pick(5));
    let (b, t, vocab) = (pick(3), pick(17), 1 + pick(30));
    let config = ModelConfig { layers, heads, channels: heads * hs, context: t, vocab };
    Case::new(config, b, t, 0.2, seed.wrapping_add(item))
}

fn compare_one<D: Tier, S: Tier>(
    worst: &mut [f64; 3],
    double: &D,
    single: &S,
    tolerances: [(&str, f64); 3],
    case: &Case,
) -> Result<(), Finding> {
    let (double, single) = (case.model(double.clone())?, case.model(single.clone())?);
    let (n, t) = (case.tokens.len(), case.t);
    let within = |worst: &mut f64, error: f64, which: usize, what: &dyn Fn() -> String| {
        *worst = worst.max(error);
        let (name, tolerance) = tolerances[which];
        ensure(error <= tolerance, What::Value, || {
            format!("{}, {}: {name} off by {error:e}", case.label(), what())
        })
    };
    let truth = case.logits::<f64>(&case.params).concat();
    let largest = truth.iter().fold(1.0f64, |most, x| most.max(x.abs()));
    let mut acts = Activations::new(&single.tier, &single.config, n / t, t, false)?;
    for (index, (got, truth)) in
        single.logits(&mut acts, &case.tokens, t)?.iter().zip(truth).enumerate()
    {
        let error = (got.wide() - truth).abs() / largest;
        within(&mut worst[1], error, 1, &|| format!("logit {index}"))?;
    }
    let (zero, scale) = (vec![0.0; case.params.len()], 1.0 / n as f64);
    let (_, scores) = gradients(&double, case.batch(), &Rule::Ce, 1.0, &zero)?;
    for (rule, kind) in family(&scores.probability) {
        let (truth, _) = gradients(&double, case.batch(), &rule, scale, &zero)?;
        let (gradient, scores) = gradients(&single, case.batch(), &rule, scale, &zero)?;
        let loss = scores.loss.iter().sum::<f64>() / n as f64;
        let true_loss = case.loss::<f64>(&case.params, kind, Denominator::All);
        let error = (loss - true_loss).abs();
        let error = if error == 0.0 { 0.0 } else { error / true_loss };
        within(&mut worst[0], error, 0, &|| format!("{rule:?}"))?;
        for tensor in &single.layout.tensors {
            let truth = &truth[tensor.span.range()];
            let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
            let error = norm(&minus(&gradient[tensor.span.range()], truth));
            let error = if error == 0.0 { 0.0 } else { error / norm(truth) };
            within(&mut worst[2], error, 2, &|| format!("{rule:?}, {}", tensor.name))?;
        }
    }
    Ok(())
}
