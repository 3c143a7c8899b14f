//! A kernel file as a shared library, and its C interface.

use super::Schedule;
use crate::compile::{Unit, host::Compiler, said};
use crate::device::failed;
use crate::launch::Launch;
use crate::sources::Source;
use crate::{Precision, Result};
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// `fortifai_kernel_info` of the shim.
#[repr(C)]
struct Info {
    name: *const c_char,
    threads: c_int,
    parameters: c_int,
    sizes: *const c_int,
}

type Kernels = unsafe extern "C" fn(count: *mut c_int) -> *const Info;
type Run = unsafe extern "C" fn(
    kernel_index: c_int,
    grid: *const c_uint,
    block_threads: c_uint,
    cluster: c_uint,
    shared_bytes: c_ulonglong,
    arguments: *mut *mut c_void,
    first_block: c_ulonglong,
    last_block: c_ulonglong,
    schedule: c_int,
    seed: c_ulonglong,
    message: *mut c_char,
    message_size: c_int,
) -> c_int;

/// A kernel as its library describes it.
#[derive(Debug)]
struct Kernel {
    name: String,
    threads: u32,
    sizes: Vec<usize>,
}

/// An opened library.
#[derive(Debug)]
pub(super) struct Library {
    kernels: Vec<Kernel>,
    run: Run,
}

/// Blocks `first` to `last − 1`, x fastest.
pub(super) struct Range {
    pub first: u64,
    pub last: u64,
}

impl Library {
    fn open(path: &Path) -> Result<Self> {
        let refused =
            |cause: libloading::Error| failed(format!("{}", path.display()), said(&cause));
        // SAFETY: the library was compiled from kernel files and the shim, whose initialisers set up
        // a table of kernels.
        let library = unsafe { libloading::Library::new(path) }.map_err(refused)?;
        // SAFETY: the shim defines the two functions with these types.
        let kernels = unsafe { library.get::<Kernels>("fortifai_kernels") }.map_err(refused)?;
        // SAFETY: as above.
        let run = *unsafe { library.get::<Run>("fortifai_run") }.map_err(refused)?;
        let mut count = 0;
        // SAFETY: the function writes one integer and returns a table of as many entries, which
        // lives as long as the library.
        let table = unsafe {
            let first = kernels(&raw mut count);
            if count > 0 { std::slice::from_raw_parts(first, count as usize) } else { &[] }
        };
        let kernels = table.iter().map(|info| {
            // SAFETY: the name is a string literal and `sizes` has `parameters` entries.
            let (name, sizes) = unsafe {
                let sizes = match info.parameters {
                    0 => &[],
                    count => std::slice::from_raw_parts(info.sizes, count as usize),
                };
                (CStr::from_ptr(info.name), sizes)
            };
            Kernel {
                name: name.to_string_lossy().into_owned(),
                threads: info.threads as u32,
                sizes: sizes.iter().map(|&size| size as usize).collect(),
            }
        });
        let opened = Self { kernels: kernels.collect(), run };
        // Never closed: `run` points into it, and threads of the pool keep its thread-local state.
        std::mem::forget(library);
        Ok(opened)
    }

    /// The number of the launch's kernel, once everything that a device would refuse is checked.
    pub fn kernel(&self, launch: &Launch) -> Result<usize, String> {
        let found = self.kernels.iter().position(|kernel| kernel.name == launch.kernel);
        let index = found.ok_or_else(|| {
            let names: Vec<&str> = self.kernels.iter().map(|kernel| kernel.name.as_str()).collect();
            format!("there is no such kernel, only {}", names.join(", "))
        })?;
        launch.check(self.kernels[index].threads, &self.kernels[index].sizes)?;
        Ok(index)
    }

    /// Runs some blocks on this thread.
    pub fn run(
        &self,
        kernel: usize,
        launch: &Launch,
        blocks: Range,
        schedule: Schedule,
    ) -> Result<(), String> {
        let (order, seed) = match schedule {
            Schedule::Forward => (0, 0),
            Schedule::Reverse => (1, 0),
            Schedule::Random(seed) => (2, seed),
        };
        let mut arguments: Vec<*mut c_void> =
            launch.arguments.iter().map(|a| a.bytes.as_ptr() as *mut c_void).collect();
        let mut message: [c_char; 1024] = [0; 1024];
        // SAFETY: `kernel` is an index of this library's table; the arguments have the kernel's
        // number and sizes (`kernel` has checked) and are only read; `message` is as long as it
        // says. What the kernel itself does with its pointers is its launcher's promise.
        let code = unsafe {
            (self.run)(
                kernel as c_int,
                launch.grid.as_ptr(),
                launch.block[0],
                launch.cluster,
                launch.shared_bytes as c_ulonglong,
                arguments.as_mut_ptr(),
                blocks.first,
                blocks.last,
                order,
                seed,
                message.as_mut_ptr(),
                message.len() as c_int,
            )
        };
        if code == 0 {
            return Ok(());
        }
        message[message.len() - 1] = 0;
        // SAFETY: the line above ends it.
        let text = unsafe { CStr::from_ptr(message.as_ptr()) }.to_string_lossy();
        Err(text.trim_end_matches('.').to_owned())
    }
}

/// The libraries of one device, by kernel file.
#[derive(Debug)]
pub(super) struct Libraries {
    compiler: Compiler,
    opened: Mutex<HashMap<(Source, Precision), Slot>>,
}

type Slot = Arc<OnceLock<Result<Arc<Library>>>>;

impl Libraries {
    pub fn new(compiler: Compiler) -> Self {
        Self { compiler, opened: Mutex::default() }
    }

    /// Compiled and opened at first use. Different files compile at the same time; who asks for the
    /// same one waits.
    pub fn get(&self, source: Source, precision: Precision) -> Result<Arc<Library>> {
        let slot = {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(opened.entry((source, precision)).or_default())
        };
        slot.get_or_init(|| self.open(source, precision)).clone()
    }

    fn open(&self, source: Source, precision: Precision) -> Result<Arc<Library>> {
        let path = self.compiler.compile(&Unit::of(source, precision)?)?;
        Library::open(&path).map(Arc::new)
    }
}
