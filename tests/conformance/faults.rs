//! The harness itself: planted faults must be caught.

use super::harness::*;
use fortifai::cpu::Cpu;
use fortifai::verify::faults::{Faulty, Gradient, Plant, Tamper, faults, self_test};
use fortifai::verify::operators::linear::Linear;
use fortifai::verify::visit::OPERATORS;
use fortifai_oracle::constants;
use std::collections::BTreeSet;

#[test]
fn every_planted_fault_is_noticed_by_the_check_named_for_it() {
    let verdicts = self_test(|_, _| ());
    let missed: Vec<_> = verdicts.iter().filter(|verdict| !verdict.caught).collect();
    assert!(missed.is_empty(), "{missed:#?}");
    let budget = verdicts.iter().filter(|verdict| verdict.by == What::Budget).count();
    assert!(budget >= 16, "{budget} faults in single precision for the budget");
    let list = faults();
    assert!(list.len() >= 40, "{} faults", list.len());
    assert!(list.iter().filter(|fault| fault.subtle).count() >= 10);
    let classes: BTreeSet<_> = list.iter().map(|fault| fault.class).collect();
    assert!(classes.len() >= 8, "{classes:?}");
    for operator in OPERATORS {
        let count = list.iter().filter(|fault| fault.operator == operator).count();
        assert!(count >= 2, "{operator}: {count} faults");
    }
}

#[test]
fn a_finding_names_the_operator_the_shape_the_seed_and_the_worst_entry() {
    let plant = Plant::Gradient(Gradient::LinearWeight, Tamper::ForgetLast);
    let op = Linear { n: 3, c: 4, oc: 5 };
    let found = Record::default().check(&op, &Faulty::<f64>::new(plant), 7).unwrap_err();
    let named = ["linear n 3 c 4 oc 5", "seed 7", "worst entry: dweight[19] = 0e0"];
    assert!(named.iter().all(|part| found.message.contains(part)), "{found}");
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
    for _ in 0..32 {
        // As if the products had been rounded to half precision.
        budget.add("out", &[1.0 + 1e-4, 2.0], &[1.0 + 1e-7, 2.0], &[1.0, 2.0], &[5e-8; 2]);
    }
    finish_budget(&budget, "linear");
}

#[test]
fn an_error_counts_in_units_of_its_own_conditioning() {
    // The second case is ten thousand times as badly conditioned: what it excuses there it does not
    // excuse in the first, whichever of the two the textbook erred in.
    let used = |ours: [f64; 2]| {
        let mut budget = Budget::default();
        for (case, deviation) in [1e-7, 1e-3].into_iter().enumerate() {
            let textbook = 1.0 + 1.5 * deviation;
            budget.add("out", &[ours[case]], &[textbook], &[1.0], &[deviation]);
        }
        budget.used()[0].clone()
    };
    let right = used([1.0 + 2.5e-7, 1.0 - 2.5e-3]);
    assert!(right.used < 1.0 && (right.ours - 2.5).abs() < 1e-6, "{right:?}");
    let wrong = used([1.0 + 1e-6, 1.0]);
    assert!(wrong.used > 2.0 && (wrong.ours - 10.0).abs() < 1e-6, "{wrong:?}");
}

#[test]
#[should_panic(expected = "worse than twice the textbook")]
fn a_nan_in_f32_is_caught() {
    let mut budget = Budget::default();
    let truth: Vec<f64> = constants(&[1.0, 2.0]);
    for case in 0..32 {
        let ours = if case == 3 { [f64::NAN, 2.0] } else { [1.0, 2.0] };
        budget.add("out", &ours, &[1.0, 2.1], &truth, &[0.1; 2]);
    }
    finish_budget(&budget, "fault");
}
