//! Device memory: typed buffers and views of them.

use crate::{Device, Result};
use std::marker::PhantomData;
use std::ops::Range;

mod sealed {
    pub trait Sealed {}
}

/// A number that kernels read and write.
pub trait Element: sealed::Sealed + Copy + Default + Send + Sync + 'static {}

macro_rules! elements {
    ($($number:ty),*) => { $(impl sealed::Sealed for $number {} impl Element for $number {})* };
}
// One marker for seven number types; a function cannot implement a trait.
elements!(f32, f64, u8, u32, i32, u64, half::bf16);

/// How activations and the parameters that forward reads are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precision {
    /// Single precision.
    F32,
    /// bfloat16, with arithmetic in single precision.
    Bf16,
}

/// The two storage types.
pub trait Storage: Element {
    /// Which one.
    const PRECISION: Precision;
    /// Rounded to nearest even.
    fn of(value: f32) -> Self;
    /// Exact.
    fn wide(self) -> f32;
}
impl Storage for f32 {
    const PRECISION: Precision = Precision::F32;
    fn of(value: f32) -> Self {
        value
    }
    fn wide(self) -> f32 {
        self
    }
}
impl Storage for half::bf16 {
    const PRECISION: Precision = Precision::Bf16;
    fn of(value: f32) -> Self {
        Self::from_f32(value)
    }
    fn wide(self) -> f32 {
        self.to_f32()
    }
}

/// Memory of a device, freed when dropped.
#[derive(Debug)]
pub struct Buffer<T: Element> {
    device: Device,
    address: u64,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> Buffer<T> {
    /// `len` zeros.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn zeros(device: &Device, len: usize) -> Result<Self> {
        let address = device.allocate(len * size_of::<T>())?;
        let buffer = Self { device: device.clone(), address, len, element: PhantomData };
        Ok(buffer)
    }

    /// A copy of host numbers.
    ///
    /// # Errors
    /// If the device has no room or fails.
    pub fn of(device: &Device, values: &[T]) -> Result<Self> {
        let mut buffer = Self::zeros(device, values.len())?;
        buffer.view_mut().upload(device, values)?;
        Ok(buffer)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of it.
    pub fn view(&self) -> View<'_, T> {
        let machine = self.device.machine();
        View { address: self.address, len: self.len, machine, life: PhantomData }
    }

    /// All of it, to be written.
    pub fn view_mut(&mut self) -> ViewMut<'_, T> {
        let machine = self.device.machine();
        ViewMut { address: self.address, len: self.len, machine, life: PhantomData }
    }

    /// Part of it.
    ///
    /// # Panics
    /// If the range goes beyond the end.
    pub fn slice(&self, range: Range<usize>) -> View<'_, T> {
        self.view().slice(range)
    }

    /// Part of it, to be written.
    ///
    /// # Panics
    /// If the range goes beyond the end.
    pub fn slice_mut(&mut self, range: Range<usize>) -> ViewMut<'_, T> {
        self.view_mut().into_slice(range)
    }

    /// Two parts that do not overlap, to be written.
    ///
    /// # Panics
    /// If they overlap or go beyond the end.
    pub fn two_mut(
        &mut self,
        first: Range<usize>,
        second: Range<usize>,
    ) -> (ViewMut<'_, T>, ViewMut<'_, T>) {
        assert!(
            first.end <= second.start || second.end <= first.start,
            "Buffer::two_mut: {first:?} and {second:?} overlap"
        );
        let part = |range: Range<usize>| {
            assert!(
                range.start <= range.end && range.end <= self.len,
                "Buffer::two_mut: {range:?}"
            );
            let address = self.address + (range.start * size_of::<T>()) as u64;
            let machine = self.device.machine();
            ViewMut { address, len: range.len(), machine, life: PhantomData }
        };
        (part(first), part(second))
    }
}

impl<T: Element> Drop for Buffer<T> {
    fn drop(&mut self) {
        self.device.free(self.address, self.len * size_of::<T>());
    }
}

/// Device memory that a kernel reads.
#[derive(Debug)]
pub struct View<'a, T> {
    address: u64,
    len: usize,
    machine: u32,
    life: PhantomData<&'a T>,
}

// Derived, these would ask for `T: Copy` of the reference's target.
impl<T> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for View<'_, T> {}

