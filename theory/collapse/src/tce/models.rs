//! Models that retrain themselves with the truncated loss, for the engine that runs any of them.

use super::support_loss::trained;
use super::{require_gamma, require_law};
use crate::model::{Model, picks};
use crate::refusal::{Refusal, require};
use fortifai_stream::Stream;

/// A categorical law retrained to convergence by gradient flow, started at the model itself.
#[derive(Clone, Debug, PartialEq)]
pub struct TceCategorical {
    law: Vec<f64>,
    gamma: f64,
}

impl TceCategorical {
    /// The model with the given probabilities, which the first fit takes for its start.
    ///
    /// # Errors
    /// If `law` is no law or `gamma` is outside `(0, 1]`.
    ///
    /// ```
    /// use fortifai_collapse::tce::models::TceCategorical;
    /// assert!(TceCategorical::new(&[0.5, 0.5], 1.5).is_err());
    /// ```
    pub fn new(law: &[f64], gamma: f64) -> Result<Self, Refusal> {
        require_law("p", law)?;
        require_gamma(gamma)?;
        Ok(Self { law: law.to_vec(), gamma })
    }

    /// The probabilities.
    pub fn law(&self) -> &[f64] {
        &self.law
    }
}

impl Model for TceCategorical {
    /// How often each token occurred.
    type Pool = Vec<u64>;

    fn pool(&self) -> Self::Pool {
        vec![0; self.law.len()]
    }

    fn draw(&self, pool: &mut Self::Pool, count: usize, bias: f64, stream: &mut Stream) {
        let weights: Vec<f64> = match bias {
            1.0 => self.law.clone(),
            _ => self.law.iter().map(|p| p.powf(1.0 / bias)).collect(),
        };
        (0..count).for_each(|_| pool[stream.categorical(&weights)] += 1);
    }

    fn subsample(
        &self,
        pool: &Self::Pool,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Self::Pool {
        let mut left: Vec<f64> = pool.iter().map(|&c| c as f64).collect();
        let mut chosen = self.pool();
        for _ in 0..count {
            let token = stream.categorical(&left);
            chosen[token] += 1;
            left[token] -= f64::from(u8::from(!with_replacement));
        }
        chosen
    }

    /// Needs a model whose largest probability is at most `γ` where fewer than `1/γ` tokens occur.
    fn fit(&self, pool: &Self::Pool) -> Result<Self, Refusal> {
        let total: u64 = pool.iter().sum();
        require(total > 0, "samples", total, "at least one")?;
        let data: Vec<f64> = pool.iter().map(|&c| c as f64 / total as f64).collect();
        Ok(Self { law: trained(&data, &self.law, self.gamma)?, gamma: self.gamma })
    }
}

/// A Gaussian under the floor map `σ' = max(s, σ_γ)`, its mean fitted to all samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TceGaussian {
    /// The mean.
    pub mean: f64,
    /// The variance.
    pub var: f64,
    /// Subtracted from the number of samples in the divisor: 1 (unbiased) or 0 (MLE).
    pub lost: usize,
    /// The threshold of the density, positive.
    pub gamma: f64,
}

impl Model for TceGaussian {
    type Pool = Vec<f64>;

    fn pool(&self) -> Self::Pool {
        Vec::new()
    }

    fn draw(&self, pool: &mut Self::Pool, count: usize, bias: f64, stream: &mut Stream) {
        let scale = (self.var * bias).sqrt();
        pool.extend((0..count).map(|_| self.mean + scale * stream.normal()));
    }

    fn subsample(
        &self,
        pool: &Self::Pool,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Self::Pool {
        let places = picks(pool.len(), count, with_replacement, stream);
        places.into_iter().map(|place| pool[place]).collect()
    }

    fn fit(&self, pool: &Self::Pool) -> Result<Self, Refusal> {
        let n = pool.len();
        require(n > self.lost.max(1), "samples", n, "at least 2")?;
        let mean = crate::stats::mean(pool);
        let squares: f64 = pool.iter().map(|x| (x - mean) * (x - mean)).sum();
        let floor = super::mask::floor(self.gamma)?.powi(2);
        let var = (squares / (n - self.lost) as f64).max(floor);
        Ok(Self { mean, var, ..*self })
    }
}
