//! Launchers of `decode.cu`.
