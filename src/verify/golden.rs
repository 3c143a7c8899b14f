//! Golden vectors from PyTorch and transformers: every `*.json` of a directory, each checked by
//! what it holds.

use super::certificate::Certificate;
use super::{golden_loss, golden_model};
use crate::{Error, Result};
use serde_json::Value;
use std::path::Path;

/// Checks every golden file in `dir`. A json with `cases` holds losses; one with
/// `config.architecture = "gpt2"` describes the model in the `.safetensors` of the same name. Other
/// files and architectures are named as skipped.
pub fn golden(dir: &Path) -> Result<Certificate> {
    let entries = std::fs::read_dir(dir).map_err(|cause| {
        Error::input(format!(
            "The golden directory {} cannot be read: {cause}. Give a directory with losses.json or \
             gpt2.json and gpt2.safetensors.",
            dir.display()
        ))
    })?;
    let mut paths: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    let (mut certificate, mut seen) = (Certificate::default(), Vec::new());
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).map_err(|cause| Error::reading(&path, cause))?;
        let json: Value = serde_json::from_str(&text).map_err(|cause| {
            Error::input(format!("{} is not valid JSON: {cause}.", path.display()))
        })?;
        let architecture = json["config"]["architecture"].as_str();
        let has_losses = json.get("cases").is_some();
        if has_losses {
            seen.push("losses");
            certificate.extend(&name, golden_loss::check(&json, &path)?);
        } else if architecture == Some("gpt2") {
            seen.push("gpt2");
            certificate.extend(&name, golden_model::check(&json, &path)?);
        } else if let Some(architecture) = architecture {
            certificate
                .skipped
                .push(format!("{name}: the architecture {architecture} is not implemented yet"));
        } else if name == "losses" {
            return Err(missing(&path, "cases"));
        } else {
            certificate.skipped.push(format!("{name}: neither losses nor a model"));
        }
    }
    for (name, what) in [("losses", "losses"), ("gpt2", "the model, its gradients and its steps")] {
        if !seen.contains(&name) {
            certificate.skipped.push(format!(
                "{name}: the directory has no such file, so {what} were not compared"
            ));
        }
    }
    if certificate.checks.is_empty() {
        return Err(Error::input(format!(
            "The directory {} holds no golden file that can be checked; it needs losses.json or a \
             gpt2.json beside its gpt2.safetensors.",
            dir.display()
        )));
    }
    Ok(certificate)
}

/// The error for a golden file that lacks something.
pub(super) fn missing(path: &Path, what: &str) -> Error {
    Error::input(format!(
        "{} has no valid {what}; make it anew in the format of the golden files.",
        path.display()
    ))
}

/// A loss as the golden files write it: `{"kind": "tce", "gamma": 0.9}`.
pub(super) fn parse_loss(json: &Value, path: &Path) -> Result<crate::loss::Loss> {
    let kind = json["kind"].as_str().ok_or_else(|| missing(path, "loss.kind"))?.replace('_', "-");
    let parameters: Vec<f64> = ["gamma", "clip", "q", "keep", "alpha"]
        .iter()
        .filter_map(|key| json[*key].as_f64())
        .collect();
    crate::loss::Loss::from_parts(&kind, &parameters)
}

/// A json list of numbers.
pub(super) fn numbers(json: &Value) -> Option<Vec<f64>> {
    json.as_array()?.iter().map(Value::as_f64).collect()
}

/// A json list of tokens: whole numbers from 0 up.
pub(super) fn tokens(json: &Value) -> Option<Vec<u32>> {
    json.as_array()?.iter().map(|token| u32::try_from(token.as_u64()?).ok()).collect()
}
