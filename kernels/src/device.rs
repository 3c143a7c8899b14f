//! A device: a GPU with its stream, or the CPU that runs the kernels through the shim.

mod host;

use crate::launch::{Launch, TensorMap};
use crate::memory::{Element, View};
use crate::{KernelError, Result};
use std::sync::Arc;

/// In which order the shim runs the threads of a block between two barriers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// Thread 0 first.
    #[default]
    Forward,
    /// Thread 0 last.
    Reverse,
    /// Shuffled, anew at every barrier.
    Random(u64),
}

/// A device. Clones are the same device; launches and copies run in the order they were asked for.
#[derive(Clone, Debug)]
pub struct Device {
    machine: Machine,
}

#[derive(Clone, Debug)]
enum Machine {
    Host(Arc<host::Host>),
}

impl Device {
    /// GPU number `ordinal`.
    ///
    /// # Errors
    /// If there is no such GPU, or no compiler for its kernels.
    pub fn cuda(ordinal: usize) -> Result<Self> {
        crate::probe()?;
        Err(KernelError::Unsupported(format!("cuda:{ordinal}")))
    }

    /// The kernels on the CPU: the same sources, compiled by the host's C++ compiler.
    ///
    /// # Errors
    /// If there is no C++ compiler.
    pub fn host(schedule: Schedule) -> Result<Self> {
        Ok(Self { machine: Machine::Host(Arc::new(host::Host::new(schedule)?)) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match &self.machine {
            Machine::Host(host) => &host.name,
        }
    }

    /// Whether it is the shim.
    pub fn is_host(&self) -> bool {
        matches!(self.machine, Machine::Host(_))
    }

    /// Major and minor compute capability; the shim, which models Hopper's instructions, says
    /// `(9, 0)`.
    pub fn compute_capability(&self) -> (u32, u32) {
        match &self.machine {
            Machine::Host(_) => (9, 0),
        }
    }

    /// Streaming multiprocessors; the shim's threads.
    pub fn multiprocessors(&self) -> usize {
        match &self.machine {
            Machine::Host(_) => rayon::current_num_threads(),
        }
    }

    /// Waits for everything launched.
    ///
    /// # Errors
    /// If a kernel failed.
    pub fn synchronize(&self) -> Result<()> {
        match &self.machine {
            Machine::Host(_) => Ok(()),
        }
    }

    /// Describes a row-major matrix `[rows, columns]` to the bulk tensor copy engine: boxes of
    /// `box_rows × box_columns` with the 128-byte swizzle, zeros beyond the edges.
    ///
    /// # Errors
    /// If the driver refuses the shape.
    ///
    /// # Panics
    /// If the matrix is shorter than its shape says.
    pub fn tensor_map<T: Element>(
        &self,
        matrix: View<T>,
        rows: usize,
        columns: usize,
        box_rows: usize,
        box_columns: usize,
    ) -> Result<TensorMap> {
        assert!(matrix.len() >= rows * columns, "Device::tensor_map: length of the matrix");
        let tile = Tile {
            address: matrix.address_on(self),
            element_bytes: size_of::<T>(),
            rows,
            columns,
            box_rows,
            box_columns,
        };
        match &self.machine {
            Machine::Host(_) => host::tensor_map(&tile),
        }
    }

    /// Which machine: its memory is of no use to others.
    pub(crate) fn machine(&self) -> u32 {
        match &self.machine {
            Machine::Host(_) => 0,
        }
    }

    pub(crate) fn allocate(&self, bytes: usize) -> Result<u64> {
        match &self.machine {
            Machine::Host(_) => host::allocate(bytes),
        }
    }
    pub(crate) fn free(&self, address: u64, bytes: usize) {
        match &self.machine {
            // SAFETY: `address` came from `allocate` with the same size, and its buffer is going.
            Machine::Host(_) => unsafe { host::free(address, bytes) },
        }
    }
    pub(crate) fn copy_to_host<T: Element>(&self, to: &mut [T], address: u64) -> Result<()> {
        match &self.machine {
            // SAFETY: a view of as many `T` calls this; the host's addresses are pointers.
            Machine::Host(_) => unsafe {
                std::ptr::copy_nonoverlapping(address as *const T, to.as_mut_ptr(), to.len());
            },
        }
        Ok(())
    }
    pub(crate) fn copy_from_host<T: Element>(&self, address: u64, from: &[T]) -> Result<()> {
        match &self.machine {
            // SAFETY: as above, and the view is exclusive.
            Machine::Host(_) => unsafe {
                std::ptr::copy_nonoverlapping(from.as_ptr(), address as *mut T, from.len());
            },
        }
        Ok(())
    }
    pub(crate) fn zero(&self, address: u64, bytes: usize) -> Result<()> {
        match &self.machine {
            // SAFETY: an exclusive view of as many bytes calls this.
            Machine::Host(_) => unsafe { (address as *mut u8).write_bytes(0, bytes) },
        }
        Ok(())
    }
    pub(crate) fn copy_within(&self, to: u64, from: u64, bytes: usize) -> Result<()> {
        match &self.machine {
            // SAFETY: two views of as many bytes call this, and one is exclusive: no overlap.
            Machine::Host(_) => unsafe {
                std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, bytes);
            },
        }
        Ok(())
    }
    pub(crate) fn launch(&self, launch: &Launch) -> Result<()> {
        match &self.machine {
            Machine::Host(host) => host.launch(launch),
        }
    }
}

/// What [`Device::tensor_map`] describes.
struct Tile {
    address: u64,
    element_bytes: usize,
    rows: usize,
    columns: usize,
    box_rows: usize,
    box_columns: usize,
}

/// A failed kernel or driver call.
fn failed(what: impl Into<String>, reason: impl Into<String>) -> KernelError {
    KernelError::Device { what: what.into(), reason: reason.into() }
}
