//! Integration tests: one binary, one module per room.

mod cli;
mod collapse;
mod conformance;
mod cuda;
mod golden;
mod grid;
mod laws;
