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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_model_with_the_vocabulary_asked_for() {
        let sizes = PRESETS.iter().map(|name| {
            let ModelConfig { layers, heads, channels, context, vocab } = preset(name, 7).unwrap();
            assert!(channels % heads == 0 && vocab == 7, "{name}");
            (layers, heads, channels, context)
        });
        let gpt2 = (12, 12, 768, 1024);
        assert!(sizes.eq([(1, 4, 64, 64), (6, 6, 384, 256), gpt2]));
        assert!(preset("gpt3", 7).unwrap_err().to_string().contains("toy, small, gpt2"));
    }
}
