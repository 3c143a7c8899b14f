//! The Gaussian in `d` dimensions and its fit.

use super::Divisor;
use super::model::chi_squared;
use crate::model::{Model, picks};
use crate::refusal::{Refusal, require};
use fortifai_stream::Stream;
use nalgebra::{DMatrix, DMatrixView, DVector};
use std::borrow::Cow;

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

    /// `A [d, r]` of full rank with `A Aᵀ` the covariance up to rounding: Cholesky's columns in the
    /// order of the largest variance left, until none is left (Higham 2002, algorithm 10.13).
    fn factor(&self) -> DMatrix<f64> {
        let d = self.mean.len();
        let mut left = self.covariance.diagonal();
        let negligible = d as f64 * f64::EPSILON * left.max();
        let mut factor = DMatrix::zeros(d, d);
        for rank in 0..d {
            let pivot = left.imax();
            if left[pivot] <= negligible {
                return factor.resize_horizontally(rank, 0.0);
            }
            let (before, mut after) = factor.columns_range_pair_mut(..rank, rank..);
            let mut column = after.column_mut(0);
            column.copy_from(&self.covariance.column(pivot));
            column.gemv(-1.0, &before, &before.row(pivot).transpose(), 1.0);
            column /= left[pivot].sqrt();
            left.zip_apply(&column, |variance, entry| *variance -= entry * entry);
            left[pivot] = 0.0;
        }
        factor
    }

    /// The statistics of `count > r` samples whose covariance is `A Aᵀ`, `A [d, r]`.
    fn statistics(&self, factor: &DMatrix<f64>, count: usize, stream: &mut Stream) -> Statistics {
        let r = factor.ncols();
        let mean = &self.mean + factor * normals(r, 1, stream) / (count as f64).sqrt();
        let mut bartlett = normals(r, r, stream);
        bartlett.fill_upper_triangle(0.0, 1);
        for k in 0..r {
            bartlett[(k, k)] = chi_squared(count - 1 - k, stream).sqrt();
        }
        let root = factor * bartlett;
        Statistics { count, mean: mean.column(0).into_owned(), scatter: &root * root.transpose() }
    }
}

/// What a fit needs to know of samples in `d` dimensions: count, mean and scatter matrix, or the
/// samples themselves (`d` numbers each, one after the other) where a subsample will be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiPool {
    d: usize,
    contents: Contents,
}

#[derive(Clone, Debug, PartialEq)]
enum Contents {
    Statistics(Statistics),
    Samples(Vec<f64>),
}

/// Count, mean and scatter matrix.
#[derive(Clone, Debug, PartialEq)]
struct Statistics {
    count: usize,
    mean: DVector<f64>,
    scatter: DMatrix<f64>,
}

impl Statistics {
    fn empty(d: usize) -> Self {
        Self { count: 0, mean: DVector::zeros(d), scatter: DMatrix::zeros(d, d) }
    }

    /// Those of the columns, in two passes.
    fn of(samples: DMatrixView<'_, f64>) -> Self {
        let mean = samples.column_mean();
        let mut centred = samples.into_owned();
        centred.column_iter_mut().for_each(|mut column| column -= &mean);
        Self { count: samples.ncols(), mean, scatter: &centred * centred.transpose() }
    }

    /// Merges a block of known sums: `S += S_b + δδᵀ·N·n/(N + n)`.
    fn merge(&mut self, block: Self) {
        let (old, new) = (self.count as f64, block.count as f64);
        let delta = block.mean - &self.mean;
        self.mean.axpy(new / (old + new), &delta, 1.0);
        self.scatter += block.scatter;
        self.scatter.ger(old * new / (old + new), &delta, &delta, 1.0);
        self.count += block.count;
    }
}

impl MultiPool {
    /// Adds samples, one per column.
    ///
    /// # Panics
    /// Unless they have the pool's dimensions.
    pub fn add(&mut self, samples: &DMatrix<f64>) {
        assert_eq!(samples.nrows(), self.d, "MultiPool::add: one sample per column");
        match &mut self.contents {
            _ if samples.is_empty() => {}
            Contents::Statistics(statistics) => statistics.merge(Statistics::of(samples.as_view())),
            Contents::Samples(kept) => kept.extend_from_slice(samples.as_slice()),
        }
    }

    fn statistics(&self) -> Cow<'_, Statistics> {
        match &self.contents {
            Contents::Statistics(statistics) => Cow::Borrowed(statistics),
            Contents::Samples(kept) => Cow::Owned(Statistics::of(DMatrixView::from_slice(
                kept,
                self.d,
                kept.len() / self.d,
            ))),
        }
    }
}

/// `count` standard normal samples, one per column.
fn normals(d: usize, count: usize, stream: &mut Stream) -> DMatrix<f64> {
    let mut samples = DMatrix::zeros(d, count);
    stream.fill_normal(samples.as_mut_slice());
    samples
}

impl Model for MultiGaussian {
    type Pool = MultiPool;

    fn pool(&self) -> MultiPool {
        let d = self.mean.len();
        MultiPool { d, contents: Contents::Statistics(Statistics::empty(d)) }
    }

    fn pool_of_samples(&self) -> MultiPool {
        MultiPool { d: self.mean.len(), contents: Contents::Samples(Vec::new()) }
    }

    /// By the exact law of its statistics, the mean and independent of it Bartlett's Wishart
    /// matrix, unless the pool keeps samples or there are too few of them.
    fn draw(&self, pool: &mut MultiPool, count: usize, bias: f64, stream: &mut Stream) {
        let factor = self.factor() * bias.sqrt();
        match &mut pool.contents {
            Contents::Statistics(statistics) if count > factor.ncols() => {
                statistics.merge(self.statistics(&factor, count, stream));
            }
            _ => {
                let mut samples = &factor * normals(factor.ncols(), count, stream);
                samples.column_iter_mut().for_each(|mut column| column += &self.mean);
                pool.add(&samples);
            }
        }
    }

    fn subsample(
        &self,
        pool: &MultiPool,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> MultiPool {
        let Contents::Samples(kept) = &pool.contents else {
            panic!("MultiGaussian::subsample: the pool keeps samples")
        };
        let d = pool.d;
        let picked: Vec<f64> = picks(kept.len() / d, count, with_replacement, stream)
            .into_iter()
            .flat_map(|place| &kept[place * d..][..d])
            .copied()
            .collect();
        MultiPool { d, contents: Contents::Samples(picked) }
    }

    /// The pool's mean, and its scatter matrix over the divisor.
    fn fit(&self, pool: &MultiPool) -> Result<Self, Refusal> {
        let Statistics { count, mean, scatter } = pool.statistics().into_owned();
        let divisor = self.divisor.of(count);
        require(count > 0, "the number of samples", count, "at least one")?;
        require(divisor > 0.0, "the divisor of the covariance", divisor, "a positive number")?;
        let covariance = scatter / divisor;
        let total = covariance.trace();
        require(total.is_finite(), "the total variance", total, "a finite one")?;
        Ok(Self { mean, covariance, divisor: self.divisor })
    }
}
