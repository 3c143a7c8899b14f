//! What every toy model can do, so that one engine runs any of them under any protocol.

use crate::refusal::Refusal;
use fortifai_stream::Stream;

/// A family of laws that is fitted to its own samples.
///
/// `self` is both the law that is sampled and the description of its family: settings such as a
/// divisor, a bandwidth or a smoothing pass from each generation to the next by [`Model::fit`].
pub trait Model: Clone + Send + Sync {
    /// What a fit needs to know of the samples: sufficient statistics where the family has them.
    type Pool: Clone + Send;

    /// An empty pool.
    fn pool(&self) -> Self::Pool;

    /// An empty pool from which [`Model::subsample`] can draw. A family whose sufficient
    /// statistics forget the single samples keeps them here.
    fn pool_of_samples(&self) -> Self::Pool {
        self.pool()
    }

    /// Adds `count` samples of this law to the pool, by its sufficient statistics where their law
    /// is known. `bias` distorts the sampling (1 is none): the variance is multiplied by it for a
    /// location-scale family, probabilities are raised to its inverse for a categorical one.
    fn draw(&self, pool: &mut Self::Pool, count: usize, bias: f64, stream: &mut Stream);

    /// A pool of `count` samples drawn from `pool`, with or without replacement; `pool` began as
    /// [`Model::pool_of_samples`] and holds at least `count` samples, or one if they are replaced.
    fn subsample(
        &self,
        pool: &Self::Pool,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Self::Pool;

    /// The law of this family fitted to the pool.
    ///
    /// # Errors
    /// If the pool is too small or degenerate.
    fn fit(&self, pool: &Self::Pool) -> Result<Self, Refusal>;
}

/// The places, below `size`, of `count` samples drawn with or without replacement: any places, or
/// the first ones of Fisher and Yates's shuffle.
///
/// # Panics
/// If there are fewer than `count` places to be drawn without replacement, or none.
pub(crate) fn picks(
    size: usize,
    count: usize,
    with_replacement: bool,
    stream: &mut Stream,
) -> Vec<usize> {
    if with_replacement {
        return (0..count).map(|_| stream.below(size)).collect();
    }
    let mut order: Vec<usize> = (0..size).collect();
    for place in 0..count {
        let other = place + stream.below(size - place);
        order.swap(place, other);
    }
    order.truncate(count);
    order
}
