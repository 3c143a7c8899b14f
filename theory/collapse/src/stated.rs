//! A predicted number with its claim, as a bare struct.

use crate::prediction::Kind;
use serde::Serialize;
use std::fmt;

/// A predicted number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stated {
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

impl fmt::Display for Stated {
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
    use super::{Kind, Stated};

    #[test]
    fn display_says_everything() {
        let prediction =
            Stated { name: "a", formula: "b", value: 0.5, kind: Kind::Bound, source: "c" };
        assert_eq!(prediction.to_string(), "a: b = 0.5 (bound; c)");
    }
}
