//! The record: JSON for programs, a page for readers.

use super::table::{self, cases, header, memory, name, precision, ratios, share, speed};
use crate::store::Manifest;
use fortifai_kernels::bench::{Bound, Entry, Report, Size};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Everything, with units in the names.
pub fn json(report: &Report, size: Size, origin: &Manifest) -> Value {
    let (major, minor) = report.compute_capability;
    let peak = report.peak.map(|peak| {
        json!({
            "bf16_flops_per_s": peak.bf16_flops_per_s,
            "f32_flops_per_s": peak.f32_flops_per_s,
            "source": peak.source,
        })
    });
    json!({
        "exit_code": if report.failed.is_empty() { 0 } else { 1 },
        "size": format!("{size:?}").to_lowercase(),
        "times_mean_something": !report.host,
        "origin": origin,
        "device": {
            "name": report.device,
            "compute_capability": format!("{major}.{minor}"),
            "multiprocessors": report.multiprocessors,
            "memory_bytes": report.memory_bytes,
            "copy_bytes_per_s": report.copy_bytes_per_s,
            "peak": peak,
        },
        "entries": report.entries.iter().map(|entry| one(report, entry)).collect::<Vec<_>>(),
        "refused": report.refused,
        "failed": report.failed,
    })
}

fn one(report: &Report, entry: &Entry) -> Value {
    let shape: Map<String, Value> =
        entry.shape.iter().map(|&(letter, size)| (letter.to_owned(), size.into())).collect();
    let times = entry.times;
    json!({
        "kernel": entry.kernel,
        "variant": entry.variant,
        "rung": entry.rung,
        "precision": precision(entry.precision),
        "shape": shape,
        "time_ms": times.median_ms,
        "time_p5_ms": times.p5_ms,
        "time_p95_ms": times.p95_ms,
        "runs": times.runs,
        "bytes": entry.bytes,
        "flops": entry.flops,
        "bound": if entry.bound == Bound::Memory { "memory" } else { "arithmetic" },
        "share": report.share(entry),
        "extra_memory_bytes": entry.memory_bytes,
        "error": entry.error,
    })
}

/// The page.
pub fn markdown(report: &Report, size: Size, origin: &Manifest) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes every write");
    line("# Kernels\n".into());
    if report.host {
        line(format!("**{}**\n", table::HOST));
    }
    line(header(report));
    let size = if size == Size::Quick { " --quick" } else { "" };
    line(format!(
        "Command: `fortifai bench{size} --out DIR`, version {}, commit {}, {}.",
        origin.version, origin.commit, origin.started
    ));
    line(
        "Every rung's answer was compared with the naive rung's first (of outputs over four million \
         numbers, sixteen stretches from the first to the last). Times lie between events on the \
         stream, the second-level cache is overwritten before each call; medians, and in brackets \
         the 5th and 95th percentile. Bytes and operations are counted from the shapes. Extra memory \
         is what outputs and scratch take.\n"
            .into(),
    );
    line("| kernel | rung | time, ms | speed | share | extra MiB | faster than naive |".into());
    line("|---|---|---|---|---|---|---|".into());
    for case in cases(report) {
        for (place, entry) in case.iter().enumerate() {
            let title = if place == 0 { name(entry) } else { String::new() };
            let times = entry.times;
            line(format!(
                "| {title} | {} | {:.4} ({:.4} – {:.4}, {} runs) | {} | {} | {} | {} |",
                entry.rung,
                times.median_ms,
                times.p5_ms,
                times.p95_ms,
                times.runs,
                speed(entry),
                share(report, entry),
                memory(entry),
                ratios(&case, place)
            ));
        }
    }
    for refusal in &report.refused {
        line(format!("\nNot on this device: {refusal}"));
    }
    for failure in &report.failed {
        line(format!("\n**Wrong**: {failure}"));
    }
    out
}
