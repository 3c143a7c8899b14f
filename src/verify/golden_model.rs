//! A whole GPT-2 beside PyTorch and transformers, in `f64`: logits, losses, gradients, AdamW steps,
//! generated tokens.

use super::certificate::{Certificate, largest, max_difference};
use super::golden::{missing, parse_loss, tokens};
use crate::config::{DecodeConfig, ModelConfig, TrainConfig};
use crate::cpu::Cpu;
use crate::loss::Loss;
use crate::model::{Activations, Batch, Gpt, GptDecoder, Layout};
use crate::sample::generate;
use crate::train::Optimiser;
use crate::{Error, Result, Stream};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::Path;

/// Losses and logits: `|a − b| ≤ 1e-12·max(1, max|b|)`.
const FORWARD: f64 = 1e-12;
/// Gradients and steps: relative to the tensor's largest entry.
const BACKWARD: f64 = 1e-10;

pub(super) fn check(json: &Value, path: &Path) -> Result<Certificate> {
    let golden = Golden::read(json, path)?;
    let mut certificate = Certificate::default();
    golden.check_logits(&mut certificate)?;
    golden.check_gradients(&mut certificate)?;
    golden.check_adamw(&mut certificate)?;
    golden.check_generation(&mut certificate)?;
    Ok(certificate)
}

struct Golden<'a> {
    json: &'a Value,
    path: &'a Path,
    config: ModelConfig,
    layout: Layout,
    tensors: Tensors,
    params: Vec<f64>,
    /// `[b, t + 1]`
    input_ids: Vec<u32>,
    b: usize,
    t: usize,
    losses: Vec<(String, Loss, f64)>,
}

impl<'a> Golden<'a> {
    fn read(json: &'a Value, path: &'a Path) -> Result<Self> {
        let size = |key: &str| {
            json["config"][key]
                .as_u64()
                .map(|value| value as usize)
                .ok_or_else(|| missing(path, &format!("config.{key}")))
        };
        if let Some(activation) = json["config"]["activation"].as_str()
            && activation != "gelu_new"
        {
            return Err(Error::input(format!(
                "{}: the activation {activation} is not implemented; GPT-2 uses gelu_new.",
                path.display()
            )));
        }
        let config = ModelConfig {
            layers: size("n_layer")?,
            heads: size("n_head")?,
            channels: size("n_embd")?,
            context: size("n_positions")?,
            vocab: size("vocab_size")?,
        };
        config.validate()?;
        let tensors = Tensors::read(&path.with_extension("safetensors"))?;
        let layout = Layout::gpt2(&config);
        let params = tensors.arena(&layout, "param")?;
        let (shape, input_ids) = tensors.integers("input_ids")?;
        let &[b, width] = shape.as_slice() else {
            return Err(missing(path, "input_ids of shape [b, t]"));
        };
        if width < 2 || b == 0 {
            return Err(missing(path, "input_ids with at least two tokens a row"));
        }
        let mut losses = Vec::new();
        for (name, entry) in json["losses"].as_object().into_iter().flatten() {
            let mean = entry["mean"].as_f64().ok_or_else(|| missing(path, "losses.*.mean"))?;
            losses.push((name.clone(), parse_loss(&entry["loss"], path)?, mean));
        }
        Ok(Self { json, path, config, layout, tensors, params, input_ids, b, t: width - 1, losses })
    }

    fn model(&self) -> Result<Gpt<Cpu<f64>>> {
        let mut model = Gpt::zeros(Cpu::new(), self.config.clone())?;
        model.set_params(&self.params)?;
        Ok(model)
    }

    /// Inputs and targets, `[b, t]` each: token `j` is predicted from the tokens before it.
    fn batch(&self) -> (Vec<u32>, Vec<u32>) {
        let rows = || self.input_ids.chunks_exact(self.t + 1);
        let inputs = rows().flat_map(|row| &row[..self.t]).copied().collect();
        let targets = rows().flat_map(|row| &row[1..]).copied().collect();
        (inputs, targets)
    }

