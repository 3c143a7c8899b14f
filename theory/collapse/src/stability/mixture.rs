//! A mixture of normal laws on the line, fitted by the EM algorithm.

use crate::model::{Model, picks};
use crate::refusal::{Refusal, require};
use fortifai_stream::Stream;

/// One normal law of a mixture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Component {
    /// Its share.
    pub weight: f64,
    /// Its mean.
    pub mean: f64,
    /// Its variance.
    pub var: f64,
}

/// A Gaussian mixture with free weights, means and variances.
///
/// Every EM step gives the mixture the mean and the second moment of the data, whatever it began
/// with: `Σ_k w_k μ_k = Σ_k Σ_i r_ik x_i/n = x̄`, and likewise for `x²`. So these two contract exactly
/// (S1), and the expected variance of a chain of fits is that of a single Gaussian (U1), long before
/// EM has converged.
///
/// ```
/// use fortifai_collapse::stability::{Component, Mixture};
/// use fortifai_collapse::{Recursion, recursion};
/// let component = |weight, mean| Component { weight, mean, var: 1.0 };
/// let truth = Mixture::new(vec![component(0.3, -2.0), component(0.7, 2.0)], 20);
/// let models = recursion::chain(&truth, &Recursion::replace(200), 3, 1, 0)?;
/// assert_eq!(models[3].components.len(), 2);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// The components.
    pub components: Vec<Component>,
    /// How many EM steps a fit takes; it starts from the law that drew the data.
    pub steps: usize,
}

impl Mixture {
    /// A mixture whose fits take the given number of EM steps.
    pub fn new(components: Vec<Component>, steps: usize) -> Self {
        Self { components, steps }
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.components.iter().map(|c| c.weight * c.mean).sum()
    }

    /// The variance: that within the components and that of their means.
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        let term = |c: &Component| c.weight * (c.var + (c.mean - mean) * (c.mean - mean));
        self.components.iter().map(term).sum()
    }

    /// The density at `x`.
    pub fn density(&self, x: f64) -> f64 {
        self.components.iter().map(|component| component.ln_density(x).exp()).sum()
    }

    /// One EM step on weighted points; those without weight take no part.
    ///
    /// # Errors
    /// If the points have no spread.
    pub fn step(&self, points: &[(f64, f64)]) -> Result<Self, Refusal> {
        let mut sums = vec![Sums::default(); self.components.len()];
        let mut shares = vec![0.0; sums.len()];
        let (mut total, mut center, mut square) = (0.0, 0.0, 0.0);
        for &(x, weight) in points.iter().filter(|point| point.1 > 0.0) {
            for (share, component) in shares.iter_mut().zip(&self.components) {
                *share = component.ln_density(x);
            }
            let top = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            shares.iter_mut().for_each(|share| *share = (*share - top).exp());
            let norm: f64 = shares.iter().sum();
            for ((sum, share), component) in sums.iter_mut().zip(&shares).zip(&self.components) {
                sum.add(weight * share / norm, x - component.mean);
            }
            total += weight;
            let delta = x - center;
            center += delta * weight / total;
            square += weight * delta * (x - center);
        }
        let spread = square / total;
        require(spread > 0.0, "the variance of the samples", spread, "a positive one")?;
        let refit = |(sum, old): (&Sums, &Component)| sum.fit(old, total, spread);
        let components = sums.iter().zip(&self.components).map(refit).collect();
        Ok(Self { components, steps: self.steps })
    }

    fn sample(&self, center: f64, scale: f64, stream: &mut Stream) -> f64 {
        let mut left = stream.uniform();
        let last = self.components.len() - 1;
        let picked = self.components[..last].iter().find(|component| {
            let hit = left < component.weight;
            left -= component.weight;
            hit
        });
        let component = picked.unwrap_or(&self.components[last]);
        let x = component.mean + component.var.sqrt() * stream.normal();
        center + scale * (x - center)
    }
}

impl Component {
    /// `ln(w φ(x; μ, σ²))`; an empty component has none.
    fn ln_density(&self, x: f64) -> f64 {
        let distance = x - self.mean;
        let scale = (self.weight * self.weight / (std::f64::consts::TAU * self.var)).ln();
        0.5 * (scale - distance * distance / self.var)
    }
}

/// Sums of one component's shares, about its old mean.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    mass: f64,
    first: f64,
    second: f64,
}

impl Sums {
    fn add(&mut self, mass: f64, distance: f64) {
        self.mass += mass;
        self.first += mass * distance;
        self.second += mass * distance * distance;
    }

    /// The variance is kept above 1e-12 of that of the samples, where the likelihood has no maximum.
    fn fit(&self, old: &Component, total: f64, spread: f64) -> Component {
        if self.mass < 1e-280 * total {
            return Component { weight: 0.0, ..*old };
        }
        let shift = self.first / self.mass;
        let var = (self.second / self.mass - shift * shift).max(1e-12 * spread);
        Component { weight: self.mass / total, mean: old.mean + shift, var }
    }
}

impl Model for Mixture {
    type Pool = Vec<f64>;

    fn pool(&self) -> Vec<f64> {
        Vec::new()
    }

    /// `bias` multiplies the variance about the mixture's mean.
    fn draw(&self, pool: &mut Vec<f64>, count: usize, bias: f64, stream: &mut Stream) {
        let center = self.mean();
        pool.extend((0..count).map(|_| self.sample(center, bias.sqrt(), stream)));
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

    fn fit(&self, pool: &Vec<f64>) -> Result<Self, Refusal> {
        require(pool.len() > 1, "the number of samples", pool.len(), "two or more")?;
        let points: Vec<(f64, f64)> = pool.iter().map(|&x| (x, 1.0)).collect();
        (0..self.steps.max(1)).try_fold(self.clone(), |law, _| law.step(&points))
    }
}
