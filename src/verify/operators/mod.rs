//! The operators of a tier, each beside its textbook.

pub mod adamw;
pub mod attention;
pub mod classifier;
pub mod decode;
pub mod embedding;
pub mod gelu;
pub mod layernorm;
pub mod linear;
pub mod model;
