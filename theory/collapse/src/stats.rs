//! The few statistics that the checks and the benchmark need.

use rayon::prelude::*;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The two-sided limit of every statistical check: a normal statistic passes it with probability
/// 8.0e-11, so 250 checks raise a false alarm with probability below 1e-6 even where skewness
/// inflates the tail fifty-fold.
pub const Z_LIMIT: f64 = 6.5;

/// `KS_LIMIT/√R` is the limit of a Kolmogorov–Smirnov distance of `R` independent values; by the
/// bound of Dvoretzky, Kiefer, Wolfowitz and Massart it is passed with probability below 4e-9.
pub const KS_LIMIT: f64 = 3.165;

/// An estimate with its confidence limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The estimate.
    pub mean: f64,
    /// The lower limit.
    pub low: f64,
    /// The upper limit.
    pub high: f64,
}

/// The arithmetic mean, summed in order.
///
/// # Panics
/// If there is no sample.
pub fn mean(samples: &[f64]) -> f64 {
    assert!(!samples.is_empty(), "stats::mean: no samples");
    samples.iter().sum::<f64>() / samples.len() as f64
}

/// `Σ(x − x̄)²/(n − 1)` in two passes.
///
/// # Panics
/// If there are fewer than two samples.
pub fn variance(samples: &[f64]) -> f64 {
    assert!(samples.len() > 1, "stats::variance: {} samples, at least 2 needed", samples.len());
    let center = mean(samples);
    let squares: f64 = samples.iter().map(|x| (x - center) * (x - center)).sum();
    squares / (samples.len() - 1) as f64
}

/// `(x̄ − expected)/√(variance/n)` for samples of known variance.
pub fn z_statistic(samples: &[f64], expected: f64, variance: f64) -> f64 {
    (mean(samples) - expected) / (variance / samples.len() as f64).sqrt()
}

/// The largest distance between the samples' empirical distribution and `cdf`.
pub fn ks_distance(samples: &[f64], cdf: impl Fn(f64) -> f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    sorted.iter().enumerate().fold(0.0f64, |worst, (index, &x)| {
        let (below, above) = (index as f64 / n, (index + 1) as f64 / n);
        worst.max(cdf(x) - below).max(above - cdf(x))
    })
}

/// Student's interval `x̄ ± t·s/√n` at the given confidence, for example 0.95.
///
/// # Panics
/// If there are fewer than two samples or `confidence` is not strictly between 0 and 1.
pub fn t_interval(samples: &[f64], confidence: f64) -> Interval {
    let mean = mean(samples);
    let n = samples.len() as f64;
    let half = t_quantile(n - 1.0, confidence) * (variance(samples) / n).sqrt();
    Interval { mean, low: mean - half, high: mean + half }
}

/// Student's interval of the mean of the paired differences `a_i − b_i`. For a ratio of positive
/// quantities give their logarithms.
///
/// # Panics
/// If the lengths differ, or as [`t_interval`].
pub fn paired_t_interval(a: &[f64], b: &[f64], confidence: f64) -> Interval {
    assert_eq!(a.len(), b.len(), "stats::paired_t_interval: numbers of samples");
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    t_interval(&differences, confidence)
}

/// The two-sided quantile: `P(|T| ≤ t) = confidence` with the given degrees of freedom.
///
/// # Panics
/// If `freedom` is not positive or `confidence` not strictly between 0 and 1.
pub fn t_quantile(freedom: f64, confidence: f64) -> f64 {
    assert!(
        confidence > 0.0 && confidence < 1.0,
        "stats: the confidence {confidence} is not inside (0, 1)"
    );
    let law = StudentsT::new(0.0, 1.0, freedom).expect("stats: degrees of freedom are positive");
    law.inverse_cdf(0.5 + 0.5 * confidence)
}

/// `f(0), f(1), …` computed on all cores and returned in order, so that no sum over them depends
/// on the number of threads.
pub fn replicates<X: Send>(count: u64, f: impl Fn(u64) -> X + Sync + Send) -> Vec<X> {
    (0..count).into_par_iter().map(f).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fortifai_stream::Stream;

    #[test]
    fn moments_by_hand() {
        // 1, 2, 6: mean 3, deviations −2, −1, 3, variance 14/2.
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
        assert_eq!(variance(&[1.0, 2.0, 6.0]), 7.0);
        // (3 − 2)/√(3/3).
        assert_eq!(z_statistic(&[1.0, 2.0, 6.0], 2.0, 3.0), 1.0);
    }

    #[test]
    fn the_distance_of_two_points_from_the_uniform_law() {
        // At 0.1 the empirical law jumps to 1/2 (distance 0.4), at 0.6 from 1/2 to 1 (0.4).
        assert!((ks_distance(&[0.6, 0.1], |x| x) - 0.4).abs() <= 1e-15);
    }

    #[test]
    fn quantiles_agree_with_algebra() {
        // ν = 1: tan(πc/2). ν = 2: c√(2/(1 − c²)).
        for c in [0.5, 0.9, 0.95, 0.99] {
            for (nu, truth) in [
                (1.0, (std::f64::consts::FRAC_PI_2 * c).tan()),
                (2.0, c * (2.0 / (1.0 - c * c)).sqrt()),
            ] {
                let t = t_quantile(nu, c);
                assert!((t - truth).abs() <= 1e-10 * truth, "{nu} {c}: {t} against {truth}");
            }
        }
    }

    #[test]
    fn an_interval_by_hand() {
        // Differences 1, 2, 3: mean 2, variance 1, half-width t/√3 with ν = 2.
        let interval = paired_t_interval(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0], 0.95);
        let half = 0.95 * (2.0f64 / (1.0 - 0.9025)).sqrt() / 3f64.sqrt();
        assert_eq!(interval.mean, 2.0);
        assert!((interval.high - 2.0 - half).abs() <= 1e-9, "{interval:?}");
        assert!((interval.low - 2.0 + half).abs() <= 1e-9, "{interval:?}");
    }

    #[test]
    fn intervals_of_normal_samples_cover_as_often_as_they_say() {
        // The number of hits is Binomial(20000, 0.95): |z| ≤ 6.5, false alarm 1e-10; one test.
        let cover = |quantile_scale: f64| {
            let hits = replicates(20_000, |item| {
                let mut stream = Stream::new(1, "coverage", 0, item);
                let samples: Vec<f64> = (0..5).map(|_| stream.normal()).collect();
                let interval = t_interval(&samples, 0.95);
                let half = quantile_scale * (interval.high - interval.mean);
                f64::from(u8::from(interval.mean.abs() <= half))
            });
            z_statistic(&hits, 0.95, 0.95 * 0.05)
        };
        assert!(cover(1.0).abs() <= Z_LIMIT);
        // Power: the normal quantile 1.96 in place of Student's 2.776 is rejected.
        assert!(cover(1.959_964 / 2.776_445).abs() > Z_LIMIT);
    }
}
