//! Published results on regression with synthetic labels, reproduced by simulation.

use fortifai_collapse::model::Model;
use fortifai_collapse::regression::{
    Linear, accumulate_bound, accumulate_limit, accumulate_risk, replace_risk,
    strong_collapse_plateau, strong_collapse_risk,
};
use fortifai_collapse::stats::{Z_LIMIT, mean, replicates, variance};
use fortifai_collapse::{Recursion, recursion};
use fortifai_stream::Stream;

const SEED: u64 = 2024;
const NOISE: f64 = 0.7;

/// The mean of the samples and its standard error.
fn estimate(samples: &[f64]) -> (f64, f64) {
    (mean(samples), (variance(samples) / samples.len() as f64).sqrt())
}

fn risks(rows: usize, generations: usize, recursion: &Recursion) -> Vec<f64> {
    let truth = Linear::new(&[1.0, -0.5, 2.0], NOISE, 0.0);
    replicates(20_000, |item| {
        let last = recursion::last(&truth, recursion, generations, SEED, item);
        truth.risk(&last.unwrap_or_else(|refusal| panic!("{rows} rows: {refusal}")))
    })
}

/// Dohmatob, Feng, Kempe 2024, "Model Collapse Demystified: The Case of Regression", arXiv 2402.07712,
/// and Gerstgrasser et al. 2024, "Is Model Collapse Inevitable?", arXiv 2404.01413: with least squares
/// and replaced data the risk grows as `n σ² d/(T − d − 1)`.
///
/// One z-test per number of generations at |z| ≤ 6.5 with the variance of 20,000 risks.
#[test]
fn the_risk_of_least_squares_grows_linearly_with_the_generations() {
    let (rows, d) = (20, 3);
    for generations in [1, 3, 6] {
        let recursion = Recursion::replace(rows).named("published-replace");
        let (risk, error) = estimate(&risks(rows, generations, &recursion));
        let published = generations as f64 * NOISE * NOISE * d as f64 / (rows - d - 1) as f64;
        assert!((risk - published).abs() <= Z_LIMIT * error, "{risk} against {published}");
        let ours = replace_risk(rows, d, generations, NOISE).expect("twenty rows");
        assert!((ours - published).abs() <= 1e-15 * published);
        // Power: T − d in the denominator is rejected.
        let wrong = published * (rows - d - 1) as f64 / (rows - d) as f64;
        assert!((risk - wrong).abs() > Z_LIMIT * error);
    }
}

/// Gerstgrasser et al. 2024, arXiv 2404.01413: with accumulated data the risk stays below
/// `(π²/6) σ² d/(T − d − 1)` however many generations there are.
#[test]
fn the_risk_of_accumulated_data_stays_below_the_published_bound() {
    for rows in [5, 6, 9, 20, 100, 10_000] {
        for d in [1, 2, 3, 10, 90] {
            let Ok(bound) = accumulate_bound(rows, d, 1.0) else { continue };
            let limit = accumulate_limit(rows, d).expect("the bound's domain");
            assert!(limit < bound, "{rows} {d}: {limit} against {bound}");
            let mut before = 0.0;
            for generations in [1, 2, 5, 50, 1_000_000] {
                let risk = accumulate_risk(rows, d, generations, 1.0).expect("the bound's domain");
                assert!(before < risk && risk <= limit, "{rows} {d} {generations}: {risk}");
                before = risk;
            }
        }
    }
    // At d = 3, T = 9 the limit is 86 % of the bound.
    let share =
        accumulate_limit(9, 3).expect("T = 9") / accumulate_bound(9, 3, 1.0).expect("T = 9");
    assert!((share - 0.863).abs() < 5e-4, "{share}");
    let recursion = Recursion::accumulate(20).named("published-accumulate");
    let (risk, error) = estimate(&risks(20, 8, &recursion));
    let exact = accumulate_risk(20, 3, 8, NOISE).expect("twenty rows");
    let bound = accumulate_bound(20, 3, NOISE).expect("twenty rows");
    assert!((risk - exact).abs() <= Z_LIMIT * error, "{risk} against {exact}");
    assert!(risk + Z_LIMIT * error < bound, "{risk} against the bound {bound}");
}

/// Dohmatob, Feng, Subramonian, Kempe 2024, "Strong Model Collapse", arXiv 2410.04840: a fixed share
/// `p2` of synthetic rows leaves an error of `p2²|δ|²` however many rows there are.
#[test]
fn strong_model_collapse_leaves_a_plateau() {
    let (d, share, distance) = (3, 0.2, 1.5f64);
    let truth = Linear::new(&[1.0, -0.5, 2.0], NOISE, 0.0);
    let mut shifted = truth.clone();
    shifted.weights[1] += distance.sqrt();
    let plateau = distance * strong_collapse_plateau(share, 0.0).expect("a share");
    assert!((plateau - distance * share * share).abs() <= 1e-15);
    let mut least = f64::INFINITY;
    for rows in [50, 500, 5_000, 50_000] {
        let (real, fake) = (rows - rows / 5, rows / 5);
        let risks = replicates(4_000, |item| {
            let mut stream = Stream::new(SEED, "published-plateau", rows as u64, item);
            let mut pool = truth.pool();
            truth.draw(&mut pool, real, 1.0, &mut stream);
            shifted.draw(&mut pool, fake, 1.0, &mut stream);
            truth.risk(&truth.fit(&pool).expect("fifty rows"))
        });
        let (risk, error) = estimate(&risks);
        let exact = strong_collapse_risk(real, fake, d, NOISE, distance).expect("fifty rows");
        assert!((risk - exact).abs() <= Z_LIMIT * error, "{rows}: {risk} against {exact}");
        assert!(risk - Z_LIMIT * error < least && exact > plateau, "{rows}: {risk}");
        least = risk;
    }
    // A thousand times more rows: within 1 % of the plateau, far from zero.
    assert!((least / plateau - 1.0).abs() <= 0.01, "{least} against {plateau}");
}
