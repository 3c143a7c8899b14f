//! Launchers of `norm.cu`.
