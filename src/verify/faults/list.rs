//! The faults.

use super::naive::Mistake;
use super::{Class, Fault, Gradient, Narrow, Plant, Swap, Tamper};
use crate::verify::operator::What::{self, Adjoint, Budget, Guard, Value};

const SLIGHTLY: Tamper = Tamper::Factor(1.0001);

/// All faults.
pub fn faults() -> Vec<Fault> {
    let fault = |name, class, operator, caught_by: What, plant| {
        // Through a whole model a factor is no longer small everywhere.
        let subtle = class == Class::Factor && operator != "model";
        Fault { name, class, operator, caught_by, subtle, single: false, plant }
    };
    let gradient = |name, class, operator, at, tamper| {
        fault(name, class, operator, Adjoint, Plant::Gradient(at, tamper))
    };
    let all = vec![
        // Embedding.
        gradient("wte × 1.0001", Class::Factor, "embedding", Gradient::Wte, SLIGHTLY),
        gradient("wpe × 1.0001", Class::Factor, "embedding", Gradient::Wpe, SLIGHTLY),
        gradient(
            "wpe overwritten",
            Class::Overwrite,
            "embedding",
            Gradient::Wpe,
            Tamper::Overwrite,
        ),
        fault(
            "only the last of a repeated token counts",
            Class::Overwrite,
            "embedding",
            Adjoint,
            Plant::EmbeddingRepeated,
        ),
        fault(
            "gradient of the position behind",
            Class::Index,
            "embedding",
            Adjoint,
            Plant::EmbeddingPosition,
        ),
        fault(
            "the position behind is added",
            Class::Index,
            "embedding",
            Value,
            Plant::EmbeddingForward,
        ),
        // Linear.
        gradient("dx × 1.0001", Class::Factor, "linear", Gradient::LinearX, SLIGHTLY),
        gradient("dweight × 1.0001", Class::Factor, "linear", Gradient::LinearWeight, SLIGHTLY),
        gradient("dbias × 1.0001", Class::Factor, "linear", Gradient::LinearBias, SLIGHTLY),
        gradient(
            "dweight overwritten",
            Class::Overwrite,
            "linear",
            Gradient::LinearWeight,
            Tamper::Overwrite,
        ),
        gradient("dweight negated", Class::Sign, "linear", Gradient::LinearWeight, Tamper::Negate),
        gradient("dbias forgotten", Class::Missing, "linear", Gradient::LinearBias, Tamper::Forget),
        gradient(
            "last entry of dweight forgotten",
            Class::Missing,
            "linear",
            Gradient::LinearWeight,
            Tamper::ForgetLast,
        ),
        fault(
            "weight read transposed",
            Class::Exchange,
            "linear",
            Adjoint,
            Plant::LinearTransposed,
        ),
        fault("bias forgotten going forward", Class::Missing, "linear", Value, Plant::LinearNoBias),
        fault("an output left unwritten", Class::Bounds, "linear", Value, Plant::Unwritten),
        fault(
            "dx written behind its end",
            Class::Bounds,
            "linear",
            Guard,
            Plant::Gradient(Gradient::LinearX, Tamper::Spill),
        ),
        fault(
            "dbias written behind its end",
            Class::Bounds,
            "linear",
            Guard,
            Plant::Gradient(Gradient::LinearBias, Tamper::Spill),
        ),
        // GELU.
        gradient("dpre × 1.0001", Class::Factor, "gelu_linear", Gradient::GeluPre, SLIGHTLY),
        gradient(
            "dbias counted twice",
            Class::Twice,
            "gelu_linear",
            Gradient::GeluBias,
            Tamper::Twice,
        ),
        gradient(
            "dweight overwritten",
            Class::Overwrite,
            "gelu_linear",
            Gradient::GeluWeight,
            Tamper::Overwrite,
        ),
        gradient(
            "gradient of the bias before forgotten",
            Class::Missing,
            "gelu_linear",
            Gradient::GeluBefore,
            Tamper::Forget,
        ),
        fault(
            "constant 0.0447 for 0.044715",
            Class::Factor,
            "gelu_linear",
            Adjoint,
            Plant::GeluConstant,
        ),
        fault(
            "factor 3 of the cube missing",
            Class::Missing,
            "gelu_linear",
            Adjoint,
            Plant::GeluCube,
        ),
        // Layer norm.
        gradient(
            "dresidual × 1.0001",
            Class::Factor,
            "layernorm",
            Gradient::LayernormResidual,
            SLIGHTLY,
        ),
        gradient(
            "dweight × 1.0001",
            Class::Factor,
            "layernorm",
            Gradient::LayernormWeight,
            SLIGHTLY,
        ),
        gradient(
            "dresidual overwritten",
            Class::Overwrite,
            "layernorm",
            Gradient::LayernormResidual,
            Tamper::Overwrite,
        ),
        gradient(
            "dbias of the channel before",
            Class::Index,
            "layernorm",
            Gradient::LayernormBias,
            Tamper::Rotate,
        ),
        fault(
            "rstd too large by 0.001 %",
            Class::Factor,
            "layernorm",
            Adjoint,
            Plant::LayernormRstd,
        ),
        fault(
            "statistics of the row before",
            Class::Stale,
            "layernorm",
            Adjoint,
            Plant::LayernormStale,
        ),
        fault(
            "term of the mean missing",
            Class::Missing,
            "layernorm",
            Adjoint,
            Plant::LayernormNoMean,
        ),
        fault(
            "term of the projection missing",
            Class::Missing,
            "layernorm",
            Adjoint,
            Plant::LayernormNoProjection,
        ),
        fault("dweight from the raw row", Class::Stale, "layernorm", Adjoint, Plant::LayernormRaw),
        // Residual.
        fault(
            "branch forgotten in the sum",
            Class::Missing,
            "residual_layernorm",
            Value,
            Plant::ResidualForgotten,
        ),
        gradient(
            "gradient of the sum overwritten",
            Class::Overwrite,
            "residual_layernorm",
            Gradient::LayernormResidual,
            Tamper::Overwrite,
        ),
        gradient(
            "dweight forgotten",
            Class::Missing,
            "residual_layernorm",
            Gradient::LayernormWeight,
            Tamper::Forget,
        ),
        // Attention.
        gradient("dqkv × 1.0001", Class::Factor, "attention", Gradient::Qkv, SLIGHTLY),
        gradient(
            "dqkv overwritten",
            Class::Overwrite,
            "attention",
            Gradient::Qkv,
            Tamper::Overwrite,
        ),
        fault(
            "mask dropped going back",
            Class::Mask,
            "attention",
            Adjoint,
            Plant::Attention(Mistake::NoMask),
        ),
        fault(
            "mask strict going back",
            Class::Mask,
            "attention",
            Adjoint,
            Plant::Attention(Mistake::StrictMask),
        ),
        fault(
            "mask inverted going back",
            Class::Mask,
            "attention",
            Adjoint,
            Plant::Attention(Mistake::InvertedMask),
        ),
        fault(
            "1/√hs missing going back",
            Class::Missing,
            "attention",
            Adjoint,
            Plant::Attention(Mistake::NoScale),
        ),
        fault(
            "row mean of dP missing",
            Class::Missing,
            "attention",
            Adjoint,
            Plant::Attention(Mistake::NoMean),
        ),
        fault(
            "dq and dk exchanged",
            Class::Exchange,
            "attention",
            Adjoint,
            Plant::Attention(Mistake::Exchanged),
        ),
        fault(
            "dv of the key behind",
            Class::Index,
            "attention",
            Adjoint,
            Plant::Attention(Mistake::ValueIndex),
        ),
        fault(
            "last query misses its own key",
            Class::Mask,
            "attention",
            Value,
            Plant::AttentionForward,
        ),
        // Classifier.
        gradient("dx × 1.0001", Class::Factor, "classifier", Gradient::ClassifierX, SLIGHTLY),
        gradient(
            "dweight × 1.0001",
            Class::Factor,
            "classifier",
            Gradient::ClassifierWeight,
            SLIGHTLY,
        ),
        gradient(
            "dweight overwritten",
            Class::Overwrite,
            "classifier",
            Gradient::ClassifierWeight,
            Tamper::Overwrite,
        ),
        fault(
            "focal exponent × 1.0001",
            Class::Factor,
            "classifier",
            Adjoint,
            Plant::ClassifierRule(Swap::FocalExponent),
        ),
        fault(
            "focal factor detached",
            Class::Detach,
            "classifier",
            Adjoint,
            Plant::ClassifierRule(Swap::FocalDetached),
        ),
        fault(
            "detached focal factor attached",
            Class::Detach,
            "classifier",
            Adjoint,
            Plant::ClassifierRule(Swap::FocalAttached),
        ),
        fault(
            "TCE keeps what it should drop",
            Class::Mask,
            "classifier",
            Adjoint,
            Plant::ClassifierRule(Swap::Inverted),
        ),
        fault(
            "random mask ignored",
            Class::Mask,
            "classifier",
            Adjoint,
            Plant::ClassifierRule(Swap::Unmasked),
        ),
        fault(
            "uniform part of label smoothing missing",
            Class::Missing,
            "classifier",
            Adjoint,
            Plant::ClassifierRule(Swap::Unsmoothed),
        ),
        fault(
            "divided by one row less",
            Class::Denominator,
            "classifier",
            Adjoint,
            Plant::ClassifierDenominator,
        ),
        fault(
            "targets of the next row",
            Class::Index,
            "classifier",
            Adjoint,
            Plant::ClassifierTargets,
        ),
        fault("value smoothed by 0.001", Class::Stale, "classifier", Value, Plant::ClassifierValue),
        // Optimiser.
        fault("moments not corrected", Class::Missing, "adamw", Value, Plant::AdamwUncorrected),
        fault("step number off by one", Class::Index, "adamw", Value, Plant::AdamwNumber),
        fault(
            "decay coupled to the gradient",
            Class::Exchange,
            "adamw",
            Value,
            Plant::AdamwCoupled,
        ),
        fault("gradient scale forgotten", Class::Denominator, "adamw", Value, Plant::AdamwScale),
        fault("decay rates exchanged", Class::Exchange, "adamw", Value, Plant::AdamwBetas),
        fault("last gradient not counted", Class::Missing, "squared_norm", Value, Plant::NormLast),
        fault("root taken of the sum", Class::Exchange, "squared_norm", Value, Plant::NormRoot),
        // Generation.
        fault(
            "newest key and value ignored",
            Class::Mask,
            "attention_decode",
            Value,
            Plant::DecodeNewest,
        ),
        fault(
            "all positions in the newest slot",
            Class::Index,
            "attention_decode",
            Value,
            Plant::DecodeAncestry,
        ),
        fault("bias forgotten", Class::Missing, "packed_linear", Value, Plant::PackedNoBias),
        fault(
            "weight packed transposed",
            Class::Exchange,
            "packed_linear",
            Value,
            Plant::PackedTransposed,
        ),
        // The whole model.
        gradient(
            "weight tying without the embedding",
            Class::Missing,
            "model",
            Gradient::Wte,
            Tamper::Forget,
        ),
        gradient(
            "weight tying without the classifier",
            Class::Missing,
            "model",
            Gradient::ClassifierWeight,
            Tamper::Forget,
        ),
        gradient(
            "residual gradient × 1.0001",
            Class::Factor,
            "model",
            Gradient::LayernormResidual,
            SLIGHTLY,
        ),
        gradient(
            "residual gradient lost",
            Class::Overwrite,
            "model",
            Gradient::LayernormResidual,
            Tamper::Overwrite,
        ),
        fault(
            "denominator of the model",
            Class::Denominator,
            "model",
            Adjoint,
            Plant::ClassifierDenominator,
        ),
        fault(
            "positions off by one in the model",
            Class::Index,
            "model",
            Adjoint,
            Plant::EmbeddingPosition,
        ),
    ];
    all.into_iter().chain(in_single_precision()).collect()
}

