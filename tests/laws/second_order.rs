//! Second derivatives: central differences of the hand-written backward pass against the oracle's
//! nested dual numbers.
//!
//! For a scalar `F(θ) = ⟨w, f(θ)⟩` backward gives `∇F(θ) = Jᵀw`. Its difference along `v`, dotted
//! with `u`, is `uᵀHv`; the coefficient of `ε₁ε₂` in `F(θ + ε₁u + ε₂v)` is the same number by
//! definition. Both orders of `u` and `v` are compared, so that `H` is symmetric as well. A term
//! that a first-order check at one point cannot see, because it vanishes there, shows up here.

use super::agree;
use crate::conformance::harness::{Operator, dot, normals, stream};
use fortifai::Stream;
use fortifai::config::ModelConfig;
use fortifai::cpu::Cpu;
use fortifai::loss::Rule;
use fortifai::tier::LinearShape;
use fortifai::verify::operators::attention::Attention;
use fortifai::verify::operators::classifier::{Classifier, Member};
use fortifai::verify::operators::embedding::Embedding;
use fortifai::verify::operators::gelu::GeluLinear;
use fortifai::verify::operators::layernorm::{Layernorm, ResidualLayernorm};
use fortifai::verify::operators::linear::Linear;
use fortifai::verify::operators::model::{Case, clear_threshold, gradients};
use fortifai_oracle::attention::softmax;
use fortifai_oracle::loss::{Denominator, LossKind};
use fortifai_oracle::{Dual, Dual64, Scalar};

/// The largest step along a direction of length one.
const STEP: f64 = 1.0 / 32.0;

/// The derivative at zero of a curve, from central differences at [`STEP`] and at a half, a quarter
/// and an eighth of it. Their errors in h², h⁴ and h⁶ are removed in turn (Richardson), so that
/// h⁸ ≈ 10⁻¹² of the ninth derivative remains, beside a rounding of 10⁻¹⁶ over an eighth of a step.
fn derivative(curve: impl Fn(f64) -> Vec<f64>) -> Vec<f64> {
    let mut table: Vec<Vec<f64>> = (0..4)
        .map(|level| {
            let h = STEP / f64::from(1 << level);
            let (ahead, behind) = (curve(h), curve(-h));
            ahead.iter().zip(&behind).map(|(a, b)| (a - b) / (2.0 * h)).collect()
        })
        .collect();
    for order in 1..4 {
        let weight = f64::from(1 << (2 * order));
        for level in (order..4).rev() {
            let (coarse, fine) = table.split_at_mut(level);
            for (fine, coarse) in fine[0].iter_mut().zip(&coarse[level - 1]) {
                *fine = (weight * *fine - coarse) / (weight - 1.0);
            }
        }
    }
    table.pop().unwrap()
}

/// `point + h·v`.
fn along(point: &[f64], v: &[f64], h: f64) -> Vec<f64> {
    point.iter().zip(v).map(|(x, v)| x + h * v).collect()
}

/// `point + ε₁u + ε₂v`.
fn nested(point: &[f64], u: &[f64], v: &[f64]) -> Vec<Dual<Dual64>> {
    let parts = point.iter().zip(u).zip(v);
    parts.map(|((&x, &u), &v)| Dual::new(Dual64::new(x, u), Dual64::new(v, 0.0))).collect()
}

/// A random direction of length one.
fn direction(stream: &mut Stream, len: usize) -> Vec<f64> {
    let v = normals(stream, len);
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v.iter().map(|x| x / norm).collect()
}

/// Compares `uᵀHv` of a gradient with that of a definition, in both orders; returns the worst
/// error, relative to `Σ|u_i (Hv)_i|`.
fn check(
    point: &[f64],
    stream: &mut Stream,
    gradient: impl Fn(&[f64]) -> Vec<f64>,
    definition: impl Fn(&[Dual<Dual64>]) -> Dual<Dual64>,
    name: impl Fn() -> String,
) -> f64 {
    let (u, v) = (direction(stream, point.len()), direction(stream, point.len()));
    let mut worst = 0.0f64;
    for (u, v) in [(&u, &v), (&v, &u)] {
        let truth = definition(&nested(point, u, v)).eps.eps;
        let product = derivative(|h| gradient(&along(point, v, h)));
        let (form, size) = dot(u, &product);
        let (error, size) = ((form - truth).abs(), size + truth.abs());
        assert!(error <= 1e-8 * size, "{}: uᵀHv = {form:e} not {truth:e}, {size:e}", name());
        if size > 0.0 {
            worst = worst.max(error / size);
        }
    }
    worst
}

