//! Integration tests: one binary, one module per room.

mod cli;
mod collapse;
mod conformance;
mod golden;
mod laws;
