//! Planted faults: wrong results that the checks must notice.
//!
//! A fault is a wrapper around the CPU tier ([`Faulty`]), in double precision or, for results that
//! are merely not as exact as they should be ([`Narrow`]), in single; the operators themselves know
//! nothing of it. For each the check that has to notice it is named beforehand, and
//! [`self_test`] fails if one is missed, if another check notices it first, or if the wrapper
//! without a fault does not pass.

mod list;
mod naive;
mod narrow;
mod self_test;
mod tamper;
mod tier;

pub use list::faults;
pub use narrow::Narrow;
pub use self_test::{Verdict, self_test};
pub use tamper::Tamper;
pub use tier::Faulty;

use super::operator::What;

/// A fault and who has to notice it.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What is wrong, in a few words.
    pub name: &'static str,
    /// The class of mistakes it belongs to.
    pub class: Class,
    /// The operator whose checks must notice it.
    pub operator: &'static str,
    /// The check that must notice it.
    pub caught_by: What,
    /// Whether it is so small that a finite-difference test at 1e-3 lets it pass (which
    /// [`self_test`] verifies).
    pub subtle: bool,
    /// Whether it is planted in single precision, where the budget must notice it.
    pub single: bool,
    /// What is done.
    pub plant: Plant,
}

/// A kind of mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A constant is slightly wrong.
    Factor,
    /// `=` stands for `+=`.
    Overwrite,
    /// A term or a tensor is missing.
    Missing,
    /// A sign is wrong.
    Sign,
    /// Something is counted twice.
    Twice,
    /// A mask is dropped, inverted or off.
    Mask,
    /// An index is off by one.
    Index,
    /// A matrix is transposed or two tensors are exchanged.
    Exchange,
    /// Statistics of another row or time are used.
    Stale,
    /// A derivative is taken through what is constant, or not through what is not.
    Detach,
    /// The sum is divided by the wrong number.
    Denominator,
    /// Digits are lost: an approximation, or a narrower type on the way.
    Digits,
    /// A buffer is written where it should not be, or not where it should.
    Bounds,
}

/// Where a gradient is tampered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gradient {
    /// The token table's, from the embedding.
    Wte,
    /// The position table's.
    Wpe,
    /// The input's of the linear layer.
    LinearX,
    /// Its weight's.
    LinearWeight,
    /// Its bias's.
    LinearBias,
    /// The input's of GELU.
    GeluPre,
    /// The weight's behind it.
    GeluWeight,
    /// The bias's behind it.
    GeluBias,
    /// That of the bias before it.
    GeluBefore,
    /// The residual stream's, from layer norm.
    LayernormResidual,
    /// Layer norm's weight's.
    LayernormWeight,
    /// Layer norm's bias's.
    LayernormBias,
    /// Queries', keys' and values'.
    Qkv,
    /// The hidden rows', from the classifier.
    ClassifierX,
    /// The token table's, from the classifier.
    ClassifierWeight,
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plant {
    /// Nothing: the wrapper alone.
    Nothing,
    /// A gradient is tampered with after it was computed.
    Gradient(Gradient, Tamper),
    /// Weights are read as if they were laid out the other way round.
    LinearTransposed,
    /// The forward product forgets its bias.
    LinearNoBias,
    /// GELU's derivative with the constant 0.0447 for 0.044715.
    GeluConstant,
    /// GELU's derivative without the factor 3 of the cube.
    GeluCube,
    /// Layer norm's backward pass uses the statistics of the row before.
    LayernormStale,
    /// Layer norm's backward pass uses a reciprocal deviation that is 0.001 % too large.
    LayernormRstd,
    /// Layer norm's gradient without the term of the mean.
    LayernormNoMean,
    /// Layer norm's gradient without the term of the projection on the normalised row.
    LayernormNoProjection,
    /// The weight's gradient takes the row itself for the normalised row.
    LayernormRaw,
    /// The sum forgets the branch.
    ResidualForgotten,
    /// Attention's backward pass, computed naively with a mistake.
    Attention(naive::Mistake),
    /// The last query of every sequence sees everything but itself.
    AttentionForward,
    /// The gradient of another rule.
    ClassifierRule(Swap),
    /// Values and gradient of another rule.
    ClassifierValue,
    /// The gradient is divided by one row less.
    ClassifierDenominator,
    /// The gradient's targets are those of the next row.
    ClassifierTargets,
    /// Of a repeated token only the last occurrence counts.
    EmbeddingRepeated,
    /// Gradients go to the position behind.
    EmbeddingPosition,
    /// The position behind is added.
    EmbeddingForward,
    /// Moments are not corrected for their start at zero.
    AdamwUncorrected,
    /// The step is counted as one more.
    AdamwNumber,
    /// Decay goes through the moments.
    AdamwCoupled,
    /// The gradient's scale is forgotten.
    AdamwScale,
    /// The decay rates of the moments are exchanged.
    AdamwBetas,
    /// The last number does not count.
    NormLast,
    /// The root is taken too early.
    NormRoot,
    /// The newest token does not see itself.
    DecodeNewest,
    /// All positions are looked up in the newest one's slot.
    DecodeAncestry,
    /// The packed product forgets its bias.
    PackedNoBias,
    /// The weight is packed as if it were laid out the other way round.
    PackedTransposed,
    /// One output is left as it was.
    Unwritten,
    /// Fewer digits than there should be.
    Narrow(Narrow),
}

/// Which rule stands for which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// Focal loss with its factor detached.
    FocalDetached,
    /// Detached focal loss with the derivative of its factor.
    FocalAttached,
    /// The threshold's other side.
    Inverted,
    /// No mask.
    Unmasked,
    /// Label smoothing without its uniform part.
    Unsmoothed,
    /// A focal exponent that is 0.01 % too large.
    FocalExponent,
}