/// One operator; `same` says whether an output stands on the same side of every threshold.
fn check_operator<O: Operator>(op: &O, same: impl Fn(&[f64], &[f64]) -> bool) {
    let tier = Cpu::<f64>::new();
    let mut worst = 0.0f64;
    for seed in 0..4 {
        let mut stream = stream(seed);
        let (point, w) = (op.point(&mut stream), op.cotangent(&mut stream));
        let zero = vec![0.0; point.len()];
        let start = op.run(&tier, &point, &w, &zero).unwrap().outputs;
        let gradient = |point: &[f64]| {
            let ran = op.run(&tier, point, &w, &zero).unwrap();
            assert!(same(&ran.outputs, &start), "{}: a step crosses a threshold", op.label());
            ran.gradient
        };
        let definition = |point: &[Dual<Dual64>]| {
            let w: Vec<_> = w.iter().map(|&w| <Dual<Dual64> as Scalar>::from_f64(w)).collect();
            Scalar::dot(&w, &op.textbook(point))
        };
        let name = || format!("{}, seed {seed}", op.label());
        worst = worst.max(check(&point, &mut stream, gradient, definition, name));
    }
    println!("{}: second order, worst {worst:.1e}", op.label());
}

#[test]
fn curvature_of_every_operator_is_the_oracles() {
    let smooth = |_: &[f64], _: &[f64]| true;
    check_operator(&Linear { n: 5, c: 7, oc: 3 }, smooth);
    check_operator(&GeluLinear { n: 5, c: 7, oc: 3 }, smooth);
    check_operator(&Layernorm { n: 3, c: 17 }, smooth);
    check_operator(&ResidualLayernorm { n: 3, c: 17 }, smooth);
    for shape in [(2, 5, 2, 3), (1, 17, 1, 4), (1, 66, 1, 2)] {
        check_operator(&Attention::new(shape), smooth);
    }
    // Linear: no curvature at all.
    check_operator(&Embedding::new(5, 4, 3, 9, 1), smooth);
}

#[test]
fn curvature_of_every_loss_is_the_oracles() {
    let shape = (6, 4, 9);
    let plain = Classifier::new(shape, Member::Known(Rule::Ce, LossKind::Ce), 3);
    let (rows, _) = plain.rows(&Cpu::<f64>::new(), &vec![0.0; plain.point.len()], 1.0).unwrap();
    let at = clear_threshold(&rows[2]);
    let known = |rule, kind| Member::Known(rule, kind);
    for member in [
        known(Rule::Ce, LossKind::Ce),
        known(Rule::Tce(at), LossKind::Tce { gamma: at }),
        known(Rule::DropLow(at), LossKind::DropLow { q: at }),
        known(Rule::Focal(0.5), LossKind::Focal { gamma: 0.5 }),
        known(Rule::Focal(2.0), LossKind::Focal { gamma: 2.0 }),
        known(Rule::Smoothed(0.1), LossKind::LabelSmoothing { epsilon: 0.1 }),
        Member::Custom(0.25),
    ] {
        let op = Classifier {
            shape: LinearShape { n: shape.0, c: shape.1, oc: shape.2 },
            targets: plain.targets.clone(),
            mask: plain.mask.clone(),
            point: plain.point.clone(),
            member,
        };
        // The last quarter of the outputs says which rows are kept.
        let same = |a: &[f64], b: &[f64]| a[3 * shape.0..] == b[3 * shape.0..];
        check_operator(&op, same);
    }
}

