//! Tests of `layernorm`.
