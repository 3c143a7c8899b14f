//! Whole files and single lines that, whenever the process is killed, are either there or not.

use crate::{Error, Result};
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Replaces the file at `path` by `bytes`: readers see the old content or the new, never a part.
///
/// Writes `.<name>.tmp` in the same folder, syncs it, renames it, syncs the folder. One writer per
/// path at a time. A link is followed; a device or a pipe is written to as it is.
///
/// # Errors
/// If the folder is missing, not writable, or the disk is full; the old content is then intact.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let target = std::fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let through = OpenOptions::new().write(true).open(path);
        return through
            .and_then(|mut file| file.write_all(bytes))
            .map_err(|cause| Error::writing(path, cause));
    }
    let temporary = temporary(path)?;
    let attempt = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        sync_folder(path)
    };
    attempt().map_err(|cause| {
        // Best effort: what is left over is overwritten by the next write.
        let _ = std::fs::remove_file(&temporary);
        Error::writing(path, cause)
    })
}

/// Adds `line` and a line end to the file, creating it if need be, and syncs it.
///
/// A line counts once its line end is on disk, so an unfinished last line, which a kill may leave,
/// is cut off first. On failure the file is cut back to its old length.
///
/// # Errors
/// If the file cannot be written or the disk is full.
///
/// # Panics
/// If `line` holds a line end.
pub fn append_line(path: &Path, line: &str) -> Result<()> {
    assert!(!line.contains('\n'), "append_line: the line holds a line end");
    let attempt = || -> io::Result<()> {
        let created = !path.exists();
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let end = end_of_lines(&mut file)?;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        let written = file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_all());
        if let Err(cause) = written {
            let _ = file.set_len(end);
            return Err(cause);
        }
        if created { sync_folder(path) } else { Ok(()) }
    };
    attempt().map_err(|cause| Error::writing(path, cause))
}

/// The records of a file with one JSON value per line.
#[derive(Debug)]
pub struct Lines<X> {
    /// The records in the order of the file.
    pub records: Vec<X>,
    /// The length of the part that holds them; see [`truncate`].
    pub sound_bytes: u64,
    /// A sentence about the last line if a kill left it unfinished; it is not among the records.
    pub torn: Option<String>,
}

/// Reads a file with one JSON value per line, setting aside one damaged last line.
///
/// # Errors
/// If the file cannot be read, or a line before the last one is not a valid record.
pub fn read_lines<X: DeserializeOwned>(path: &Path) -> Result<Lines<X>> {
    let bytes = std::fs::read(path).map_err(|cause| Error::reading(path, cause))?;
    let mut lines = Lines { records: Vec::new(), sound_bytes: 0, torn: None };
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let place = format!("Line {} of {}", index + 1, path.display());
        let next = lines.sound_bytes + line.len() as u64;
        let last = next == bytes.len() as u64;
        match (line.ends_with(b"\n"), serde_json::from_slice(line)) {
            (true, Ok(record)) => lines.records.push(record),
            (true, Err(cause)) if !last => {
                return Err(Error::input(format!(
                    "{place} is not a valid record: {cause}. Restore the file, or start anew \
                     with another --out."
                )));
            }
            _ => {
                lines.torn =
                    Some(format!("{place} is unfinished and was left out; a write was cut off."));
                break;
            }
        }
        lines.sound_bytes = next;
    }
    Ok(lines)
}

/// Cuts the file to its first `bytes` bytes and syncs it.
///
/// # Errors
/// If the file is missing, shorter, or cannot be written.
pub fn truncate(path: &Path, bytes: u64) -> Result<()> {
    let attempt = || -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        if file.metadata()?.len() < bytes {
            return Err(io::Error::other(format!("it is shorter than {bytes} bytes")));
        }
        file.set_len(bytes)?;
        file.sync_all()
    };
    attempt().map_err(|cause| Error::writing(path, cause))
}

fn temporary(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        Error::input(format!("{} does not name a file; add a file name.", path.display()))
    })?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".tmp");
    Ok(path.with_file_name(hidden))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// The position behind the last line end, searched backwards in pieces.
fn end_of_lines(file: &mut File) -> io::Result<u64> {
    let mut piece = [0u8; 4096];
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(piece.len() as u64);
        let piece = &mut piece[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(piece)?;
        if let Some(place) = piece.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + place as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::{append_line, read_lines, truncate, write};
    use crate::Error;

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(folder.path().join(".a.txt.tmp"), "left by a kill, and longer").unwrap();
        for content in ["first", "", "third"] {
            write(&path, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_followed_and_a_device_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink() && std::fs::read(&file).unwrap() == b"new");
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        write(&pipe, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
    }

    #[test]
    fn a_failed_write_leaves_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        assert!(matches!(write(&taken, b"x"), Err(Error::Input(_))));
        assert!(matches!(write(&folder.path().join("no/file"), b"x"), Err(Error::Input(_))));
        assert!(write(std::path::Path::new("/"), b"x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_cut_anywhere_loses_at_most_its_last_line_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        let long = "x".repeat(9_000);
        for line in ["1", "22", &format!("\"{long}\"")] {
            append_line(&path, line).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        for cut in (0..12).chain([4_100, whole.len() - 1, whole.len()]) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let before = read_lines::<serde_json::Value>(&path).unwrap();
            let complete = whole[..cut].iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!(before.records.len(), complete);
            assert_eq!(before.torn.is_some(), cut > 0 && whole[cut - 1] != b'\n');
            append_line(&path, "4").unwrap();
            let after = read_lines::<serde_json::Value>(&path).unwrap();
            assert_eq!(after.records.len(), complete + 1);
            assert!(after.torn.is_none());
        }
    }

    #[test]
    fn damage_is_torn_at_the_end_and_an_error_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        std::fs::write(&path, "1\n2\n\0\0\0\n").unwrap();
        let lines = read_lines::<u32>(&path).unwrap();
        assert_eq!((lines.records.as_slice(), lines.sound_bytes), ([1, 2].as_slice(), 4));
        assert!(lines.torn.unwrap().starts_with("Line 3 of "));
        truncate(&path, 4).unwrap();
        assert!(read_lines::<u32>(&path).unwrap().torn.is_none());
        assert!(truncate(&path, 5).is_err());
        std::fs::write(&path, "1\n{\n3\n").unwrap();
        let sentence = read_lines::<u32>(&path).unwrap_err().to_string();
        assert!(sentence.starts_with("Line 2 of "), "{sentence}");
        assert!(read_lines::<u32>(&folder.path().join("none")).is_err());
    }
}
