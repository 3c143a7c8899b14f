//! NVRTC, the compiler of kernels for devices, opened at run time through its C interface.

mod find;

use super::{Unit, cache};
use crate::sources::Source;
use crate::{KernelError, Precision, Result};
use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

type Program = *mut c_void;
type Texts = *const *const c_char;

/// The compiler. Threads may compile at the same time.
#[derive(Debug)]
pub struct Nvrtc {
    /// Where it was found.
    pub path: PathBuf,
    /// Major and minor version.
    pub version: (u32, u32),
    /// Architectures that it knows, as in `80`.
    pub architectures: Vec<u32>,
    error_string: unsafe extern "C" fn(c_int) -> *const c_char,
    create: unsafe extern "C" fn(
        program: *mut Program,
        text: *const c_char,
        name: *const c_char,
        headers: c_int,
        header_texts: Texts,
        header_names: Texts,
    ) -> c_int,
    destroy: unsafe extern "C" fn(*mut Program) -> c_int,
    compile: unsafe extern "C" fn(Program, count: c_int, options: Texts) -> c_int,
    log_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    log: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    cubin_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    cubin: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
}

/// What the compiler made of one file.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The machine code.
    pub cubin: Vec<u8>,
    /// What the compiler said, with the figures of every kernel; see [`super::figures`].
    pub log: String,
}

/// The formulas are computed as written: no fast math, and a product and a sum round apart unless the
/// source says `fmaf`, so that the rungs of a kernel, and the shim, round alike.
const OPTIONS: [&str; 5] =
    ["-std=c++17", "-default-device", "--fmad=false", "--ptxas-options=-v", "-lineinfo"];

