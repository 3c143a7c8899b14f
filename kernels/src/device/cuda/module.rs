//! Kernel files on a GPU: loaded at first use, and their launches.

use super::{failed, ok};
use crate::compile::Nvrtc;
use crate::launch::Launch;
use crate::sources::Source;
use crate::{KernelError, Precision, Result};
use cudarc::driver::sys::{self, CUfunction, CUmodule, CUresult, CUstream};
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The first with every function that is called here; a missing one would be a panic.
const OLDEST_DRIVER: (u32, u32) = (12, 8);

/// The files of one device.
#[derive(Debug)]
pub(super) struct Modules {
    nvrtc: &'static Nvrtc,
    architecture: String,
    loaded: Mutex<HashMap<(Source, Precision), Slot>>,
    kernels: Mutex<HashMap<Name, Arc<Kernel>>>,
    latest: Mutex<&'static str>,
}

/// A kernel of a file, compiled for a precision.
type Name = (Source, Precision, &'static str);

/// A module, for the process's life. Who asks while it compiles waits.
type Slot = Arc<OnceLock<Result<Module>>>;

#[derive(Clone, Copy, Debug)]
struct Module(CUmodule);

// SAFETY: a handle of the driver, good on every thread on which the context is current.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

#[derive(Debug)]
struct Kernel {
    function: CUfunction,
    threads: u32,
    sizes: Vec<usize>,
    /// Dynamic shared memory that launches may ask for.
    granted: Mutex<usize>,
}

// SAFETY: as a module's handle.
unsafe impl Send for Kernel {}
// SAFETY: as above.
unsafe impl Sync for Kernel {}

impl Modules {
    pub fn new(nvrtc: &'static Nvrtc, (major, minor): (u32, u32)) -> Result<Self> {
        let (of_nvrtc, of_driver) = (nvrtc.version, driver_version()?);
        if of_driver < OLDEST_DRIVER {
            return Err(KernelError::Unsupported(format!(
                "The NVIDIA driver runs CUDA up to {}.{}, and {}.{} is needed; update the driver, \
                 or run with --device cpu.",
                of_driver.0, of_driver.1, OLDEST_DRIVER.0, OLDEST_DRIVER.1
            )));
        }
        if of_nvrtc.0 > of_driver.0 {
            return Err(KernelError::NoCompiler(format!(
                "NVRTC {}.{} ({}) is newer than the driver, which runs CUDA up to {}.{}; update \
                 the driver, or name an older NVRTC with FORTIFAI_NVRTC.",
                of_nvrtc.0,
                of_nvrtc.1,
                nvrtc.path.display(),
                of_driver.0,
                of_driver.1
            )));
        }
        if !nvrtc.architectures.contains(&(10 * major + minor)) {
            return Err(KernelError::NoCompiler(format!(
                "NVRTC {}.{} ({}) cannot compile for this device's compute capability \
                 {major}.{minor}; name another with FORTIFAI_NVRTC.",
                of_nvrtc.0,
                of_nvrtc.1,
                nvrtc.path.display()
            )));
        }
        Ok(Self {
            nvrtc,
            architecture: architecture((major, minor)),
            loaded: Mutex::default(),
            kernels: Mutex::default(),
            latest: Mutex::new("none"),
        })
    }

    /// The kernel that was launched last.
    pub fn latest(&self) -> &'static str {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The context is current.
    pub fn launch(&self, stream: CUstream, launch: &Launch) -> Result<()> {
        let what = || format!("kernel {} of {}", launch.kernel, launch.source.file().0);
        let kernel = self.kernel(launch)?;
        launch.check(kernel.threads, &kernel.sizes).map_err(|reason| failed(what(), reason))?;
        kernel.grant(launch.shared_bytes)?;
        let mut arguments: Vec<*mut c_void> = launch
            .arguments
            .iter()
            .map(|argument| argument.bytes.as_ptr() as *mut c_void)
            .collect();
        let mut cluster = cluster_of(launch.cluster);
        let config = sys::CUlaunchConfig {
            gridDimX: launch.grid[0],
            gridDimY: launch.grid[1],
            gridDimZ: launch.grid[2],
            blockDimX: launch.block[0],
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: launch.shared_bytes as u32,
            hStream: stream,
            attrs: &raw mut cluster,
            numAttrs: u32::from(launch.cluster > 1),
        };
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = launch.kernel;
        // SAFETY: the arguments have the kernel's number and sizes (`check`), and the driver copies
        // them. What the kernel does with its pointers is its launcher's promise.
        let code = unsafe {
            sys::cuLaunchKernelEx(
                &raw const config,
                kernel.function,
                arguments.as_mut_ptr(),
                null_mut(),
            )
        };
        // Nothing is put into words on the way that works.
        if code == CUresult::CUDA_SUCCESS { Ok(()) } else { ok(code, &what()) }
    }

    fn kernel(&self, launch: &Launch) -> Result<Arc<Kernel>> {
        let key = (launch.source, launch.precision, launch.kernel);
        let known = self.kernels.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(kernel) = known {
            return Ok(kernel);
        }
        let module = self.module(launch.source, launch.precision)?;
        let kernel = Arc::new(Kernel::of(module, launch.source, launch.kernel)?);
        // Two threads may both come here; each finds the same function.
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(kernels.entry(key).or_insert(kernel)))
    }

    fn module(&self, source: Source, precision: Precision) -> Result<Module> {
        let slot = {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(loaded.entry((source, precision)).or_default())
        };
        slot.get_or_init(|| self.load(source, precision)).clone()
    }

    fn load(&self, source: Source, precision: Precision) -> Result<Module> {
        let cubin = self.nvrtc.compile(source, precision, &self.architecture)?.cubin;
        let mut module = null_mut();
        // SAFETY: a whole cubin, which says its own length; the context is current.
        let code = unsafe { sys::cuModuleLoadData(&raw mut module, cubin.as_ptr().cast()) };
        let what = format!("cuModuleLoadData of {} for {}", source.file().0, self.architecture);
        ok(code, &what).map(|()| Module(module))
    }
}

