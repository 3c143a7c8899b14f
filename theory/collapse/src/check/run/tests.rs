use super::*;
use crate::stats::replicates;
use fortifai_stream::Stream;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A guard of the normal law's mean and variance, with mistakes of a fiftieth.
pub(crate) static NORMAL: Guard = Guard {
    name: "normal",
    covers: &["X1"],
    about: "Mean and variance of normal numbers.",
    replicates: 200_000,
    run: normal,
};

/// Its mean is claimed to be a fiftieth.
static WRONG: Guard = Guard { name: "wrong", covers: &["X2"], run: wrong, ..NORMAL };

fn normal(plan: &Plan) -> Vec<Outcome> {
    let samples = draws(plan, "normal");
    let squares: Vec<f64> = samples.iter().map(|x| x * x).collect();
    vec![
        Outcome::known("mean", &samples, 0.0, 1.0).mistake("a fiftieth", 0.02),
        Outcome::empirical("variance", &squares, 1.0).mistake("a twentieth", 1.05),
        Outcome::deterministic("one", 1.0, 1.0, 1e-12).mistake("two", 2.0),
    ]
}

fn wrong(plan: &Plan) -> Vec<Outcome> {
    vec![Outcome::known("mean", &draws(plan, "wrong"), 0.02, 1.0)]
}

pub(crate) fn draws(plan: &Plan, name: &str) -> Vec<f64> {
    replicates(plan.replicates, |item| Stream::new(plan.seed, name, 0, item).normal())
}

#[test]
fn true_predictions_pass_and_the_levels_add_up() {
    let count = AtomicUsize::new(0);
    let report = run(&[&NORMAL], 7, None, |guard, checks| {
        assert_eq!((guard.name, checks.len()), ("normal", 3));
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert!(report.passed, "{report:?}");
    assert_eq!(count.into_inner(), 1);
    // Two statistical tests; the deterministic one cannot raise a false alarm.
    assert_eq!(report.family_false_alarm, 2.0 * LEVEL);
    assert!(report.checks.iter().all(|check| check.powerful));
    assert_eq!(room_for_tests(), 250);
}

#[test]
fn a_wrong_prediction_fails_the_family() {
    let report = run(&[&NORMAL, &WRONG], 7, None, |_, _| ());
    assert!(!report.passed);
    let failed: Vec<&str> =
        report.checks.iter().filter(|check| !check.outcome.passed).map(|c| c.guard).collect();
    assert_eq!(failed, ["wrong"]);
}

#[test]
fn too_few_replicates_lose_power_but_not_truth() {
    let report = run(&[&NORMAL], 7, Some(100), |_, _| ());
    assert!(report.passed && !report.checks[0].powerful);
    assert_eq!(report.checks[0].replicates, 100);
    // At full size a test that rejects nothing is no test.
    static WEAK: Guard = Guard { replicates: 100, ..NORMAL };
    assert!(!run(&[&WEAK], 7, None, |_, _| ()).passed);
    static EMPTY: Guard = Guard { run: |_| Vec::new(), ..NORMAL };
    assert!(!run(&[&EMPTY], 7, None, |_, _| ()).passed);
    assert!(!run(&[], 7, None, |_, _| ()).passed);
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&[&NORMAL, &WRONG], 3, Some(5000), |_, _| ()))
    };
    let one = on(1);
    for threads in 2..5 {
        assert_eq!(on(threads), one, "{threads} threads");
    }
}
