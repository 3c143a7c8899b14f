//! The CPU tier: one file per operator, forward directly above backward, generic over [`Real`].
//!
//! Rules that hold in every file here:
//! - forward overwrites its outputs, backward accumulates into its gradients;
//! - the caller owns all memory, what backward needs is a named output of forward;
//! - arguments stand in the order outputs, saved, inputs, parameters, scalars;
//! - work is split over rows, columns or heads in pieces of fixed size, and no sum crosses a piece,
//!   so results have the same bits for every number of threads;
//! - sums within a row run in [`lanes::LANES`] partial sums that are added as a fixed tree.

pub mod adamw;
pub mod attention;
pub mod classifier;
pub mod decode;
pub mod embedding;
pub mod gelu;
pub mod lanes;
pub mod layernorm;
pub mod linear;
pub mod matmul;
pub mod panels;
mod real;
mod tier;
mod vectors;

pub use real::Real;
pub use tier::Cpu;

/// Rows handed to a thread at a time by the row-wise operators.
pub(crate) const ROW_PIECE: usize = 32;

/// Columns handed to a thread at a time by the column sums.
pub(crate) const COLUMN_PIECE: usize = 64;

/// Runs the loop with the widest SIMD instructions that this machine has.
#[inline(always)]
pub(crate) fn simd<X>(work: impl FnOnce() -> X) -> X {
    pulp::Arch::new().dispatch(work)
}