    fn check_logits(&self, certificate: &mut Certificate) -> Result<()> {
        let (shape, truth) =
            self.tensors.get("logits")?.ok_or_else(|| missing(self.path, "tensor logits"))?;
        if shape != [self.b, self.t + 1, self.config.vocab] {
            return Err(missing(self.path, "tensor logits of shape [b, t, vocab_size]"));
        }
        let model = self.model()?;
        let width = self.t + 1;
        let mut acts = Activations::new(&model.tier, &model.config, self.b, width, false)?;
        let logits = model.logits(&mut acts, &self.input_ids, width)?;
        let error = max_difference(&logits, &truth) / largest(&truth).max(1.0);
        certificate.push("logits", error, FORWARD);
        Ok(())
    }

    fn check_gradients(&self, certificate: &mut Certificate) -> Result<()> {
        let model = self.model()?;
        let mut acts = Activations::new(&model.tier, &model.config, self.b, self.t, true)?;
        let (tokens, targets) = self.batch();
        for (name, loss, mean) in &self.losses {
            let batch = Batch { tokens: &tokens, targets: &targets, mask: None, t: self.t };
            let mut gradients = vec![0.0; self.layout.len];
            let n = tokens.len() as f64;
            let rule = loss.rule(1.0);
            let scores =
                model.accumulate_gradients(&mut gradients, &mut acts, batch, &rule, 1.0 / n)?;
            let ours = scores.loss.iter().sum::<f64>() / n;
            certificate.push(
                format!("loss {name}"),
                (ours - mean).abs() / mean.abs().max(1.0),
                FORWARD,
            );
            self.compare(certificate, &format!("grad.{name}"), &gradients)?;
        }
        Ok(())
    }

    fn check_adamw(&self, certificate: &mut Certificate) -> Result<()> {
        let adamw = &self.json["adamw"];
        let Some(trajectory) = adamw["trajectory"].as_array() else {
            certificate.skipped.push("adamw: no trajectory is given".into());
            return Ok(());
        };
        let number =
            |json: &Value, what: &str| json.as_f64().ok_or_else(|| missing(self.path, what));
        let settings = &adamw["config"];
        let config = TrainConfig {
            beta1: number(&settings["betas"][0], "adamw.config.betas")?,
            beta2: number(&settings["betas"][1], "adamw.config.betas")?,
            epsilon: number(&settings["eps"], "adamw.config.eps")?,
            weight_decay: number(&settings["weight_decay"], "adamw.config.weight_decay")?,
            clip_norm: number(&settings["clip_norm"], "adamw.config.clip_norm")?,
            ..TrainConfig::default()
        };
        let rate = number(&settings["lr"], "adamw.config.lr")?;
        let loss = self.adamw_loss(adamw, trajectory)?;
        let mut model = self.model()?;
        let mut optimiser = Optimiser::new(&model)?;
        if settings["decay"].as_str().is_some_and(|decay| decay.starts_with("every")) {
            optimiser.spans = vec![(model.whole(), true)];
        }
        let mut acts = Activations::new(&model.tier, &model.config, self.b, self.t, true)?;
        let (tokens, targets) = self.batch();
        let n = tokens.len() as f64;
        for (index, truth) in trajectory.iter().enumerate() {
            let batch = Batch { tokens: &tokens, targets: &targets, mask: None, t: self.t };
            let mut gradients = vec![0.0; self.layout.len];
            let rule = loss.rule(1.0);
            let scores =
                model.accumulate_gradients(&mut gradients, &mut acts, batch, &rule, 1.0 / n)?;
            let ours = scores.loss.iter().sum::<f64>() / n;
            let norm = optimiser.step(&mut model, &gradients, &config, rate, 1.0)?;
            for (what, ours) in [("loss", ours), ("grad_norm", norm)] {
                let truth = number(&truth[what], "adamw.trajectory")?;
                let error = (ours - truth).abs() / truth.abs().max(1.0);
                certificate.push(format!("adamw step {} {what}", index + 1), error, BACKWARD);
            }
        }
        let after = format!("after{}", trajectory.len());
        self.compare(certificate, &after, &model.get_params()?)
    }

