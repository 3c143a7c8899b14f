//! Guards of the family.
use crate::check::Guard;
pub const GAUSSIAN: &[Guard] = &[];
pub const WALK: &[Guard] = &[];
pub const CATEGORICAL: &[Guard] = &[];
pub const CHAINS: &[Guard] = &[];
pub const GRADIENT: &[Guard] = &[];
