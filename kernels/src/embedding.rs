//! Launchers of `embedding.cu`.