    /// The loss that the trajectory was made with: the one named, else the one whose value it
    /// starts from.
    fn adamw_loss(&self, adamw: &Value, trajectory: &[Value]) -> Result<Loss> {
        for named in [&adamw["loss"], &adamw["config"]["loss"]] {
            if named.is_object() {
                return parse_loss(named, self.path);
            }
            if let Some(name) = named.as_str()
                && let Some((_, loss, _)) = self.losses.iter().find(|(known, ..)| known == name)
            {
                return Ok(*loss);
            }
        }
        let start = trajectory.first().and_then(|point| point["loss"].as_f64()).unwrap_or(f64::NAN);
        let distance = |mean: f64| (mean - start).abs();
        self.losses
            .iter()
            .min_by(|a, b| distance(a.2).total_cmp(&distance(b.2)))
            .map(|(_, loss, _)| *loss)
            .ok_or_else(|| missing(self.path, "losses"))
    }

    fn check_generation(&self, certificate: &mut Certificate) -> Result<()> {
        let generated = &self.json["generate"];
        let Some(prompts) = generated["prompt"].as_array() else {
            certificate.skipped.push("generate: no prompt is given".into());
            return Ok(());
        };
        let rows = |rows: &[Value]| -> Result<Vec<Vec<u32>>> {
            rows.iter()
                .map(|row| {
                    tokens(row).ok_or_else(|| missing(self.path, "generate: list of tokens"))
                })
                .collect()
        };
        let prompts = rows(prompts)?;
        let model = self.model()?;
        for (name, entry) in generated.as_object().into_iter().flatten() {
            let Some(truth) = entry["tokens"].as_array() else { continue };
            let truth = rows(truth)?;
            let length = truth.iter().map(Vec::len).max().unwrap_or(0);
            let (config, end) = decode_settings(&entry["settings"], length, self.path)?;
            let rows = prompts.len() * config.beams;
            let mut decoder = GptDecoder::new(&model, rows, self.config.context)?;
            let ours = generate(&mut decoder, &prompts, &config, end, |index| {
                Stream::new(0, "golden", 0, index as u64)
            })?;
            let wrong: usize = ours
                .iter()
                .zip(&truth)
                .map(|(ours, truth)| {
                    let differ = ours.iter().zip(truth).filter(|(a, b)| a != b).count();
                    differ + ours.len().abs_diff(truth.len())
                })
                .sum::<usize>()
                + ours.len().abs_diff(truth.len());
            certificate.push(format!("generate {name}: wrong tokens"), wrong as f64, 0.0);
        }
        Ok(())
    }

    /// Compares an arena with the tensors of that prefix, each relative to its largest entry.
    fn compare(&self, certificate: &mut Certificate, prefix: &str, ours: &[f64]) -> Result<()> {
        for tensor in &self.layout.tensors {
            let name = format!("{prefix}.{}", tensor.name);
            let (_, truth) = self
                .tensors
                .get(&name)?
                .ok_or_else(|| missing(self.path, &format!("tensor {name}")))?;
            let scale = largest(&truth).max(f64::MIN_POSITIVE);
            // The key bias has an exactly zero gradient: what stands there is rounding.
            let error = max_difference(&ours[tensor.span.range()], &truth) / scale;
            certificate.push(name, error, BACKWARD);
        }
        Ok(())
    }
}

