//! The Gaussian in `d` dimensions and its fit.

use super::Divisor;
use super::model::chi_squared;
use crate::model::{Model, picks};
use crate::refusal::{Refusal, require};
use fortifai_stream::Stream;
use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// A normal law in `d` dimensions that is fitted with the given divisor.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiGaussian {
    /// The mean.
    pub mean: DVector<f64>,
    /// The covariance matrix.
    pub covariance: DMatrix<f64>,
    /// The divisor of its fits.
    pub divisor: Divisor,
}

impl MultiGaussian {
    /// Mean 0, covariance the identity.
    pub fn standard(d: usize, divisor: Divisor) -> Self {
        let (mean, covariance) = (DVector::zeros(d), DMatrix::identity(d, d));
        Self { mean, covariance, divisor }
    }

    /// A matrix `A` with `A Aᵀ` the covariance: Cholesky's, or that of the eigenvectors if the
    /// covariance is singular.
    fn factor(&self) -> DMatrix<f64> {
        if let Some(cholesky) = self.covariance.clone().cholesky() {
            return cholesky.unpack();
        }
        let SymmetricEigen { mut eigenvectors, eigenvalues } =
            self.covariance.clone().symmetric_eigen();
        for (mut column, value) in eigenvectors.column_iter_mut().zip(&eigenvalues) {
            column *= value.max(0.0).sqrt();
        }
        eigenvectors
    }
}

/// Count, mean and scatter matrix of samples, and the samples themselves (one per column) where a
/// subsample will be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiPool {
    count: usize,
    mean: DVector<f64>,
    scatter: DMatrix<f64>,
    samples: Option<Vec<DVector<f64>>>,
}

impl MultiPool {
    fn empty(d: usize) -> Self {
        let (mean, scatter) = (DVector::zeros(d), DMatrix::zeros(d, d));
        Self { count: 0, mean, scatter, samples: None }
    }

    /// Adds one sample.
    pub fn add(&mut self, sample: &DVector<f64>) {
        let d = sample.len();
        self.merge(1, sample.clone(), DMatrix::zeros(d, d));
        if let Some(samples) = &mut self.samples {
            samples.push(sample.clone());
        }
    }

    /// Merges a block of known sums: `S += S_b + δδᵀ·N·n/(N + n)`.
    fn merge(&mut self, count: usize, mean: DVector<f64>, scatter: DMatrix<f64>) {
        let (old, new) = (self.count as f64, count as f64);
        let delta = mean - &self.mean;
        self.mean.axpy(new / (old + new), &delta, 1.0);
        self.scatter += scatter;
        self.scatter.ger(old * new / (old + new), &delta, &delta, 1.0);
        self.count += count;
    }
}

impl Model for MultiGaussian {
    type Pool = MultiPool;

    fn pool(&self) -> MultiPool {
        MultiPool::empty(self.mean.len())
    }

    fn pool_of_samples(&self) -> MultiPool {
        MultiPool { samples: Some(Vec::new()), ..self.pool() }
    }

    /// By the exact law of its statistics, the mean and independent of it Bartlett's Wishart
    /// matrix, unless the pool keeps samples or there are too few of them.
    fn draw(&self, pool: &mut MultiPool, count: usize, bias: f64, stream: &mut Stream) {
        if count == 0 {
            return;
        }
        let d = self.mean.len();
        let factor = self.factor() * bias.sqrt();
        let normals = |stream: &mut Stream| DVector::from_fn(d, |_, _| stream.normal());
        if pool.samples.is_some() || count <= d {
            for _ in 0..count {
                let sample = &self.mean + &factor * normals(stream);
                pool.add(&sample);
            }
            return;
        }
        let mean = &self.mean + &factor * normals(stream) / (count as f64).sqrt();
        let mut bartlett = DMatrix::zeros(d, d);
        for row in 0..d {
            for column in 0..row {
                bartlett[(row, column)] = stream.normal();
            }
            bartlett[(row, row)] = chi_squared(count - 1 - row, stream).sqrt();
        }
        let root = factor * bartlett;
        pool.merge(count, mean, &root * root.transpose());
    }

    fn subsample(
        &self,
        pool: &MultiPool,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> MultiPool {
        let samples = pool.samples.as_ref().expect("MultiGaussian::subsample: kept samples");
        let mut picked = self.pool();
        for place in picks(samples.len(), count, with_replacement, stream) {
            picked.add(&samples[place]);
        }
        picked
    }

    /// The pool's mean, and its scatter matrix over the divisor.
    fn fit(&self, pool: &MultiPool) -> Result<Self, Refusal> {
        let divisor = self.divisor.of(pool.count);
        require(pool.count > 0, "the number of samples", pool.count, "at least one")?;
        require(divisor > 0.0, "the divisor of the covariance", divisor, "a positive number")?;
        let covariance = &pool.scatter / divisor;
        let total = covariance.trace();
        require(total.is_finite(), "the total variance", total, "a finite one")?;
        Ok(Self { mean: pool.mean.clone(), covariance, divisor: self.divisor })
    }
}
