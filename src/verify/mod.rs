//! Checks that a sceptic can run: our numbers beside independent ones.

pub mod adjoint;
pub mod budget;
pub mod buffers;
mod certificate;
pub mod device;
pub mod faults;
mod golden;
mod golden_loss;
mod golden_model;
pub mod operator;
pub mod operators;
pub mod plan;
pub mod rounding;
pub mod single;
pub mod suite;
pub mod visit;

pub use certificate::{Certificate, Check};
pub use golden::golden;
