//! Integration tests: one binary, one module per room.

mod conformance;
mod golden;
