//! Why a prediction cannot be made or a model cannot be fitted.

use crate::inputs::{LONGEST, shown};
use std::fmt;

/// A sentence that names the value and the condition it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    message: String,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// The same, said of the named formula.
    #[must_use]
    pub fn about(self, formula: &str) -> Self {
        Self { message: format!("{formula}: {}", self.message) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Refuses unless `holds`: "n = 1, but n ≥ 2 is needed."
///
/// # Errors
/// If `holds` is false.
pub fn require(
    holds: bool,
    name: &str,
    value: impl fmt::Display,
    condition: &str,
) -> Result<(), Refusal> {
    if holds {
        return Ok(());
    }
    // Numbers of hundreds of digits are shortened.
    let value = value.to_string();
    let value = match value.parse() {
        Ok(number) if value.len() > LONGEST => shown(number),
        _ => value,
    };
    Err(Refusal::new(format!("{name} = {value}, but {condition} is needed.")))
}
