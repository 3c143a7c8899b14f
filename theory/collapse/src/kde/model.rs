//! The kernel density estimate as a model.

use crate::model::{Model, picks};
use crate::refusal::{Refusal, require};
use fortifai_stream::Stream;
use std::f64::consts::TAU;
use std::sync::Arc;

/// How wide the kernel is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bandwidth {
    /// `h` itself.
    Fixed(f64),
    /// `h = c s n^(−1/5)`, `s` the standard deviation of the samples with divisor `n`.
    Adaptive(f64),
    /// The same `h`, but the density is shrunk about its mean to the variance `s²`.
    Shrunk(f64),
}

/// A normal law, or a Gaussian kernel density estimate fitted to samples.
///
/// ```
/// use fortifai_collapse::{Recursion, kde::{Bandwidth, Kde}, recursion};
/// let truth = Kde::normal(0.0, 1.0, Bandwidth::Fixed(0.5));
/// let models = recursion::chain(&truth, &Recursion::replace(10), 3, 1, 0)?;
/// assert_eq!(models[3].centers().len(), 10);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Kde {
    /// How its fits choose the kernel.
    pub bandwidth: Bandwidth,
    mean: f64,
    kernel: f64,
    shrink: f64,
    /// None for the normal law, whose "kernel" is all of it.
    centers: Option<Arc<Vec<f64>>>,
}

impl Kde {
    /// The normal truth, whose fits have the given bandwidth.
    pub fn normal(mean: f64, std_dev: f64, bandwidth: Bandwidth) -> Self {
        Self { bandwidth, mean, kernel: std_dev, shrink: 1.0, centers: None }
    }

    /// The samples it was fitted to; the truth has none.
    pub fn centers(&self) -> &[f64] {
        self.centers.as_ref().map_or(&[], |centers| centers.as_slice())
    }

    /// The mean of its samples.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The variance of its samples with divisor `n`.
    pub fn sample_variance(&self) -> f64 {
        mean_square(self.centers(), self.mean)
    }

    /// The estimate at `x` (not for the truth, which has no samples).
    pub fn density(&self, x: f64) -> f64 {
        let width = self.shrink * self.kernel;
        let place = |center: &f64| self.mean + self.shrink * (center - self.mean);
        let sum: f64 = self.centers().iter().map(|c| normal(x - place(c), width * width)).sum();
        sum / self.centers().len() as f64
    }

    /// `∫ (f̂ − φ)²` against the standard normal density, in closed form.
    pub fn squared_error(&self) -> f64 {
        let place = |center: &f64| self.mean + self.shrink * (center - self.mean);
        let places: Vec<f64> = self.centers().iter().map(place).collect();
        let (n, square) = (places.len() as f64, (self.shrink * self.kernel).powi(2));
        let pairs: f64 = (1..places.len())
            .map(|index| {
                let x = places[index];
                places[..index].iter().map(|y| normal(x - y, 2.0 * square)).sum::<f64>()
            })
            .sum();
        let cross: f64 = places.iter().map(|&x| normal(x, 1.0 + square)).sum();
        normal(0.0, 2.0 * square) / n + 2.0 * pairs / (n * n) - 2.0 * cross / n + normal(0.0, 2.0)
    }

    /// One sample; the spread about the mean is multiplied by `scale`.
    fn sample(&self, scale: f64, stream: &mut Stream) -> f64 {
        let center = match &self.centers {
            None => 0.0,
            Some(centers) => centers[stream.below(centers.len())] - self.mean,
        };
        self.mean + scale * self.shrink * (center + self.kernel * stream.normal())
    }
}

impl Model for Kde {
    type Pool = Vec<f64>;

    fn pool(&self) -> Vec<f64> {
        Vec::new()
    }

    fn draw(&self, pool: &mut Vec<f64>, count: usize, bias: f64, stream: &mut Stream) {
        pool.extend((0..count).map(|_| self.sample(bias.sqrt(), stream)));
    }

    fn subsample(
        &self,
        pool: &Vec<f64>,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Vec<f64> {
        let places = picks(pool.len(), count, with_replacement, stream);
        places.into_iter().map(|place| pool[place]).collect()
    }

    /// The pool's samples with the kernel that the rule gives them.
    fn fit(&self, pool: &Vec<f64>) -> Result<Self, Refusal> {
        require(!pool.is_empty(), "the number of samples", 0, "one more")?;
        let n = pool.len() as f64;
        let mean = pool.iter().sum::<f64>() / n;
        let variance = mean_square(pool, mean);
        let kernel = match self.bandwidth {
            Bandwidth::Fixed(h) => h,
            Bandwidth::Adaptive(c) | Bandwidth::Shrunk(c) => c * variance.sqrt() * n.powf(-0.2),
        };
        require(kernel.is_finite(), "the bandwidth", kernel, "a finite one")?;
        let shrink = match self.bandwidth {
            Bandwidth::Shrunk(c) => (1.0 + c * c * n.powf(-0.4)).powf(-0.5),
            _ => 1.0,
        };
        let centers = Some(Arc::new(pool.clone()));
        Ok(Self { bandwidth: self.bandwidth, mean, kernel, shrink, centers })
    }
}

/// The mean squared deviation from `mean`.
fn mean_square(samples: &[f64], mean: f64) -> f64 {
    samples.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / samples.len() as f64
}

/// The centred normal density of the given variance.
fn normal(x: f64, variance: f64) -> f64 {
    (-0.5 * x * x / variance).exp() / (TAU * variance).sqrt()
}
