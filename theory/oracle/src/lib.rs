//! The textbook formulas.
