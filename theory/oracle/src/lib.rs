//! The textbook formula of every operator: one row, one token or one head at a time.
//!
//! Nothing here is fast and nothing is differentiated by hand. Each function is generic over a
//! [`Scalar`], so one definition gives three things:
//!
//! | run as | result |
//! |---|---|
//! | `f64` | the true value |
//! | [`Dual64`] | the true derivative along a direction, to machine precision |
//! | `f32` | how wrong an honest single-precision implementation is |
//!
//! ```
//! use fortifai_oracle::{Dual64, gelu};
//! // d/dx gelu at 0 is Φ(0) = 1/2.
//! assert_eq!(gelu::forward(&[Dual64::new(0.0, 1.0)])[0].eps, 0.5);
//! ```
//!
//! Sums run from left to right in the scalar's own precision. Lengths that do not fit panic with
//! the operator's name.

pub mod adamw;
pub mod attention;
pub mod clip;
pub mod embedding;
pub mod gelu;
pub mod gpt;
pub mod layernorm;
pub mod linear;
pub mod loss;
pub mod residual;
mod scalar;

pub use gpt::GptShape;
pub use loss::{Denominator, LossKind};
pub use num_dual::{Dual, Dual64};
pub use scalar::{Scalar, constants, directional, tangents};

#[cfg(test)]
mod testing;
