//! A device: a GPU with its stream, or the CPU that runs the kernels through the shim.

mod cuda;
mod host;
mod meter;
mod profile;
mod timing;

pub use meter::Memory;
pub use profile::Record;

use crate::launch::{Launch, TensorMap};
use crate::memory::{Element, View};
use crate::{KernelError, Result};
use meter::Meter;
use profile::Recorder;
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
    meter: Arc<Meter>,
    recorder: Arc<Recorder>,
}

#[derive(Clone, Debug)]
enum Machine {
    Host(Arc<host::Host>),
    Cuda(Arc<cuda::Cuda>),
}

impl Device {
    /// GPU number `ordinal`.
    ///
    /// # Errors
    /// If there is no such GPU, or no compiler for its kernels.
    pub fn cuda(ordinal: usize) -> Result<Self> {
        Ok(Self::of(Machine::Cuda(cuda::Cuda::open(ordinal)?)))
    }

    /// The kernels on the CPU: the same sources, compiled by the host's C++ compiler.
    ///
    /// # Errors
    /// If there is no C++ compiler.
    pub fn host(schedule: Schedule) -> Result<Self> {
        let host = Arc::new(host::Host::new(schedule)?);
        Ok(Self::of(Machine::Host(host)))
    }

    fn of(machine: Machine) -> Self {
        Self { machine, meter: Arc::default(), recorder: Arc::default() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match &self.machine {
            Machine::Host(host) => &host.name,
            Machine::Cuda(cuda) => &cuda.name,
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
            Machine::Cuda(cuda) => cuda.compute_capability,
        }
    }

    /// Streaming multiprocessors; the shim's threads.
    pub fn multiprocessors(&self) -> usize {
        match &self.machine {
            Machine::Host(_) => rayon::current_num_threads(),
            Machine::Cuda(cuda) => cuda.multiprocessors,
        }
    }

    /// Waits for everything launched.
    ///
    /// # Errors
    /// If a kernel failed.
    pub fn synchronize(&self) -> Result<()> {
        match &self.machine {
            Machine::Host(_) => Ok(()),
            Machine::Cuda(cuda) => cuda.synchronize(),
        }
    }

    /// Describes a row-major matrix `[rows, columns]`, whose rows begin `stride` elements apart, to
    /// the bulk tensor copy engine: boxes `[box_rows, box_columns]` with the 128-byte swizzle,
    /// zeros beyond the edges.
    ///
    /// # Errors
    /// If the engine cannot do the shape: addresses and strides are multiples of 16 bytes, a row of
    /// the box has at most 128 bytes, a box at most 256 rows.
    ///
    /// # Panics
    /// If the matrix is shorter than its shape says, or its rows overlap.
    pub fn tensor_map<T: Element>(
        &self,
        matrix: View<T>,
        [rows, columns]: [usize; 2],
        stride: usize,
        [box_rows, box_columns]: [usize; 2],
    ) -> Result<TensorMap> {
        self.map_of(matrix, None, [rows, columns], stride, [box_rows, box_columns])
    }

    /// The same of `layers` such matrices, one after the other: a box lies in one of them, zeros beyond
    /// its edges.
    ///
    /// # Errors
    /// As [`Device::tensor_map`].
    ///
    /// # Panics
    /// As [`Device::tensor_map`].
    pub fn tensor_map_of_layers<T: Element>(
        &self,
        matrices: View<T>,
        layers: usize,
        shape: [usize; 2],
        stride: usize,
        box_shape: [usize; 2],
    ) -> Result<TensorMap> {
        self.map_of(matrices, Some(layers), shape, stride, box_shape)
    }

    fn map_of<T: Element>(
        &self,
        matrix: View<T>,
        layers: Option<usize>,
        [rows, columns]: [usize; 2],
        stride: usize,
        [box_rows, box_columns]: [usize; 2],
    ) -> Result<TensorMap> {
        assert!(stride >= columns, "Device::tensor_map: rows overlap");
        let extent = (layers.unwrap_or(1) * rows * stride + columns).saturating_sub(stride);
        assert!(matrix.len() >= extent, "Device::tensor_map: length of the matrix");
        let address = matrix.address_on(self);
        let element_bytes = size_of::<T>();
        let tile =
            Tile { address, element_bytes, layers, rows, columns, stride, box_rows, box_columns };
        tile.check()?;
        match &self.machine {
            Machine::Host(_) => Ok(host::tensor_map(&tile)),
            Machine::Cuda(_) => cuda::tensor_map(&tile),
        }
    }

    /// Which machine: its memory is of no use to others.
    pub(crate) fn machine(&self) -> u32 {
        match &self.machine {
            Machine::Host(_) => 0,
            Machine::Cuda(cuda) => 1 + cuda.ordinal as u32,
        }
    }

    pub(crate) fn allocate(&self, bytes: usize) -> Result<u64> {
        let address = match &self.machine {
            Machine::Host(_) => host::allocate(bytes),
            Machine::Cuda(cuda) => cuda.allocate(bytes),
        }?;
        self.meter.allocated(bytes);
        Ok(address)
    }

    pub(crate) fn free(&self, address: u64, bytes: usize) {
        self.meter.freed(bytes);
        // SAFETY: `address` came from `allocate` with the same size, and its buffer is going.
        unsafe {
            match &self.machine {
                Machine::Host(_) => host::free(address, bytes),
                Machine::Cuda(cuda) => cuda.free(address),
            }
        }
    }

    pub(crate) fn copy_to_host<T: Element>(&self, to: &mut [T], address: u64) -> Result<()> {
        // SAFETY: a view of as many `T` calls this; the host's addresses are pointers. Every
        // pattern of bits is a number.
        self.recorded("download", &[], || unsafe {
            match &self.machine {
                Machine::Host(_) => {
                    std::ptr::copy_nonoverlapping(address as *const T, to.as_mut_ptr(), to.len());
                    Ok(())
                }
                Machine::Cuda(cuda) => {
                    cuda.download(to.as_mut_ptr().cast(), address, size_of_val(to))
                }
            }
        })
    }

    pub(crate) fn copy_from_host<T: Element>(&self, address: u64, from: &[T]) -> Result<()> {
        // SAFETY: an exclusive view of as many `T` calls this; numbers have no padding.
        self.recorded("upload", &[], || unsafe {
            match &self.machine {
                Machine::Host(_) => {
                    std::ptr::copy_nonoverlapping(from.as_ptr(), address as *mut T, from.len());
                    Ok(())
                }
                Machine::Cuda(cuda) => {
                    let bytes = from.as_ptr().cast::<u8>();
                    cuda.upload(address, std::slice::from_raw_parts(bytes, size_of_val(from)))
                }
            }
        })
    }

    pub(crate) fn zero(&self, address: u64, bytes: usize) -> Result<()> {
        self.recorded("zero", &[], || match &self.machine {
            Machine::Host(_) => {
                // SAFETY: an exclusive view of as many bytes calls this.
                unsafe { (address as *mut u8).write_bytes(0, bytes) };
                Ok(())
            }
            Machine::Cuda(cuda) => cuda.zero(address, bytes),
        })
    }

    pub(crate) fn copy_within(&self, to: u64, from: u64, bytes: usize) -> Result<()> {
        self.recorded("copy", &[], || match &self.machine {
            Machine::Host(_) => {
                // SAFETY: two views of as many bytes call this, and one is exclusive: no overlap.
                unsafe {
                    std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, bytes);
                }
                Ok(())
            }
            Machine::Cuda(cuda) => cuda.copy_within(to, from, bytes),
        })
    }

