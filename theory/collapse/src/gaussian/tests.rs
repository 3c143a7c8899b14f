//! Tests of the room above.

mod entries;

use super::*;
use crate::check::{Guard, Plan};
use crate::model::Model;
use crate::recursion::{Recursion, chain, last};
use fortifai_stream::Stream;

/// Every outcome of the guard passes, and every planted mistake is rejected.
pub(crate) fn stands(guard: &Guard, plan: &Plan) {
    let mut faults = Vec::new();
    for outcome in (guard.run)(plan) {
        assert!(outcome.mistakes.len() >= 2, "{}: {}", guard.name, outcome.name);
        let (name, z) = (&outcome.name, outcome.z);
        if !outcome.passed {
            faults.push(format!("{name} fails: {z} beyond {}", outcome.limit));
        }
        for mistake in outcome.mistakes.iter().filter(|mistake| !mistake.rejected) {
            faults.push(format!("{name} passes with {:?}: {}", mistake.name, mistake.z));
        }
    }
    assert!(faults.is_empty(), "{}, seed {}: {faults:#?}", guard.name, plan.seed);
}

/// One seed, or twelve where `EXTENSIVE` is set.
fn seeds() -> std::ops::Range<u64> {
    if std::env::var_os("EXTENSIVE").is_some() { 1..13 } else { 1..2 }
}

#[test]
fn guards_pass_and_reject_every_planted_mistake() {
    let others = [crate::conservation::GUARDS, crate::rates::GUARDS, METRIC_GUARDS];
    for seed in seeds() {
        for guard in GUARDS.iter().chain(others.into_iter().flatten()) {
            let start = std::time::Instant::now();
            stands(guard, &Plan { seed, replicates: guard.replicates });
            if seeds().end > 2 {
                println!("{} {seed}: {:?}", guard.name, start.elapsed());
            }
        }
    }
}

#[test]
fn figures_are_drawn_with_points_near_their_lines() {
    let rooms = [FIGURES, crate::conservation::FIGURES, crate::rates::FIGURES];
    for figure in rooms.into_iter().flatten() {
        let start = std::time::Instant::now();
        let series = (figure.series)(&Plan { seed: 1, replicates: figure.replicates });
        if seeds().end > 2 {
            println!("{}: {:?}", figure.name, start.elapsed());
        }
        assert!(series.len() >= 2, "{}", figure.name);
        for series in series {
            assert!(series.line.iter().all(|(x, y)| x.is_finite() && y.is_finite()));
            for point in &series.points {
                let near = series.line.iter().find(|(x, _)| (x - point.x).abs() < 1e-9);
                let (_, y) =
                    near.unwrap_or_else(|| panic!("{}: no line at {point:?}", figure.name));
                // Seven standard errors and a hundredth for starts that are not quite forgotten.
                let close = (point.mean - y).abs() <= 7.0 * point.standard_error + 0.01 * y.abs();
                assert!(close, "{} {}: {point:?} against {y}", figure.name, series.label);
            }
        }
    }
}

#[test]
fn guards_do_not_depend_on_the_number_of_threads() {
    let guard = GUARDS.iter().find(|guard| guard.name == "gaussian-budget").expect("a guard");
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| (guard.run)(&Plan { seed: 3, replicates: 500 }))
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn fits_by_hand_and_merged() {
    // 1, 2, 6: mean 3, squares 4 + 1 + 9 = 14.
    let samples = [1.0, 2.0, 6.0];
    let fit = |divisor, pool: &Pool| Gaussian::standard(divisor).fit(pool).expect("three samples");
    let mle = fit(Divisor::Mle, &Pool::of(&samples));
    assert_eq!((mle.mean, mle.var), (3.0, 14.0 / 3.0));
    assert_eq!(fit(Divisor::Unbiased, &Pool::of(&samples)).var, 7.0);
    assert_eq!(fit(Divisor::Fixed(7.0), &Pool::of(&samples)).var, 2.0);
    let mut pool = Pool::of(&samples[..1]);
    pool.add(&samples[1..]);
    let merged = fit(Divisor::Unbiased, &pool);
    assert!((merged.mean - 3.0).abs() <= 1e-15 && (merged.var - 7.0).abs() <= 1e-14);
    assert!(Gaussian::standard(Divisor::Unbiased).fit(&Pool::of(&[1.0])).is_err());
    assert!(Gaussian::standard(Divisor::Mle).fit(&Pool::default()).is_err());
}

#[test]
fn subsamples_come_from_their_pool() {
    let mut stream = Stream::new(1, "test", 0, 0);
    let law = Gaussian::standard(Divisor::Mle);
    let mut pool = law.pool_of_samples();
    law.draw(&mut pool, 7, 1.0, &mut stream);
    let all = law.subsample(&pool, 7, false, &mut stream);
    assert!((all.mean() - pool.mean()).abs() <= 1e-15);
    assert!((all.squares() - pool.squares()).abs() <= 1e-14);
    assert_eq!(law.subsample(&pool, 50, true, &mut stream).count(), 50);
    let law = MultiGaussian::standard(2, Divisor::Mle);
    let mut pool = law.pool_of_samples();
    law.draw(&mut pool, 7, 1.0, &mut stream);
    let (all, whole) = (law.subsample(&pool, 7, false, &mut stream), law.fit(&pool));
    let (all, whole) = (law.fit(&all).expect("seven"), whole.expect("seven"));
    assert!((all.covariance - whole.covariance).amax() <= 1e-14);
}

