//! Tests of `classifier`.
