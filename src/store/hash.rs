//! BLAKE3 of a file.

use crate::{Error, Result};
use std::path::Path;

/// The BLAKE3 hash of the file's content in hexadecimal, read in pieces.
///
/// # Errors
/// If the file cannot be read.
pub fn blake3_file(path: &Path) -> Result<String> {
    let attempt = || -> std::io::Result<String> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(std::fs::File::open(path)?)?;
        Ok(hasher.finalize().to_hex().to_string())
    };
    attempt().map_err(|cause| Error::reading(path, cause))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_empty_file_has_the_published_hash() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // The first test vector (input length 0) of the BLAKE3 specification's repository.
        assert_eq!(
            super::blake3_file(file.path()).unwrap(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }
}
