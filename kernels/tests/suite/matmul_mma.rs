//! Tests of `matmul_mma`.
