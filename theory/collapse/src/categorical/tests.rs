//! Tests of the room above.

use super::*;
use crate::stats::{Z_LIMIT, replicates, z_statistic};

const SEED: u64 = 20_250_902;
const LAW: [f64; 5] = [0.5, 0.25, 0.15, 0.07, 0.03];

#[test]
fn closed_forms_agree_with_mpmath() {
    let law = Categorical::new(&LAW);
    // Every truth: mpmath, 40 digits, rounded to the nearest f64.
    let half = Categorical::new(&[0.5, 0.5]);
    let heterozygosity = expected_heterozygosity(&half, 12, 7, Protocol::Replace);
    for (prediction, truth) in [
        (heterozygosity, 0.5 * 0.543_851_178_260_388_1),
        (eigenvalue(20, 5), 0.5814),
        (expected_distinct(&law, 12), 3.713_399_091_739_941),
        (expected_missing_mass(&law, 12), 0.079_494_433_542_364_5),
        (extinct_by(0.03, 12, 7), 0.909_067_785_096_14),
        (expected_survivors(&law, 12, 7), 2.132_037_556_644_102),
    ] {
        let error = (prediction.value - truth).abs();
        assert!(error <= 1e-12 * truth.abs(), "{prediction} against {truth}");
    }
}

#[test]
fn the_chain_of_counts_knows_the_moments() {
    // N1 and N2 from the (n+1)-state chain: E x(1−x) = p(1−p)(1−1/n)^t, E x = p.
    let (p, n, t) = (0.3, 20, 6);
    let law = count_law(p, n, t);
    let mean = |f: fn(f64) -> f64| -> f64 {
        law.iter().enumerate().map(|(k, mass)| mass * f(k as f64 / n as f64)).sum()
    };
    assert!((mean(|_| 1.0) - 1.0).abs() <= 1e-13);
    assert!((mean(|x| x) - p).abs() <= 1e-13);
    let product = expected_product(&Categorical::new(&[p, 1.0 - p]), &[0, 1], n, t).value;
    assert!((mean(|x| x * (1.0 - x)) - product).abs() <= 1e-13);
    // One generation: N3 and N4 are the same formula.
    let (law, n) = (Categorical::new(&LAW), 12);
    for (a, b) in [
        (expected_distinct(&law, n), expected_survivors(&law, n, 1)),
        (variance_of_distinct(&law, n), variance_of_survivors(&law, n, 1)),
    ] {
        assert!((a.value - b.value).abs() <= 1e-13, "{a} against {b}");
    }
    // Everyone or no one: no variance.
    let certain = variance_of_survivors(&Categorical::new(&[1.0, 0.0]), 5, 3).value;
    assert!(certain.abs() <= 1e-15, "{certain}");
}

#[test]
fn two_tokens_lose_heterozygosity_at_the_stated_rate() {
    // K = 2, n = 20, t = 10, R = 100,000; the variance of H is exact, from the chain of counts.
    // |z| ≤ 6.5: false alarm 8e-11.
    let truth = Categorical::new(&[0.3, 0.7]);
    for protocol in [Protocol::Replace, Protocol::Accumulate] {
        let values = replicates(100_000, |item| {
            chain(&truth, 20, 10, protocol, SEED, item)[10].heterozygosity()
        });
        let expected = |n, t| expected_heterozygosity(&truth, n, t, protocol).value;
        // H lies in [0, 1/2]; for accumulated data E H² ≤ E H/2 bounds the variance.
        let spread = match protocol {
            Protocol::Replace => {
                let law = count_law(0.3, 20, 10);
                let h = |k: usize| 2.0 * (k as f64 / 20.0) * (1.0 - k as f64 / 20.0);
                let square: f64 = law.iter().enumerate().map(|(k, p)| p * h(k) * h(k)).sum();
                square - expected(20, 10).powi(2)
            }
            Protocol::Accumulate => 0.5 * expected(20, 10) - expected(20, 10).powi(2),
        };
        let z = |truth: f64| z_statistic(&values, truth, spread).abs();
        assert!(z(expected(20, 10)) <= Z_LIMIT);
        // Power: the other protocol is rejected; so are one generation more and n − 1 samples
        // where the data are replaced.
        let other = match protocol {
            Protocol::Replace => Protocol::Accumulate,
            Protocol::Accumulate => Protocol::Replace,
        };
        assert!(z(expected_heterozygosity(&truth, 20, 10, other).value) > Z_LIMIT);
        if protocol == Protocol::Replace {
            assert!(z(expected(20, 11)) > Z_LIMIT);
            assert!(z(expected(19, 10)) > Z_LIMIT);
        }
    }
}

