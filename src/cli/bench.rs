//! `fortifai bench`: the CUDA kernels against the clock.

mod profile;
mod record;
mod step;
mod table;

use super::device::{DeviceName, OnDevice, Precision};
use super::{Common, progress, say, say_json};
use crate::model::PRESETS;
use crate::report::ladder;
use crate::store::{Manifest, atomic};
use crate::{Error, Result};
use fortifai_kernels::bench::{KERNELS, Plan, Report, Size, run};
use fortifai_kernels::{self as kernels, Device};
use std::path::{Path, PathBuf};

/// Measure the CUDA kernels, or a training step, on this machine's GPU.
///
/// Every kernel runs at the shapes of GPT-2 124M, in f32 and bf16. A rung's answer is compared with
/// the naive kernel's before it is timed. Times lie between events on the stream, every call meets a
/// second-level cache that has been overwritten, and the median of at least 20 calls counts. Bytes
/// and operations are counted from the shapes. The last column but one says how near a kernel is to
/// its limit: the bandwidth of a copy measured in the same run, or the device's peak by its data
/// sheet. Rungs of one kernel stand together, naive to best, with their ratios.
///
/// --step times whole training steps (forward, backward, clipping, AdamW) and prints tokens per
/// second and model-FLOPs utilisation: tokens/s · (6·(12·L·c² + V·c) + 6·L·c·T) / peak, that is six
/// operations per weight of a product and token, and causal attention over T positions. One more step
/// then says where the time goes: every kernel's share, and what no kernel accounts for.
///
/// --device cuda-host runs the same in tiny shapes on the CPU, where times mean nothing: it tests
/// the benches. The CPU tier has benches of its own: cargo bench.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  fortifai bench
  fortifai bench --kernel matmul --kernel classifier --precision bf16
  fortifai bench --out                 writes kernels.md, kernels.json, ladder.svg to DATE-GPU/
  fortifai bench --step gpt2 --out results
  python3 benches/device/rivals.py results
      then measures PyTorch at the same shapes and puts both side by side

Exit codes: 0 done, 1 an answer was wrong, 2 bad usage, 3 no such device.")]
pub(super) struct Arguments {
    /// cuda, cuda:N, auto, or cuda-host (the kernels on the CPU, which tests the benches and
    /// measures nothing)
    #[arg(long, value_name = "DEVICE", default_value = "cuda")]
    device: DeviceName,
    /// Only kernels whose names contain this; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "step")]
    kernel: Vec<String>,
    /// How activations are stored [default: both; bf16 with --step on a GPU]
    #[arg(long, value_enum)]
    precision: Option<Precision>,
    /// Smaller batches: half a minute instead of some
    #[arg(long)]
    quick: bool,
    /// Time training steps of a model of this size instead: toy, small, gpt2
    #[arg(long, value_name = "SIZE")]
    step: Option<String>,
    /// Sequences per step [default: 64, or as many as fit]
    #[arg(long, value_name = "N", requires = "step",
          value_parser = clap::value_parser!(u16).range(1..))]
    batch: Option<u16>,
    /// Write the record into this folder, which may not hold one yet [default name: DATE-GPU]
    #[arg(long, value_name = "DIR")]
    out: Option<Option<PathBuf>>,
    #[command(flatten)]
    common: Common,
}

impl Arguments {
    pub(super) fn json(&self) -> bool {
        self.common.json
    }

    /// The device.
    fn open(&self) -> Result<Device> {
        let machine = OnDevice { device: self.device, ..OnDevice::default() };
        machine.open()?.ok_or_else(|| {
            Error::input(
                "fortifai bench measures the CUDA kernels, and --device cpu (or auto without a GPU) \
                 means the CPU tier, whose benches are run by cargo bench.",
            )
        })
    }
}

pub(super) fn execute(arguments: &Arguments) -> Result<()> {
    arguments.common.on_threads(|| match &arguments.step {
        Some(size) => step::execute(arguments, size),
        None => measure(arguments),
    })
}

fn measure(arguments: &Arguments) -> Result<()> {
    for part in &arguments.kernel {
        if !KERNELS.iter().any(|name| name.contains(part.as_str())) {
            return Err(Error::input(format!(
                "--kernel {part:?} is no part of any kernel's name; they are: {}.",
                KERNELS.join(", ")
            )));
        }
    }
    let device = arguments.open()?;
    let out = arguments.folder(&device, "kernels.json")?;
    warn_of_the_host(&device);
    let plan = Plan {
        kernels: arguments.kernel.clone(),
        precisions: match arguments.precision {
            None => vec![kernels::Precision::F32, kernels::Precision::Bf16],
            Some(Precision::F32) => vec![kernels::Precision::F32],
            Some(Precision::Bf16) => vec![kernels::Precision::Bf16],
        },
        size: match (device.is_host(), arguments.quick) {
            (true, _) => Size::Tiny,
            (false, true) => Size::Quick,
            (false, false) => Size::Full,
        },
    };
    let bar = progress::steps(0);
    let report = run(&device, &plan, |kernel| {
        bar.set_message(kernel.to_owned());
        bar.inc(1);
    });
    bar.finish_and_clear();
    let report = report?;
    let origin = Manifest::gather(arguments.common.threads(), &[], &[])?;
    let mut json = record::json(&report, plan.size, &origin);
    if let Some(out) = &out {
        let write = |name: &str, text: &str| atomic::write(&out.join(name), text.as_bytes());
        write("kernels.md", &record::markdown(&report, plan.size, &origin))?;
        write("ladder.svg", &ladder::picture(&report))?;
        // Last, because its presence says that the record is whole.
        write("kernels.json", &format!("{json:#}\n"))?;
        json["out"] = out.display().to_string().into();
    }
    match arguments.common.json {
        true => say_json(&json),
        false => say(&table::text(&report)),
    }
    conclude(&report)
}

fn conclude(report: &Report) -> Result<()> {
    if report.failed.is_empty() {
        return Ok(());
    }
    let count = report.failed.len();
    Err(Error::Check(format!("{count} rungs gave a wrong answer: {}.", report.failed.join("; "))))
}

/// Said on stderr, so that it is seen beside JSON too.
fn warn_of_the_host(device: &Device) {
    if device.is_host() {
        eprintln!("{}", table::HOST);
    }
}

impl Arguments {
    /// The folder of the record, made if need be; refused if `file` is there already.
    fn folder(&self, device: &Device, file: &str) -> Result<Option<PathBuf>> {
        let Some(out) = &self.out else { return Ok(None) };
        let named = || -> Result<PathBuf> {
            let date = Manifest::gather(1, &[], &[])?.started;
            let name = device.name().trim_start_matches("NVIDIA ").to_lowercase();
            let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
            let name: String = name.chars().map(safe).collect();
            Ok(PathBuf::from(format!("{}-{}", &date[..10], name.trim_matches('-'))))
        };
        let out = out.clone().map_or_else(named, Ok)?;
        refuse_overwriting(&out, file)?;
        std::fs::create_dir_all(&out).map_err(|cause| Error::writing(&out, cause))?;
        Ok(Some(out))
    }
}

fn refuse_overwriting(out: &Path, file: &str) -> Result<()> {
    let path = out.join(file);
    if path.exists() {
        return Err(Error::input(format!(
            "{} exists already, and a record is never overwritten; name another folder with --out.",
            path.display()
        )));
    }
    Ok(())
}

/// Sizes that `--step` knows.
fn check_size(size: &str) -> Result<()> {
    if PRESETS.contains(&size) {
        return Ok(());
    }
    Err(Error::input(format!("--step {size:?} is no size; they are: {}.", PRESETS.join(", "))))
}
