//! Model shapes by name.

use crate::config::ModelConfig;
use crate::{Error, Result};

/// Names of the presets.
pub const PRESETS: &[&str] = &["toy", "small", "gpt2"];

/// The preset's shape with this vocabulary.
pub fn preset(name: &str, vocab: usize) -> Result<ModelConfig> {
    let (layers, heads, channels, context) = match name {
        "toy" => (1, 4, 64, 64),
        "small" => (6, 6, 384, 256),
        "gpt2" => (12, 12, 768, 1024),
        _ => {
            return Err(Error::input(format!(
                "Unknown model preset {name:?}; known are {}.",
                PRESETS.join(", ")
            )));
        }
    };
    Ok(ModelConfig { layers, heads, channels, context, vocab })
}
