//! The kernel files, carried in the binary. `FORTIFAI_KERNEL_SOURCES` names a folder that is read
//! instead, for work on kernels without a rebuild.

/// A kernel file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Token and position embedding.
    Embedding,
    /// Layer norm with the residual sum.
    Layernorm,
    /// GELU.
    Gelu,
    /// Matrix products: the naive rung, the tiled rung, and products with few rows.
    Matmul,
    /// Matrix products on `mma.sync`, bf16.
    MatmulMma,
    /// Matrix products on `wgmma` with bulk tensor copies, bf16, `sm_90a` only.
    MatmulWgmma,
    /// Column sums.
    ColumnSum,
    /// Causal attention.
    Attention,
    /// Causal attention on `mma.sync`, bf16.
    AttentionMma,
    /// Attention with a key-value cache.
    Decode,
    /// Gathering and scattering of rows.
    Rows,
    /// The classifier's row statistics, losses and gradients.
    Classifier,
    /// AdamW.
    Adamw,
    /// The global norm.
    Norm,
    /// Choice of the next token.
    Sampling,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Embedding,
        Self::Layernorm,
        Self::Gelu,
        Self::Matmul,
        Self::MatmulMma,
        Self::MatmulWgmma,
        Self::ColumnSum,
        Self::Attention,
        Self::AttentionMma,
        Self::Decode,
        Self::Rows,
        Self::Classifier,
        Self::Adamw,
        Self::Norm,
        Self::Sampling,
    ];

    /// File name and text.
    pub fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::Embedding => ("embedding.cu", include_str!("../cuda/embedding.cu")),
            Self::Layernorm => ("layernorm.cu", include_str!("../cuda/layernorm.cu")),
            Self::Gelu => ("gelu.cu", include_str!("../cuda/gelu.cu")),
            Self::Matmul => ("matmul.cu", include_str!("../cuda/matmul.cu")),
            Self::MatmulMma => ("matmul_mma.cu", include_str!("../cuda/matmul_mma.cu")),
            Self::MatmulWgmma => ("matmul_wgmma.cu", include_str!("../cuda/matmul_wgmma.cu")),
            Self::ColumnSum => ("column_sum.cu", include_str!("../cuda/column_sum.cu")),
            Self::Attention => ("attention.cu", include_str!("../cuda/attention.cu")),
            Self::AttentionMma => ("attention_mma.cu", include_str!("../cuda/attention_mma.cu")),
            Self::Decode => ("decode.cu", include_str!("../cuda/decode.cu")),
            Self::Rows => ("rows.cu", include_str!("../cuda/rows.cu")),
            Self::Classifier => ("classifier.cu", include_str!("../cuda/classifier.cu")),
            Self::Adamw => ("adamw.cu", include_str!("../cuda/adamw.cu")),
            Self::Norm => ("norm.cu", include_str!("../cuda/norm.cu")),
            Self::Sampling => ("sampling.cu", include_str!("../cuda/sampling.cu")),
        }
    }
}

/// The headers that kernel files include: name and text.
pub const HEADERS: [(&str, &str); 2] = [
    ("common.cuh", include_str!("../cuda/common.cuh")),
    ("ptx.cuh", include_str!("../cuda/ptx.cuh")),
];
