//! A Gaussian that is fitted to its own samples.
//!
//! With `ν = n − 1` and `m = ν` (unbiased) or `m = n` (MLE), replacing the data gives
//! `σ_t² = σ_0² Π_k X_k/m` with independent `X_k ~ χ²_ν`, and
//! `μ_t = μ_0 + Σ_k σ_{k−1} Z_k/√n` with `Z_k` independent of every `X`. The closed forms below
//! follow; they are stated for `σ_0 = 1` and `μ_0 = 0`.

use crate::prediction::{Kind, Prediction};
use crate::protocol::{Protocol, variance_kept};
use crate::special::{ln_gamma_ratio, trigamma};
use fortifai_stream::Stream;
use serde::{Deserialize, Serialize};
use statrs::function::gamma::{digamma, gamma};

/// The divisor of the sum of squares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Divisor {
    /// The number of samples less one.
    Unbiased,
    /// The number of samples: maximum likelihood.
    Mle,
}

impl Divisor {
    /// The divisor for `count` samples.
    pub fn of(self, count: usize) -> f64 {
        match self {
            Self::Unbiased => count as f64 - 1.0,
            Self::Mle => count as f64,
        }
    }
}

/// A normal law.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gaussian {
    /// The mean.
    pub mean: f64,
    /// The variance.
    pub var: f64,
}

impl Gaussian {
    /// Mean 0, variance 1.
    pub const STANDARD: Self = Self { mean: 0.0, var: 1.0 };

    /// The standard deviation.
    pub fn std_dev(&self) -> f64 {
        self.var.sqrt()
    }

    /// One sample.
    pub fn sample(&self, stream: &mut Stream) -> f64 {
        self.mean + self.std_dev() * stream.normal()
    }

    /// The law fitted to the samples.
    ///
    /// # Panics
    /// If there are fewer than two samples.
    pub fn fit(samples: &[f64], divisor: Divisor) -> Self {
        let mut pool = Pool::default();
        pool.add(samples);
        pool.fit(divisor)
    }
}

/// Count, mean and sum of squared deviations of all samples so far.
#[derive(Clone, Copy, Debug, Default)]
struct Pool {
    count: usize,
    mean: f64,
    squares: f64,
}

impl Pool {
    /// Merges a block (Chan, Golub, LeVeque 1979): the block's own two-pass sums, then
    /// `S += S_b + δ²·N·n/(N + n)`.
    fn add(&mut self, block: &[f64]) {
        let (old, new) = (self.count as f64, block.len() as f64);
        let mean = block.iter().sum::<f64>() / new;
        let squares: f64 = block.iter().map(|x| (x - mean) * (x - mean)).sum();
        let delta = mean - self.mean;
        self.mean += delta * new / (old + new);
        self.squares += squares + delta * delta * old * new / (old + new);
        self.count += block.len();
    }

    fn fit(&self, divisor: Divisor) -> Gaussian {
        assert!(self.count > 1, "Gaussian::fit: {} samples, at least 2 needed", self.count);
        Gaussian { mean: self.mean, var: self.squares / divisor.of(self.count) }
    }
}

/// Generations `0..=generations`, the first of them the truth.
///
/// | argument | meaning |
/// |---|---|
/// | `n` | samples per generation, at least 2 |
/// | `seed`, `item` | the random numbers of generation `k` are the stream `(seed, "gaussian", k, item)` |
///
/// # Panics
/// If `n` is below 2.
pub fn chain(
    truth: Gaussian,
    n: usize,
    generations: usize,
    protocol: Protocol,
    divisor: Divisor,
    seed: u64,
    item: u64,
) -> Vec<Gaussian> {
    let mut models = vec![truth];
    let mut pool = Pool::default();
    let mut model = truth;
    for generation in 1..=generations {
        let mut stream = Stream::new(seed, "gaussian", generation as u64, item);
        let block: Vec<f64> = (0..n).map(|_| model.sample(&mut stream)).collect();
        if protocol == Protocol::Replace {
            pool = Pool::default();
        }
        pool.add(&block);
        model = pool.fit(divisor);
        models.push(model);
    }
    models
}

