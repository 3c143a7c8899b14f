//! The seam between machines.
