//! Many independent chains of replaced data at once, as fast as the machine allows.
//!
//! The same recursion as [`crate::recursion::chain`] with replaced data, in two ways: drawing every
//! sample of every generation, or only the two numbers that a fit sees, the mean and the χ² of the
//! squares. Chains advance in blocks; a block's random numbers are named by generation and block,
//! so the result has the same bits for every number of threads.
//!
//! ```
//! use fortifai_collapse::gaussian::{Divisor, Gaussian, ensemble::Ensemble};
//! let ensemble = Ensemble { n: 10, generations: 5, replicates: 1000, seed: 1 };
//! let models = ensemble.by_every_sample(Gaussian::standard(Divisor::Mle)).expect("n is 2 or more");
//! let mean_variance = models.iter().map(|model| model.var).sum::<f64>() / 1000.0;
//! // 0.9⁵ = 0.590, within six standard errors.
//! assert!((mean_variance - 0.9f64.powi(5)).abs() < 0.12);
//! ```

use crate::gaussian::Gaussian;
use crate::refusal::{Refusal, require};
use crate::stats;
use fortifai_stream::Stream;

/// Chains that advance together when every sample is drawn, and samples of each drawn together:
/// they stay in the first-level cache.
const SAMPLED: usize = 128;
const ROWS: usize = 24;

/// Chains that advance together by their statistics.
const CHAINS: usize = 512;

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ensemble {
    /// Samples per generation, at least 2.
    pub n: usize,
    /// Generations.
    pub generations: usize,
    /// Independent chains.
    pub replicates: u64,
    /// The seed.
    pub seed: u64,
}

impl Ensemble {
    /// The last model of every chain, all `n·generations·replicates` samples drawn.
    ///
    /// A sample is `μ + σz`; mean and squares are taken of the `z`, which is the same fit.
    ///
    /// # Errors
    /// If `n` is below 2.
    pub fn by_every_sample(&self, truth: Gaussian) -> Result<Vec<Gaussian>, Refusal> {
        let divisor = truth.divisor.of(self.n);
        self.in_blocks(SAMPLED, truth, "ensemble samples", |models, stream| {
            let mut sums = Sums::new(models.len());
            let mut samples = vec![0.0; models.len() * self.n.min(ROWS)];
            let mut left = self.n;
            while left > 0 {
                let rows = left.min(ROWS);
                let samples = &mut samples[..rows * models.len()];
                stream.fill_normal(samples);
                pulp::Arch::new().dispatch(Add { sums: &mut sums, samples });
                left -= rows;
            }
            for (model, (mean, squares)) in models.iter_mut().zip(sums.of_chains()) {
                model.mean += model.var.sqrt() * mean;
                model.var *= squares / divisor;
            }
        })
    }

    /// The last model of every chain, by the exact law of what a fit sees of the samples: the mean
    /// `N(μ, σ²/n)` and independent of it the sum of squares `σ² χ²_{n−1}`.
    ///
    /// # Errors
    /// If `n` is below 2.
    pub fn by_statistics(&self, truth: Gaussian) -> Result<Vec<Gaussian>, Refusal> {
        let n = self.n;
        let divisor = truth.divisor.of(n);
        self.in_blocks(CHAINS, truth, "ensemble statistics", |models, stream| {
            let mut normals = vec![0.0; models.len()];
            stream.fill_normal(&mut normals);
            let mut supply = Supply::new(stream, models.len());
            for (model, z) in models.iter_mut().zip(normals) {
                model.mean += (model.var / n as f64).sqrt() * z;
                model.var *= supply.chi_squared(n - 1) / divisor;
            }
        })
    }

    /// Runs blocks of `size` chains, each generation of a block with a stream of its own.
    fn in_blocks(
        &self,
        size: usize,
        truth: Gaussian,
        purpose: &str,
        generation: impl Fn(&mut [Gaussian], &mut Stream) + Sync,
    ) -> Result<Vec<Gaussian>, Refusal> {
        require(self.n >= 2, "n", self.n, "n ≥ 2")?;
        let blocks = self.replicates.div_ceil(size as u64);
        let block = |block: u64| {
            let left = self.replicates - block * size as u64;
            let mut models = vec![truth; left.min(size as u64) as usize];
            for k in 1..=self.generations {
                let mut stream = Stream::new(self.seed, purpose, k as u64, block);
                generation(&mut models, &mut stream);
            }
            models
        };
        Ok(stats::replicates(blocks, block).concat())
    }
}

/// Mean and sum of squared deviations of every chain's samples so far.
struct Sums {
    count: usize,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    fn new(chains: usize) -> Self {
        Self { count: 0, mean: vec![0.0; chains], squares: vec![0.0; chains] }
    }

    fn of_chains(&self) -> impl Iterator<Item = (f64, f64)> {
        self.mean.iter().copied().zip(self.squares.iter().copied())
    }
}

/// Adds rows of samples, one of each chain per row (Welford 1962): with `δ = z − mean`, the mean
/// gains `δ/count` and the squares `δ·(z − new mean)`. Chains stand side by side in the vectors.
struct Add<'a> {
    sums: &'a mut Sums,
    samples: &'a [f64],
}

impl pulp::NullaryFnOnce for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Sums { count, mean, squares } = self.sums;
        for row in self.samples.chunks_exact(mean.len()) {
            *count += 1;
            let share = 1.0 / *count as f64;
            for ((&z, mean), squares) in row.iter().zip(&mut *mean).zip(&mut *squares) {
                let delta = z - *mean;
                *mean += delta * share;
                *squares += delta * (z - *mean);
            }
        }
    }
}

/// Normal and uniform numbers made in advance.
struct Supply<'a> {
    stream: &'a mut Stream,
    normals: Vec<f64>,
    uniforms: Vec<f64>,
    next: usize,
}

impl<'a> Supply<'a> {
    fn new(stream: &'a mut Stream, wanted: usize) -> Self {
        // Every fiftieth proposal is refused; few blocks need a second filling.
        let size = wanted + wanted / 16 + 16;
        Self { stream, normals: vec![0.0; size], uniforms: vec![0.0; size], next: size }
    }

    fn pair(&mut self) -> (f64, f64) {
        if self.next == self.normals.len() {
            self.stream.fill_normal(&mut self.normals);
            self.stream.fill_uniform(&mut self.uniforms);
            self.next = 0;
        }
        self.next += 1;
        (self.normals[self.next - 1], self.uniforms[self.next - 1])
    }

    /// χ² with `freedom ≥ 1`: a square of a normal number for one, else twice a gamma number of
    /// shape `a = freedom/2 ≥ 1` by Marsaglia and Tsang (2000): with `d = a − 1/3` and
    /// `v = (1 + x/√(9d))³`, `x` normal, accept `d·v` if `ln u < x²/2 + d(1 − v + ln v)`.
    fn chi_squared(&mut self, freedom: usize) -> f64 {
        if freedom == 1 {
            let (x, _) = self.pair();
            return x * x;
        }
        let d = 0.5 * freedom as f64 - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let (x, u) = self.pair();
            let root = 1.0 + c * x;
            if root <= 0.0 {
                continue;
            }
            let v = root * root * root;
            let square = x * x;
            // The first condition implies the second and needs no logarithm.
            if u < 1.0 - 0.0331 * square * square || u.ln() < 0.5 * square + d * (1.0 - v + v.ln())
            {
                return 2.0 * d * v;
            }
        }
    }
}

#[cfg(test)]
mod tests;