/// `c₄(n) = √(2/(n−1)) Γ(n/2)/Γ((n−1)/2)`, the factor by which the unbiased standard deviation
/// shrinks on average per generation.
pub fn c4(n: usize) -> Prediction {
    let nu = n as f64 - 1.0;
    exact(
        "G1 factor of the standard deviation",
        "c4(n) = √(2/(n−1)) Γ(n/2) / Γ((n−1)/2)",
        (0.5 * (2.0 / nu).ln() + ln_gamma_ratio(0.5 * nu, 0.5)).exp(),
        "arXiv 2310.00429 for E σ_t",
    )
}

/// `E σ_t^{2s} = [(2/m)^s Γ(ν/2 + s)/Γ(ν/2)]^t` when the data are replaced, for `s > −ν/2`.
pub fn expected_power(n: usize, generations: usize, s: f64, divisor: Divisor) -> Prediction {
    let nu = n as f64 - 1.0;
    let per_generation = s * (2.0 / divisor.of(n)).ln() + ln_gamma_ratio(0.5 * nu, s);
    exact(
        "G1 expected power of the variance",
        "E σ_t^2s = [(2/m)^s Γ(ν/2+s) / Γ(ν/2)]^t",
        (generations as f64 * per_generation).exp(),
        "product of independent χ²; s = 1 in arXiv 2307.01850",
    )
}

/// `E ln σ_t² = t·[ψ(ν/2) + ln(2/m)]` when the data are replaced: the typical rate of collapse.
pub fn expected_log(n: usize, generations: usize, divisor: Divisor) -> Prediction {
    let nu = n as f64 - 1.0;
    exact(
        "G2 expected logarithm of the variance",
        "E ln σ_t² = t [ψ(ν/2) + ln(2/m)]",
        generations as f64 * (digamma(0.5 * nu) + (2.0 / divisor.of(n)).ln()),
        "logarithm of a product of independent χ²",
    )
}

/// `Var ln σ_t² = t·ψ'(ν/2)` when the data are replaced, for both divisors.
pub fn variance_of_log(n: usize, generations: usize) -> Prediction {
    exact(
        "G2 variance of the logarithm of the variance",
        "Var ln σ_t² = t ψ'(ν/2)",
        generations as f64 * trigamma(0.5 * (n as f64 - 1.0)),
        "logarithm of a product of independent χ²",
    )
}

/// `Var μ_t` when the data are replaced: `t/n` (unbiased) or `1 − (1 − 1/n)^t` (MLE).
pub fn mean_drift(n: usize, generations: usize, divisor: Divisor) -> Prediction {
    let (n, t) = (n as f64, generations as f64);
    let value = match divisor {
        Divisor::Unbiased => t / n,
        Divisor::Mle => -(t * (-1.0 / n).ln_1p()).exp_m1(),
    };
    exact(
        "G3 variance of the mean",
        "Var μ_t = t/n (unbiased), 1 − (1 − 1/n)^t (MLE)",
        value,
        "leading order in arXiv 2305.17493",
    )
}

/// `E σ_t²` when the data accumulate: `Π_{k≤t} (1 − 1/(nk²))` (MLE) or
/// `Π_{2≤k≤t} (1 − 1/(k(kn − 1)))` (unbiased).
pub fn accumulate_variance(n: usize, generations: usize, divisor: Divisor) -> Prediction {
    let value = match divisor {
        Divisor::Mle => variance_kept(&Protocol::Accumulate.blocks(n, generations)).value,
        Divisor::Unbiased => (2..=generations).fold(1.0, |kept, k| {
            let k = k as f64;
            kept * (1.0 - 1.0 / (k * (k * n as f64 - 1.0)))
        }),
    };
    exact(
        "G8 expected variance, accumulated data",
        "E σ_t² = Π_{k=1..t} (1 − 1/(n k²)) (MLE), Π_{k=2..t} (1 − 1/(k(kn − 1))) (unbiased)",
        value,
        "arXiv 2410.16713 for the MLE",
    )
}

