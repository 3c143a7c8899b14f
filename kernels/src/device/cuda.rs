//! A GPU: its context, its stream, its memory. All calls to the driver are here and below.

mod events;
mod module;
mod staging;
mod tensor;

use super::failed;
use crate::compile::Nvrtc;
use crate::launch::Launch;
use crate::{KernelError, Result, probe};
use cudarc::driver::sys::{self, CUcontext, CUdevice_attribute as Attribute, CUresult, CUstream};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) use events::Event;
pub(super) use tensor::tensor_map;

/// A GPU with one stream. Everything is asynchronous but [`Cuda::download`] and
/// [`Cuda::synchronize`]; the stream keeps the order, so memory may be freed while kernels that use
/// it wait their turn.
#[derive(Debug)]
pub(super) struct Cuda {
    pub ordinal: usize,
    pub name: String,
    pub compute_capability: (u32, u32),
    pub multiprocessors: usize,
    pub l2_bytes: usize,
    context: CUcontext,
    stream: CUstream,
    pool: Option<sys::CUmemoryPool>,
    staging: Mutex<staging::Staging>,
    modules: module::Modules,
}

// SAFETY: the raw members are the driver's handles, which every thread may use once the context is
// current there (`bind`); the driver locks them itself. What this crate changes is behind locks.
unsafe impl Send for Cuda {}
// SAFETY: as above.
unsafe impl Sync for Cuda {}

