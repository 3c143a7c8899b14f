//! `fortifai bench --step`: whole training steps.

use super::profile::{self, Profile};
use super::{Arguments, Precision, check_size, table, warn_of_the_host};
use crate::cli::{say, say_json};
use crate::config::{ModelConfig, TrainConfig};
use crate::cuda::{Cuda, Weights};
use crate::loss::Rule;
use crate::model::{Activations, Batch, Gpt, preset};
use crate::store::{Manifest, atomic};
use crate::tier::Tier;
use crate::train::Optimiser;
use crate::{Error, Result, Stream};
use fortifai_kernels::bench::peak;
use fortifai_kernels::{self as kernels, Device};
use half::bf16;
use serde_json::{Value, json};
use std::time::Instant;

/// What a model-FLOPs utilisation is a ratio of; said wherever the ratio is.
const FORMULA: &str = "tokens/s · (6·(12·L·c² + V·c) + 6·L·c·T) / peak";
/// Steps before the first that counts; the check needs two.
const WARM_UP: usize = 3;
const STEPS: (usize, usize) = (20, 50);
const TIME_S: f64 = 15.0;
/// Places in the text at which a step begins.
const SHIFTS: usize = 32;

/// A model and its batch.
struct Setting {
    config: ModelConfig,
    b: usize,
    t: usize,
}

/// Steps under one loss.
struct Run {
    loss: &'static str,
    kept: f64,
    times_s: Vec<f64>,
    first_nats: f64,
    last_nats: f64,
    peak_bytes: usize,
    profile: Profile,
}

pub(super) fn execute(arguments: &Arguments, size: &str) -> Result<()> {
    check_size(size)?;
    let device = arguments.open()?;
    let out = arguments.folder(&device, "step.json")?;
    warn_of_the_host(&device);
    let precision = arguments.precision.unwrap_or(match device.is_host() {
        true => Precision::F32,
        false => Precision::Bf16,
    });
    let (setting, runs) = match precision {
        Precision::F32 => measure::<f32>(&device, arguments, size)?,
        Precision::Bf16 => measure::<bf16>(&device, arguments, size)?,
    };
    let origin = Manifest::gather(arguments.common.threads(), &[], &[])?;
    let mut json = record(&device, size, precision, &setting, &runs, &origin);
    let text = text(&json);
    if let Some(out) = &out {
        let write = |name: &str, text: &str| atomic::write(&out.join(name), text.as_bytes());
        write("step.md", &format!("# Training steps\n\n{text}"))?;
        write("step.json", &format!("{json:#}\n"))?;
        json["out"] = out.display().to_string().into();
    }
    match arguments.common.json {
        true => say_json(&json),
        false => say(&text),
    }
    Ok(())
}

fn measure<A: Weights>(
    device: &Device,
    arguments: &Arguments,
    size: &str,
) -> Result<(Setting, Vec<Run>)> {
    let tier = Cuda::<A>::new(device.clone())?;
    // The vocabulary of GPT-2, rounded up to a multiple of 128.
    let mut setting = match device.is_host() {
        true => Setting {
            config: ModelConfig { layers: 2, heads: 2, channels: 32, context: 24, vocab: 101 },
            b: 2,
            t: 24,
        },
        false => {
            let config = preset(size, 50_304)?;
            Setting { b: 64, t: config.context, config }
        }
    };
    match arguments.batch {
        Some(batch) => setting.b = usize::from(batch),
        None => fit::<A>(device, &tier, &mut setting)?,
    }
    let runs = [("ce", Rule::Ce), ("half of the rows kept", Rule::Masked)];
    let runs = runs.into_iter().map(|(loss, rule)| steps(&tier, device, &setting, loss, &rule));
    let runs = runs.collect::<Result<Vec<_>>>()?;
    Ok((setting, runs))
}

