//! Toy models of recursive training.
