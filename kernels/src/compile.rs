//! Compiling kernel files: NVRTC for devices, the host's C++ compiler for the shim, and the cache of
//! what they made.

mod cache;
mod figures;
pub(crate) mod host;
mod nvrtc;

pub use figures::{Figures, figures};
pub use nvrtc::{Compiled, Nvrtc};

use crate::sources::{Source, Text};
use crate::{Precision, Result, sources};
use std::borrow::Cow;

/// Everything that a compiler reads for one kernel file.
pub(crate) struct Unit {
    pub name: &'static str,
    pub text: Cow<'static, str>,
    pub includes: Vec<Text>,
    pub precision: Precision,
}

impl Unit {
    /// `source` with the kernels' headers.
    pub fn of(source: Source, precision: Precision) -> Result<Self> {
        let (name, _) = source.file();
        Ok(Self { name, text: source.text()?, includes: sources::headers()?, precision })
    }

    /// What the precision adds to the options.
    pub fn define(&self) -> Option<&'static str> {
        match self.precision {
            Precision::F32 => None,
            Precision::Bf16 => Some("-DFORTIFAI_BF16"),
        }
    }

    /// The cache's key: a digest of all texts and of everything else that shapes the result.
    pub fn key<'a>(&'a self, rest: impl IntoIterator<Item = &'a str>) -> String {
        let mut digest = blake3::Hasher::new();
        let mut add = |text: &str| {
            // The length keeps neighbours apart.
            digest.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        };
        add(self.name);
        add(&self.text);
        for (name, text) in &self.includes {
            add(name);
            add(text);
        }
        rest.into_iter().for_each(add);
        digest.finalize().to_hex()[..32].to_owned()
    }
}

/// An error with its causes.
pub(crate) fn said(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
