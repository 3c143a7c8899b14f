//! Toy models of recursive training with closed forms that predict their collapse.
//!
//! Generation 0 is the true law; generation `t` is fitted to data drawn from generation `t − 1`,
//! so generation 1 is fitted to real data. A model of `n` samples per generation either forgets
//! the older data or keeps it ([`Protocol`]). Every closed form returns a [`stated::Stated`] that says
//! whether it is exact; every one is tested against digits from mpmath and against the simulated
//! chain, at a stated false-alarm rate, with planted mistakes that the test must reject.
//!
//! ```
//! use fortifai_collapse::{Protocol, gaussian::{self, Divisor, Gaussian}};
//! let chain = gaussian::chain(Gaussian::STANDARD, 10, 5, Protocol::Replace, Divisor::Mle, 1, 0);
//! assert_eq!(chain.len(), 6);
//! // On average a tenth of the variance is lost per generation.
//! let expected = gaussian::expected_power(10, 5, 1.0, Divisor::Mle);
//! assert!((expected.value - 0.9f64.powi(5)).abs() < 1e-14);
//! ```

pub mod catalogue;
pub mod categorical;
pub mod check;
pub mod figure;
pub mod gaussian;
pub mod inputs;
pub mod model;
pub mod prediction;
pub mod protocol;
pub mod refusal;
pub mod special;
pub mod stated;
pub mod stats;
pub mod tce;

pub use catalogue::{FAMILIES, Family};
pub use check::{Guard, Outcome, Plan};
pub use figure::Figure;
pub use inputs::{Inputs, Value};
pub use model::Model;
pub use prediction::{Entry, Kind, Prediction};
pub use protocol::Protocol;
pub use refusal::Refusal;
