//! The kernel files, carried in the binary. `FORTIFAI_KERNEL_SOURCES` names a folder that is read
//! instead (the shim's files from `../host` beside it), for work on kernels without a rebuild.

use crate::{KernelError, Precision, Result};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// A kernel file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Token and position embedding.
    Embedding,
    /// Layer norm with the residual sum.
    Layernorm,
    /// Its gradient.
    LayernormBackward,
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
    /// Causal attention on `wgmma` with bulk tensor copies, bf16, `sm_90a` only.
    AttentionWgmma,
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
    /// A file of one's own: name and text. It may include [`HEADERS`].
    Other(&'static str, &'static str),
}

impl Source {
    /// All of the tier's.
    pub const ALL: [Self; 17] = [
        Self::Embedding,
        Self::Layernorm,
        Self::LayernormBackward,
        Self::Gelu,
        Self::Matmul,
        Self::MatmulMma,
        Self::MatmulWgmma,
        Self::ColumnSum,
        Self::Attention,
        Self::AttentionMma,
        Self::AttentionWgmma,
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
            Self::LayernormBackward => {
                ("layernorm_backward.cu", include_str!("../cuda/layernorm_backward.cu"))
            }
            Self::Gelu => ("gelu.cu", include_str!("../cuda/gelu.cu")),
            Self::Matmul => ("matmul.cu", include_str!("../cuda/matmul.cu")),
            Self::MatmulMma => ("matmul_mma.cu", include_str!("../cuda/matmul_mma.cu")),
            Self::MatmulWgmma => ("matmul_wgmma.cu", include_str!("../cuda/matmul_wgmma.cu")),
            Self::ColumnSum => ("column_sum.cu", include_str!("../cuda/column_sum.cu")),
            Self::Attention => ("attention.cu", include_str!("../cuda/attention.cu")),
            Self::AttentionMma => ("attention_mma.cu", include_str!("../cuda/attention_mma.cu")),
            Self::AttentionWgmma => {
                ("attention_wgmma.cu", include_str!("../cuda/attention_wgmma.cu"))
            }
            Self::Decode => ("decode.cu", include_str!("../cuda/decode.cu")),
            Self::Rows => ("rows.cu", include_str!("../cuda/rows.cu")),
            Self::Classifier => ("classifier.cu", include_str!("../cuda/classifier.cu")),
            Self::Adamw => ("adamw.cu", include_str!("../cuda/adamw.cu")),
            Self::Norm => ("norm.cu", include_str!("../cuda/norm.cu")),
            Self::Sampling => ("sampling.cu", include_str!("../cuda/sampling.cu")),
            Self::Other(name, text) => (name, text),
        }
    }

    /// Its text as it stands now.
    ///
    /// # Errors
    /// If `FORTIFAI_KERNEL_SOURCES` names a folder without it.
    pub fn text(self) -> Result<Cow<'static, str>> {
        let (name, text) = self.file();
        match folder() {
            Some(folder) if !matches!(self, Self::Other(..)) => read(&folder.join(name)),
            _ => Ok(text.into()),
        }
    }

    /// The storage precisions that launchers ask of it.
    pub fn precisions(self) -> &'static [Precision] {
        match self {
            Self::MatmulMma | Self::MatmulWgmma | Self::AttentionMma | Self::AttentionWgmma => {
                &[Precision::Bf16]
            }
            _ => &[Precision::F32, Precision::Bf16],
        }
    }

    /// The architectures it is checked for.
    pub fn architectures(self) -> &'static [&'static str] {
        match self {
            Self::MatmulWgmma | Self::AttentionWgmma => &["sm_90a"],
            _ => &["sm_80", "sm_90a", "sm_100"],
        }
    }
}

/// The headers that kernel files include: name and text.
pub const HEADERS: [(&str, &str); 6] = [
    ("common.cuh", include_str!("../cuda/common.cuh")),
    ("heads.cuh", include_str!("../cuda/heads.cuh")),
    ("hopper.cuh", include_str!("../cuda/hopper.cuh")),
    ("product.cuh", include_str!("../cuda/product.cuh")),
    ("ptx.cuh", include_str!("../cuda/ptx.cuh")),
    ("vector.cuh", include_str!("../cuda/vector.cuh")),
];

/// The shim's files: name and text.
pub const SHIM: [(&str, &str); 14] = [
    ("block.hpp", include_str!("../host/block.hpp")),
    ("builtins.hpp", include_str!("../host/builtins.hpp")),
    ("bulk.hpp", include_str!("../host/bulk.hpp")),
    ("fibers.hpp", include_str!("../host/fibers.hpp")),
    ("hopper.hpp", include_str!("../host/hopper.hpp")),
    ("meetings.hpp", include_str!("../host/meetings.hpp")),
    ("memory.hpp", include_str!("../host/memory.hpp")),
    ("ptx.hpp", include_str!("../host/ptx.hpp")),
    ("registry.hpp", include_str!("../host/registry.hpp")),
    ("sanitizers.hpp", include_str!("../host/sanitizers.hpp")),
    ("shim.hpp", include_str!("../host/shim.hpp")),
    ("thread.hpp", include_str!("../host/thread.hpp")),
    ("warp.hpp", include_str!("../host/warp.hpp")),
    ("wgmma.hpp", include_str!("../host/wgmma.hpp")),
];

/// A file's name and its text.
pub type Text = (String, Cow<'static, str>);

/// [`HEADERS`] as they stand now.
///
/// # Errors
/// If `FORTIFAI_KERNEL_SOURCES` names a folder without them.
pub fn headers() -> Result<Vec<Text>> {
    match folder() {
        Some(folder) => all_of(&folder, "cuh"),
        None => Ok(carried(&HEADERS)),
    }
}

/// [`SHIM`] as it stands now.
///
/// # Errors
/// If `FORTIFAI_KERNEL_SOURCES` names a folder that has no `../host` beside it.
pub fn shim() -> Result<Vec<Text>> {
    match folder() {
        Some(folder) => all_of(&folder.join("../host"), "hpp"),
        None => Ok(carried(&SHIM)),
    }
}

fn folder() -> Option<PathBuf> {
    std::env::var_os("FORTIFAI_KERNEL_SOURCES").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn carried(files: &[(&'static str, &'static str)]) -> Vec<Text> {
    files.iter().map(|&(name, text)| (name.to_owned(), text.into())).collect()
}

/// Every file with this ending, by name.
fn all_of(folder: &Path, ending: &str) -> Result<Vec<Text>> {
    let entries = std::fs::read_dir(folder).map_err(|cause| unreadable(folder, &cause))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|cause| unreadable(folder, &cause))?.path();
        if path.extension().is_some_and(|is| is == ending) {
            paths.push(path);
        }
    }
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    paths.iter().map(|path| Ok((name(path), read(path)?))).collect()
}

fn read(path: &Path) -> Result<Cow<'static, str>> {
    std::fs::read_to_string(path).map(Cow::Owned).map_err(|cause| unreadable(path, &cause))
}

fn unreadable(path: &Path, cause: &std::io::Error) -> KernelError {
    KernelError::Sources(format!(
        "{} cannot be read ({cause}); FORTIFAI_KERNEL_SOURCES must name the folder of the kernel \
         files, or be unset.",
        path.display()
    ))
}
