//! The Gaussian and its fit.

use crate::model::{Model, picks};
use crate::refusal::{Refusal, require};
use fortifai_stream::Stream;
use rand_distr::{ChiSquared, Distribution};
use serde::{Deserialize, Serialize};

/// The divisor of the sum of squares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Divisor {
    /// The number of samples less one.
    Unbiased,
    /// The number of samples: maximum likelihood.
    Mle,
    /// This positive number, however many samples there are.
    Fixed(f64),
}

impl Divisor {
    /// The divisor for `count` samples.
    pub fn of(self, count: usize) -> f64 {
        match self {
            Self::Unbiased => count as f64 - 1.0,
            Self::Mle => count as f64,
            Self::Fixed(number) => number,
        }
    }

    /// The divisor `m` of `n ≥ 2` samples for the closed forms.
    pub(super) fn checked(self, n: usize) -> Result<f64, Refusal> {
        require(n >= 2, "n", n, "n ≥ 2")?;
        let m = self.of(n);
        require(m > 0.0 && m.is_finite(), "divisor", m, "a positive finite number")?;
        Ok(m)
    }
}

/// `ln(ν/m)`, exact where the two are close.
pub(super) fn ln_quotient(nu: f64, m: f64) -> f64 {
    let gap = (nu - m) / m;
    if gap.abs() < 0.5 { gap.ln_1p() } else { (nu / m).ln() }
}

/// A normal law that is fitted with the given divisor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gaussian {
    /// The mean.
    pub mean: f64,
    /// The variance.
    pub var: f64,
    /// The divisor of its fits.
    pub divisor: Divisor,
}

impl Gaussian {
    /// Mean 0, variance 1.
    pub fn standard(divisor: Divisor) -> Self {
        Self { mean: 0.0, var: 1.0, divisor }
    }

    /// The standard deviation.
    pub fn std_dev(&self) -> f64 {
        self.var.sqrt()
    }

    /// One sample.
    pub fn sample(&self, stream: &mut Stream) -> f64 {
        self.mean + self.std_dev() * stream.normal()
    }
}

/// Count, mean and sum of squared deviations of samples, and the samples themselves where a
/// subsample will be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    count: usize,
    mean: f64,
    squares: f64,
    samples: Option<Vec<f64>>,
}

impl Pool {
    /// The statistics of the given samples.
    pub fn of(samples: &[f64]) -> Self {
        let mut pool = Self::default();
        pool.add(samples);
        pool
    }

    /// How many samples it holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Their sum of squared deviations from the mean.
    pub fn squares(&self) -> f64 {
        self.squares
    }

    /// Adds samples; their own sums are taken in two passes.
    pub fn add(&mut self, block: &[f64]) {
        if block.is_empty() {
            return;
        }
        let mean = block.iter().sum::<f64>() / block.len() as f64;
        let squares = block.iter().map(|x| (x - mean) * (x - mean)).sum();
        self.merge(block.len(), mean, squares);
        if let Some(samples) = &mut self.samples {
            samples.extend_from_slice(block);
        }
    }

    /// Merges a block of known sums (Chan, Golub, LeVeque 1979): `S += S_b + δ²·N·n/(N + n)`.
    fn merge(&mut self, count: usize, mean: f64, squares: f64) {
        let (old, new) = (self.count as f64, count as f64);
        let delta = mean - self.mean;
        self.mean += delta * new / (old + new);
        self.squares += squares + delta * delta * old * new / (old + new);
        self.count += count;
    }
}

impl Model for Gaussian {
    type Pool = Pool;

    fn pool(&self) -> Pool {
        Pool::default()
    }

    fn pool_of_samples(&self) -> Pool {
        Pool { samples: Some(Vec::new()), ..Pool::default() }
    }

    /// By the exact law of its statistics, the mean `N(μ, σ²/n)` and independent of it the sum of
    /// squares `σ² χ²_{n−1}`, unless the pool keeps samples.
    fn draw(&self, pool: &mut Pool, count: usize, bias: f64, stream: &mut Stream) {
        if count == 0 {
            return;
        }
        let std_dev = (bias * self.var).sqrt();
        if pool.samples.is_some() {
            let normal = |_| self.mean + std_dev * stream.normal();
            pool.add(&(0..count).map(normal).collect::<Vec<f64>>());
            return;
        }
        let mean = self.mean + std_dev / (count as f64).sqrt() * stream.normal();
        pool.merge(count, mean, bias * self.var * chi_squared(count - 1, stream));
    }

    fn subsample(
        &self,
        pool: &Pool,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Pool {
        let samples = pool.samples.as_ref().expect("Gaussian::subsample: the pool keeps samples");
        let places = picks(samples.len(), count, with_replacement, stream);
        Pool::of(&places.into_iter().map(|place| samples[place]).collect::<Vec<f64>>())
    }

    /// The pool's mean, and its sum of squares over the divisor.
    fn fit(&self, pool: &Pool) -> Result<Self, Refusal> {
        let divisor = self.divisor.of(pool.count);
        require(pool.count > 0, "the number of samples", pool.count, "at least one")?;
        require(divisor > 0.0, "the divisor of the variance", divisor, "a positive number")?;
        let var = pool.squares / divisor;
        require(var.is_finite() && pool.mean.is_finite(), "the variance", var, "a finite one")?;
        Ok(Self { mean: pool.mean, var, divisor: self.divisor })
    }
}

/// A sample of χ² with any number of degrees of freedom, of which none gives 0.
pub(crate) fn chi_squared(freedom: usize, stream: &mut Stream) -> f64 {
    if freedom == 0 {
        return 0.0;
    }
    ChiSquared::new(freedom as f64).expect("chi_squared: positive freedom").sample(stream)
}
