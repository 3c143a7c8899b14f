//! The CUDA tier: the hand-written kernels of `fortifai-kernels` behind [`crate::tier::Tier`], on a
//! GPU or, for tests without one, on the CPU through the kernels' shim.
//!
//! | precision | activations, parameters as forward reads them | parameters' masters, gradients, moments |
//! |---|---|---|
//! | `f32` | f32 | f32 |
//! | `bf16` | bf16, arithmetic in f32 | f32 |
//!
//! | file | what |
//! |---|---|
//! | `mod` | the tier and its scratch |
//! | `arena` | parameter arenas, with the bf16 copy where there is one |
//! | `tier` | one method per operator |

mod arena;
mod tier;

pub use arena::{Param, Weights};

use crate::{Error, Result};
use fortifai_kernels::{Buffer, Device, KernelError, ViewMut};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

/// Uploads that are remembered: the layers of one decoding step ask for the same three.
const REMEMBERED: usize = 8;

/// The CUDA tier with storage in `A`: `f32` or `half::bf16`. Clones share the device.
#[derive(Clone, Debug)]
pub struct Cuda<A> {
    device: Device,
    scratch: Arc<Mutex<Scratch>>,
    indices: Arc<Mutex<VecDeque<Indices>>>,
    storage: PhantomData<A>,
}

/// Memory that operators use between two launches; it only grows.
#[derive(Debug)]
struct Scratch {
    single: Buffer<f32>,
    double: Buffer<f64>,
}

/// Host indices and their copy on the device.
#[derive(Clone, Debug)]
struct Indices {
    host: Arc<[u32]>,
    device: Arc<Buffer<u32>>,
}

impl<A> Cuda<A> {
    /// The tier on a device.
    ///
    /// # Errors
    /// If the device has no memory at all.
    pub fn new(device: Device) -> Result<Self> {
        let scratch =
            Scratch { single: Buffer::zeros(&device, 0)?, double: Buffer::zeros(&device, 0)? };
        Ok(Self {
            device,
            scratch: Arc::new(Mutex::new(scratch)),
            indices: Arc::default(),
            storage: PhantomData,
        })
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Runs `work` with `len` numbers of scratch. Launches run in order, so the next user may
    /// overwrite them as soon as the last launch of `work` has been asked for.
    fn with_scratch<X>(
        &self,
        len: usize,
        work: impl FnOnce(ViewMut<f32>) -> fortifai_kernels::Result<X>,
    ) -> Result<X> {
        let mut scratch = self.scratch.lock().expect("no launch panics while it holds the scratch");
        if scratch.single.len() < len {
            scratch.single = Buffer::zeros(&self.device, len)?;
        }
        Ok(work(scratch.single.slice_mut(0..len))?)
    }

    fn with_double_scratch<X>(
        &self,
        len: usize,
        work: impl FnOnce(ViewMut<f64>) -> fortifai_kernels::Result<X>,
    ) -> Result<X> {
        let mut scratch = self.scratch.lock().expect("no launch panics while it holds the scratch");
        if scratch.double.len() < len {
            scratch.double = Buffer::zeros(&self.device, len)?;
        }
        Ok(work(scratch.double.slice_mut(0..len))?)
    }

    /// Indices on the device. The same indices again cost a comparison.
    fn indices(&self, host: &[u32]) -> Result<Arc<Buffer<u32>>> {
        let mut known = self.indices.lock().expect("no panic while indices are looked up");
        if let Some(place) = known.iter().position(|indices| *indices.host == *host) {
            return Ok(known[place].device.clone());
        }
        let device = Arc::new(Buffer::of(&self.device, host)?);
        if known.len() == REMEMBERED {
            known.pop_back();
        }
        known.push_front(Indices { host: host.into(), device: device.clone() });
        Ok(device)
    }
}

impl From<KernelError> for Error {
    fn from(error: KernelError) -> Self {
        match error {
            KernelError::Unsupported(_) => Self::input(error.to_string()),
            _ => Self::environment(error.to_string()),
        }
    }
}
