//! Rows in pieces of 16 bytes, as `vector.cuh` moves them.

use crate::Storage;

/// Numbers of a piece.
pub(crate) const fn width<A: Storage>() -> usize {
    16 / size_of::<A>()
}

/// Whether rows of `c` numbers at these addresses are made of whole pieces on their boundaries.
pub(crate) fn whole<A: Storage>(c: usize, addresses: &[u64]) -> bool {
    c.is_multiple_of(width::<A>()) && addresses.iter().all(|address| address.is_multiple_of(16))
}

/// Rows of a block of 256 threads that has two pieces for each of them.
pub(crate) fn rows_of_a_block<A: Storage>(c: usize) -> usize {
    (2 * 256 * width::<A>() / c).max(1)
}
