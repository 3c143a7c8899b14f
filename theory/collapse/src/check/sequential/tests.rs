use super::*;
use crate::stats::replicates;
use fortifai_stream::Stream;

/// Every statistic; `shift` is added to the claimed mean.
fn outcomes(plan: &Plan, shift: f64) -> Vec<Outcome> {
    let samples: Vec<f64> =
        replicates(plan.replicates, |item| Stream::new(plan.seed, "soak", 0, item).uniform());
    let n = samples.len() as f64;
    let cells = 8;
    let mut counts = vec![0.0; cells];
    samples.iter().for_each(|x| counts[(x * cells as f64) as usize] += 1.0);
    let hits = samples.iter().filter(|&&x| x < 0.3).count() as u64;
    vec![
        Outcome::known("mean", &samples, 0.5 + shift, 1.0 / 12.0),
        Outcome::empirical("mean again", &samples, 0.5),
        Outcome::binomial("below 0.3", hits, samples.len() as u64, 0.3),
        Outcome::counts("cells", &counts, &vec![n / cells as f64; cells], cells - 1, &[]),
        Outcome::law("law", &samples, |x| x, &[]),
        Outcome::deterministic("two", 2.0, 2.0, 1e-15),
    ]
}

static TRUE: Guard = Guard {
    name: "true",
    covers: &["X1"],
    about: "Uniform numbers.",
    replicates: 2000,
    run: |plan| outcomes(plan, 0.0),
};

/// A quarter of a standard error of one batch: no single batch can see it.
static SLIGHTLY_WRONG: Guard = Guard {
    name: "slightly wrong",
    run: |plan| outcomes(plan, 0.25 * (1.0f64 / 12.0 / 2000.0).sqrt()),
    ..TRUE
};

#[test]
fn a_true_prediction_survives_a_long_run() {
    let mut soak = Soak::new(vec![&TRUE], 11, None);
    for _ in 0..400 {
        assert!(soak.batch(), "{:?}", soak.evidence);
    }
    assert_eq!(soak.batches, 400);
    assert_eq!(soak.family_false_alarm(), 5.0 * LEVEL);
    assert_eq!(soak.next_seed(), 411);
    let mean = &soak.evidence[0];
    assert!((mean.measured - 0.5).abs() <= 6.5 * mean.standard_error);
}

#[test]
fn a_slightly_wrong_prediction_is_found_in_the_end() {
    let mut soak = Soak::new(vec![&SLIGHTLY_WRONG], 1, None);
    assert!(soak.batch(), "one batch cannot see it");
    // z grows by 0.25 per root batch; the boundary is about 7 there: some 800 batches.
    let found = (1..2500).find(|_| !soak.batch()).expect("the shift is found");
    assert!(found > 200, "{found}");
    let failed: Vec<&str> =
        soak.evidence.iter().filter(|e| !e.passed).map(|e| e.name.as_str()).collect();
    assert_eq!(failed, ["mean"]);
}

#[test]
fn the_boundary_is_the_stated_one() {
    // mpmath, 40 digits: sqrt((1 + 1000/50000)*log(51000/(1000*mpf('4e-9')**2))).
    let truth = 6.592_259_396_903_683;
    assert!((mixture_boundary(50_000.0) - truth).abs() <= 1e-12 * truth);
    // It never falls below the fixed test's limit.
    let least = (0..60).map(|k| mixture_boundary(2f64.powi(k))).fold(f64::INFINITY, f64::min);
    assert!(least > crate::stats::Z_LIMIT - 0.1, "{least}");
}

#[test]
fn what_is_not_a_number_does_not_pass() {
    static NAN: Guard =
        Guard { run: |_| vec![Outcome::known("x", &[f64::NAN, 1.0], 0.0, 1.0)], ..TRUE };
    assert!(!Soak::new(vec![&NAN], 1, None).batch());
}
