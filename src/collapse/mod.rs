//! Recursive runs: train, generate, mix, train again.

pub mod record;
