//! The transformer: where its parameters lie, its forward and backward pass, its decoder.

mod activations;
mod decoder;
mod gpt;
mod initial;
mod layout;
mod presets;

pub use activations::Activations;
pub use decoder::GptDecoder;
pub use gpt::{Batch, Gpt, RowScores};
pub use layout::{Layer, Layout, Tensor};
pub use presets::{PRESETS, preset};