/// Halves the batch until it fits into nine tenths of what is free.
fn fit<A: Weights>(device: &Device, tier: &Cuda<A>, setting: &mut Setting) -> Result<()> {
    let free = device.memory()?.free_bytes / 10 * 9;
    while setting.b > 1 {
        let Setting { config, b, t } = &*setting;
        let shape = crate::tier::LinearShape { n: b * t, c: config.channels, oc: config.vocab };
        let activations = shape.n * shape.c * (10 * config.layers + 20) * size_of::<A>();
        let statistics = shape.n * 4 * (config.layers * (4 + config.heads) + 8);
        // Masters, gradients, two moments, and a copy in the storage.
        let parameters = weights(config) * (16 + size_of::<A>());
        let workspace = 4 * tier.classifier_workspace(shape);
        let fits = activations + statistics + parameters + workspace <= free;
        if fits && Activations::<Cuda<A>>::check(config, *b, *t, true).is_ok() {
            return Ok(());
        }
        setting.b /= 2;
    }
    Ok(())
}

/// Weights of the products: four times c² in attention, eight in the feed-forward part, the head.
fn weights(config: &ModelConfig) -> usize {
    12 * config.layers * config.channels * config.channels + config.vocab * config.channels
}

fn flops_per_token(config: &ModelConfig, t: usize) -> f64 {
    (6 * weights(config) + 6 * config.layers * config.channels * t) as f64
}

/// As training runs them: the batch is uploaded, the losses are downloaded.
fn steps<A: Weights>(
    tier: &Cuda<A>,
    device: &Device,
    setting: &Setting,
    loss: &'static str,
    rule: &Rule,
) -> Result<Run> {
    let Setting { config, b, t } = setting;
    let n = b * t;
    device.reset_peak();
    let mut model = Gpt::new(tier.clone(), config.clone(), 1)?;
    let mut optimiser = Optimiser::new(&model)?;
    let mut acts = Activations::new(tier, config, *b, *t, true)?;
    let mut gradients = tier.param(model.layout.len)?;
    let settings = TrainConfig { learning_rate: 3e-4, ..TrainConfig::default() };
    let mut stream = Stream::new(1, "bench-step", 0, 0);
    // Every step begins one token further, so that none finds the last one's indices on the device.
    let tokens: Vec<u32> = (0..n + SHIFTS).map(|_| stream.below(config.vocab) as u32).collect();
    let mask: Vec<bool> = (0..n).map(|row| row % 2 == 0).collect();
    let masked = matches!(rule, Rule::Masked);
    let kept = match masked {
        true => mask.iter().filter(|&&kept| kept).count() as f64 / n as f64,
        false => 1.0,
    };
    let mut count = 0;
    let mut step = || -> Result<f64> {
        let first = count % SHIFTS;
        count += 1;
        let batch = Batch {
            tokens: &tokens[first..first + n],
            targets: &tokens[first + 1..=first + n],
            mask: masked.then_some(mask.as_slice()),
            t: *t,
        };
        tier.zero_param(&mut gradients)?;
        let scale = 1.0 / n as f64;
        let scores = model.accumulate_gradients(&mut gradients, &mut acts, batch, rule, scale)?;
        optimiser.step(&mut model, &gradients, &settings, settings.learning_rate, 1.0)?;
        // Of the kept rows.
        Ok(scores.loss.iter().sum::<f64>() * scale / kept)
    };
    let first_nats = step()?;
    for _ in 1..WARM_UP {
        step()?;
    }
    let (begin, mut times_s, mut last_nats) = (Instant::now(), Vec::new(), first_nats);
    let enough = |times: &Vec<f64>| {
        let least = if device.is_host() { 3 } else { STEPS.0 };
        times.len() >= least
            && (device.is_host()
                || times.len() >= STEPS.1
                || begin.elapsed().as_secs_f64() > TIME_S)
    };
    while !enough(&times_s) {
        let start = Instant::now();
        last_nats = step()?;
        device.synchronize()?;
        times_s.push(start.elapsed().as_secs_f64());
    }
    let uniform = (config.vocab as f64).ln();
    // At the start a model guesses nearly uniformly, and a batch seen again is known better.
    let trains = (first_nats - uniform).abs() <= 0.5 && last_nats < first_nats;
    if !trains {
        return Err(Error::Check(format!(
            "The steps do not train: the loss is {first_nats} at the start, where ln V is {uniform}, \
             and {last_nats} at the end; no time is reported."
        )));
    }
    let peak_bytes = device.memory()?.peak_bytes;
    times_s.sort_by(f64::total_cmp);
    let (_, records) = device.profiled(&mut step)?;
    let profile = Profile::of(&records, times_s[(times_s.len() - 1) / 2] * 1e3);
    Ok(Run { loss, kept, times_s, first_nats, last_nats, peak_bytes, profile })
}

