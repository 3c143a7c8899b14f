//! One launch: the kernel by name, its grid, and its arguments in order.

use crate::memory::{Element, Precision, Storage, View, ViewMut};
use crate::sources::Source;
use crate::{Device, Result};

/// The most dynamic shared memory that any block gets, on Hopper.
const SHARED_BYTES: usize = 227 * 1024;

/// A launch under construction. Arguments stand in the order of the kernel's parameters; it borrows
/// their memory until it has run.
#[derive(Debug)]
pub struct Launch<'a> {
    pub(crate) device: &'a Device,
    pub(crate) source: Source,
    pub(crate) precision: Precision,
    pub(crate) kernel: &'static str,
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) cluster: u32,
    pub(crate) shared_bytes: usize,
    pub(crate) arguments: Vec<Argument>,
    /// Those that are sizes.
    pub(crate) sizes: Vec<i32>,
}

/// The bytes of one argument, aligned as a tensor map must be.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Argument {
    pub bytes: [u64; 16],
    pub len: usize,
}

/// A scalar parameter of a kernel.
pub trait Scalar: Element {
    /// Its bits, in the low bytes.
    fn bits(self) -> u64;
}
impl Scalar for i32 {
    fn bits(self) -> u64 {
        u64::from(self as u32)
    }
}
impl Scalar for u32 {
    fn bits(self) -> u64 {
        u64::from(self)
    }
}
impl Scalar for u64 {
    fn bits(self) -> u64 {
        self
    }
}
impl Scalar for f32 {
    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }
}
impl Scalar for f64 {
    fn bits(self) -> u64 {
        self.to_bits()
    }
}

/// A tile of a matrix as the bulk tensor copy engine sees it; see [`Device::tensor_map`].
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct TensorMap(pub(crate) [u64; 16]);

impl<'a> Launch<'a> {
    /// A launch of `kernel` from `source`, compiled for storage in `A`.
    pub fn of<A: Storage>(device: &'a Device, source: Source, kernel: &'static str) -> Self {
        Self {
            device,
            source,
            precision: A::PRECISION,
            kernel,
            grid: [1; 3],
            block: [1; 3],
            cluster: 1,
            shared_bytes: 0,
            arguments: Vec::new(),
            sizes: Vec::new(),
        }
    }

    /// Blocks in x, y and z.
    #[must_use]
    pub fn grid(mut self, x: usize, y: usize, z: usize) -> Self {
        let of = |n| u32::try_from(n).expect("Launch::grid: at most 2³² − 1 blocks");
        self.grid = [of(x), of(y), of(z)];
        self
    }

    /// Threads per block, flat.
    #[must_use]
    pub fn block(mut self, threads: u32) -> Self {
        self.block = [threads, 1, 1];
        self
    }

    /// Blocks of a cluster in x.
    #[must_use]
    pub fn cluster(mut self, blocks: u32) -> Self {
        self.cluster = blocks;
        self
    }

    /// Bytes of dynamic shared memory.
    #[must_use]
    pub fn shared(mut self, bytes: usize) -> Self {
        self.shared_bytes = bytes;
        self
    }

    /// A pointer to memory that is read.
    #[must_use]
    pub fn read<T: Element>(self, view: View<'a, T>) -> Self {
        let address = view.address_on(self.device);
        self.push(address)
    }

    /// The same, or a null pointer.
    #[must_use]
    pub fn read_or_null<T: Element>(self, view: Option<View<'a, T>>) -> Self {
        let address = view.map_or(0, |view| view.address_on(self.device));
        self.push(address)
    }

    /// A pointer to memory that is written.
    #[must_use]
    pub fn write<T: Element>(self, view: &'a mut ViewMut<T>) -> Self {
        let address = view.address_on(self.device);
        self.push(address)
    }

    /// The same, or a null pointer.
    #[must_use]
    pub fn write_or_null<T: Element>(self, view: Option<&'a mut ViewMut<T>>) -> Self {
        let address = view.map_or(0, |view| view.address_on(self.device));
        self.push(address)
    }

    /// A number.
    #[must_use]
    pub fn value<S: Scalar>(mut self, value: S) -> Self {
        let mut bytes = [0; 16];
        bytes[0] = value.bits();
        self.arguments.push(Argument { bytes, len: size_of::<S>() });
        self
    }

    /// A size, as the kernel's `int`.
    ///
    /// # Panics
    /// If it is 2³¹ or more.
    #[must_use]
    pub fn size(mut self, value: usize) -> Self {
        let size = i32::try_from(value).expect("Launch::size: a size below 2³¹");
        self.sizes.push(size);
        self.value(size)
    }

    /// A tensor map, by value.
    #[must_use]
    pub fn tensor_map(mut self, map: &TensorMap) -> Self {
        self.arguments.push(Argument { bytes: map.0, len: size_of::<TensorMap>() });
        self
    }

    fn push(mut self, address: u64) -> Self {
        let mut bytes = [0; 16];
        bytes[0] = address;
        self.arguments.push(Argument { bytes, len: size_of::<u64>() });
        self
    }

    /// What is wrong with it for a kernel of at most `threads` threads whose parameters have these
    /// sizes in bytes.
    pub(crate) fn check(&self, threads: u32, sizes: &[usize]) -> Result<(), String> {
        let block = self.block[0];
        if self.arguments.len() != sizes.len() {
            let (given, taken) = (self.arguments.len(), sizes.len());
            return Err(format!("it takes {taken} arguments and is given {given}"));
        }
        for (index, (argument, &size)) in self.arguments.iter().zip(sizes).enumerate() {
            if argument.len != size {
                let given = argument.len;
                return Err(format!("argument {index} has {given} bytes, its parameter {size}"));
            }
        }
        if block == 0 || !block.is_multiple_of(32) || block > threads {
            return Err(format!(
                "a block of {block} threads, where a multiple of 32 up to {threads} is allowed"
            ));
        }
        let [x, y, z] = self.grid;
        if x >= 1 << 31 || y >= 1 << 16 || z >= 1 << 16 {
            return Err(format!(
                "a grid of {x} × {y} × {z}, where 2³¹ − 1 and twice 65535 are allowed"
            ));
        }
        if self.shared_bytes > SHARED_BYTES {
            let bytes = self.shared_bytes;
            return Err(format!(
                "{bytes} bytes of shared memory, where {SHARED_BYTES} are allowed"
            ));
        }
        if self.cluster == 0 || !self.grid[0].is_multiple_of(self.cluster) {
            let cluster = self.cluster;
            return Err(format!("{x} blocks in x are not whole clusters of {cluster}"));
        }
        Ok(())
    }

    /// Runs it, in order after everything launched before. An empty grid does nothing.
    ///
    /// # Safety
    /// Whatever the kernel reads or writes, given this grid and these numbers, lies within the views and
    /// the shared memory that it was given. A launcher holds this by checking lengths first; ids in
    /// device memory that no launcher can see are for the kernel to ask.
    ///
    /// # Errors
    /// If the kernel does not compile, its parameters differ in number or size, or the device fails.
    /// A failure of the kernel itself may only show at the next wait.
    pub unsafe fn run(self) -> Result<()> {
        if self.grid.contains(&0) {
            return Ok(());
        }
        self.device.launch(&self)
    }
}
