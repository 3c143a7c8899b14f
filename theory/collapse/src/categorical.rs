//! A categorical law that is fitted to its own samples (the Wright–Fisher chain).
//!
//! With `n` tokens per generation and the counts divided by `n` as the next law, each token's
//! count is a Markov chain on `0..=n` with the rows `Binomial(n, i/n)`, and merging tokens gives
//! such a chain again. Generation 0 is the true law. The closed forms are for replaced data unless
//! they say otherwise.
//!
//! | file | sections |
//! |---|---|
//! | [`moments`] | N1, N2 second moments and products of distinct tokens |
//! | [`vocabulary`] | N3, N4 distinct, missing and surviving tokens |
//! | [`chain`] | the chain of one token's count, from which N4–N7 are computed |
//! | [`entropy`] | N5 any additive functional, entropy among them |
//! | [`fixation`] | N6, N7 time to total collapse, survival of both of two tokens |
//! | [`mixing`] | N8 a share of real data in every generation |
//! | [`accumulation`] | N9 accumulated data, block schedules, training budgets |
//! | [`smoothing`] | N11 Laplace smoothing |
//! | [`temperature`] | N12 sampling temperature |
//! | [`zipf`] | N13 vocabulary and tail of Zipf's law |
//! | [`one_step`] | N15 information measures of one generation |

pub mod accumulation;
pub mod chain;
pub mod entropy;
mod figures;
pub mod fixation;
pub(crate) mod given;
pub(crate) mod guards;
pub mod mixing;
pub mod moments;
pub mod one_step;
pub mod smoothing;
pub mod temperature;
pub mod vocabulary;
pub mod zipf;

use given::check_law;

use crate::binomial::{multinomial, resampled};
use crate::catalogue::Family;
use crate::model::Model;
use crate::refusal::{Refusal, require};
use fortifai_stream::Stream;

/// The categorical family: sections N1–N13 and N15.
pub const FAMILY: Family = Family {
    name: "Categorical",
    about: "A law on tokens, refitted to its own samples by counting: Wright and Fisher's chain.",
    entries: &[
        moments::ENTRIES,
        vocabulary::ENTRIES,
        entropy::ENTRIES,
        fixation::ENTRIES,
        mixing::ENTRIES,
        accumulation::ENTRIES,
        smoothing::ENTRIES,
        temperature::ENTRIES,
        zipf::ENTRIES,
        one_step::ENTRIES,
    ],
    guards: guards::GUARDS,
    figures: &[figures::FIGURES],
};

/// A law on the tokens `0..K`, with the settings that its refits inherit.
#[derive(Clone, Debug, PartialEq)]
pub struct Categorical {
    /// The probability of each token.
    pub probabilities: Vec<f64>,
    /// What Laplace smoothing adds to each count before a fit; 0 is maximum likelihood.
    pub smoothing: f64,
    /// The sampling temperature: tokens are drawn in proportion to `p^(1/temperature)`.
    pub temperature: f64,
}

impl Categorical {
    /// The law with the given probabilities, refitted by maximum likelihood and sampled as it is.
    ///
    /// # Panics
    /// If one is negative or their sum is not 1 within 1e-9.
    pub fn new(probabilities: &[f64]) -> Self {
        check_law("the law", probabilities).unwrap_or_else(|refusal| {
            panic!("Categorical::new: {refusal}");
        });
        Self { probabilities: probabilities.to_vec(), smoothing: 0.0, temperature: 1.0 }
    }

    /// The same law with Laplace smoothing.
    ///
    /// # Errors
    /// If the smoothing is negative or not finite.
    pub fn with_smoothing(self, smoothing: f64) -> Result<Self, Refusal> {
        require(smoothing >= 0.0 && smoothing.is_finite(), "a", smoothing, "0 ≤ a < ∞")?;
        Ok(Self { smoothing, ..self })
    }

    /// The same law with another sampling temperature.
    ///
    /// # Errors
    /// If the temperature is not positive and finite.
    pub fn with_temperature(self, temperature: f64) -> Result<Self, Refusal> {
        require(temperature > 0.0 && temperature.is_finite(), "tau", temperature, "0 < tau < ∞")?;
        Ok(Self { temperature, ..self })
    }

    /// `1 − Σ p²`, the probability that two samples differ.
    pub fn heterozygosity(&self) -> f64 {
        heterozygosity(&self.probabilities)
    }

    /// The number of tokens that can still occur.
    pub fn alive(&self) -> usize {
        self.probabilities.iter().filter(|&&p| p > 0.0).count()
    }

    /// How often each token occurs among `n` samples: one multinomial draw.
    pub fn sample(&self, n: usize, stream: &mut Stream) -> Vec<u64> {
        let mut counts = self.pool();
        self.draw(&mut counts, n, 1.0, stream);
        counts
    }
}

impl Model for Categorical {
    /// How often each token occurs.
    type Pool = Vec<u64>;

    fn pool(&self) -> Vec<u64> {
        vec![0; self.probabilities.len()]
    }

    fn draw(&self, pool: &mut Vec<u64>, count: usize, bias: f64, stream: &mut Stream) {
        let exponent = 1.0 / (self.temperature * bias);
        let add = |token: usize, times: u64| pool[token] += times;
        if exponent == 1.0 {
            return multinomial(count as u64, &self.probabilities, stream, add);
        }
        multinomial(count as u64, &tempered(&self.probabilities, exponent), stream, add);
    }

    fn subsample(
        &self,
        pool: &Vec<u64>,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Vec<u64> {
        resampled(pool, count as u64, with_replacement, stream)
    }

    /// `(c + a)/(n + K a)` with the smoothing `a`.
    fn fit(&self, pool: &Vec<u64>) -> Result<Self, Refusal> {
        let n: u64 = pool.iter().sum();
        require(n > 0, "the number of tokens", n, "at least 1")?;
        let total = n as f64 + self.smoothing * pool.len() as f64;
        let probabilities = pool.iter().map(|&c| (c as f64 + self.smoothing) / total).collect();
        Ok(Self { probabilities, ..*self })
    }
}

/// `1 − Σ p²` of a law, summed as `Σ p (1 − p)`.
pub(crate) fn heterozygosity(p: &[f64]) -> f64 {
    p.iter().map(|p| p * (1.0 - p)).sum()
}

/// Weights in proportion to `p^exponent`, scaled by the largest so that none overflows; a token of
/// probability zero stays at zero.
fn tempered(p: &[f64], exponent: f64) -> Vec<f64> {
    let top = p.iter().fold(0.0f64, |top, &p| top.max(p));
    p.iter().map(|&p| if p > 0.0 { (p / top).powf(exponent) } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests;