fn record(
    device: &Device,
    size: &str,
    precision: Precision,
    setting: &Setting,
    runs: &[Run],
    origin: &Manifest,
) -> Value {
    let Setting { config, b, t } = setting;
    let (storage, name) = match precision {
        Precision::F32 => (kernels::Precision::F32, "f32"),
        Precision::Bf16 => (kernels::Precision::Bf16, "bf16"),
    };
    let flops = flops_per_token(config, *t);
    let peak = peak(device.name());
    let one = |run: &Run| {
        let at = |share: f64| run.times_s[((run.times_s.len() - 1) as f64 * share) as usize];
        let rate = (b * t) as f64 / at(0.5);
        json!({
            "loss": run.loss,
            "kept_fraction": run.kept,
            "time_ms": at(0.5) * 1e3,
            "time_p5_ms": at(0.05) * 1e3,
            "time_p95_ms": at(0.95) * 1e3,
            "runs": run.times_s.len(),
            "tokens_per_s": rate,
            "model_flops_utilisation":
                peak.map(|peak| rate * flops / peak.flops_per_s(storage)),
            "memory_bytes": run.peak_bytes,
            "first_loss_nats": run.first_nats,
            "last_loss_nats": run.last_nats,
            "profile": run.profile.json(),
        })
    };
    json!({
        "exit_code": 0,
        "times_mean_something": !device.is_host(),
        "origin": origin,
        "device": { "name": device.name(), "peak_source": peak.map(|peak| peak.source) },
        "size": if device.is_host() { "tiny" } else { size },
        "model": config,
        "precision": name,
        "b": b,
        "t": t,
        "flops_per_token": flops,
        "utilisation_formula": FORMULA,
        "runs": runs.iter().map(one).collect::<Vec<_>>(),
    })
}

/// From the record, so that the two cannot differ.
fn text(record: &Value) -> String {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let mut out = String::new();
    if record["times_mean_something"] == false {
        out += &format!("**{}**\n\n", table::HOST);
    }
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    out += &format!(
        "{}, {} model, {}, {} sequences of {} tokens. Forward, backward, clipping, AdamW; batch \
         uploaded, losses downloaded.\nModel-FLOPs utilisation is {FORMULA}, {:.0} MFLOP per token; \
         peak: {}. It counts kept and dropped rows alike.\n\n\
         | loss | tokens/s | utilisation | step, ms (5 – 95 % of steps) | memory, MiB | loss, nats, \
         first to last |\n|---|---|---|---|---|---|\n",
        word(&record["device"]["name"]),
        word(&record["size"]),
        word(&record["precision"]),
        record["b"],
        record["t"],
        number(&record["flops_per_token"]) / 1e6,
        record["device"]["peak_source"].as_str().unwrap_or("not known"),
    );
    for run in record["runs"].as_array().into_iter().flatten() {
        let utilisation = run["model_flops_utilisation"].as_f64();
        let utilisation =
            utilisation.map_or("–".into(), |share| format!("{:.1} %", 100.0 * share));
        out += &format!(
            "| {} | {:.0} | {utilisation} | {:.2} ({:.2} – {:.2}) | {:.0} | {:.4} → {:.4} |\n",
            word(&run["loss"]),
            number(&run["tokens_per_s"]),
            number(&run["time_ms"]),
            number(&run["time_p5_ms"]),
            number(&run["time_p95_ms"]),
            number(&run["memory_bytes"]) / f64::from(1 << 20),
            number(&run["first_loss_nats"]),
            number(&run["last_loss_nats"]),
        );
    }
    for run in record["runs"].as_array().into_iter().flatten() {
        out += &format!("\n## Where a step's time goes: {}\n\n", word(&run["loss"]));
        out += &profile::text(&run["profile"]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpt2_has_124_million_weights_and_860_million_operations_per_token() {
        let config = preset("gpt2", 50_304).unwrap();
        assert_eq!(weights(&config), 123_568_128);
        // 6·123.57 M and 6·12·768·1024.
        assert_eq!(flops_per_token(&config, 1024), 741_408_768.0 + 56_623_104.0);
    }
}
