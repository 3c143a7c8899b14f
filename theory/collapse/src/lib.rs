//! Toy models of recursive training with closed forms that predict their collapse.
//!
//! Generation 0 is the true law; generation `t` is fitted to data drawn from generation `t − 1`,
//! so generation 1 is fitted to real data. A model of `n` samples per generation either forgets
//! the older data or keeps it ([`Protocol`]). Every closed form returns a number that says
//! whether it is exact; every one is tested against digits from mpmath and against the simulated
//! chain, at a stated false-alarm rate, with planted mistakes that the test must reject.
//!
//! ```
//! use fortifai_collapse::gaussian::{Divisor, Gaussian, expected_power};
//! use fortifai_collapse::{Recursion, recursion};
//! let truth = Gaussian::standard(Divisor::Mle);
//! let models = recursion::chain(&truth, &Recursion::replace(10), 5, 1, 0).expect("n = 10");
//! assert_eq!(models.len(), 6);
//! // On average a tenth of the variance is lost per generation.
//! let expected = expected_power(10, 5, 1.0, Divisor::Mle).expect("n = 10");
//! assert!((expected - 0.9f64.powi(5)).abs() < 1e-14);
//! ```

pub mod binomial;
pub mod catalogue;
pub mod categorical;
pub mod check;
pub mod conservation;
pub mod figure;
pub mod gaussian;
pub mod inputs;
pub mod kde;
pub mod metrics;
pub mod model;
pub mod ngram;
pub mod prediction;
pub mod protocol;
pub mod rates;
pub mod recursion;
pub mod refusal;
pub mod regression;
pub mod special;
pub mod stability;
pub mod stats;
pub mod tce;
#[cfg(test)]
mod trial;
pub mod verifier;

pub use catalogue::{FAMILIES, Family};
pub use check::{Guard, Outcome, Plan};
pub use figure::Figure;
pub use inputs::{Inputs, Value};
pub use model::Model;
pub use prediction::{Entry, Kind, Prediction};
pub use protocol::{Protocol, Schedule};
pub use recursion::Recursion;
pub use refusal::Refusal;
