//! Checks that a sceptic can run: our numbers beside independent ones.

mod certificate;
mod golden;
mod golden_loss;
mod golden_model;

pub use certificate::{Certificate, Check};
pub use golden::golden;
