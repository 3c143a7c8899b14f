//! Tests of `column_sum`.
