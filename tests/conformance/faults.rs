//! The harness itself: planted faults must be caught.

use super::harness::*;
use fortifai::cpu::Cpu;
use fortifai::tier::Tier;
use fortifai::verify::operators::layernorm::Layernorm;
use fortifai::verify::operators::linear::Linear;
use fortifai_oracle::layernorm::statistics;
use fortifai_oracle::{Scalar, constants};

/// An operator whose results on the tier are spoiled.
struct Faulty<O, F> {
    right: O,
    /// Gets the operator, the point, the cotangent, the start, and the results.
    spoil: F,
}

impl<O: Operator, F: Fn(&O, &[f64], &[f64], &[f64], &mut Ran)> Operator for Faulty<O, F> {
    fn label(&self) -> String {
        self.right.label()
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        self.right.inputs()
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        self.right.outputs()
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        self.right.textbook(point)
    }
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        cotangent: &[f64],
        start: &[f64],
    ) -> Result<Ran, Finding> {
        let mut ran = self.right.run(tier, point, cotangent, start)?;
        (self.spoil)(&self.right, point, cotangent, start, &mut ran);
        Ok(ran)
    }
}

/// The message of the check, or `None` where it is passed for every seed.
fn verdict<O: Operator>(
    right: O,
    spoil: impl Fn(&O, &[f64], &[f64], &[f64], &mut Ran),
) -> Option<String> {
    let (op, record) = (Faulty { right, spoil }, Record::default());
    let verdicts = (0..8)
        .map(|seed| record.check(&op, &Cpu::<f64>::new(), seed).err().map(|found| found.message));
    let verdicts: Vec<_> = verdicts.collect();
    let caught = verdicts.iter().flatten().count();
    assert!(caught == 0 || caught == 8, "caught for {caught} of 8 seeds");
    verdicts.into_iter().next().unwrap()
}

#[track_caller]
fn assert_adjoint_fails(verdict: Option<String>) {
    let message = verdict.expect("the fault was not caught");
    assert!(message.contains("⟨v, Ju⟩") && message.contains("seed 0"), "{message}");
}

#[test]
fn right_operators_pass() {
    assert_eq!(verdict(Linear { n: 3, c: 4, oc: 5 }, |_, _, _, _, _| ()), None);
    assert_eq!(verdict(Layernorm { n: 3, c: 7 }, |_, _, _, _, _| ()), None);
}

#[test]
fn a_wrong_factor_is_caught_in_every_tensor() {
    // x, weight and bias of the linear layer.
    for range in [0..12, 12..32, 32..37] {
        assert_adjoint_fails(verdict(Linear { n: 3, c: 4, oc: 5 }, |_, _, _, _, ran| {
            ran.gradient[range.clone()].iter_mut().for_each(|g| *g *= 1.0001);
        }));
    }
}

#[test]
fn a_missing_term_is_caught() {
    // Layer norm without `−rstd·mean(e)`, and without `−rstd·x̂·mean(e ∘ x̂)`.
    let (n, c) = (4, 33);
    for term in [0, 1] {
        assert_adjoint_fails(verdict(Layernorm { n, c }, |_, point, dout, _, ran| {
            let weight = &point[n * c..][..c];
            for row in 0..n {
                let x = &point[row * c..][..c];
                let (mean, rstd) = statistics(x);
                let normed = |i: usize| (x[i] - mean) * rstd;
                let e = |i: usize| dout[row * c + i] * weight[i];
                let of = |factor: &dyn Fn(usize) -> f64| {
                    (0..c).map(|i| e(i) * factor(i)).sum::<f64>() / c as f64
                };
                let missing: [&dyn Fn(usize) -> f64; 2] =
                    [&|_| rstd * of(&|_| 1.0), &|i| rstd * normed(i) * of(&normed)];
                for i in 0..c {
                    ran.gradient[row * c + i] += missing[term](i);
                }
            }
        }));
    }
}

#[test]
fn gradients_that_are_forgotten_or_overwritten_are_caught() {
    let op = || Linear { n: 3, c: 4, oc: 5 };
    // One row's share of one bias is missing.
    assert_adjoint_fails(verdict(op(), |_, _, dout, _, ran| ran.gradient[32] -= dout[5]));
    // Two entries stand in each other's place.
    assert_adjoint_fails(verdict(op(), |_, _, _, _, ran| ran.gradient.swap(0, 1)));
    // Backward overwrites instead of adding: the harness subtracts a start that is not in it.
    assert_adjoint_fails(verdict(op(), |_, _, _, start, ran| {
        ran.gradient = minus(&ran.gradient, start);
    }));
}

#[test]
fn outputs_that_are_wrong_or_not_written_are_caught() {
    let op = || Linear { n: 3, c: 4, oc: 5 };
    for fault in [f64::NAN, 1e-11] {
        let message = verdict(op(), |_, _, _, _, ran| ran.outputs[14] += fault).unwrap();
        assert!(message.contains("out 14"), "{message}");
    }
}

#[test]
#[should_panic(expected = "written behind")]
fn a_write_behind_an_output_is_caught() {
    let tier = Cpu::<f64>::new();
    let mut out = blank(&tier, 3);
    out[3] = 0.0;
    read(&tier, &out, 3);
}

#[test]
#[should_panic(expected = "outside the spans")]
fn a_sum_beside_a_gradient_is_caught() {
    let (tier, mut arena) = (Cpu::<f64>::new(), Arena::of_gradients());
    let span = arena.push(&[1.0, 2.0]);
    let mut param = arena.upload(&tier).unwrap();
    param[span.start + span.len] += 1e-3;
    arena.read(&tier, &param).unwrap();
}

#[test]
#[should_panic(expected = "no case visits")]
fn a_branch_that_no_case_visits_is_noticed() {
    finish(&Record::default(), "linear", &["many rows"]);
}

#[test]
#[should_panic(expected = "worse than twice the textbook")]
fn a_sloppy_f32_result_is_caught() {
    let mut budget = Budget::default();
    let sloppy = |op: Linear| Faulty {
        right: op,
        // As if the products had been rounded to half precision.
        spoil: |_: &Linear, _: &[f64], _: &[f64], _: &[f64], ran: &mut Ran| {
            ran.outputs.iter_mut().for_each(|x| *x *= 1.0 + 1e-4);
        },
    };
    for seed in 0..32 {
        budget.check(&sloppy(Linear { n: 2, c: 9, oc: 3 }), &Cpu::<f32>::new(), seed).unwrap();
    }
    finish_budget(&budget, "linear");
}

#[test]
#[should_panic(expected = "worse than twice the textbook")]
fn a_nan_in_f32_is_caught() {
    let mut budget = Budget::default();
    let truth: Vec<f64> = constants(&[1.0, 2.0]);
    for case in 0..32 {
        let ours = if case == 3 { [f64::NAN, 2.0] } else { [1.0, 2.0] };
        budget.add("out", &ours, &[1.0, 2.1], &truth);
    }
    finish_budget(&budget, "fault");
}
