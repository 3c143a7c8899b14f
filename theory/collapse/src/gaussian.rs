//! A Gaussian that is fitted to its own samples.
//!
//! With `ν = n − 1` and `m = ν` (unbiased) or `m = n` (MLE), replacing the data gives
//! `σ_t² = σ_0² Π_k X_k/m` with independent `X_k ~ χ²_ν`, and
//! `μ_t = μ_0 + Σ_k σ_{k−1} Z_k/√n` with `Z_k` independent of every `X`. The closed forms below
//! follow; they are stated for `σ_0 = 1` and `μ_0 = 0`.

use crate::prediction::Kind;
use crate::protocol::{Protocol, variance_kept};
use crate::special::{ln_gamma_ratio, trigamma};
use crate::stated::Stated;
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
pub fn c4(n: usize) -> Stated {
    let nu = n as f64 - 1.0;
    exact(
        "G1 factor of the standard deviation",
        "c4(n) = √(2/(n−1)) Γ(n/2) / Γ((n−1)/2)",
        (0.5 * (2.0 / nu).ln() + ln_gamma_ratio(0.5 * nu, 0.5)).exp(),
        "arXiv 2310.00429 for E σ_t",
    )
}

/// `E σ_t^{2s} = [(2/m)^s Γ(ν/2 + s)/Γ(ν/2)]^t` when the data are replaced, for `s > −ν/2`.
pub fn expected_power(n: usize, generations: usize, s: f64, divisor: Divisor) -> Stated {
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
pub fn expected_log(n: usize, generations: usize, divisor: Divisor) -> Stated {
    let nu = n as f64 - 1.0;
    exact(
        "G2 expected logarithm of the variance",
        "E ln σ_t² = t [ψ(ν/2) + ln(2/m)]",
        generations as f64 * (digamma(0.5 * nu) + (2.0 / divisor.of(n)).ln()),
        "logarithm of a product of independent χ²",
    )
}

/// `Var ln σ_t² = t·ψ'(ν/2)` when the data are replaced, for both divisors.
pub fn variance_of_log(n: usize, generations: usize) -> Stated {
    exact(
        "G2 variance of the logarithm of the variance",
        "Var ln σ_t² = t ψ'(ν/2)",
        generations as f64 * trigamma(0.5 * (n as f64 - 1.0)),
        "logarithm of a product of independent χ²",
    )
}

/// `Var μ_t` when the data are replaced: `t/n` (unbiased) or `1 − (1 − 1/n)^t` (MLE).
pub fn mean_drift(n: usize, generations: usize, divisor: Divisor) -> Stated {
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
///
/// The first product falls, and stays positive:
/// Proved: `accumulate_decreases` in `theory/proofs/accumulate.v`.
/// Proved: `accumulate_bound` in `theory/proofs/accumulate.v`.
/// Proved: `accumulate_stays_positive` in `theory/proofs/accumulate.v`.
pub fn accumulate_variance(n: usize, generations: usize, divisor: Divisor) -> Stated {
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
pub fn accumulate_limit(n: usize, divisor: Divisor) -> Stated {
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
pub fn accumulate_fourth(n: usize, generations: usize) -> Stated {
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

fn exact(name: &'static str, formula: &'static str, value: f64, source: &'static str) -> Stated {
    Stated { name, formula, value, kind: Kind::Exact, source }
}

#[cfg(test)]
mod tests;
