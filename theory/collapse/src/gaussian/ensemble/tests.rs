use super::*;
use crate::check::Outcome;
use crate::gaussian::Divisor;
use crate::special::trigamma;
use statrs::distribution::{ChiSquared, ContinuousCDF};
use statrs::function::gamma::digamma;

/// Both ways.
fn both(ensemble: Ensemble, divisor: Divisor) -> [Vec<Gaussian>; 2] {
    let truth = Gaussian::standard(divisor);
    [ensemble.by_every_sample(truth).unwrap(), ensemble.by_statistics(truth).unwrap()]
}

#[test]
fn one_generation_has_a_chi_squared_variance() {
    for n in [2, 3, 4, 10, 37] {
        let ensemble = Ensemble { n, generations: 1, replicates: 40_000, seed: 3 };
        for models in both(ensemble, Divisor::Unbiased) {
            let nu = n as f64 - 1.0;
            let pivots: Vec<f64> = models.iter().map(|model| nu * model.var).collect();
            let law = |freedom| ChiSquared::new(freedom).unwrap();
            let (right, wrong) = (law(nu), law(nu + 1.0));
            let outcome = Outcome::law(
                "variance",
                &pivots,
                |x| right.cdf(x),
                &[("n for n − 1", &|x| wrong.cdf(x))],
            );
            assert!(outcome.passed && outcome.mistakes[0].rejected, "{n}: {outcome:?}");
        }
    }
}

#[test]
fn chains_collapse_at_the_typical_rate_and_drift_as_predicted() {
    let (n, generations, replicates) = (10, 5, 50_000);
    let ensemble = Ensemble { n, generations, replicates, seed: 1 };
    for models in both(ensemble, Divisor::Unbiased) {
        let half = 0.5 * (n as f64 - 1.0);
        let rate = generations as f64 * (digamma(half) - half.ln());
        let logs: Vec<f64> = models.iter().map(|model| model.var.ln()).collect();
        let variance = generations as f64 * trigamma(half);
        let outcome = Outcome::known("ln σ²", &logs, rate, variance)
            .mistake(
                "n for n − 1",
                generations as f64 * (digamma(0.5 * n as f64) - (0.5 * n as f64).ln()),
            )
            .mistake("one generation more", rate * 1.2);
        assert!(outcome.passed && outcome.mistakes.iter().all(|m| m.rejected), "{outcome:?}");
        // E μ² = t/n.
        let squares: Vec<f64> = models.iter().map(|model| model.mean * model.mean).collect();
        let outcome = Outcome::empirical("μ²", &squares, 0.5).mistake("n − 1 for n", 5.0 / 9.0);
        assert!(outcome.passed && outcome.mistakes[0].rejected, "{outcome:?}");
    }
}

#[test]
fn blocks_and_threads_change_no_bit() {
    let ensemble = Ensemble { n: 7, generations: 3, replicates: 1500, seed: 9 };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| both(ensemble, Divisor::Mle))
    };
    let one = on(1);
    assert_eq!(on(3), one);
    let fewer = both(Ensemble { replicates: 1024, ..ensemble }, Divisor::Mle);
    // Whole blocks do not depend on how many chains follow.
    assert_eq!(one[1][..1024], fewer[1][..]);
    assert_eq!(one[0].len(), 1500);
}

#[test]
fn one_sample_is_no_generation() {
    let ensemble = Ensemble { n: 1, generations: 3, replicates: 10, seed: 9 };
    let said = ensemble.by_every_sample(Gaussian::standard(Divisor::Mle)).unwrap_err().to_string();
    assert_eq!(said, "n = 1, but n ≥ 2 is needed.");
}
