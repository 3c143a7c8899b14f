//! The errors of the library and the exit codes they lead to.

use std::path::Path;

/// What went wrong, sorted by whose move it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bad usage or bad input: the sentence names the value, the place and the remedy. Exit 2.
    #[error("{0}")]
    Input(String),
    /// The environment failed (no such device, disk full, device lost). Exit 3.
    #[error("{0}")]
    Environment(String),
    /// A check did not pass. Exit 1.
    #[error("{0}")]
    Check(String),
    /// A signal stopped the run after its state was written. Exit 75.
    #[error("{0}")]
    Stopped(String),
}

/// The library's result.
pub type Result<X> = std::result::Result<X, Error>;

impl Error {
    /// A run that a signal stopped, everything finished being on disk.
    pub fn stopped() -> Self {
        Self::Stopped("Stopped by a signal; run again with --resume.".into())
    }

    /// Bad input, as one full sentence.
    pub fn input(sentence: impl Into<String>) -> Self {
        Self::Input(sentence.into())
    }

    /// An environment failure, as one full sentence.
    pub fn environment(sentence: impl Into<String>) -> Self {
        Self::Environment(sentence.into())
    }

    /// A file that the user named and that could not be read.
    pub fn reading(path: &Path, cause: std::io::Error) -> Self {
        let path = path.display();
        match cause.kind() {
            std::io::ErrorKind::NotFound => {
                Self::Input(format!("The file {path} does not exist; check the path."))
            }
            _ => Self::Input(format!("The file {path} cannot be read: {cause}.")),
        }
    }

    /// A file or directory that could not be written.
    pub fn writing(path: &Path, cause: std::io::Error) -> Self {
        let path = path.display();
        match cause.kind() {
            std::io::ErrorKind::StorageFull => {
                Self::Environment(format!("The disk is full while writing {path}: {cause}."))
            }
            _ => Self::Input(format!(
                "{path} cannot be written: {cause}. Choose a directory you may write to with --out."
            )),
        }
    }

    /// The process exit code of this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Check(_) => 1,
            Self::Input(_) => 2,
            Self::Environment(_) => 3,
            Self::Stopped(_) => 75,
        }
    }
}