impl<'a, T: Element> View<'a, T> {
    /// Where it is on `device`.
    ///
    /// # Panics
    /// If it is the memory of another machine.
    pub(crate) fn address_on(self, device: &Device) -> u64 {
        assert_eq!(self.machine, device.machine(), "View: the memory of another device");
        self.address
    }

    /// Number of elements.
    #[allow(clippy::len_without_is_empty)] // a length to be checked, not a container
    pub fn len(&self) -> usize {
        self.len
    }

    /// Part of it.
    ///
    /// # Panics
    /// If the range goes beyond the end.
    pub fn slice(self, range: Range<usize>) -> View<'a, T> {
        assert!(range.start <= range.end && range.end <= self.len, "View::slice: {range:?}");
        let address = self.address + (range.start * size_of::<T>()) as u64;
        View { address, len: range.len(), machine: self.machine, life: PhantomData }
    }

    /// Its numbers, on the host. Waits for the kernels that write them.
    ///
    /// # Errors
    /// If the device fails, now or in an earlier kernel.
    pub fn download(self, device: &Device) -> Result<Vec<T>> {
        let mut values = vec![T::default(); self.len];
        device.copy_to_host(&mut values, self.address_on(device))?;
        Ok(values)
    }
}

/// Device memory that a kernel writes.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    address: u64,
    len: usize,
    machine: u32,
    life: PhantomData<&'a mut T>,
}

impl<'a, T: Element> ViewMut<'a, T> {
    /// As [`View::address_on`].
    pub(crate) fn address_on(&self, device: &Device) -> u64 {
        assert_eq!(self.machine, device.machine(), "ViewMut: the memory of another device");
        self.address
    }

    /// Number of elements.
    #[allow(clippy::len_without_is_empty)] // a length to be checked, not a container
    pub fn len(&self) -> usize {
        self.len
    }

    /// The same memory for a shorter time.
    pub fn reborrow(&mut self) -> ViewMut<'_, T> {
        ViewMut { address: self.address, len: self.len, machine: self.machine, life: PhantomData }
    }

    /// The same memory, to be read.
    pub fn view(&self) -> View<'_, T> {
        View { address: self.address, len: self.len, machine: self.machine, life: PhantomData }
    }

    /// Part of it.
    ///
    /// # Panics
    /// If the range goes beyond the end.
    pub fn into_slice(self, range: Range<usize>) -> ViewMut<'a, T> {
        assert!(range.start <= range.end && range.end <= self.len, "ViewMut::slice: {range:?}");
        let address = self.address + (range.start * size_of::<T>()) as u64;
        ViewMut { address, len: range.len(), machine: self.machine, life: PhantomData }
    }

    /// Its first `middle` elements and the rest.
    ///
    /// # Panics
    /// If `middle` lies beyond the end.
    pub fn split_at(self, middle: usize) -> (ViewMut<'a, T>, ViewMut<'a, T>) {
        assert!(middle <= self.len, "ViewMut::split_at: {middle} of {}", self.len);
        let rest = self.address + (middle * size_of::<T>()) as u64;
        let (machine, life) = (self.machine, PhantomData);
        (
            ViewMut { address: self.address, len: middle, machine, life },
            ViewMut { address: rest, len: self.len - middle, machine, life },
        )
    }

    /// The same memory as numbers of another type, as many as fit.
    ///
    /// # Panics
    /// If it does not start where such a number may stand.
    pub(crate) fn cast<U: Element>(self) -> ViewMut<'a, U> {
        assert!(self.address.is_multiple_of(align_of::<U>() as u64), "ViewMut::cast: alignment");
        let len = self.len * size_of::<T>() / size_of::<U>();
        ViewMut { address: self.address, len, machine: self.machine, life: PhantomData }
    }

    /// Overwrites it with host numbers.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn upload(&mut self, device: &Device, values: &[T]) -> Result<()> {
        assert_eq!(values.len(), self.len, "ViewMut::upload: lengths");
        device.copy_from_host(self.address_on(device), values)
    }

    /// Overwrites it with zeros.
    ///
    /// # Errors
    /// If the device fails.
    pub fn zero(&mut self, device: &Device) -> Result<()> {
        device.zero(self.address_on(device), self.len * size_of::<T>())
    }

    /// Overwrites it with numbers of the same device.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn copy(&mut self, device: &Device, from: View<T>) -> Result<()> {
        assert_eq!(from.len, self.len, "ViewMut::copy: lengths");
        let bytes = self.len * size_of::<T>();
        device.copy_within(self.address_on(device), from.address_on(device), bytes)
    }
}
