//! Models that learn only from what their verifier accepts.

use crate::model::{Model, picks};
use crate::refusal::{Refusal, require};
use crate::regression::{Linear, Pool as Rows};
use fortifai_stream::Stream;
use nalgebra::DVector;

/// Which samples the verifier accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Those with `|x − center| ≤ radius`.
    Hard {
        /// What the verifier believes.
        center: f64,
        /// How far from it a sample may be.
        radius: f64,
    },
    /// Each with probability `exp(−(x − center)²/2width²)`.
    Soft {
        /// What the verifier believes.
        center: f64,
        /// How strict it is.
        width: f64,
    },
}

/// A normal law whose samples pass a verifier, the first law's as well as the others'.
///
/// ```
/// use fortifai_collapse::{Recursion, recursion, verifier::{Rule, Verified}};
/// let rule = Rule::Hard { center: 0.0, radius: 0.5 };
/// let start = Verified { mean: 3.0, std_dev: 1.0, refit_std_dev: false, rule };
/// let models = recursion::chain(&start, &Recursion::replace(1000), 3, 1, 0)?;
/// assert!(models[3].mean.abs() < 0.1);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verified {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub std_dev: f64,
    /// Whether fits change it (divisor `m`), or it is known.
    pub refit_std_dev: bool,
    /// The verifier.
    pub rule: Rule,
}

impl Verified {
    /// One accepted sample.
    pub fn sample(&self, bias: f64, stream: &mut Stream) -> f64 {
        let s = bias.sqrt() * self.std_dev;
        match self.rule {
            Rule::Hard { center, radius } => {
                let middle = (center - self.mean) / s;
                let half = radius / s;
                // The side that the law leans to is the lower one.
                let z = lower(middle.abs() - half, middle.abs() + half, stream);
                self.mean + s * if middle < 0.0 { -z } else { z }
            }
            // The product of two normal densities.
            Rule::Soft { center, width } => {
                let share = 1.0 / (1.0 + (s / width).powi(2));
                let mean = share * self.mean + (1.0 - share) * center;
                mean + share.sqrt() * s * stream.normal()
            }
        }
    }
}

/// A standard normal number in `[low, high]`, `low + high ≥ 0`: by rejection from the normal law
/// where that accepts enough, else from the uniform law (narrow) or the exponential one (Robert 1995).
fn lower(low: f64, high: f64, stream: &mut Stream) -> f64 {
    let wide = low < 0.5 && high - low > 2.0;
    let peak = low.max(0.0);
    loop {
        let (z, accept) = if wide {
            let z = stream.normal();
            (z, if z >= low && z <= high { 1.0 } else { 0.0 })
        } else if low < 0.5 {
            let z = low + (high - low) * stream.uniform();
            (z, (-0.5 * (z * z - peak * peak)).exp())
        } else {
            let share = -(-low * (high - low)).exp_m1();
            let z = (low - (-stream.uniform() * share).ln_1p() / low).min(high);
            (z, (-0.5 * (z - low) * (z - low)).exp())
        };
        if accept > 0.0 && (accept >= 1.0 || stream.uniform() < accept) {
            return z;
        }
    }
}

impl Model for Verified {
    type Pool = Vec<f64>;

    fn pool(&self) -> Vec<f64> {
        Vec::new()
    }

    /// `count` accepted samples. `bias` multiplies the variance before the verifier.
    fn draw(&self, pool: &mut Vec<f64>, count: usize, bias: f64, stream: &mut Stream) {
        pool.extend((0..count).map(|_| self.sample(bias, stream)));
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
        require(!pool.is_empty(), "the number of accepted samples", 0, "one more")?;
        let m = pool.len() as f64;
        let mean = pool.iter().sum::<f64>() / m;
        if !self.refit_std_dev {
            return Ok(Self { mean, ..*self });
        }
        let variance = pool.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / m;
        require(variance > 0.0, "the variance", variance, "a positive one")?;
        Ok(Self { mean, std_dev: variance.sqrt(), ..*self })
    }
}

/// Linear regression on rows whose label is within `radius` of what the verifier believes.
///
/// ```
/// use fortifai_collapse::regression::Linear;
/// use fortifai_collapse::{Recursion, recursion, verifier::VerifiedLinear};
/// let start = VerifiedLinear::new(Linear::new(&[2.0, -1.0], 1.0, 0.0), &[0.0, 0.0], 0.5);
/// let models = recursion::chain(&start, &Recursion::replace(2000), 6, 1, 0)?;
/// assert!(models[6].linear.weights.norm() < 0.2);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedLinear {
    /// The model, with isotropic inputs.
    pub linear: Linear,
    /// The weights that the verifier believes in.
    pub belief: DVector<f64>,
    /// The accepted distance of a label.
    pub radius: f64,
}

impl VerifiedLinear {
    /// A model with its verifier.
    ///
    /// # Panics
    /// If there are not as many weights in both.
    pub fn new(linear: Linear, belief: &[f64], radius: f64) -> Self {
        assert_eq!(linear.weights.len(), belief.len(), "VerifiedLinear::new: numbers of weights");
        Self { linear, belief: DVector::from_column_slice(belief), radius }
    }
}

impl Model for VerifiedLinear {
    type Pool = Rows;

    fn pool(&self) -> Rows {
        self.linear.pool()
    }

    fn pool_of_samples(&self) -> Rows {
        self.linear.pool_of_samples()
    }

    /// `count` accepted rows. The residual `e = y − x′θ_c` is drawn between its limits, and a free row
    /// `(x, e₀)` is moved to it: `x + δ(e − e₀)/v²`, `δ = θ − θ_c`, `v² = σ² + |δ|²`.
    fn draw(&self, pool: &mut Rows, count: usize, bias: f64, stream: &mut Stream) {
        let delta = &self.linear.weights - &self.belief;
        let noise = bias.sqrt() * self.linear.noise;
        let square = noise * noise + delta.norm_squared();
        let half = self.radius / square.sqrt();
        for _ in 0..count {
            let residual = square.sqrt() * lower(-half, half, stream);
            let mut input = self.linear.input(stream);
            let free = input.dot(&delta) + noise * stream.normal();
            input.axpy((residual - free) / square, &delta, 1.0);
            let label = input.dot(&self.belief) + residual;
            pool.add(input, label);
        }
    }

    fn subsample(
        &self,
        pool: &Rows,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Rows {
        self.linear.subsample(pool, count, with_replacement, stream)
    }

    fn fit(&self, pool: &Rows) -> Result<Self, Refusal> {
        Ok(Self { linear: self.linear.fit(pool)?, ..self.clone() })
    }
}
