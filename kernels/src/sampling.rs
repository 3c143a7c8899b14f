//! Launchers of `sampling.cu`.
