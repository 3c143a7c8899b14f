//! One engine that runs any model under any protocol.
//!
//! ```
//! use fortifai_collapse::gaussian::{Divisor, Gaussian};
//! use fortifai_collapse::{Protocol, Recursion, recursion};
//! let truth = Gaussian::standard(Divisor::Mle);
//! let real = Protocol::FreshReal { share: 0.2 };
//! let models = recursion::chain(&truth, &Recursion::new(real, 15), 4, 1, 0).expect("20 % of 15");
//! assert_eq!(models.len(), 5);
//! ```

use crate::model::Model;
use crate::protocol::{Protocol, Schedule, whole_share};
use crate::refusal::{Refusal, require};
use fortifai_stream::Stream;
use std::ops::ControlFlow;

/// How a model is fitted to its own samples over and over.
#[derive(Clone, Debug, PartialEq)]
pub struct Recursion {
    /// Which data a generation is fitted to.
    pub protocol: Protocol,
    /// How many samples it draws.
    pub schedule: Schedule,
    /// The distortion of the sampling ([`Model::draw`]); 1 is none. Real data of a mixture are
    /// never distorted.
    pub bias: f64,
    /// The first generation whose samples are distorted: 1 distorts even those of the truth to
    /// which generation 1 is fitted, 2 leaves them as they are.
    pub biased_from: usize,
    /// The name of its random numbers: generation `k` of replicate `item` uses the stream
    /// `(seed, stream, k, item)`.
    pub stream: &'static str,
}

impl Recursion {
    /// The given protocol with `n` samples per generation (or a [`Schedule`]) and no bias.
    pub fn new(protocol: Protocol, n: impl Into<Schedule>) -> Self {
        Self { protocol, schedule: n.into(), bias: 1.0, biased_from: 1, stream: "recursion" }
    }

    /// Each generation sees only the samples of the one before.
    pub fn replace(n: impl Into<Schedule>) -> Self {
        Self::new(Protocol::Replace, n)
    }

    /// Each generation sees every sample so far.
    pub fn accumulate(n: impl Into<Schedule>) -> Self {
        Self::new(Protocol::Accumulate, n)
    }

    /// The same with distorted sampling from the given generation on.
    #[must_use]
    pub fn biased(self, bias: f64, biased_from: usize) -> Self {
        Self { bias, biased_from, ..self }
    }

    /// The same with random numbers of another name.
    #[must_use]
    pub fn named(self, stream: &'static str) -> Self {
        Self { stream, ..self }
    }

    /// Refuses parameters outside their domain.
    ///
    /// # Errors
    /// If a parameter is outside its domain.
    pub fn check(&self) -> Result<(), Refusal> {
        self.protocol.check()?;
        let positive = self.bias > 0.0 && self.bias.is_finite();
        require(positive, "bias", self.bias, "a positive finite number")
    }

    /// The blocks `(n_k, N_k)`: the `k`-th has `n_k` samples, of `N_k` samples to which generation
    /// `k` is fitted.
    ///
    /// # Errors
    /// Unless the data are replaced or accumulate, or if the schedule ends before.
    pub fn blocks(&self, generations: usize) -> Result<Vec<(usize, usize)>, Refusal> {
        let keep = match self.protocol {
            Protocol::Replace => false,
            Protocol::Accumulate => true,
            other => {
                return Err(Refusal::new(format!(
                    "The protocol {other:?} has no blocks, only Replace and Accumulate have."
                )));
            }
        };
        let mut pool = 0;
        let mut block = |k| {
            let n = self.schedule.samples(k)?;
            pool = if keep { pool + n } else { n };
            Ok((n, pool))
        };
        (1..=generations).map(&mut block).collect()
    }
}

/// What an observer is shown of a generation.
#[derive(Clone, Copy, Debug)]
pub struct Generation<'a, M: Model> {
    /// Its number; 0 is the truth.
    pub number: usize,
    /// The law.
    pub model: &'a M,
    /// The samples at hand: those it was fitted to, or with a budget those that these were drawn
    /// from. Empty for the truth.
    pub pool: &'a M::Pool,
}

/// Generations `0..=generations`, the first of them the truth.
///
/// A chain does not depend on how far it is run, nor on the order in which replicates are run.
///
/// # Errors
/// If the recursion is outside its domain or a model cannot be fitted.
pub fn chain<M: Model>(
    truth: &M,
    recursion: &Recursion,
    generations: usize,
    seed: u64,
    item: u64,
) -> Result<Vec<M>, Refusal> {
    let mut models = Vec::with_capacity(generations.saturating_add(1).min(1 << 16));
    observe(truth, recursion, generations, seed, item, |generation| {
        models.push(generation.model.clone());
        ControlFlow::Continue(())
    })?;
    Ok(models)
}

