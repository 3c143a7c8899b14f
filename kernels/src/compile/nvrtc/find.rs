//! Where NVRTC may lie.

use crate::{KernelError, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How to get it.
const REMEDY: &str = "install it with pip install \"cuda-toolkit[nvrtc,cudart,cccl,crt]==13.0.2\", \
                      or name the library or its folder with FORTIFAI_NVRTC";

/// Where to look, best first; the last is a bare name for the system's loader.
pub(super) fn paths() -> Result<Vec<PathBuf>> {
    if let Some(asked) = named("FORTIFAI_NVRTC") {
        let found = if asked.is_dir() { libraries_in(&asked) } else { vec![asked.clone()] };
        return match found.first() {
            // What was asked for is not silently replaced by something else.
            Some(path) => super::Nvrtc::open(path).map(|_| found),
            None => Err(refused(&asked, "the folder holds no libnvrtc.so")),
        };
    }
    let mut found: Vec<PathBuf> =
        folders().iter().flat_map(|folder| libraries_in(folder)).collect();
    found.extend(["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"].map(PathBuf::from));
    Ok(found)
}

pub(super) fn missing() -> KernelError {
    KernelError::NoCompiler(format!(
        "The kernels cannot be compiled for a GPU: NVRTC (libnvrtc) was not found; {REMEDY}."
    ))
}

pub(super) fn refused(path: &Path, cause: &str) -> KernelError {
    KernelError::NoCompiler(format!(
        "The kernels cannot be compiled for a GPU: {} is not a usable NVRTC ({cause}); {REMEDY}.",
        path.display()
    ))
}

/// `libnvrtc-builtins` in the folder of `libnvrtc`.
pub(super) fn builtins_beside(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(Vec::new, |folder| files_in(folder, "libnvrtc-builtins.so"))
}

/// Folders of installed packages: Python's, then the toolkit's.
fn folders() -> Vec<PathBuf> {
    let mut packages = Vec::new();
    if let Some(environment) = named("VIRTUAL_ENV") {
        let versions = files_in(&environment.join("lib"), "python3");
        packages.extend(versions.iter().map(|version| version.join("site-packages")));
    }
    packages.extend(python_packages());
    let mut folders = Vec::new();
    for packages in packages {
        folders.push(packages.join("nvidia/cu13/lib"));
        folders.push(packages.join("nvidia/cuda_nvrtc/lib"));
    }
    let toolkits = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(named);
    for toolkit in toolkits.chain(files_in(Path::new("/usr/local"), "cuda")) {
        folders.push(toolkit.join("lib64"));
    }
    folders
}

/// The package folders of the `python3` on the path.
fn python_packages() -> Vec<PathBuf> {
    let ask = "import site, sysconfig; print(sysconfig.get_path('purelib')); \
               print(*site.getsitepackages(), site.getusersitepackages(), sep='\\n')";
    let output = Command::new("python3").args(["-c", ask]).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(PathBuf::from).collect()
}

fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = files_in(folder, "libnvrtc.so");
    // `libnvrtc.alt.so`, with the same name otherwise, is another thing and is not in the list.
    found.retain(|path| path.exists());
    found
}

/// Entries whose names begin so, the last in the alphabet (the newest version) first.
fn files_in(folder: &Path, begin: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let begins = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin))
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(begins).collect();
    found.sort();
    found.reverse();
    found
}

fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
