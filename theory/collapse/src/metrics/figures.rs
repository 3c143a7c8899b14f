//! Figures of the metrics of laws.

use crate::figure::Figure;

pub(super) const FIGURES: &[Figure] = &[];