/// Only the last generation of [`chain`].
///
/// # Errors
/// As [`chain`].
pub fn last<M: Model>(
    truth: &M,
    recursion: &Recursion,
    generations: usize,
    seed: u64,
    item: u64,
) -> Result<M, Refusal> {
    observe(truth, recursion, generations, seed, item, |_| ControlFlow::Continue(()))
}

/// Shows every generation from 0 on to `observer`, until it breaks or `generations` are done, and
/// returns the last one. No model is kept beyond its generation.
///
/// # Errors
/// As [`chain`].
pub fn observe<M: Model>(
    truth: &M,
    recursion: &Recursion,
    generations: usize,
    seed: u64,
    item: u64,
    mut observer: impl FnMut(Generation<'_, M>) -> ControlFlow<()>,
) -> Result<M, Refusal> {
    recursion.check()?;
    let mut run = Run { truth, recursion, kept: None, held: 0, real: None };
    let mut model = truth.clone();
    if observer(Generation { number: 0, model: truth, pool: &truth.pool() }).is_break() {
        return Ok(model);
    }
    for number in 1..=generations {
        let mut stream = Stream::new(seed, recursion.stream, number as u64, item);
        let (next, pool) = run.step(&model, number, &mut stream)?;
        model = next;
        if observer(Generation { number, model: &model, pool: &pool }).is_break() {
            break;
        }
        run.kept = Some(pool);
    }
    Ok(model)
}

/// A recursion under way.
struct Run<'a, M: Model> {
    truth: &'a M,
    recursion: &'a Recursion,
    /// The pool of the generation before, and how many samples it holds.
    kept: Option<M::Pool>,
    held: usize,
    /// The real samples that take part in every generation, and how many they are.
    real: Option<(M::Pool, usize)>,
}

impl<M: Model> Run<'_, M> {
    /// The next model and the samples at hand.
    fn step(&mut self, model: &M, k: usize, stream: &mut Stream) -> Result<(M, M::Pool), Refusal> {
        let n = self.recursion.schedule.samples(k)?;
        let (mut pool, real, synthetic) = self.begin(model, n, stream)?;
        if real > 0 {
            self.truth.draw(&mut pool, real, 1.0, stream);
        }
        if synthetic > 0 {
            let biased = k >= self.recursion.biased_from;
            let bias = if biased { self.recursion.bias } else { 1.0 };
            model.draw(&mut pool, synthetic, bias, stream);
        }
        self.held += n;
        match self.recursion.protocol {
            Protocol::AccumulateBudget { budget, with_replacement } => {
                let count = if with_replacement { budget } else { budget.min(self.held) };
                let training = model.subsample(&pool, count, with_replacement, stream);
                Ok((model.fit(&training)?, pool))
            }
            _ => Ok((model.fit(&pool)?, pool)),
        }
    }

    /// What a generation of `n` samples begins with, and how many new real and synthetic samples
    /// it then draws.
    fn begin(
        &mut self,
        model: &M,
        n: usize,
        stream: &mut Stream,
    ) -> Result<(M::Pool, usize, usize), Refusal> {
        Ok(match self.recursion.protocol {
            Protocol::Replace => (model.pool(), 0, n),
            Protocol::Accumulate => (self.kept.take().unwrap_or_else(|| model.pool()), 0, n),
            Protocol::AccumulateBudget { .. } => {
                (self.kept.take().unwrap_or_else(|| model.pool_of_samples()), 0, n)
            }
            Protocol::FreshReal { share } => {
                let real = whole_share(share, n)?;
                (model.pool(), real, n - real)
            }
            Protocol::CoinReal { share } => {
                let real = (0..n).filter(|_| stream.uniform() < share).count();
                (model.pool(), real, n - real)
            }
            Protocol::FixedReal { share } => {
                if self.real.is_none() {
                    let real = whole_share(share, n)?;
                    let mut pool = model.pool();
                    if real > 0 {
                        self.truth.draw(&mut pool, real, 1.0, stream);
                    }
                    self.real = Some((pool, real));
                }
                let (pool, real) = self.real.clone().expect("set above");
                (pool, 0, n.saturating_sub(real))
            }
        })
    }
}

#[cfg(test)]
mod tests;
