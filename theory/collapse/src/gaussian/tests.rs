//! Tests of the room above.

use super::*;
use crate::model::Model;
use crate::recursion::{Recursion, chain};
use crate::stats::{KS_LIMIT, Z_LIMIT, ks_distance, replicates, z_statistic};
use statrs::distribution::{ChiSquared, ContinuousCDF};

const SEED: u64 = 20_250_901;

#[test]
fn closed_forms_agree_with_mpmath() {
    use Divisor::{Mle, Unbiased};
    // Every truth: mpmath, 40 digits, rounded to the nearest f64.
    for (prediction, truth) in [
        (c4(2), 0.797_884_560_802_865_4),
        (c4(3), 0.886_226_925_452_758),
        (c4(10), 0.972_659_274_121_588_2),
        (c4(1000), 0.999_749_781_101_513_2),
        (expected_power(10, 1, 0.5, Mle), 0.922_745_608_053_087_1),
        (expected_power(20, 15, 2.0, Unbiased), 4.487_303_113_194_06),
        (expected_power(8, 6, 0.3, Unbiased), 0.832_866_676_071_264_4),
        (expected_log(2, 1, Unbiased), -1.270_362_845_461_478_2),
        (expected_log(100, 1, Unbiased), -0.010_135_018_848_272_835),
        (expected_log(10, 1, Mle), -0.220_566_986_074_571_47),
        (variance_of_log(2, 1), 4.934_802_200_544_679),
        (variance_of_log(10, 1), 0.248_725_103_039_010_38),
        (mean_drift(20, 15, Mle), 0.536_708_769_840_246_6),
        (accumulate_variance(6, 8, Mle), 0.762_320_129_910_020_5),
        (accumulate_variance(6, 8, Unbiased), 0.909_282_949_721_451_7),
        (accumulate_limit(2, Mle), 0.358_187_786_013_244),
        (accumulate_limit(100, Mle), 0.983_631_643_083_466),
        (accumulate_limit(2, Unbiased), 2.0 / 3.0),
        (accumulate_limit(6, Unbiased), 0.891_467_659_765_824_8),
        (accumulate_fourth(6, 8), 0.957_830_820_305_335_2),
    ] {
        let error = (prediction.value - truth).abs();
        assert!(error <= 1e-12 * truth.abs(), "{prediction} against {truth}");
    }
}

#[test]
fn variance_and_drift_of_the_mle_are_conserved() {
    for (n, t) in [(2, 1), (7, 3), (100, 50)] {
        let kept = expected_power(n, t, 1.0, Divisor::Mle).value;
        assert!((kept + mean_drift(n, t, Divisor::Mle).value - 1.0).abs() <= 1e-13);
    }
}

#[test]
fn fits_by_hand_and_merged() {
    // 1, 2, 6: mean 3, squares 4 + 1 + 9 = 14.
    let samples = [1.0, 2.0, 6.0];
    let fit = |divisor, pool: &Pool| Gaussian::standard(divisor).fit(pool).expect("three samples");
    let mle = fit(Divisor::Mle, &Pool::of(&samples));
    assert_eq!((mle.mean, mle.var), (3.0, 14.0 / 3.0));
    assert_eq!(fit(Divisor::Unbiased, &Pool::of(&samples)).var, 7.0);
    let mut pool = Pool::of(&samples[..1]);
    pool.add(&samples[1..]);
    let merged = fit(Divisor::Unbiased, &pool);
    assert!((merged.mean - 3.0).abs() <= 1e-15 && (merged.var - 7.0).abs() <= 1e-14);
    assert!(Gaussian::standard(Divisor::Unbiased).fit(&Pool::of(&[1.0])).is_err());
}

/// The squared ratios `ν σ_t²/σ_{t−1}²` and the normalised drift of every replicate.
fn chains(divisor: Divisor, generations: usize) -> Vec<Vec<Gaussian>> {
    replicates(40_000, |item| {
        let recursion = Recursion::replace(10);
        chain(&Gaussian::standard(divisor), &recursion, generations, SEED, item).expect("n = 10")
    })
}

