//! What compilers made, kept on disk. A file's name is a digest of everything that went into it, so a
//! stale one is never read; files appear by renaming, so several processes may share the folder.

use crate::{KernelError, Result};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The file `name`, made by `make` at the path it is given unless it is there already.
pub(crate) fn cached(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = folder()?;
    let path = folder.join(name);
    if path.exists() {
        return Ok(path);
    }
    let room = tempfile::Builder::new().prefix(".making-").tempdir_in(folder);
    let room = room.map_err(|cause| unwritable(folder, &cause))?;
    let fresh = room.path().join(name);
    make(&fresh)?;
    std::fs::rename(&fresh, &path).map_err(|cause| unwritable(&path, &cause))?;
    Ok(path)
}

/// Writes one of the files that `make` leaves.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|cause| unwritable(path, &cause))
}

/// Reads what [`cached`] returned.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|cause| {
        KernelError::Sources(format!("{} cannot be read ({cause}); delete it.", path.display()))
    })
}

/// `FORTIFAI_CACHE`, else `fortifai` in the user's cache folder. A user who has none, or none that
/// can be written, gets a folder that lives as long as the process.
fn folder() -> Result<&'static Path> {
    static FOLDER: OnceLock<Result<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let named = |variable| std::env::var_os(variable).filter(|value| !value.is_empty());
        if let Some(asked) = named("FORTIFAI_CACHE").map(PathBuf::from) {
            return writable(&asked).map_err(|cause| unwritable(&asked, &cause)).map(|()| asked);
        }
        let home = || named("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let users = named("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
        if let Some(folder) = users.map(|folder| folder.join("fortifai"))
            && writable(&folder).is_ok()
        {
            return Ok(folder);
        }
        let passing = tempfile::Builder::new().prefix("fortifai-").tempdir();
        passing
            .map(tempfile::TempDir::keep)
            .map_err(|cause| unwritable(&std::env::temp_dir(), &cause))
    });
    folder.as_deref().map_err(Clone::clone)
}

fn writable(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    tempfile::tempfile_in(folder).map(drop)
}

fn unwritable(path: &Path, cause: &std::io::Error) -> KernelError {
    KernelError::Sources(format!(
        "Compiled kernels cannot be kept: {} cannot be written ({cause}); name another folder with \
         FORTIFAI_CACHE.",
        path.display()
    ))
}