#[test]
fn products_of_three_tokens_decay_with_the_third_eigenvalue() {
    // 0 ≤ p₁p₂p₃ ≤ 1/27, so its variance is at most E/27: |z| ≤ 6.5 is conservative.
    let truth = Categorical::new(&[0.3, 0.25, 0.25, 0.1, 0.1]);
    let values = replicates(40_000, |item| {
        let end = &chain(&truth, 20, 10, Protocol::Replace, SEED, item)[10];
        end.probabilities[..3].iter().product::<f64>()
    });
    let expected = |t| expected_product(&truth, &[0, 1, 2], 20, t).value;
    let z = |truth: f64| z_statistic(&values, truth, expected(10) / 27.0).abs();
    assert!(z(expected(10)) <= Z_LIMIT);
    assert!(z(expected(11)) > Z_LIMIT);
    let second = 0.3 * 0.25 * 0.25 * eigenvalue(20, 2).value.powi(10);
    assert!(z(second) > Z_LIMIT);
}

#[test]
fn tokens_go_missing_and_die_out_as_predicted() {
    // n = 12, t = 7, R = 40,000: counts of distinct tokens with their exact variances, and a
    // binomial count of extinctions. Four tests, |z| ≤ 6.5 each.
    let truth = Categorical::new(&LAW);
    let runs = replicates(40_000, |item| chain(&truth, 12, 7, Protocol::Replace, SEED, item));
    let survivors =
        |t: usize| -> Vec<f64> { runs.iter().map(|run| run[t].survivors() as f64).collect() };
    for t in [1, 7] {
        let spread = variance_of_survivors(&truth, 12, t).value;
        let z = |truth: f64| z_statistic(&survivors(t), truth, spread).abs();
        assert!(z(expected_survivors(&truth, 12, t).value) <= Z_LIMIT);
        assert!(z(expected_survivors(&truth, 12, t + 1).value) > Z_LIMIT);
        assert!(z(expected_survivors(&truth, 13, t).value) > Z_LIMIT);
    }
    let extinct: Vec<f64> =
        runs.iter().map(|run| f64::from(u8::from(run[7].probabilities[2] == 0.0))).collect();
    let p = extinct_by(0.15, 12, 7).value;
    let z = |truth: f64| z_statistic(&extinct, truth, p * (1.0 - p)).abs();
    assert!(z(p) <= Z_LIMIT);
    assert!(z(extinct_by(0.15, 12, 6).value) > Z_LIMIT);
    let missing: Vec<f64> = runs
        .iter()
        .map(|run| {
            let lost = |(&p, &now): (&f64, &f64)| if now == 0.0 { p } else { 0.0 };
            LAW.iter().zip(&run[1].probabilities).map(lost).sum()
        })
        .collect();
    // The missing mass lies in [0, 1], so its variance is at most E(1 − E).
    let mass = expected_missing_mass(&truth, 12).value;
    assert!(z_statistic(&missing, mass, mass * (1.0 - mass)).abs() <= Z_LIMIT);
    let wrong = expected_missing_mass(&truth, 10).value;
    assert!(z_statistic(&missing, wrong, mass * (1.0 - mass)).abs() > Z_LIMIT);
}
