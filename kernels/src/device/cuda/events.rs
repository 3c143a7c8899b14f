//! Times on the stream, between events.

use super::{Cuda, ok};
use crate::Result;
use cudarc::driver::sys::{self, CUstream};
use std::ptr::null_mut;

impl Cuda {
    /// The time that each call of `work` keeps the stream busy, in milliseconds; `before` is called
    /// ahead of each and not counted.
    pub fn timed(
        &self,
        repeats: usize,
        mut before: impl FnMut() -> Result<()>,
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<Vec<f64>> {
        self.bind()?;
        let mut events = Vec::new();
        for _ in 0..repeats {
            before()?;
            let start = Event::record(self.stream)?;
            work()?;
            events.push((start, Event::record(self.stream)?));
        }
        self.synchronize()?;
        events.iter().map(|(start, stop)| start.until(stop)).collect()
    }

    /// A point behind everything asked for so far.
    pub fn mark(&self) -> Result<Event> {
        self.bind()?;
        Event::record(self.stream)
    }
}

/// A point in the stream, destroyed when dropped.
#[derive(Debug)]
pub(in crate::device) struct Event(sys::CUevent);

// SAFETY: a handle of the driver, good on every thread on which the context is current.
unsafe impl Send for Event {}

impl Event {
    fn record(stream: CUstream) -> Result<Self> {
        let mut event = null_mut();
        let kind = sys::CUevent_flags::CU_EVENT_DEFAULT as u32;
        // SAFETY: the context is current, the stream lives, the pointer is to a local.
        unsafe {
            ok(sys::cuEventCreate(&raw mut event, kind), "cuEventCreate")?;
            let event = Self(event);
            ok(sys::cuEventRecord(event.0, stream), "cuEventRecord").map(|()| event)
        }
    }

    /// From this point to a later one, both passed, in milliseconds.
    pub fn until(&self, later: &Self) -> Result<f64> {
        let mut time_ms = 0.0f32;
        // SAFETY: both events live and have passed.
        let code = unsafe { sys::cuEventElapsedTime_v2(&raw mut time_ms, self.0, later.0) };
        ok(code, "cuEventElapsedTime").map(|()| f64::from(time_ms))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: created by `record` and not used again.
        let _ = unsafe { sys::cuEventDestroy_v2(self.0) };
    }
}
