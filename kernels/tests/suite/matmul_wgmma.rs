//! Tests of `matmul_wgmma`.