#[test]
fn replaced_variances_follow_the_exact_law() {
    // n = 10, t = 5, R = 40,000. KS at 4e-9, |z| ≤ 6.5 at known variance (8e-11 each).
    let runs = chains(Divisor::Unbiased, 5);
    let pivots: Vec<f64> = runs.iter().map(|run| 9.0 * run[5].var / run[4].var).collect();
    let chi2 = |nu: f64| ChiSquared::new(nu).expect("positive degrees of freedom");
    let limit = KS_LIMIT / (pivots.len() as f64).sqrt();
    assert!(ks_distance(&pivots, |x| chi2(9.0).cdf(x)) <= limit);
    // Power: ten degrees of freedom, as if the mean were known, is rejected.
    assert!(ks_distance(&pivots, |x| chi2(10.0).cdf(x)) > limit);

    let logs: Vec<f64> = runs.iter().map(|run| run[5].var.ln()).collect();
    let spread = variance_of_log(10, 5).value;
    let z = |truth: f64| z_statistic(&logs, truth, spread).abs();
    assert!(z(expected_log(10, 5, Divisor::Unbiased).value) <= Z_LIMIT);
    // Power: the divisor n for n − 1, and one generation more, are rejected.
    assert!(z(expected_log(10, 5, Divisor::Mle).value) > Z_LIMIT);
    assert!(z(expected_log(10, 6, Divisor::Unbiased).value) > Z_LIMIT);
}

#[test]
fn replaced_variances_of_the_mle_collapse_at_the_stated_rate() {
    let runs = chains(Divisor::Mle, 5);
    let vars: Vec<f64> = runs.iter().map(|run| run[5].var).collect();
    let first = expected_power(10, 5, 1.0, Divisor::Mle).value;
    let spread = expected_power(10, 5, 2.0, Divisor::Mle).value - first * first;
    let z = |truth: f64| z_statistic(&vars, truth, spread).abs();
    assert!(z(first) <= Z_LIMIT);
    assert!(z(expected_power(10, 6, 1.0, Divisor::Mle).value) > Z_LIMIT);
    assert!(z(1.0) > Z_LIMIT);
}

#[test]
fn the_mean_drifts_as_a_normal_sum() {
    let runs = chains(Divisor::Unbiased, 5);
    let pivot = |first: usize| -> Vec<f64> {
        let scaled = |run: &Vec<Gaussian>| {
            let variance: f64 = run[first..first + 5].iter().map(|model| model.var / 10.0).sum();
            run[5].mean / variance.sqrt()
        };
        runs.iter().map(scaled).collect()
    };
    let squares: Vec<f64> = pivot(0).iter().map(|x| x * x).collect();
    // Pivot² ~ χ²_1: mean 1, variance 2. The mean itself has the variance t/n exactly.
    assert!(z_statistic(&pivot(0), 0.0, 1.0).abs() <= Z_LIMIT);
    assert!(z_statistic(&squares, 1.0, 2.0).abs() <= Z_LIMIT);
    let means: Vec<f64> = runs.iter().map(|run| run[5].mean).collect();
    let drift = mean_drift(10, 5, Divisor::Unbiased).value;
    assert!(z_statistic(&means, 0.0, drift).abs() <= Z_LIMIT);
    // Power: the variances of one generation later are rejected.
    let late: Vec<f64> = pivot(1).iter().map(|x| x * x).collect();
    assert!(z_statistic(&late, 1.0, 2.0).abs() > Z_LIMIT);
}

#[test]
fn accumulated_variances_keep_the_stated_share() {
    // n = 6, t = 8, R = 40,000; the variance is E σ⁴ − (E σ²)².
    let vars = replicates(40_000, |item| {
        let truth = Gaussian::standard(Divisor::Mle);
        chain(&truth, &Recursion::accumulate(6), 8, SEED, item).expect("n = 6")[8].var
    });
    let truth = accumulate_variance(6, 8, Divisor::Mle).value;
    let spread = accumulate_fourth(6, 8).value - truth * truth;
    let z = |truth: f64| z_statistic(&vars, truth, spread).abs();
    assert!(z(truth) <= Z_LIMIT);
    // Power: the other divisor, the replaced product and a dropped first block are rejected.
    assert!(z(accumulate_variance(6, 8, Divisor::Unbiased).value) > Z_LIMIT);
    assert!(z(expected_power(6, 8, 1.0, Divisor::Mle).value) > Z_LIMIT);
    assert!(z(truth / (1.0 - 1.0 / 6.0)) > Z_LIMIT);
}
