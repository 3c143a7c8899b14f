//! Tests of `sampling`.
