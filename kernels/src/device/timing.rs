//! Measurements for benches.

use super::{Device, Machine, Memory};
use crate::{Buffer, Result};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

impl Device {
    /// The time of each of `repeats` calls of `work`, in milliseconds: between two events around
    /// its launches on a GPU, by the clock on the shim. With `cold`, the GPU's second-level cache is
    /// overwritten before each call; without it, a kernel shorter than its launch (some µs)
    /// measures the launch.
    ///
    /// # Errors
    /// If `work` or the device fails.
    ///
    /// ```
    /// # use fortifai_kernels::{Device, Schedule};
    /// if let Ok(device) = Device::host(Schedule::Forward) {
    ///     let times_ms = device.timed(3, true, || Ok(()))?;
    ///     assert_eq!(times_ms.len(), 3);
    /// }
    /// # Ok::<(), fortifai_kernels::KernelError>(())
    /// ```
    pub fn timed(
        &self,
        repeats: usize,
        cold: bool,
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<Vec<f64>> {
        match &self.machine {
            Machine::Host(_) => {
                let mut once = || {
                    let start = Instant::now();
                    work().map(|()| start.elapsed().as_secs_f64() * 1e3)
                };
                (0..repeats).map(|_| once()).collect()
            }
            Machine::Cuda(cuda) => {
                // Twice its size, so that nothing of the last call survives.
                let len = if cold { 2 * cuda.l2_bytes } else { 0 };
                let mut flood = Buffer::<u8>::zeros(self, len)?;
                cuda.timed(repeats, || flood.view_mut().zero(self), work)
            }
        }
    }

    /// Its memory now.
    ///
    /// # Errors
    /// If the driver or the operating system does not say.
    pub fn memory(&self) -> Result<Memory> {
        let (free_bytes, total_bytes) = match &self.machine {
            Machine::Host(_) => super::host::memory_bytes()?,
            Machine::Cuda(cuda) => cuda.memory_bytes()?,
        };
        let used_bytes = self.meter.used.load(Relaxed);
        let peak_bytes = self.meter.peak.load(Relaxed);
        Ok(Memory { free_bytes, total_bytes, used_bytes, peak_bytes })
    }

    /// Forgets the highest use of memory.
    pub fn reset_peak(&self) {
        self.meter.reset();
    }
}
