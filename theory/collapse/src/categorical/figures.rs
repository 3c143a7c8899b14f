//! Figures of the categorical sections.

use crate::figure::Figure;

pub(super) const FIGURES: &[Figure] = &[];
