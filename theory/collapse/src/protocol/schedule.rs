//! How many samples each generation draws.

use crate::refusal::{Refusal, require};
use serde::{Deserialize, Serialize};

/// The number of samples `n_k` of generation `k = 1, 2, …`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The same number every time.
    Constant(usize),
    /// `n_k = first·ratio^(k−1)`, rounded.
    Geometric {
        /// The number in generation 1.
        first: usize,
        /// The factor from one generation to the next.
        ratio: f64,
    },
    /// `n_k = first·k^exponent`, rounded.
    Power {
        /// The number in generation 1.
        first: usize,
        /// The exponent of the generation.
        exponent: f64,
    },
    /// The numbers themselves, of as many generations as there can be.
    Blocks(Vec<usize>),
}

impl Schedule {
    /// The number of samples of generation `k`, counted from 1.
    ///
    /// # Errors
    /// If the schedule has no such generation, or gives it no samples, or more than 2³².
    pub fn samples(&self, k: usize) -> Result<usize, Refusal> {
        require(k > 0, "generation", k, "a generation from 1 on")?;
        let n = match self {
            Self::Constant(n) => *n as f64,
            Self::Geometric { first, ratio } => *first as f64 * ratio.powf((k - 1) as f64),
            Self::Power { first, exponent } => *first as f64 * (k as f64).powf(*exponent),
            Self::Blocks(blocks) => {
                let known = blocks.len();
                require(k <= known, "generation", k, &format!("one of the {known} blocks"))?;
                blocks[k - 1] as f64
            }
        }
        .round();
        let name = format!("the number of samples of generation {k}");
        require((1.0..=4_294_967_296.0).contains(&n), &name, n, "a number from 1 to 2^32")?;
        Ok(n as usize)
    }
}

impl From<usize> for Schedule {
    fn from(n: usize) -> Self {
        Self::Constant(n)
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn schedules_by_hand() {
        let first = |schedule: Schedule| [1, 2, 3].map(|k| schedule.samples(k).expect("inside"));
        assert_eq!(first(Schedule::from(7)), [7, 7, 7]);
        assert_eq!(first(Schedule::Geometric { first: 4, ratio: 1.5 }), [4, 6, 9]);
        assert_eq!(first(Schedule::Power { first: 3, exponent: 2.0 }), [3, 12, 27]);
        assert_eq!(first(Schedule::Blocks(vec![5, 1, 2])), [5, 1, 2]);
    }

    #[test]
    fn what_no_schedule_can_give_is_refused() {
        assert!(Schedule::Constant(0).samples(1).is_err());
        assert!(Schedule::Constant(1).samples(0).is_err());
        assert!(Schedule::Blocks(vec![5]).samples(2).is_err());
        assert!(Schedule::Geometric { first: 1, ratio: 10.0 }.samples(400).is_err());
        assert!(Schedule::Power { first: 1, exponent: f64::NAN }.samples(2).is_err());
    }
}
