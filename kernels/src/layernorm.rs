//! Launchers of `layernorm.cu`.
