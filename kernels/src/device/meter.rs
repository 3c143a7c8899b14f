//! How much memory buffers hold.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Memory of a device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Can still be had.
    pub free_bytes: usize,
    /// All there is.
    pub total_bytes: usize,
    /// Held by buffers now.
    pub used_bytes: usize,
    /// The most that buffers held at a time since [`crate::Device::reset_peak`].
    pub peak_bytes: usize,
}

/// Counts what is allocated and freed.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub used: AtomicUsize,
    pub peak: AtomicUsize,
}

impl Meter {
    pub fn allocated(&self, bytes: usize) {
        let used = self.used.fetch_add(bytes, Relaxed) + bytes;
        self.peak.fetch_max(used, Relaxed);
    }

    pub fn freed(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    pub fn reset(&self) {
        self.peak.store(self.used.load(Relaxed), Relaxed);
    }
}
