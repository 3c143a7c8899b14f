//! What a chain leaves on disk so that it can go on: the latest weights and the generated texts.
//!
//! A generation counts once its record is in `metrics.jsonl`. Weights and text are written before
//! it and the older ones are dropped after it, so a kill at any moment leaves a state to go on
//! from.

use crate::model::Gpt;
use crate::store::checkpoint::{self, TensorData};
use crate::store::{RunDir, atomic};
use crate::tier::Tier;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Bytes of a BLAKE3 hash.
const HASH: usize = 32;

/// Which text of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the next generations train on.
    Own,
    /// What the next generation unlearns.
    Flawed,
}

/// The folder of one chain below `checkpoints/`.
pub struct Saved {
    dir: PathBuf,
}

impl Saved {
    /// The folder of the chain `name`, created if need be.
    pub fn open(run: &RunDir, name: &str) -> Result<Self> {
        let dir = run.checkpoints().join(name);
        std::fs::create_dir_all(&dir).map_err(|cause| Error::writing(&dir, cause))?;
        Ok(Self { dir })
    }

    /// Saves the weights under a name.
    pub fn put_weights<T: Tier<Number = f32>>(&self, name: &str, model: &Gpt<T>) -> Result<()> {
        put_model(&self.dir, name, model, &serde_json::json!({ "model": model.config }))
    }

    /// The weights saved under a name, in arena order.
    pub fn weights<T: Tier<Number = f32>>(&self, name: &str, model: &Gpt<T>) -> Result<Vec<f32>> {
        let checkpoint = checkpoint::load(&self.dir, name)?;
        arena(&checkpoint, model)
    }

    /// Whether weights are saved under a name and whole.
    pub fn has_weights(&self, name: &str) -> bool {
        checkpoint::load(&self.dir, name).is_ok()
    }

    /// Saves a text of generation `g`, preceded by its hash.
    pub fn put_text(&self, kind: Kind, g: usize, tokens: &[u32]) -> Result<()> {
        let words: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
        let bytes = [blake3::hash(&words).as_bytes(), words.as_slice()].concat();
        atomic::write(&self.text_path(kind, g), &bytes)
    }

    /// A text of generation `g`.
    pub fn text(&self, kind: Kind, g: usize) -> Result<Vec<u32>> {
        let path = self.text_path(kind, g);
        let bytes = std::fs::read(&path).map_err(|cause| {
            Error::input(format!(
                "The text of generation {g} in {} cannot be read: {cause}. Without it the run \
                 cannot go on; start anew with another --out.",
                path.display()
            ))
        })?;
        let (hash, words) = bytes.split_at(HASH.min(bytes.len()));
        if hash != blake3::hash(words).as_bytes() {
            return Err(Error::input(format!(
                "The file {} is damaged: its BLAKE3 hash does not fit. Start anew with another \
                 --out.",
                path.display()
            )));
        }
        Ok(words.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// Drops what is older than generation `g`; the texts only where no protocol needs them.
    pub fn drop_before(&self, g: usize, keep_texts: bool) -> Result<()> {
        checkpoint::prune(&self.dir, 1)?;
        for old in 0..g {
            for kind in [Kind::Own, Kind::Flawed] {
                let path = self.text_path(kind, old);
                if kind == Kind::Own && keep_texts {
                    continue;
                }
                match std::fs::remove_file(&path) {
                    Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::writing(&path, cause));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn text_path(&self, kind: Kind, g: usize) -> PathBuf {
        let name = match kind {
            Kind::Own => "text",
            Kind::Flawed => "flawed",
        };
        self.dir.join(format!("{name}-{g}.tokens"))
    }
}

/// Saves a model's tensors by name, with metadata, in a folder of checkpoints.
pub fn put_model<T: Tier<Number = f32>>(
    dir: &Path,
    name: &str,
    model: &Gpt<T>,
    metadata: &serde_json::Value,
) -> Result<()> {
    let params = model.get_params()?;
    let tensors: Vec<(&str, &[usize], TensorData)> = (model.layout.tensors.iter())
        .map(|tensor| {
            let values = TensorData::F32(&params[tensor.span.range()]);
            (tensor.name.as_str(), tensor.shape.as_slice(), values)
        })
        .collect();
    checkpoint::save(dir, name, &tensors, metadata).map(|_| ())
}

/// A checkpoint's tensors in the order of a model's arena.
pub fn arena<T: Tier<Number = f32>>(
    checkpoint: &checkpoint::Checkpoint,
    model: &Gpt<T>,
) -> Result<Vec<f32>> {
    let mut params = vec![0.0; model.layout.len];
    for tensor in &model.layout.tensors {
        let found = checkpoint.tensors.get(&tensor.name);
        match found.map(|found| (&found.values, found.shape == tensor.shape)) {
            Some((checkpoint::Values::F32(values), true)) => {
                params[tensor.span.range()].copy_from_slice(values);
            }
            _ => {
                return Err(Error::input(format!(
                    "Checkpoint {} holds no f32 tensor {} of shape {:?}; it belongs to a model of \
                     another shape.",
                    checkpoint.name, tensor.name, tensor.shape
                )));
            }
        }
    }
    Ok(params)
}
