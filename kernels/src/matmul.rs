//! Launchers of `matmul.cu`.
