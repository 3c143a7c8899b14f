//! Tests of `matmul`.