#[test]
fn a_singular_covariance_is_sampled_in_its_own_directions() {
    // Two samples of three dimensions lie on a line; so do all later ones.
    let truth = MultiGaussian::standard(3, Divisor::Mle);
    let run = chain(&truth, &Recursion::replace(2), 3, 1, 0).expect("n = 2");
    for model in &run[1..] {
        let spectrum = model.covariance.clone().symmetric_eigen().eigenvalues;
        let positive = spectrum.iter().filter(|&&x| x > 1e-12 * spectrum.max()).count();
        assert_eq!(positive, 1, "{spectrum}");
    }
}

#[test]
fn a_law_of_no_variance_is_drawn_at_its_mean() {
    let mut law = MultiGaussian::standard(3, Divisor::Mle);
    law.covariance.fill(0.0);
    law.mean[1] = 2.0;
    let mut stream = Stream::new(1, "test", 0, 0);
    for mut pool in [law.pool(), law.pool_of_samples()] {
        law.draw(&mut pool, 5, 1.0, &mut stream);
        assert_eq!(law.fit(&pool).expect("five"), law);
    }
}

#[test]
fn a_collapsed_chain_ends_at_zero_and_not_at_an_error() {
    let truth = Gaussian::standard(Divisor::Unbiased);
    let end = last(&truth, &Recursion::replace(2), 5_000, 1, 0).expect("n = 2");
    assert_eq!(end.var, 0.0);
    assert!(end.mean.is_finite());
}

#[test]
fn what_is_outside_the_domain_is_refused() {
    use Divisor::{Fixed, Mle, Unbiased};
    for refused in [
        c4(1).is_err(),
        c4(0).is_err(),
        expected_power(5, 1, -2.0, Unbiased).is_err(),
        expected_power(5, 1, f64::NAN, Unbiased).is_err(),
        expected_power(2, 1_000_000, 2.0, Unbiased).is_err(),
        log_rate(10, Fixed(0.0)).is_err(),
        log_rate(10, Fixed(f64::INFINITY)).is_err(),
        time_bound(10, 1.5, Mle).is_err(),
        expected_time(10, 0.1, Fixed(1.0)).is_err(),
        expected_kl_to_truth(3, 1, Mle).is_err(),
        survival(10, 5, 0.0, Mle).is_err(),
        survival(10, 5, f64::NAN, Mle).is_err(),
        suresh_bound(10, 5, -1.0).is_err(),
        survival_of_three(-1.0).is_err(),
        lyapunov(3, 3, 1, Unbiased).is_err(),
        lyapunov(3, 9, 4, Unbiased).is_err(),
        det_power(3, 4, -0.5, Unbiased).is_err(),
        accumulate_variance(6, 8, Fixed(3.0)).is_err(),
        accumulate_log(6, 10_001).is_err(),
        budget_limit(6, 0).is_err(),
        fresh(5, 1.1, 1.0, 3).is_err(),
        fresh_limit(5, 0.0, 1.0).is_err(),
        fresh_limit(5, 0.1, 9.0).is_err(),
        fixed(5, 0.1, 3).is_err(),
        half_share(1).is_err(),
        effective_samples(5, 0.5, 0.0).is_err(),
        biased_rate(5, -1.0, Mle).is_err(),
        Pair::new(0.0, 0.0, 1.0).is_err(),
        Pair::new(f64::NAN, 1.0, 1.0).is_err(),
        entropy(-1.0).is_err(),
    ] {
        assert!(refused);
    }
    let asymmetric = nalgebra::DMatrix::from_row_slice(2, 2, &[1.0, 0.5, 0.0, 1.0]);
    assert!(bures_squared(&asymmetric, &asymmetric).is_err());
}

#[test]
fn closed_forms_agree_where_they_meet() {
    for (n, t) in [(2, 1), (7, 3), (100, 50), (1_000_000, 1_000_000)] {
        let kept = expected_power(n, t, 1.0, Divisor::Mle).expect("n > 1");
        let drift = mean_drift(n, t, Divisor::Mle).expect("n > 1");
        assert!((kept + drift - 1.0).abs() <= 1e-13);
        let pooled = accumulate_variance(n, t, Divisor::Mle).expect("n > 1");
        let wander = accumulate_drift(n, t).expect("n > 1");
        assert!((pooled + wander - 1.0).abs() <= 1e-13);
    }
    // A budget of everything is no budget.
    let all = budget_variance(6, usize::MAX >> 12, 8).expect("n = 6");
    assert!((all - accumulate_variance(6, 8, Divisor::Mle).expect("n = 6")).abs() <= 1e-13);
    // In the limit of many generations each chain is at its fixed point.
    let (late, limit) = (fresh(15, 0.2, 0.7, 900), fresh_limit(15, 0.2, 0.7));
    let (late, limit) = (late.expect("inside"), limit.expect("inside"));
    assert!((late.variance - limit.variance).abs() <= 1e-14);
    assert!((late.displacement - limit.displacement).abs() <= 1e-14);
    let coins = (coin(15, 0.2, 900).expect("inside"), coin_limit(15, 0.2).expect("inside"));
    assert!((coins.0 - coins.1).abs() <= 1e-14);
}
