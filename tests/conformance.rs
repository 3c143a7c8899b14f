//! Every operator of a tier against the textbook, and the model against the sum of its operators.
//!
//! The checks ask only for a [`fortifai::tier::Tier`]; the CPU tier is the first to pass them.
//! `-- --nocapture` prints the worst error of every operator, `EXTENSIVE=1` runs fifteen times as
//! many random shapes.

mod adamw;
pub mod attention;
pub mod classifier;
mod decoder;
mod determinism;
pub mod embedding;
mod faults;
pub mod gelu;
pub mod harness;
pub mod layernorm;
pub mod linear;
pub mod model;
mod optimiser;
mod truncation;
