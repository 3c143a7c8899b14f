//! What is asked for, and in which sizes.

use crate::Precision;

/// Every kernel there is a bench of, in the order in which they run.
pub const KERNELS: &[&str] = &[
    "copy",
    "embedding_forward",
    "embedding_backward",
    "layernorm_forward",
    "residual_layernorm_forward",
    "layernorm_backward",
    "gelu_forward",
    "gelu_backward",
    "matmul",
    "column_sum",
    "attention_forward",
    "attention_backward",
    "classifier_forward",
    "classifier_forward_backward",
    "rows_gather",
    "decode_forward",
    "adamw_step",
    "squared_norm",
    "sampling_argmax",
    "sampling_draw",
];

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Parts of names; none means all.
    pub kernels: Vec<String>,
    /// Storages. What has only one is measured with `F32`.
    pub precisions: Vec<Precision>,
    /// How large.
    pub size: Size,
}

impl Plan {
    /// Whether a kernel is asked for.
    pub fn wants(&self, kernel: &str) -> bool {
        self.kernels.is_empty() || self.kernels.iter().any(|part| kernel.contains(part.as_str()))
    }
}

/// How large the shapes are; those of GPT-2 124M, but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 64 sequences of 1024 tokens.
    Full,
    /// 8 sequences of 1024 tokens.
    Quick,
    /// A few tokens of a model without use, so that the CPU shim gets through.
    Tiny,
}

/// The letters that shapes are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letters {
    pub b: usize,
    pub t: usize,
    pub nh: usize,
    pub hs: usize,
    pub v: usize,
    /// Rows of the classifier, as published comparisons have them.
    pub rows: usize,
    /// Edge of the square product on the ladder.
    pub edge: usize,
    /// Numbers of the optimiser.
    pub params: usize,
}

impl Letters {
    pub fn n(self) -> usize {
        self.b * self.t
    }
    pub fn c(self) -> usize {
        self.nh * self.hs
    }
}

impl Size {
    pub(super) fn letters(self) -> Letters {
        let gpt2 = |b, edge| Letters {
            b,
            t: 1024,
            nh: 12,
            hs: 64,
            v: 50304,
            rows: 8192,
            edge,
            params: 124_475_904,
        };
        match self {
            Self::Full => gpt2(64, 4096),
            Self::Quick => Letters { rows: 4096, params: 1 << 25, ..gpt2(8, 2048) },
            Self::Tiny => {
                Letters { b: 2, t: 20, nh: 2, hs: 32, v: 104, rows: 40, edge: 48, params: 5000 }
            }
        }
    }
}
