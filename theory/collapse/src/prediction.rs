//! A number that a theory predicts, with what it claims to be.

use serde::Serialize;
use std::fmt;

/// How far a prediction can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Holds for every finite number of samples and generations.
    Exact,
    /// Leading order for many samples or generations.
    Asymptotic,
    /// One-sided.
    Bound,
}

/// A predicted number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// What is predicted.
    pub name: &'static str,
    /// The formula in plain text.
    pub formula: &'static str,
    /// Its value, in the unit of the formula.
    pub value: f64,
    /// What it claims to be.
    pub kind: Kind,
    /// Where it comes from.
    pub source: &'static str,
}

impl fmt::Display for Prediction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Exact => "exact",
            Kind::Asymptotic => "asymptotic",
            Kind::Bound => "bound",
        };
        write!(out, "{}: {} = {} ({kind}; {})", self.name, self.formula, self.value, self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Prediction};

    #[test]
    fn display_says_everything() {
        let prediction =
            Prediction { name: "a", formula: "b", value: 0.5, kind: Kind::Bound, source: "c" };
        assert_eq!(prediction.to_string(), "a: b = 0.5 (bound; c)");
    }
}
