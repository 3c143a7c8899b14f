//! Guards of the categorical sections.

use crate::check::Guard;

pub(super) const GUARDS: &[&[Guard]] = &[];
