//! Checkpoints: named tensors and JSON metadata in a safetensors file, vouched for by a hash.
//!
//! A folder of checkpoints holds `<name>-<hash>.safetensors` files and `manifest.jsonl` with one
//! line per checkpoint, written last. Files are never overwritten, so a kill at any moment leaves
//! every earlier checkpoint valid; a file without a line does not count.

use super::atomic::{self, Lines};
use super::tensors;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use super::tensors::{Tensor, TensorData, Values};

/// A loaded checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The name it was saved under.
    pub name: String,
    /// Whatever was saved beside the tensors.
    pub metadata: Value,
    /// The tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
}

/// What [`newest_valid`] found.
#[derive(Debug)]
pub struct Newest {
    /// The newest checkpoint that is whole, if there is one.
    pub checkpoint: Option<Checkpoint>,
    /// One sentence for each newer one that is not, newest first.
    pub bad: Vec<String>,
}

/// A line of `manifest.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    file: String,
    bytes: u64,
    blake3: String,
}

/// Saves a checkpoint in the folder `dir`, which must exist, and gives its path. It is on disk,
/// hash included, when this returns.
///
/// # Errors
/// If the folder cannot be written or the disk is full.
///
/// # Panics
/// If a tensor's values do not fill its shape, two tensors share a name, or the checkpoint's name
/// holds other characters than letters, digits, `-`, `_` and `.`.
pub fn save(
    dir: &Path,
    name: &str,
    tensors: &[(&str, &[usize], TensorData)],
    metadata: &Value,
) -> Result<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    assert!(name.chars().all(plain), "checkpoint::save: the name {name:?} has odd characters");
    let bytes = tensors::encode(tensors, metadata)
        .map_err(|cause| Error::input(format!("Checkpoint {name} cannot be encoded: {cause}.")))?;
    let blake3 = blake3::hash(&bytes).to_hex().to_string();
    let file = format!("{name}-{}.safetensors", &blake3[..16]);
    let path = dir.join(&file);
    atomic::write(&path, &bytes)?;
    let entry = Entry { name: name.into(), file, bytes: bytes.len() as u64, blake3 };
    let line = serde_json::to_string(&entry).expect("an entry is plain data");
    atomic::append_line(&manifest(dir), &line)?;
    Ok(path)
}

/// Loads the checkpoint last saved under `name`.
///
/// # Errors
/// If there is none, or its file is missing or does not have the hash of the manifest.
pub fn load(dir: &Path, name: &str) -> Result<Checkpoint> {
    let entries = entries(dir)?.records;
    match entries.iter().rfind(|entry| entry.name == name) {
        Some(entry) => read(dir, entry),
        None => Err(Error::input(format!(
            "There is no checkpoint {name} in {}; its manifest lists {} checkpoints. Choose one \
             of them.",
            dir.display(),
            entries.len()
        ))),
    }
}

/// Loads the newest checkpoint that is whole, and says which newer ones are not.
///
/// # Errors
/// If the manifest cannot be read or is damaged elsewhere than in its last line. A missing one
/// means that nothing was saved, and is reported if there are files nevertheless.
pub fn newest_valid(dir: &Path) -> Result<Newest> {
    let mut bad = Vec::new();
    if !manifest(dir).exists() {
        let unlisted = files(dir)?.len();
        if unlisted > 0 {
            bad.push(format!(
                "{} holds {unlisted} checkpoint files but no manifest.jsonl that vouches for them.",
                dir.display()
            ));
        }
        return Ok(Newest { checkpoint: None, bad });
    }
    let Lines { records, torn, .. } = entries(dir)?;
    bad.extend(torn);
    for entry in records.iter().rev() {
        match read(dir, entry) {
            Ok(checkpoint) => return Ok(Newest { checkpoint: Some(checkpoint), bad }),
            Err(error) => bad.push(error.to_string()),
        }
    }
    Ok(Newest { checkpoint: None, bad })
}