    pub(crate) fn launch(&self, launch: &Launch) -> Result<()> {
        self.recorded(launch.kernel, &launch.sizes, || match &self.machine {
            Machine::Host(host) => host.launch(launch),
            Machine::Cuda(cuda) => cuda.launch(launch),
        })
    }
}

/// What [`Device::tensor_map`] describes.
struct Tile {
    address: u64,
    element_bytes: usize,
    layers: Option<usize>,
    rows: usize,
    columns: usize,
    stride: usize,
    box_rows: usize,
    box_columns: usize,
}

impl Tile {
    /// What the engine's manual asks of a matrix and of a swizzled box.
    fn check(&self) -> Result<()> {
        let Self { address, element_bytes, layers, rows, columns, stride, box_rows, box_columns } =
            *self;
        let row_bytes = stride * element_bytes;
        let ask = |holds: bool, what: String| {
            let refusal =
                || KernelError::Unsupported(format!("A tensor map cannot be had: {what}."));
            if holds { Ok(()) } else { Err(refusal()) }
        };
        let layers = layers.unwrap_or(1);
        ask(layers > 0 && rows > 0 && columns > 0, format!("the matrix is {rows} × {columns}"))?;
        ask(address.is_multiple_of(16), "the matrix does not start at 16 bytes".to_owned())?;
        ask(row_bytes.is_multiple_of(16), format!("rows {row_bytes} bytes apart, not 16s"))?;
        let box_bytes = box_columns * element_bytes;
        ask(
            box_bytes.is_multiple_of(16) && (16..=128).contains(&box_bytes),
            format!("a box whose rows have {box_bytes} bytes, where 16 to 128 are possible"),
        )?;
        let possible = (1..=256).contains(&box_rows) && (1..=256).contains(&box_columns);
        ask(possible, format!("a box of {box_rows} × {box_columns}, where 256 are possible"))
    }
}

/// A failed kernel or driver call.
fn failed(what: impl Into<String>, reason: impl Into<String>) -> KernelError {
    KernelError::Device { what: what.into(), reason: reason.into() }
}
