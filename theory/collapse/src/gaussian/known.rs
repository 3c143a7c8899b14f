//! A Gaussian of which only the mean is fitted.

use super::Gaussian;
use super::model::Pool;
use crate::model::Model;
use crate::refusal::Refusal;
use fortifai_stream::Stream;

/// A normal law whose variance stays as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianMean(
    /// The law.
    pub Gaussian,
);

impl Model for GaussianMean {
    type Pool = Pool;

    fn pool(&self) -> Pool {
        self.0.pool()
    }

    fn pool_of_samples(&self) -> Pool {
        self.0.pool_of_samples()
    }

    fn draw(&self, pool: &mut Pool, count: usize, bias: f64, stream: &mut Stream) {
        self.0.draw(pool, count, bias, stream);
    }

    fn subsample(
        &self,
        pool: &Pool,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Pool {
        self.0.subsample(pool, count, with_replacement, stream)
    }

    /// The pool's mean.
    fn fit(&self, pool: &Pool) -> Result<Self, Refusal> {
        crate::refusal::require(pool.count() > 0, "the number of samples", 0, "at least one")?;
        Ok(Self(Gaussian { mean: pool.mean(), ..self.0 }))
    }
}
