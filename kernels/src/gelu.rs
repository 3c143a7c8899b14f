//! Launchers of `gelu.cu`.
