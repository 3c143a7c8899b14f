//! What a generation is trained on.

mod schedule;

pub use schedule::Schedule;

use crate::refusal::{Refusal, require};
use serde::{Deserialize, Serialize};

/// Which data the next generation is fitted to. A generation draws `n` samples ([`Schedule`]);
/// generation 1 draws them from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Only the `n` samples of the generation before.
    Replace,
    /// Every sample so far, the first `n` of them real.
    Accumulate,
    /// Every sample so far is kept, but each model is fitted to `budget` of them (without
    /// replacement: to all of them as long as there are fewer).
    AccumulateBudget {
        /// How many samples a model is fitted to.
        budget: usize,
        /// Whether one sample may be picked more than once.
        with_replacement: bool,
    },
    /// Every generation has exactly `share·n` new real samples, the rest is synthetic.
    FreshReal {
        /// The share of real samples; `share·n` is a whole number.
        share: f64,
    },
    /// Every sample of every generation is real with probability `share`, and then a new one.
    CoinReal {
        /// The probability of a real sample.
        share: f64,
    },
    /// `share·n` real samples are drawn in generation 1 and take part in every generation; the
    /// rest is synthetic and replaced.
    FixedReal {
        /// The share of real samples; `share·n` is a whole number.
        share: f64,
    },
}

impl Protocol {
    /// Refuses shares outside `[0, 1]` and an empty budget.
    ///
    /// # Errors
    /// If a parameter is outside its domain.
    pub fn check(self) -> Result<(), Refusal> {
        match self {
            Self::Replace | Self::Accumulate => Ok(()),
            Self::AccumulateBudget { budget, .. } => {
                require(budget > 0, "budget", budget, "at least one sample")
            }
            Self::FreshReal { share } | Self::CoinReal { share } | Self::FixedReal { share } => {
                require((0.0..=1.0).contains(&share), "share", share, "a number from 0 to 1")
            }
        }
    }

    /// The blocks `(n_k, N_k)` of `generations` generations of `n` samples each: the `k`-th block
    /// has `n_k` samples and brings the pool to `N_k`.
    pub fn blocks(self, n: usize, generations: usize) -> Vec<(usize, usize)> {
        let pool = |k: usize| if self == Self::Accumulate { k * n } else { n };
        (1..=generations).map(|k| (n, pool(k))).collect()
    }
}

/// The whole number `share·n`.
///
/// # Errors
/// If it is not whole within 1e-9.
pub(crate) fn whole_share(share: f64, n: usize) -> Result<usize, Refusal> {
    let real = share * n as f64;
    require((real - real.round()).abs() <= 1e-9, "share·n", real, "a whole number of samples")?;
    Ok(real.round() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_outside_the_domain_are_refused() {
        for protocol in [
            Protocol::AccumulateBudget { budget: 0, with_replacement: true },
            Protocol::FreshReal { share: 1.5 },
            Protocol::CoinReal { share: f64::NAN },
            Protocol::FixedReal { share: -0.1 },
        ] {
            assert!(protocol.check().is_err(), "{protocol:?}");
        }
        assert!(Protocol::CoinReal { share: 0.0 }.check().is_ok());
    }

    #[test]
    fn a_share_is_a_whole_number_of_samples() {
        assert_eq!(whole_share(0.2, 15), Ok(3));
        let said = whole_share(0.1, 15).expect_err("one and a half").to_string();
        assert_eq!(said, "share·n = 1.5, but a whole number of samples is needed.");
    }
}