#[test]
fn curvature_of_the_model_is_the_oracles_for_every_loss() {
    let config = ModelConfig { layers: 2, heads: 2, channels: 6, context: 5, vocab: 7 };
    let (mut worst, mut dropped) = (0.0f64, 0);
    for seed in 0..3 {
        let case = Case::new(config.clone(), 2, 4, 0.4, seed);
        let (mut model, n) = (case.model(Cpu::<f64>::new()).unwrap(), case.tokens.len());
        let zero = vec![0.0; case.params.len()];
        let (_, scores) = gradients(&model, case.batch(), &Rule::Ce, 1.0, &zero).unwrap();
        let at = clear_threshold(&scores.probability);
        for (rule, kind) in [
            (Rule::Ce, LossKind::Ce),
            (Rule::Tce(at), LossKind::Tce { gamma: at }),
            (Rule::Focal(2.0), LossKind::Focal { gamma: 2.0 }),
            (Rule::Smoothed(0.1), LossKind::LabelSmoothing { epsilon: 0.1 }),
        ] {
            let scale = 1.0 / n as f64;
            let (_, start) = gradients(&model, case.batch(), &rule, scale, &zero).unwrap();
            dropped += start.kept.iter().filter(|&&kept| !kept).count();
            let model = std::cell::RefCell::new(&mut model);
            let gradient = |params: &[f64]| {
                let mut model = model.borrow_mut();
                model.set_params(params).unwrap();
                let (gradient, scores) =
                    gradients(&model, case.batch(), &rule, scale, &zero).unwrap();
                model.set_params(&case.params).unwrap();
                assert_eq!(scores.kept, start.kept, "{rule:?}: a step crosses the threshold");
                gradient
            };
            let definition = |params: &[Dual<Dual64>]| case.loss(params, kind, Denominator::All);
            let name = || format!("{}, seed {seed}, {rule:?}", case.label());
            let mut stream = stream(seed);
            worst = worst.max(check(&case.params, &mut stream, gradient, definition, name));
        }
    }
    assert!(dropped > 0, "truncation drops no row");
    println!("model: second order, worst {worst:.1e}");
}

#[test]
fn curvature_of_cross_entropy_is_diag_p_minus_pp() {
    // In the logits of one row, whatever the target; and so for a kept token of TCE.
    for (seed, v) in [2usize, 3, 7, 16].into_iter().enumerate() {
        let mut stream = stream(seed as u64);
        let z = normals(&mut stream, v);
        let p = softmax(&z);
        let unit: Vec<f64> =
            (0..v * v).map(|index| if index / v == index % v { 1.0 } else { 0.0 }).collect();
        let target = stream.below(v);
        for rule in [Rule::Ce, Rule::Tce(0.5 * (1.0 + p[target]))] {
            let gradient = |z: &[f64]| {
                let op = Classifier {
                    shape: LinearShape { n: 1, c: v, oc: v },
                    member: Member::Known(rule.clone(), LossKind::Ce),
                    targets: vec![target as u32],
                    mask: vec![true],
                    point: [z, &unit].concat(),
                };
                let (_, mut gradient) =
                    op.rows(&Cpu::<f64>::new(), &vec![0.0; op.point.len()], 1.0).unwrap();
                gradient.truncate(v);
                gradient
            };
            for k in 0..v {
                let step: Vec<f64> = (0..v).map(|j| if j == k { 1.0 } else { 0.0 }).collect();
                let column = derivative(|h| gradient(&along(&z, &step, h)));
                let truth: Vec<f64> = (0..v).map(|j| step[j] * p[k] - p[j] * p[k]).collect();
                agree(&column, &truth, 1e-11, 1.0, || format!("{rule:?} V {v}, column {k}"))
                    .unwrap();
            }
            // The gradient is ½-Lipschitz in the logits.
            let v = direction(&mut stream, v);
            let image = derivative(|h| gradient(&along(&z, &v, h)));
            let norm = image.iter().map(|x| x * x).sum::<f64>().sqrt();
            assert!(norm <= 0.5 + 1e-11, "{rule:?}: ‖Hv‖ = {norm}");
        }
    }
}
