//! Figures of the family.
use crate::figure::Figure;
pub const FIGURES: &[Figure] = &[];