/// transformers' names for the decoding settings.
fn decode_settings(
    json: &Value,
    length: usize,
    path: &Path,
) -> Result<(DecodeConfig, Option<u32>)> {
    let mut config = DecodeConfig {
        sample: false,
        min_new_tokens: 0,
        max_new_tokens: length,
        ..DecodeConfig::default()
    };
    let mut end = None;
    for (key, value) in json.as_object().into_iter().flatten() {
        let refused = || missing(path, &format!("generate setting: {key} = {value}"));
        let number = || value.as_f64().ok_or_else(refused);
        let whole = || value.as_u64().map(|value| value as usize).ok_or_else(refused);
        match key.as_str() {
            "num_beams" => config.beams = whole()?,
            "repetition_penalty" => config.repetition_penalty = number()?,
            "length_penalty" => config.length_penalty = number()?,
            "min_new_tokens" => config.min_new_tokens = whole()?,
            "max_new_tokens" => config.max_new_tokens = whole()?,
            "eos_token_id" | "pad_token_id" if value.is_null() => {}
            "eos_token_id" => end = Some(u32::try_from(whole()?).map_err(|_| refused())?),
            "pad_token_id" => {}
            "do_sample" if value == &Value::Bool(false) => {}
            "early_stopping" if value == &Value::Bool(false) => {}
            _ => return Err(refused()),
        }
    }
    config.validate()?;
    Ok((config, end))
}

/// A safetensors file in memory.
struct Tensors {
    bytes: Vec<u8>,
    path: std::path::PathBuf,
}

impl Tensors {
    fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|cause| Error::reading(path, cause))?;
        let tensors = Self { bytes, path: path.to_owned() };
        tensors.parse()?;
        Ok(tensors)
    }

    fn parse(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes).map_err(|cause| {
            Error::input(format!(
                "{} is not a valid safetensors file: {cause}.",
                self.path.display()
            ))
        })
    }

    /// Shape and numbers of a tensor of 32- or 64-bit floats.
    fn get(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f64>)>> {
        let tensors = self.parse()?;
        let Ok(tensor) = tensors.tensor(name) else { return Ok(None) };
        let data = tensor.data();
        let values = match tensor.dtype() {
            Dtype::F64 => words(data).map(f64::from_le_bytes).collect(),
            Dtype::F32 => words(data).map(|word| f32::from_le_bytes(word) as f64).collect(),
            other => {
                return Err(Error::input(format!(
                    "{}: the tensor {name} has the type {other:?}; float32 or float64 are read.",
                    self.path.display()
                )));
            }
        };
        Ok(Some((tensor.shape().to_vec(), values)))
    }

    fn integers(&self, name: &str) -> Result<(Vec<usize>, Vec<u32>)> {
        let tensors = self.parse()?;
        let tensor =
            tensors.tensor(name).map_err(|_| missing(&self.path, &format!("tensor {name}")))?;
        let data = tensor.data();
        let values: Vec<i64> = match tensor.dtype() {
            Dtype::I64 => words(data).map(i64::from_le_bytes).collect(),
            Dtype::I32 => words(data).map(|word| i32::from_le_bytes(word) as i64).collect(),
            _ => return Err(missing(&self.path, &format!("integer tensor {name}"))),
        };
        let values: std::result::Result<_, _> = values.into_iter().map(u32::try_from).collect();
        let values = values
            .map_err(|_| missing(&self.path, &format!("tensor {name} of tokens from 0 up")))?;
        Ok((tensor.shape().to_vec(), values))
    }

    /// All parameters of that prefix in arena order.
    fn arena(&self, layout: &Layout, prefix: &str) -> Result<Vec<f64>> {
        let mut arena = Vec::with_capacity(layout.len);
        for tensor in &layout.tensors {
            let name = format!("{prefix}.{}", tensor.name);
            let (shape, values) =
                self.get(&name)?.ok_or_else(|| missing(&self.path, &format!("tensor {name}")))?;
            if shape != tensor.shape {
                return Err(Error::input(format!(
                    "{}: the tensor {name} has the shape {shape:?} but the configuration asks for {:?}.",
                    self.path.display(),
                    tensor.shape
                )));
            }
            arena.extend(values);
        }
        Ok(arena)
    }
}

fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.as_chunks::<N>().0.iter().copied()
}