/// What is wrong with `f32`: a factor of eight units in the last place (sixteen where a gradient is a
/// difference of larger terms, whose rounding hides eight), approximations, types that are too narrow,
/// `=` for `+=`.
fn in_single_precision() -> Vec<Fault> {
    let fault = |name, class, operator, caught_by: What, plant| Fault {
        name,
        class,
        operator,
        caught_by,
        subtle: false,
        single: true,
        plant,
    };
    let digits = |name, operator, narrow| {
        fault(name, Class::Digits, operator, Budget, Plant::Narrow(narrow))
    };
    let gradient = |name, operator, at| {
        let factor = Tamper::Factor(1.0 + 1e-6);
        fault(name, Class::Factor, operator, Budget, Plant::Gradient(at, factor))
    };
    let overwritten = |name, operator, at| {
        let plant = Plant::Gradient(at, Tamper::Overwrite);
        fault(name, Class::Overwrite, operator, What::Consistency, plant)
    };
    vec![
        gradient("f32: wte × 1.000001", "embedding", Gradient::Wte),
        overwritten("f32: wpe overwritten", "embedding", Gradient::Wpe),
        gradient("f32: dx × 1.000001", "linear", Gradient::LinearX),
        gradient("f32: dbias × 1.000001", "linear", Gradient::LinearBias),
        overwritten("f32: dweight overwritten", "linear", Gradient::LinearWeight),
        digits("f32: products of 16 digits", "linear", Narrow::Products(16)),
        gradient("f32: dweight × 1.000001", "gelu_linear", Gradient::GeluWeight),
        digits("f32: slope off by 1e-6", "gelu_linear", Narrow::Gelu(1e-6)),
        fault(
            "f32: dx × 1.000002",
            Class::Factor,
            "layernorm",
            Budget,
            Plant::Gradient(Gradient::LayernormResidual, Tamper::Factor(1.0 + 2e-6)),
        ),
        digits("f32: rstd × 1.000001", "layernorm", Narrow::Rstd(1e-6)),
        digits("f32: variance in one pass", "layernorm", Narrow::OnePass),
        digits("f32: mean of 16 digits", "residual_layernorm", Narrow::Mean(16)),
        digits("f32: variance in one pass", "residual_layernorm", Narrow::OnePass),
        fault(
            "f32: exponentials off by 1e-5",
            Class::Digits,
            "attention",
            Budget,
            Plant::Attention(Mistake::Exponential(1e-5)),
        ),
        fault(
            "f32: exponentials off by 2e-6",
            Class::Digits,
            "attention",
            Budget,
            Plant::Attention(Mistake::Exponential(2e-6)),
        ),
        overwritten("f32: dqkv overwritten", "attention", Gradient::Qkv),
        digits("f32: exponentials off by 1e-5", "classifier", Narrow::Classifier(1e-5)),
        digits("f32: exponentials off by 2e-6", "classifier", Narrow::Classifier(2e-6)),
        digits("f32: softmax without its maximum", "classifier", Narrow::Classifier(0.0)),
        gradient("f32: dweight × 1.000001", "classifier", Gradient::ClassifierWeight),
        overwritten("f32: dx overwritten", "classifier", Gradient::ClassifierX),
        digits("f32: moments of 20 digits", "adamw", Narrow::Moments(20)),
        digits("f32: sum off by 1e-5", "squared_norm", Narrow::Norm(1e-5)),
        digits("f32: stored in bf16", "attention_decode", Narrow::Stored),
        digits("f32: rows of 20 digits", "attention_decode", Narrow::Decoded(20)),
        digits("f32: products of 16 digits", "packed_linear", Narrow::Products(16)),
    ]
}
