//! The Bernoulli and the Poisson law and their fits.

use crate::model::{Model, picks};
use crate::refusal::{Refusal, require};
use fortifai_stream::Stream;
use rand_distr::{Binomial, Distribution};

/// A coin with the given probability of a one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bernoulli {
    /// The probability, from 0 to 1.
    pub p: f64,
}

/// How many samples there are, and how many of them are ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All samples.
    pub count: u64,
    /// The ones.
    pub ones: u64,
}

impl Model for Bernoulli {
    type Pool = Tally;

    fn pool(&self) -> Tally {
        Tally::default()
    }

    /// By the binomial law of the ones.
    fn draw(&self, pool: &mut Tally, count: usize, bias: f64, stream: &mut Stream) {
        let power = |p: f64| if bias == 1.0 { p } else { p.powf(1.0 / bias) };
        let (one, zero) = (power(self.p), power(1.0 - self.p));
        pool.ones += binomial(count as u64, one / (one + zero), stream);
        pool.count += count as u64;
    }

    fn subsample(
        &self,
        pool: &Tally,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Tally {
        let count = count as u64;
        if with_replacement {
            let share = pool.ones as f64 / pool.count as f64;
            return Tally { count, ones: binomial(count, share, stream) };
        }
        let mut left = *pool;
        for _ in 0..count {
            left.ones -= u64::from((stream.below(left.count as usize) as u64) < left.ones);
            left.count -= 1;
        }
        Tally { count, ones: pool.ones - left.ones }
    }

    /// The share of ones.
    fn fit(&self, pool: &Tally) -> Result<Self, Refusal> {
        require(pool.count > 0, "the number of samples", pool.count, "at least one")?;
        Ok(Self { p: pool.ones as f64 / pool.count as f64 })
    }
}

fn binomial(count: u64, p: f64, stream: &mut Stream) -> u64 {
    Binomial::new(count, p).expect("Bernoulli: p is a probability").sample(stream)
}

/// A Poisson law with the given rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Poisson {
    /// The rate, not negative.
    pub rate: f64,
}

/// How many samples there are, their sum, and the samples themselves where a subsample will be
/// drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    count: usize,
    sum: f64,
    samples: Option<Vec<f64>>,
}

impl Model for Poisson {
    type Pool = Counts;

    fn pool(&self) -> Counts {
        Counts::default()
    }

    fn pool_of_samples(&self) -> Counts {
        Counts { samples: Some(Vec::new()), ..Counts::default() }
    }

    /// By the Poisson law of the sum; `bias` multiplies the rate, which is the variance.
    fn draw(&self, pool: &mut Counts, count: usize, bias: f64, stream: &mut Stream) {
        let rate = bias * self.rate;
        pool.count += count;
        let Some(samples) = &mut pool.samples else {
            pool.sum += poisson(rate * count as f64, stream);
            return;
        };
        for _ in 0..count {
            let sample = poisson(rate, stream);
            samples.push(sample);
            pool.sum += sample;
        }
    }

    fn subsample(
        &self,
        pool: &Counts,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Counts {
        let samples = pool.samples.as_ref().expect("Poisson::subsample: the pool keeps samples");
        let places = picks(samples.len(), count, with_replacement, stream);
        let sum = places.into_iter().map(|place| samples[place]).sum();
        Counts { count, sum, samples: None }
    }

    /// The mean of the samples.
    fn fit(&self, pool: &Counts) -> Result<Self, Refusal> {
        require(pool.count > 0, "the number of samples", pool.count, "at least one")?;
        Ok(Self { rate: pool.sum / pool.count as f64 })
    }
}

/// A Poisson number; beyond 10¹⁵, where `f64` resolves no single count of its spread, the normal
/// law with the same moments.
fn poisson(mean: f64, stream: &mut Stream) -> f64 {
    if mean <= 0.0 {
        return 0.0;
    }
    if mean > 1e15 {
        return (mean + mean.sqrt() * stream.normal()).round();
    }
    rand_distr::Poisson::new(mean).expect("Poisson: the mean is positive").sample(stream)
}
