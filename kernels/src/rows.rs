//! Launchers of `rows.cu`.