impl Cuda {
    /// GPU number `ordinal`. A process opens each once and keeps it, so that all its users share
    /// one order of events.
    pub fn open(ordinal: usize) -> Result<Arc<Self>> {
        static OPENED: Mutex<BTreeMap<usize, Arc<Cuda>>> = Mutex::new(BTreeMap::new());
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cuda) = opened.get(&ordinal) {
            return Ok(Arc::clone(cuda));
        }
        let cuda = Arc::new(Self::new(ordinal)?);
        opened.insert(ordinal, Arc::clone(&cuda));
        Ok(cuda)
    }

    fn new(ordinal: usize) -> Result<Self> {
        let devices = probe()?;
        let info = devices.get(ordinal).ok_or_else(|| KernelError::Unsupported(format!(
            "There is no device cuda:{ordinal}; this machine has {}, the last of them cuda:{} ({}).",
            devices.len(),
            devices.len() - 1,
            devices[devices.len() - 1].name
        )))?;
        let modules = module::Modules::new(Nvrtc::find()?, info.compute_capability)?;
        let (mut device, mut context, mut stream) = (0, null_mut(), null_mut());
        // SAFETY: `probe` has found the driver and initialised it; the pointers are to locals of
        // the types that the functions write.
        unsafe {
            ok(sys::cuDeviceGet(&raw mut device, ordinal as i32), "cuDeviceGet")?;
            let code = sys::cuDevicePrimaryCtxRetain(&raw mut context, device);
            ok(code, "cuDevicePrimaryCtxRetain")?;
            ok(sys::cuCtxSetCurrent(context), "cuCtxSetCurrent")?;
            let kind = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
            ok(sys::cuStreamCreate(&raw mut stream, kind), "cuStreamCreate")?;
        }
        let pooled = attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)?;
        let l2_bytes = attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?;
        Ok(Self {
            ordinal,
            name: info.name.clone(),
            compute_capability: info.compute_capability,
            multiprocessors: info.multiprocessors as usize,
            l2_bytes: l2_bytes as usize,
            context,
            stream,
            pool: if pooled == 1 { Some(pool(device)?) } else { None },
            staging: Mutex::new(staging::Staging::new()?),
            modules,
        })
    }

    /// Makes the context this thread's; every call that follows needs it.
    fn bind(&self) -> Result<()> {
        // SAFETY: the context is retained for the life of the process.
        ok(unsafe { sys::cuCtxSetCurrent(self.context) }, "cuCtxSetCurrent")
    }

    /// Zeros. If memory is short, what the pool keeps for later goes back to the device first.
    pub fn allocate(&self, bytes: usize) -> Result<u64> {
        self.bind()?;
        let mut address = 0;
        let mut code = self.try_allocate(&mut address, bytes.max(1));
        if let (CUresult::CUDA_ERROR_OUT_OF_MEMORY, Some(pool)) = (code, self.pool) {
            self.synchronize()?;
            // SAFETY: the device's own pool.
            ok(unsafe { sys::cuMemPoolTrimTo(pool, 0) }, "cuMemPoolTrimTo")?;
            code = self.try_allocate(&mut address, bytes.max(1));
        }
        if code == CUresult::CUDA_ERROR_OUT_OF_MEMORY {
            return Err(KernelError::Memory { bytes, reason: format!("{code:?}") });
        }
        ok(code, "cuMemAllocAsync")?;
        self.zero(address, bytes)?;
        Ok(address)
    }

    fn try_allocate(&self, address: &mut u64, bytes: usize) -> CUresult {
        // SAFETY: the context is current and the pointer is to a device address.
        unsafe {
            match self.pool {
                Some(_) => sys::cuMemAllocAsync(address, bytes, self.stream),
                None => sys::cuMemAlloc_v2(address, bytes),
            }
        }
    }

    /// # Safety
    /// `address` is from [`Cuda::allocate`] and nothing asked for later uses it.
    pub unsafe fn free(&self, address: u64) {
        // A failure here is one of an earlier kernel, which the next wait reports.
        let _ = self.bind();
        // SAFETY: as this function's; without a pool the driver waits for the device by itself.
        let _ = unsafe {
            match self.pool {
                Some(_) => sys::cuMemFreeAsync(address, self.stream),
                None => sys::cuMemFree_v2(address),
            }
        };
    }

    pub fn zero(&self, address: u64, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.bind()?;
        // SAFETY: an allocation of at least as many bytes, in the order of the stream.
        ok(unsafe { sys::cuMemsetD8Async(address, 0, bytes, self.stream) }, "cuMemsetD8Async")
    }

    pub fn copy_within(&self, to: u64, from: u64, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.bind()?;
        // SAFETY: two allocations of at least as many bytes, in the order of the stream.
        let code = unsafe { sys::cuMemcpyDtoDAsync_v2(to, from, bytes, self.stream) };
        ok(code, "cuMemcpyDtoDAsync")
    }

    /// When it returns, `from` may change.
    pub fn upload(&self, address: u64, from: &[u8]) -> Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        self.bind()?;
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        if staging.copy(self.stream, address, from)? {
            return Ok(());
        }
        // SAFETY: an allocation of at least as many bytes; `from` lives until the wait is over.
        unsafe {
            let code =
                sys::cuMemcpyHtoDAsync_v2(address, from.as_ptr().cast(), from.len(), self.stream);
            let waited = self.synchronize();
            ok(code, "cuMemcpyHtoDAsync").and(waited)
        }
    }

    /// # Safety
    /// `to` has room for as many bytes as the allocation at `address` holds from there.
    pub unsafe fn download(&self, to: *mut c_void, address: u64, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.bind()?;
        // SAFETY: as this function's; `to` lives until the wait is over.
        let code = unsafe { sys::cuMemcpyDtoHAsync_v2(to, address, bytes, self.stream) };
        let waited = self.synchronize();
        ok(code, "cuMemcpyDtoHAsync").and(waited)
    }

    pub fn synchronize(&self) -> Result<()> {
        self.bind()?;
        // SAFETY: the stream is never destroyed.
        let code = unsafe { sys::cuStreamSynchronize(self.stream) };
        ok(code, "cuStreamSynchronize").map_err(|error| match error {
            KernelError::Device { reason, .. } => failed(
                format!("a kernel, the latest being {}", self.modules.latest()),
                format!("{reason}; CUDA_LAUNCH_BLOCKING=1 tells which one"),
            ),
            other => other,
        })
    }

    pub fn launch(&self, launch: &Launch) -> Result<()> {
        self.bind()?;
        self.modules.launch(self.stream, launch)
    }

    /// Free memory, with what the pool keeps for later, and all there is.
    pub fn memory_bytes(&self) -> Result<(usize, usize)> {
        use sys::CUmemPool_attribute as Pool;
        self.bind()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: pointers to locals of the type that the function writes.
        ok(unsafe { sys::cuMemGetInfo_v2(&raw mut free, &raw mut total) }, "cuMemGetInfo")?;
        let of_pool = |which: Pool| {
            let mut bytes = 0u64;
            // SAFETY: both attributes are 64-bit numbers.
            let code = match self.pool {
                Some(pool) => unsafe {
                    sys::cuMemPoolGetAttribute(pool, which, (&raw mut bytes).cast())
                },
                None => CUresult::CUDA_SUCCESS,
            };
            ok(code, "cuMemPoolGetAttribute").map(|()| bytes as usize)
        };
        let reserved = of_pool(Pool::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?;
        let used = of_pool(Pool::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?;
        Ok((free + reserved.saturating_sub(used), total))
    }
}

/// The device's pool, told to keep what is freed: otherwise every wait hands it back.
fn pool(device: sys::CUdevice) -> Result<sys::CUmemoryPool> {
    let which = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    let (mut pool, mut all) = (null_mut(), u64::MAX);
    // SAFETY: pointers to locals of the types that the functions write and read.
    unsafe {
        let code = sys::cuDeviceGetDefaultMemPool(&raw mut pool, device);
        ok(code, "cuDeviceGetDefaultMemPool")?;
        let code = sys::cuMemPoolSetAttribute(pool, which, (&raw mut all).cast());
        ok(code, "cuMemPoolSetAttribute")?;
    }
    Ok(pool)
}

fn attribute(device: sys::CUdevice, which: Attribute) -> Result<i32> {
    let mut value = 0;
    // SAFETY: the driver is initialised and the pointer is to a local.
    let code = unsafe { sys::cuDeviceGetAttribute(&raw mut value, which, device) };
    ok(code, "cuDeviceGetAttribute").map(|()| value)
}

/// A driver call's answer. The code's own name: asking the driver for a sentence could fail too.
fn ok(code: CUresult, call: &str) -> Result<()> {
    match code {
        CUresult::CUDA_SUCCESS => Ok(()),
        code => Err(failed(call, format!("{code:?}"))),
    }
}
