//! Launchers of `adamw.cu`.
