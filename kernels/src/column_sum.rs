//! Launchers of `column_sum.cu`.