impl Nvrtc {
    /// The first that is found: `FORTIFAI_NVRTC` (a file or a folder), Python's packages, the CUDA
    /// toolkit, the system's loader.
    ///
    /// # Errors
    /// If there is none.
    pub fn find() -> Result<&'static Self> {
        static FOUND: OnceLock<Result<Nvrtc>> = OnceLock::new();
        FOUND
            .get_or_init(|| {
                find::paths()?
                    .iter()
                    .find_map(|path| Self::open(path).ok())
                    .ok_or_else(find::missing)
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The library at `path`, or of that name.
    ///
    /// # Errors
    /// If it cannot be loaded, or is not NVRTC.
    pub fn open(path: &Path) -> Result<Self> {
        let refused = |cause: libloading::Error| find::refused(path, &super::said(&cause));
        // NVRTC opens its second half by bare name, which succeeds wherever that half lies if it is
        // loaded already.
        for half in find::builtins_beside(path) {
            // SAFETY: a library of NVIDIA's that may be loaded into any process.
            if let Ok(half) = unsafe { Library::new(&half) } {
                std::mem::forget(half);
            }
        }
        // SAFETY: as above.
        let library = unsafe { Library::new(path) }.map_err(refused)?;
        let count = symbol::<unsafe extern "C" fn(*mut c_int) -> c_int>;
        let (mut major, mut minor, mut known) = (0, 0, 0);
        // SAFETY: every type is the one that nvrtc.h declares for the name; the pointers are to
        // locals of the types that the functions write.
        let found = unsafe {
            let version = symbol::<unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int>(
                &library,
                "nvrtcVersion",
            );
            version.map_err(refused)?(&raw mut major, &raw mut minor);
            count(&library, "nvrtcGetNumSupportedArchs").map_err(refused)?(&raw mut known);
            let mut architectures: Vec<c_int> = vec![0; known.max(0) as usize];
            count(&library, "nvrtcGetSupportedArchs").map_err(refused)?(architectures.as_mut_ptr());
            Self {
                path: path.to_owned(),
                version: (major as u32, minor as u32),
                architectures: architectures.iter().map(|&number| number as u32).collect(),
                error_string: symbol(&library, "nvrtcGetErrorString").map_err(refused)?,
                create: symbol(&library, "nvrtcCreateProgram").map_err(refused)?,
                destroy: symbol(&library, "nvrtcDestroyProgram").map_err(refused)?,
                compile: symbol(&library, "nvrtcCompileProgram").map_err(refused)?,
                log_size: symbol(&library, "nvrtcGetProgramLogSize").map_err(refused)?,
                log: symbol(&library, "nvrtcGetProgramLog").map_err(refused)?,
                cubin_size: symbol(&library, "nvrtcGetCUBINSize").map_err(refused)?,
                cubin: symbol(&library, "nvrtcGetCUBIN").map_err(refused)?,
            }
        };
        // Never closed: the functions point into it.
        std::mem::forget(library);
        Ok(found)
    }

    /// Compiles a kernel file for a real architecture, as in `sm_90a`, or finds it in the cache.
    ///
    /// # Errors
    /// If it does not compile.
    pub fn compile(
        &self,
        source: Source,
        precision: Precision,
        architecture: &str,
    ) -> Result<Compiled> {
        let unit = Unit::of(source, precision)?;
        let version = format!("nvrtc {}.{}", self.version.0, self.version.1);
        let rest = [version.as_str(), architecture].into_iter().chain(OPTIONS).chain(unit.define());
        let name = format!("{}-{architecture}-{}.cubin", unit.name, unit.key(rest));
        let path = cache::cached(&name, |path| {
            let Compiled { log, cubin } = self.compile_unit(&unit, architecture)?;
            cache::write(path, &[log.as_bytes(), b"\0", &cubin].concat())
        })?;
        let bytes = cache::read(&path)?;
        let mut parts = bytes.splitn(2, |&byte| byte == 0);
        let log = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        Ok(Compiled { log, cubin: parts.next().unwrap_or_default().to_owned() })
    }

    fn compile_unit(&self, unit: &Unit, architecture: &str) -> Result<Compiled> {
        let architecture = format!("--gpu-architecture={architecture}");
        let options = [architecture.as_str()].into_iter().chain(OPTIONS).chain(unit.define());
        let options: Vec<&str> = options.collect();
        let failure = |log: String| KernelError::Compile {
            source_name: unit.name.to_owned(),
            compiler: format!("NVRTC {}.{} {}", self.version.0, self.version.1, options.join(" ")),
            log,
        };
        let program = Handle::new(self, unit).map_err(failure)?;
        let words = c_strings(options.iter().copied()).map_err(failure)?;
        let pointers: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
        // SAFETY: a live program, and as many ended strings as are announced.
        let code =
            unsafe { (self.compile)(program.program, pointers.len() as c_int, pointers.as_ptr()) };
        let log = program.bytes(self.log_size, self.log).map_err(failure)?;
        let log = String::from_utf8_lossy(&log).replace('\0', "").trim_end().to_owned();
        if code != 0 {
            return Err(failure(format!("{}\n{log}", self.name_of(code))));
        }
        let cubin = program.bytes(self.cubin_size, self.cubin).map_err(failure)?;
        Ok(Compiled { cubin, log })
    }

    fn name_of(&self, code: c_int) -> String {
        // SAFETY: the function returns a static string for any code.
        unsafe { CStr::from_ptr((self.error_string)(code)) }.to_string_lossy().into_owned()
    }
}

/// A function of the library.
///
/// # Safety
/// `F` is the type of the function of that name, and the library stays open while it is used.
unsafe fn symbol<F: Copy>(library: &Library, name: &str) -> Result<F, libloading::Error> {
    // SAFETY: as this function's.
    unsafe { library.get::<F>(name) }.map(|symbol| *symbol)
}

/// A program, destroyed when dropped.
struct Handle<'a> {
    nvrtc: &'a Nvrtc,
    program: Program,
}

impl<'a> Handle<'a> {
    fn new(nvrtc: &'a Nvrtc, unit: &Unit) -> Result<Self, String> {
        let [name, text] = [unit.name, &unit.text].map(CString::new);
        let (name, text) = (name.map_err(no_nul)?, text.map_err(no_nul)?);
        let names = c_strings(unit.includes.iter().map(|(name, _)| name.as_str()))?;
        let texts = c_strings(unit.includes.iter().map(|(_, text)| text.as_ref()))?;
        let [names_at, texts_at] = [&names, &texts]
            .map(|strings| strings.iter().map(|text| text.as_ptr()).collect::<Vec<_>>());
        let mut program = std::ptr::null_mut();
        // SAFETY: ended strings, as many headers as are announced; NVRTC copies them all.
        let code = unsafe {
            (nvrtc.create)(
                &raw mut program,
                text.as_ptr(),
                name.as_ptr(),
                names.len() as c_int,
                texts_at.as_ptr(),
                names_at.as_ptr(),
            )
        };
        if code == 0 { Ok(Self { nvrtc, program }) } else { Err(nvrtc.name_of(code)) }
    }

    /// One of the program's results, by the functions that say its size and write it.
    fn bytes(
        &self,
        size_of: unsafe extern "C" fn(Program, *mut usize) -> c_int,
        write: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    ) -> Result<Vec<u8>, String> {
        let mut size = 0;
        // SAFETY: a live program; the second function writes as many bytes as the first announces.
        let (codes, bytes) = unsafe {
            let first = size_of(self.program, &raw mut size);
            let mut bytes = vec![0u8; size];
            let second =
                if first == 0 { write(self.program, bytes.as_mut_ptr().cast()) } else { 0 };
            ([first, second], bytes)
        };
        match codes.into_iter().find(|&code| code != 0) {
            None => Ok(bytes),
            Some(code) => Err(self.nvrtc.name_of(code)),
        }
    }
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        // SAFETY: a live program, not used again. Its failure would leave only memory behind.
        unsafe { (self.nvrtc.destroy)(&raw mut self.program) };
    }
}

fn c_strings<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<CString>, String> {
    texts.map(|text| CString::new(text).map_err(no_nul)).collect()
}

fn no_nul(cause: std::ffi::NulError) -> String {
    format!("a text holds a NUL character ({cause})")
}
