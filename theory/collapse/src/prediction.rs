//! What a theory predicts, and the entry of the catalogue that predicts it.

use crate::inputs::{Inputs, shown};
use crate::refusal::{Refusal, require};
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

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Exact => "exact",
            Self::Asymptotic => "asymptotic",
            Self::Bound => "bound",
        })
    }
}

/// How the digits of an entry are computed, which decides how far they may be from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Digits {
    /// Elementary functions: 1e-12 relative.
    Elementary,
    /// Special functions, quadrature, roots or linear solves: 1e-10 relative.
    Special,
}

impl Digits {
    /// The largest admitted relative error.
    pub fn tolerance(self) -> f64 {
        match self {
            Self::Elementary => 1e-12,
            Self::Special => 1e-10,
        }
    }
}

/// One input of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Input {
    /// Its name, as in `--set name=value`.
    pub name: &'static str,
    /// What it means, with its unit.
    pub meaning: &'static str,
    /// A value inside the domain, as one would write it on the command line.
    pub example: &'static str,
}

/// One closed form of the catalogue: the unit of `theory list` and `theory predict`.
///
/// An entry is named by `id` and `formula` together; several formulas share an id.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The section of the theory, such as `"G1"`.
    pub id: &'static str,
    /// What is predicted, in words.
    pub name: &'static str,
    /// The formula in plain text.
    pub formula: &'static str,
    /// What it claims to be.
    pub kind: Kind,
    /// Where it comes from.
    pub source: &'static str,
    /// When it holds.
    pub domain: &'static str,
    /// How its digits are computed.
    pub digits: Digits,
    /// What it needs.
    pub inputs: &'static [Input],
    /// The value, or which condition fails.
    pub value: fn(&Inputs) -> Result<f64, Refusal>,
}

impl Entry {
    /// The prediction at the given inputs.
    ///
    /// # Errors
    /// If an input is missing, unknown, or outside the domain, or the value exceeds every number.
    pub fn predict(&self, inputs: &Inputs) -> Result<Prediction, Refusal> {
        inputs.expect_only(self.inputs.iter().map(|input| input.name), self.formula)?;
        let finite = |value: f64| {
            require(value.is_finite(), "the value", value, "a finite one, of smaller inputs,")?;
            Ok(value)
        };
        let value = (self.value)(inputs).and_then(finite);
        let value = value.map_err(|refusal: Refusal| refusal.about(self.formula))?;
        Ok(Prediction {
            id: self.id,
            name: self.name,
            formula: self.formula,
            inputs: inputs.clone(),
            value,
            kind: self.kind,
            source: self.source,
        })
    }

    /// The inputs of the example.
    ///
    /// # Panics
    /// If an example of the catalogue cannot be read.
    pub fn example(&self) -> Inputs {
        let mut inputs = Inputs::default();
        for input in self.inputs {
            inputs.set(input.name, input.example.parse().expect("catalogue: examples are values"));
        }
        inputs
    }
}

/// A predicted number and everything that was said about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The section of the theory.
    pub id: &'static str,
    /// What is predicted.
    pub name: &'static str,
    /// The formula in plain text.
    pub formula: &'static str,
    /// The inputs it was computed from.
    pub inputs: Inputs,
    /// Its value, in the unit of the formula.
    pub value: f64,
    /// What it claims to be.
    pub kind: Kind,
    /// Where it comes from.
    pub source: &'static str,
}

impl fmt::Display for Prediction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, formula, inputs, kind, source, .. } = self;
        let value = shown(self.value);
        write!(out, "{id} {name}: {formula} = {value} at {inputs} ({kind}; {source})")
    }
}
