//! The directory of one run and the names of its files.

use crate::{Error, Result};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// The directory of one run.
#[derive(Clone, Debug)]
pub struct RunDir {
    root: PathBuf,
}

/// While it lives, no other process writes in the directory; see [`RunDir::alone`].
#[derive(Debug)]
#[must_use]
pub struct Alone {
    _file: File,
}

/// Waits until no other process has a turn in a folder; the turn ends with what is returned.
///
/// # Errors
/// If the lock's file cannot be written.
pub fn take_turn(dir: &Path) -> Result<Alone> {
    let path = dir.join(".lock");
    let open = File::options().create(true).append(true).open(&path);
    let file = open.map_err(|cause| Error::writing(&path, cause))?;
    // A file system that knows no locks keeps nobody waiting.
    let _ = file.lock();
    Ok(Alone { _file: file })
}

impl RunDir {
    /// Prepares a directory for a new run, with its `samples` and `checkpoints` folders.
    ///
    /// # Errors
    /// If it already holds a run (a `config.toml` or `metrics.jsonl`), is not a directory, or
    /// cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let run = Self { root: path.to_path_buf() };
        let shown = path.display();
        if path.exists() && !path.is_dir() {
            return Err(Error::input(format!(
                "{shown} is a file, not a directory; choose another directory with --out."
            )));
        }
        if path.join("grid.toml").exists() {
            return Err(Error::input(format!(
                "{shown} holds a study (grid.toml exists), not a single run; choose another directory \
                 with --out."
            )));
        }
        for trace in [run.config(), run.metrics()] {
            if trace.exists() {
                return Err(Error::input(format!(
                    "{shown} already holds a run ({} exists); continue it with collapse --resume, or \
                     choose another directory with --out.",
                    trace.file_name().unwrap_or_default().to_string_lossy()
                )));
            }
        }
        for folder in [run.samples(), run.checkpoints()] {
            std::fs::create_dir_all(&folder).map_err(|cause| Error::writing(&folder, cause))?;
        }
        let probe = path.join(".probe");
        std::fs::write(&probe, b"")
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|cause| Error::writing(path, cause))?;
        Ok(run)
    }

    /// The directory of a run that was begun before.
    ///
    /// # Errors
    /// If there is no such directory or it holds no `config.toml`.
    pub fn open(path: &Path) -> Result<Self> {
        let run = Self { root: path.to_path_buf() };
        if run.config().is_file() {
            return Ok(run);
        }
        let shown = path.display();
        Err(Error::input(if path.is_dir() {
            format!("{shown} holds no run (config.toml is missing); name the directory of a run.")
        } else {
            format!("There is no directory {shown}; name the directory of a run.")
        }))
    }

    /// Keeps other processes from writing here, until what is returned is dropped or the process ends,
    /// however it ends. A file system that knows no locks keeps nobody out.
    ///
    /// # Errors
    /// If another process is at work here, or the lock's file cannot be written.
    pub fn alone(&self) -> Result<Alone> {
        let path = self.root.join(".lock");
        let open = File::options().create(true).append(true).open(&path);
        let file = open.map_err(|cause| Error::writing(&path, cause))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(Error::input(format!(
                "Another fortifai is at work in {}; wait until it ends, or choose another directory with \
                 --out.",
                self.root.display()
            ))),
            _ => Ok(Alone { _file: file }),
        }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// `config.toml`: the settings as resolved.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }
    /// `manifest.json`: see [`super::Manifest`].
    pub fn manifest(&self) -> PathBuf {
        self.root.join("manifest.json")
    }
    /// `metrics.jsonl`: one line per record, the same bytes for the same run.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }
    /// `timings.jsonl`: what differs from one execution to the next.
    pub fn timings(&self) -> PathBuf {
        self.root.join("timings.jsonl")
    }
    /// `metrics.csv`: the metrics as a table.
    pub fn table(&self) -> PathBuf {
        self.root.join("metrics.csv")
    }
    /// `report.html`.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }
    /// `samples/`: generated text.
    pub fn samples(&self) -> PathBuf {
        self.root.join("samples")
    }
    /// `items/`: the scores of items, where the run measures any.
    pub fn items(&self) -> PathBuf {
        self.root.join("items")
    }
    /// `checkpoints/`: see [`super::checkpoint`].
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }
}

#[cfg(test)]
mod tests {
    use super::RunDir;

    #[test]
    fn a_directory_with_a_run_is_refused_and_can_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/run");
        assert!(RunDir::open(&path).unwrap_err().to_string().contains("There is no directory"));
        let run = RunDir::create(&path).unwrap();
        assert!(run.samples().is_dir() && run.checkpoints().is_dir());
        assert!(RunDir::open(&path).unwrap_err().to_string().contains("config.toml is missing"));
        RunDir::create(&path).expect("a directory without a run is accepted");
        for trace in [run.metrics(), run.config()] {
            std::fs::write(&trace, "").unwrap();
            let sentence = RunDir::create(&path).unwrap_err().to_string();
            assert!(sentence.contains("--resume") && sentence.contains("--out"), "{sentence}");
        }
        assert_eq!(RunDir::open(&path).unwrap().root(), path);
    }

    #[test]
    fn one_at_a_time_works_in_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(&folder.path().join("run")).unwrap();
        let alone = run.alone().unwrap();
        let sentence = run.alone().unwrap_err().to_string();
        assert!(sentence.contains("at work") && sentence.contains("--out"), "{sentence}");
        drop(alone);
        drop(run.alone().unwrap());
    }

    #[test]
    fn files_and_directories_that_cannot_be_written_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(RunDir::create(&file).unwrap_err().to_string().contains("is a file"));
        let below = RunDir::create(&file.join("run")).unwrap_err().to_string();
        assert!(below.contains("cannot be written") && below.contains("--out"), "{below}");
    }
}