/// Deletes all checkpoints but the newest `keep` that are whole, and what killed saves left behind.
///
/// # Errors
/// If the manifest is damaged or the folder cannot be written.
pub fn prune(dir: &Path, keep: usize) -> Result<()> {
    if !manifest(dir).exists() {
        return Ok(());
    }
    let entries = entries(dir)?.records;
    let whole = entries.iter().rev().filter(|entry| read(dir, entry).is_ok());
    let mut kept: Vec<&Entry> = whole.take(keep).collect();
    kept.reverse();
    let line =
        |entry: &&Entry| serde_json::to_string(entry).expect("an entry is plain data") + "\n";
    atomic::write(&manifest(dir), kept.iter().map(line).collect::<String>().as_bytes())?;
    for file in files(dir)? {
        if !kept.iter().any(|entry| entry.file == file) {
            let path = dir.join(file);
            std::fs::remove_file(&path).map_err(|cause| Error::writing(&path, cause))?;
        }
    }
    Ok(())
}

fn manifest(dir: &Path) -> PathBuf {
    dir.join("manifest.jsonl")
}

fn entries(dir: &Path) -> Result<Lines<Entry>> {
    atomic::read_lines(&manifest(dir))
}

/// The names of the files that [`save`] may have written.
fn files(dir: &Path) -> Result<Vec<String>> {
    let ours = |name: &String| {
        let hash = name.strip_suffix(".safetensors").and_then(|stem| stem.rsplit_once('-'));
        hash.is_some_and(|(_, hash)| {
            hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let listed = std::fs::read_dir(dir).map_err(|cause| Error::reading(dir, cause))?;
    Ok(listed
        .flatten()
        .filter_map(|file| file.file_name().into_string().ok())
        .filter(ours)
        .collect())
}

fn read(dir: &Path, entry: &Entry) -> Result<Checkpoint> {
    let path = dir.join(&entry.file);
    let damaged = |what: String| {
        Error::input(format!(
            "Checkpoint {} ({}) is damaged: {what}. Use an older one or run again.",
            entry.name,
            path.display()
        ))
    };
    let bytes = std::fs::read(&path).map_err(|cause| damaged(cause.to_string()))?;
    if bytes.len() as u64 != entry.bytes {
        return Err(damaged(format!("it has {} bytes instead of {}", bytes.len(), entry.bytes)));
    }
    if blake3::hash(&bytes).to_hex().as_str() != entry.blake3 {
        return Err(damaged("its BLAKE3 hash is not that of the manifest".into()));
    }
    let (tensors, metadata) = tensors::decode(&bytes).map_err(damaged)?;
    Ok(Checkpoint { name: entry.name.clone(), metadata, tensors })
}

#[cfg(test)]
mod tests {
    use super::{TensorData, Values, files, load, manifest, newest_valid, prune, save};
    use serde_json::{Value, json};
    use std::path::{Path, PathBuf};

    fn store(dir: &Path, name: &str, first: f32) -> PathBuf {
        let (weights, moments) = ([first, -0.0, f32::MIN_POSITIVE], [1.0 / 3.0]);
        let tensors: [(&str, &[usize], TensorData); 3] = [
            ("weights", &[1, 3], TensorData::F32(&weights)),
            ("moments", &[1], TensorData::F64(&moments)),
            ("empty", &[0, 4], TensorData::F32(&[])),
        ];
        save(dir, name, &tensors, &json!({ "step": 7, "rate": 0.1 })).unwrap()
    }

    fn newest(dir: &Path) -> (Option<String>, usize) {
        let found = newest_valid(dir).unwrap();
        (found.checkpoint.map(|checkpoint| checkpoint.name), found.bad.len())
    }

    #[test]
    fn a_checkpoint_is_loaded_as_it_was_saved() {
        let dir = tempfile::tempdir().unwrap();
        store(dir.path(), "step-1", 1.0);
        store(dir.path(), "step-1", 2.5);
        let checkpoint = load(dir.path(), "step-1").unwrap();
        assert_eq!(checkpoint.metadata, json!({ "step": 7, "rate": 0.1 }));
        let weights = &checkpoint.tensors["weights"];
        assert_eq!(weights.shape, [1, 3]);
        let Values::F32(values) = &weights.values else { panic!("weights are f32") };
        let bits = |x: &f32| x.to_bits();
        let expected = [2.5, -0.0, f32::MIN_POSITIVE];
        assert!(values.iter().map(bits).eq(expected.iter().map(bits)));
        assert_eq!(checkpoint.tensors["moments"].values, Values::F64(vec![1.0 / 3.0]));
        assert_eq!(checkpoint.tensors["empty"].shape, [0, 4]);
        assert!(load(dir.path(), "step-2").unwrap_err().to_string().contains("no checkpoint"));
    }

    #[test]
    fn any_flipped_byte_or_missing_end_is_noticed_and_the_older_one_serves() {
        let dir = tempfile::tempdir().unwrap();
        store(dir.path(), "step-1", 1.0);
        let path = store(dir.path(), "step-2", 2.0);
        let whole = std::fs::read(&path).unwrap();
        for place in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(newest(dir.path()), (Some("step-1".into()), 1));
            std::fs::write(&path, &whole[..place]).unwrap();
            assert_eq!(newest(dir.path()), (Some("step-1".into()), 1));
        }
        assert!(load(dir.path(), "step-2").unwrap_err().to_string().contains("step-2"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(newest(dir.path()), (Some("step-1".into()), 1));
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(newest(dir.path()), (Some("step-2".into()), 0));
    }

    #[test]
    fn a_kill_at_any_byte_of_a_save_keeps_the_older_one_and_the_next_save_works() {
        let dir = tempfile::tempdir().unwrap();
        store(dir.path(), "step-1", 1.0);
        let one = std::fs::metadata(manifest(dir.path())).unwrap().len() as usize;
        store(dir.path(), "step-2", 2.0);
        let lines = std::fs::read(manifest(dir.path())).unwrap();
        for cut in one..lines.len() {
            std::fs::write(manifest(dir.path()), &lines[..cut]).unwrap();
            assert_eq!(newest(dir.path()), (Some("step-1".into()), usize::from(cut > one)));
        }
        store(dir.path(), "step-3", 3.0);
        assert_eq!(newest(dir.path()), (Some("step-3".into()), 0));
    }

    #[test]
    fn a_missing_manifest_is_reported_and_an_empty_folder_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(newest(dir.path()), (None, 0));
        assert!(load(dir.path(), "step-1").is_err());
        store(dir.path(), "step-1", 1.0);
        std::fs::remove_file(manifest(dir.path())).unwrap();
        assert_eq!(newest(dir.path()), (None, 1));
        assert!(newest_valid(&dir.path().join("none")).is_err());
    }

    #[test]
    fn pruning_keeps_the_newest_whole_ones_and_strangers() {
        let dir = tempfile::tempdir().unwrap();
        prune(dir.path(), 1).unwrap();
        for step in 0..5 {
            store(dir.path(), &format!("step-{step}"), step as f32);
        }
        let stranger = dir.path().join("model.safetensors");
        std::fs::write(&stranger, "mine").unwrap();
        std::fs::write(dir.path().join("step-9-0123456789abcdef.safetensors"), "half").unwrap();
        std::fs::write(store(dir.path(), "step-5", 5.0), "damaged").unwrap();
        prune(dir.path(), 2).unwrap();
        assert_eq!(files(dir.path()).unwrap().len(), 2);
        assert!(stranger.exists());
        assert!(load(dir.path(), "step-3").is_ok() && load(dir.path(), "step-2").is_err());
        assert_eq!(newest(dir.path()), (Some("step-4".into()), 0));
    }

    #[test]
    fn the_same_checkpoint_has_the_same_bytes() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [a, b] = dirs.each_ref().map(|dir| store(dir.path(), "step", 1.0));
        assert_eq!(a.file_name(), b.file_name());
        assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
    }

    #[test]
    #[should_panic(expected = "weights has shape [2]")]
    fn values_must_fill_the_shape() {
        let dir = tempfile::tempdir().unwrap();
        let weights: (&str, &[usize], TensorData) = ("weights", &[2], TensorData::F32(&[1.0]));
        let _ = save(dir.path(), "a", &[weights], &Value::Null);
    }
}
