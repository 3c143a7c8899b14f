//! An operator as the textbook and as a tier has it: what every check of a gradient compares.

use crate::tier::Tier;
use fortifai_oracle::Scalar;
use fortifai_stream::Stream;
use std::fmt;

/// One operator at one shape: a differentiable map from a flat point to flat outputs.
pub trait Operator {
    /// Operator and shape, for messages.
    fn label(&self) -> String;
    /// Names and lengths of the input tensors, in the order of the point.
    fn inputs(&self) -> Vec<(&'static str, usize)>;
    /// Names and lengths of the output tensors.
    fn outputs(&self) -> Vec<(&'static str, usize)>;
    /// Where the operator is evaluated.
    fn point(&self, stream: &mut Stream) -> Vec<f64> {
        normals(stream, total(&self.inputs()))
    }
    /// The gradient of the outputs that backward starts from; zero where backward takes none.
    fn cotangent(&self, stream: &mut Stream) -> Vec<f64> {
        normals(stream, total(&self.outputs()))
    }
    /// The outputs by definition.
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S>;
    /// Forward and backward on a tier. Gradients that backward adds to begin at `start`.
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        cotangent: &[f64],
        start: &[f64],
    ) -> Result<Ran, Finding>;
    /// Largest error of the adjoint identity, relative to the sizes of its terms.
    fn tolerance(&self) -> f64 {
        1e-13
    }
    /// Whether there is a gradient: the tier computes one, and the adjoint identity speaks of it.
    fn differentiated(&self) -> bool {
        true
    }
    /// The same operator at a point far out, where an exponential overflows unless it is held back.
    fn extreme(self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
    /// The name of one entry of the point, for messages.
    fn place(&self, entry: usize) -> String {
        let mut index = entry;
        for (name, len) in self.inputs() {
            if index < len {
                return format!("{name}[{index}]");
            }
            index -= len;
        }
        format!("input[{entry}]")
    }
    /// Names of the branches that this point visits.
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        Vec::new()
    }
}

/// [`Operator::run`], a panic being a refusal like any other.
pub(super) fn ran<O: Operator, T: Tier>(
    op: &O,
    tier: &T,
    point: &[f64],
    cotangent: &[f64],
    start: &[f64],
) -> Result<Ran, Finding> {
    let run = std::panic::AssertUnwindSafe(|| op.run(tier, point, cotangent, start));
    std::panic::catch_unwind(run).unwrap_or_else(|cause| {
        let said = cause.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(Finding { what: What::Refused, message: format!("panicked: {said}") })
    })
}

/// What [`Operator::run`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// All outputs.
    pub outputs: Vec<f64>,
    /// The gradient of all inputs, without what it was added to.
    pub gradient: Vec<f64>,
}

/// Sum of the lengths of named tensors.
pub fn total(tensors: &[(&'static str, usize)]) -> usize {
    tensors.iter().map(|(_, len)| len).sum()
}

/// The consecutive parts of a flat slice.
pub fn parts<const K: usize, X>(flat: &[X], lens: [usize; K]) -> [&[X]; K] {
    assert_eq!(flat.len(), lens.iter().sum::<usize>(), "parts: length of the whole");
    let mut start = 0;
    lens.map(|len| {
        start += len;
        &flat[start - len..start]
    })
}

/// `a − b`, element by element.
pub fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    assert_eq!(a.len(), b.len(), "minus: lengths");
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Standard normal numbers.
pub fn normals(stream: &mut Stream, len: usize) -> Vec<f64> {
    (0..len).map(|_| stream.normal()).collect()
}

/// The stream of a seed.
pub fn stream(seed: u64) -> Stream {
    Stream::new(seed, "conformance", 0, 0)
}

/// Which check found something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// An output differs from the textbook's.
    Value,
    /// The gradient is not the adjoint of the derivative by definition.
    Adjoint,
    /// Something was written beside a buffer, or read there.
    Guard,
    /// Two ways to the same result disagree.
    Consistency,
    /// Narrow numbers are worse than twice the textbook's in the same precision.
    Budget,
    /// The tier refused or failed.
    Refused,
    /// What the tier runs on failed: a file, a compiler, a driver. That says nothing of any result.
    Environment,
}

impl fmt::Display for What {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Value => "value",
            Self::Adjoint => "adjoint",
            Self::Guard => "guard",
            Self::Consistency => "consistency",
            Self::Budget => "budget",
            Self::Refused => "refused",
            Self::Environment => "environment",
        })
    }
}

/// What a check found wrong: a sentence that names the operator, the shape, the seed and the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub what: What,
    /// The sentence.
    pub message: String,
}

impl Finding {
    /// The same, said of the named case.
    #[must_use]
    pub fn of(self, case: &str) -> Self {
        Self { message: format!("{case}: {}", self.message), ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl From<crate::Error> for Finding {
    fn from(error: crate::Error) -> Self {
        let what = match error {
            crate::Error::Environment(_) => What::Environment,
            _ => What::Refused,
        };
        Self { what, message: error.to_string() }
    }
}

/// `Ok` or the finding; a NaN in the comparison has already made `holds` false.
pub fn ensure(holds: bool, what: What, message: impl FnOnce() -> String) -> Result<(), Finding> {
    if holds { Ok(()) } else { Err(Finding { what, message: message() }) }
}

/// `Σ a_i b_i` and `Σ |a_i b_i|`.
pub fn dot(a: &[f64], b: &[f64]) -> (f64, f64) {
    assert_eq!(a.len(), b.len(), "dot: lengths");
    a.iter().zip(b).fold((0.0, 0.0), |(sum, size), (a, b)| (sum + a * b, size + (a * b).abs()))
}
