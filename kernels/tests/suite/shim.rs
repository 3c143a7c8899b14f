//! Tests of `shim`.
