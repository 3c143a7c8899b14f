//! Figures of the n-gram sections.

use crate::figure::Figure;

pub(super) const FIGURES: &[Figure] = &[];