/// The limit of [`accumulate_variance`] for many generations: `sin(πx)/(πx)` with `x = 1/√n`
/// (MLE), or `Γ(2 − 1/n)/(Γ(2 − r₊)Γ(2 − r₋))` with `r± = (1 ± √(1 + 4n))/(2n)` (unbiased).
pub fn accumulate_limit(n: usize, divisor: Divisor) -> Prediction {
    let n = n as f64;
    let value = match divisor {
        Divisor::Mle => {
            let angle = std::f64::consts::PI / n.sqrt();
            angle.sin() / angle
        }
        Divisor::Unbiased => {
            let root = (1.0 + 4.0 * n).sqrt();
            let (plus, minus) = ((1.0 + root) / (2.0 * n), (1.0 - root) / (2.0 * n));
            gamma(2.0 - 1.0 / n) / (gamma(2.0 - plus) * gamma(2.0 - minus))
        }
    };
    exact(
        "G8 limit of the expected variance, accumulated data",
        "sin(π/√n)/(π/√n) (MLE), Γ(2−1/n)/(Γ(2−r₊)Γ(2−r₋)) (unbiased)",
        value,
        "arXiv 2410.16713 for the MLE",
    )
}

/// `E σ_t⁴ = Π_k [(1 − 1/(nk²))² + 2(n − 1 + (1 − 1/k)²)/(n²k²)]` when the data accumulate (MLE).
pub fn accumulate_fourth(n: usize, generations: usize) -> Prediction {
    let n = n as f64;
    let value = (1..=generations).fold(1.0, |product, k| {
        let k = k as f64;
        let mean = 1.0 - 1.0 / (n * k * k);
        let spread = 2.0 * (n - 1.0 + (1.0 - 1.0 / k).powi(2)) / (n * n * k * k);
        product * (mean * mean + spread)
    });
    exact(
        "G8 expected squared variance, accumulated data",
        "E σ_t⁴ = Π_k [(1 − 1/(nk²))² + 2(n − 1 + (1 − 1/k)²)/(n²k²)] (MLE)",
        value,
        "independent factors with χ²_{n−1} and χ²_1 parts",
    )
}

fn exact(
    name: &'static str,
    formula: &'static str,
    value: f64,
    source: &'static str,
) -> Prediction {
    Prediction { name, formula, value, kind: Kind::Exact, source }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(Gaussian::fit(&samples, Divisor::Mle), Gaussian { mean: 3.0, var: 14.0 / 3.0 });
        assert_eq!(Gaussian::fit(&samples, Divisor::Unbiased).var, 7.0);
        let mut pool = Pool::default();
        pool.add(&samples[..1]);
        pool.add(&samples[1..]);
        let merged = pool.fit(Divisor::Unbiased);
        assert!((merged.mean - 3.0).abs() <= 1e-15 && (merged.var - 7.0).abs() <= 1e-14);
    }

    /// The squared ratios `ν σ_t²/σ_{t−1}²` and the normalised drift of every replicate.
    fn chains(divisor: Divisor, generations: usize) -> Vec<Vec<Gaussian>> {
        replicates(40_000, |item| {
            chain(Gaussian::STANDARD, 10, generations, Protocol::Replace, divisor, SEED, item)
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
                let variance: f64 =
                    run[first..first + 5].iter().map(|model| model.var / 10.0).sum();
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
            let (protocol, divisor) = (Protocol::Accumulate, Divisor::Mle);
            chain(Gaussian::STANDARD, 6, 8, protocol, divisor, SEED, item)[8].var
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

    #[test]
    fn chains_repeat_and_do_not_depend_on_their_length() {
        let run =
            |t| chain(Gaussian::STANDARD, 4, t, Protocol::Accumulate, Divisor::Unbiased, 3, 9);
        assert_eq!(run(6)[..4], run(3)[..]);
    }
}
