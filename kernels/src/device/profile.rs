//! What the time of some work goes to, launch by launch.

use super::cuda::Event;
use super::{Device, Machine};
use crate::Result;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One launch, or one copy or fill of memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The kernel, or `upload`, `download`, `copy`, `zero`.
    pub kernel: &'static str,
    /// The kernel's `int` parameters that are sizes, in order.
    pub sizes: Vec<i32>,
    /// How long it kept the device busy.
    pub time_ms: f64,
}

/// Keeps what is launched while [`Device::profiled`] runs.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    open: AtomicBool,
    entries: Mutex<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    kernel: &'static str,
    sizes: Vec<i32>,
    time: Time,
}

#[derive(Debug)]
enum Time {
    Host(f64),
    Cuda(Event, Event),
}

impl Recorder {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device {
    /// Runs `work` and says how long everything took that it asked of this device, in order: between
    /// two events around each launch on a GPU, by the clock on the shim. The events cost some
    /// microseconds each, so the whole is timed elsewhere. Waits for the device before and after.
    ///
    /// # Errors
    /// If `work` or the device fails.
    ///
    /// ```
    /// # use fortifai_kernels::{Buffer, Device, Schedule};
    /// if let Ok(device) = Device::host(Schedule::Forward) {
    ///     let (_, records) = device.profiled(|| Buffer::of(&device, &[1.0f32, 2.0]))?;
    ///     assert_eq!(records[0].kernel, "upload");
    /// }
    /// # Ok::<(), fortifai_kernels::KernelError>(())
    /// ```
    pub fn profiled<X, E: From<crate::KernelError>>(
        &self,
        work: impl FnOnce() -> std::result::Result<X, E>,
    ) -> std::result::Result<(X, Vec<Record>), E> {
        self.synchronize()?;
        self.recorder.entries().clear();
        self.recorder.open.store(true, Relaxed);
        let done = work();
        self.recorder.open.store(false, Relaxed);
        let entries = std::mem::take(&mut *self.recorder.entries());
        let done = done?;
        self.synchronize()?;
        let record = |Entry { kernel, sizes, time }| -> Result<Record> {
            let time_ms = match time {
                Time::Host(time_ms) => time_ms,
                Time::Cuda(start, stop) => start.until(&stop)?,
            };
            Ok(Record { kernel, sizes, time_ms })
        };
        Ok((done, entries.into_iter().map(record).collect::<Result<Vec<_>>>()?))
    }

    /// `work`, with its time where someone asks for it.
    pub(super) fn recorded(
        &self,
        kernel: &'static str,
        sizes: &[i32],
        work: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if !self.recorder.open.load(Relaxed) {
            return work();
        }
        let time = match &self.machine {
            Machine::Host(_) => {
                let start = Instant::now();
                work()?;
                Time::Host(start.elapsed().as_secs_f64() * 1e3)
            }
            Machine::Cuda(cuda) => {
                let start = cuda.mark()?;
                work()?;
                Time::Cuda(start, cuda.mark()?)
            }
        };
        self.recorder.entries().push(Entry { kernel, sizes: sizes.to_vec(), time });
        Ok(())
    }
}
