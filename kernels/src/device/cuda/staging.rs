//! Uploads that do not wait: small ones are copied into page-locked memory, from which the device
//! fetches them in the order of the stream.

use super::ok;
use crate::Result;
use cudarc::driver::sys::{self, CUevent, CUstream};
use std::ptr::null_mut;

const SLOTS: usize = 16;
/// The indices of a step of 64 sequences of 1024 tokens fit.
const SLOT_BYTES: usize = 512 * 1024;

/// Page-locked memory in slots, used in turn, and the event after which a slot is free again.
#[derive(Debug)]
pub(super) struct Staging {
    memory: *mut u8,
    fetched: [CUevent; SLOTS],
    next: usize,
}

impl Staging {
    /// Lives as long as the process, as the device does.
    pub fn new() -> Result<Self> {
        let mut memory = null_mut();
        let mut fetched = [null_mut(); SLOTS];
        let kind = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
        // SAFETY: the context is current; the pointers are to locals of the right types.
        unsafe {
            let code = sys::cuMemAllocHost_v2(&raw mut memory, SLOTS * SLOT_BYTES);
            ok(code, "cuMemAllocHost")?;
            for event in &mut fetched {
                ok(sys::cuEventCreate(event, kind), "cuEventCreate")?;
            }
        }
        Ok(Self { memory: memory.cast(), fetched, next: 0 })
    }

    /// Whether `from` was small enough to go this way.
    pub fn copy(&mut self, stream: CUstream, address: u64, from: &[u8]) -> Result<bool> {
        if from.len() > SLOT_BYTES {
            return Ok(false);
        }
        let event = self.fetched[self.next];
        // SAFETY: the slot is inside the allocation and, after the wait, nobody reads it (an event
        // that was never recorded has passed); the device's allocation is at least as long.
        unsafe {
            let slot = self.memory.add(self.next * SLOT_BYTES);
            ok(sys::cuEventSynchronize(event), "cuEventSynchronize")?;
            std::ptr::copy_nonoverlapping(from.as_ptr(), slot, from.len());
            let code = sys::cuMemcpyHtoDAsync_v2(address, slot.cast(), from.len(), stream);
            ok(code, "cuMemcpyHtoDAsync")?;
            ok(sys::cuEventRecord(event, stream), "cuEventRecord")?;
        }
        self.next = (self.next + 1) % SLOTS;
        Ok(true)
    }
}
