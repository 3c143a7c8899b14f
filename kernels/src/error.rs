//! What can go wrong between a launcher and its kernel.

use crate::ProbeError;

/// Why a device cannot do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// There is no device.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// No compiler for the kernels was found.
    #[error("{0}")]
    NoCompiler(String),
    /// The kernel files cannot be read, or what was compiled cannot be kept.
    #[error("{0}")]
    Sources(String),
    /// A kernel file does not compile.
    #[error("The kernels of {source_name} do not compile with {compiler}: {log}")]
    Compile {
        /// The kernel file.
        source_name: String,
        /// The compiler and its options.
        compiler: String,
        /// What it said.
        log: String,
    },
    /// Device memory could not be had.
    #[error(
        "The device has no room for {bytes} more bytes ({reason}); lower batch or choose a smaller model."
    )]
    Memory {
        /// Asked for.
        bytes: usize,
        /// The driver's code.
        reason: String,
    },
    /// The driver refused a call or a kernel failed.
    #[error("The device failed at {what}: {reason}.")]
    Device {
        /// Kernel or driver call.
        what: String,
        /// The code or the shim's finding.
        reason: String,
    },
    /// A launcher does not know how to do this.
    #[error("{0}")]
    Unsupported(String),
}

/// The result of device work.
pub type Result<T, E = KernelError> = std::result::Result<T, E>;