impl Kernel {
    fn of(Module(module): Module, source: Source, name: &str) -> Result<Self> {
        use sys::CUfunction_attribute as Attribute;
        let what = format!("kernel {name} of {}", source.file().0);
        let symbol = CString::new(name).map_err(|cause| failed(&what, cause.to_string()))?;
        let (mut function, mut threads) = (null_mut(), 0);
        let which = Attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK;
        let mut sizes = Vec::new();
        // SAFETY: a loaded module, an ended string, and pointers to locals of the right types.
        unsafe {
            ok(sys::cuModuleGetFunction(&raw mut function, module, symbol.as_ptr()), &what)?;
            ok(sys::cuFuncGetAttribute(&raw mut threads, which, function), &what)?;
            loop {
                let (mut offset, mut size) = (0, 0);
                let index = sizes.len();
                match sys::cuFuncGetParamInfo(function, index, &raw mut offset, &raw mut size) {
                    CUresult::CUDA_SUCCESS => sizes.push(size),
                    // Past the last parameter.
                    CUresult::CUDA_ERROR_INVALID_VALUE => break,
                    code => ok(code, "cuFuncGetParamInfo")?,
                }
            }
        }
        Ok(Self { function, threads: threads as u32, sizes, granted: Mutex::new(0) })
    }

    /// More than 48 KiB of shared memory must be asked for beforehand.
    fn grant(&self, shared_bytes: usize) -> Result<()> {
        use sys::CUfunction_attribute as Attribute;
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        if shared_bytes > *granted {
            let which = Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: a function of a loaded module.
            let code =
                unsafe { sys::cuFuncSetAttribute(self.function, which, shared_bytes as i32) };
            ok(code, &format!("cuFuncSetAttribute of {shared_bytes} bytes of shared memory"))?;
            *granted = shared_bytes;
        }
        Ok(())
    }
}

/// The attribute of a launch in clusters of so many blocks.
fn cluster_of(blocks: u32) -> sys::CUlaunchAttribute {
    let mut value = sys::CUlaunchAttributeValue { pad: [0; 64] };
    value.clusterDim = sys::CUlaunchAttributeValue_union__bindgen_ty_1 { x: blocks, y: 1, z: 1 };
    let id = sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    sys::CUlaunchAttribute { id, pad: [0; 4], value }
}

/// The device's real architecture; Hopper's own instructions (`wgmma`, `setmaxnreg`) need the `a`.
fn architecture((major, minor): (u32, u32)) -> String {
    let own = if (major, minor) == (9, 0) { "a" } else { "" };
    format!("sm_{major}{minor}{own}")
}

/// The newest CUDA that the driver runs.
fn driver_version() -> Result<(u32, u32)> {
    let mut version = 0;
    // SAFETY: the driver is there, and the pointer is to a local.
    ok(unsafe { sys::cuDriverGetVersion(&raw mut version) }, "cuDriverGetVersion")?;
    Ok((version as u32 / 1000, version as u32 % 1000 / 10))
}

#[cfg(test)]
mod tests {
    use super::architecture;

    #[test]
    fn hopper_is_compiled_for_its_own_instructions() {
        let all = [(8, 0), (8, 9), (9, 0), (10, 0), (12, 0)].map(architecture);
        assert_eq!(all, ["sm_80", "sm_89", "sm_90a", "sm_100", "sm_120"]);
    }
}
