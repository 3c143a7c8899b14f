//! A device: a GPU with its stream, or the CPU that runs the kernels through the shim.

use crate::Result;
use crate::launch::{Launch, TensorMap};
use crate::memory::{Element, View};

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
pub struct Device {}

impl Device {
    /// GPU number `ordinal`.
    ///
    /// # Errors
    /// If there is no such GPU, or no compiler for its kernels.
    pub fn cuda(ordinal: usize) -> Result<Self> {
        todo!("{ordinal}")
    }

    /// The kernels on the CPU: the same sources, compiled by the host's C++ compiler.
    ///
    /// # Errors
    /// If there is no C++ compiler.
    pub fn host(schedule: Schedule) -> Result<Self> {
        todo!("{schedule:?}")
    }

    /// Its name.
    pub fn name(&self) -> &str {
        todo!()
    }

    /// Whether it is the shim.
    pub fn is_host(&self) -> bool {
        todo!()
    }

    /// Major and minor compute capability; the shim, which models Hopper's instructions, says
    /// `(9, 0)`.
    pub fn compute_capability(&self) -> (u32, u32) {
        todo!()
    }

    /// Streaming multiprocessors; the shim's threads.
    pub fn multiprocessors(&self) -> usize {
        todo!()
    }

    /// Waits for everything launched.
    ///
    /// # Errors
    /// If a kernel failed.
    pub fn synchronize(&self) -> Result<()> {
        todo!()
    }

    /// Describes a row-major matrix `[rows, columns]` to the bulk tensor copy engine: boxes of
    /// `box_rows × box_columns` with the 128-byte swizzle, zeros beyond the edges.
    ///
    /// # Errors
    /// If the driver refuses the shape.
    pub fn tensor_map<T: Element>(
        &self,
        matrix: View<T>,
        rows: usize,
        columns: usize,
        box_rows: usize,
        box_columns: usize,
    ) -> Result<TensorMap> {
        todo!("{:?}", (matrix.address, rows, columns, box_rows, box_columns))
    }

    pub(crate) fn allocate(&self, bytes: usize) -> Result<u64> {
        todo!("{bytes}")
    }
    pub(crate) fn free(&self, address: u64, bytes: usize) {
        todo!("{address} {bytes}")
    }
    pub(crate) fn copy_to_host<T: Element>(&self, to: &mut [T], address: u64) -> Result<()> {
        todo!("{} {address}", to.len())
    }
    pub(crate) fn copy_from_host<T: Element>(&self, address: u64, from: &[T]) -> Result<()> {
        todo!("{} {address}", from.len())
    }
    pub(crate) fn zero(&self, address: u64, bytes: usize) -> Result<()> {
        todo!("{address} {bytes}")
    }
    pub(crate) fn launch(&self, launch: &Launch) -> Result<()> {
        todo!("{launch:?}")
    }
}
