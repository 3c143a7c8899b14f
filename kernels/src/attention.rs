//! Launchers of `attention.cu`.
