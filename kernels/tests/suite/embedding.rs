//! Tests of `embedding`.
