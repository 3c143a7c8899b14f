//! Compiles every kernel file for every architecture and compares what each kernel takes with
//! `kernels/registers.csv`. Needs NVRTC, no GPU.
//!
//! `cargo run -p fortifai-kernels --example compile -- [--bless | --version | FILE …]`
//!
//! `--bless` writes the table anew; `--version` only says which NVRTC is found; file names (`gelu.cu`) restrict the check. Exit 1: a kernel does
//! not compile, spills, or takes more than the table says. Exit 3: there is no NVRTC.

use fortifai_kernels::Precision;
use fortifai_kernels::compile::{Figures, Nvrtc, figures};
use fortifai_kernels::sources::Source;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::process::ExitCode;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/registers.csv");
const COLUMNS: &str = "source,kernel,precision,arch,registers,shared_bytes";

/// Source, kernel, precision, architecture.
type Key = [String; 4];
/// Registers and bytes of static shared memory.
type Row = [u32; 2];

fn main() -> ExitCode {
    let (options, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let bless = options == ["--bless"];
    let version_only = options == ["--version"];
    let alone = bless || version_only;
    if !alone && !options.is_empty() || alone && !files.is_empty() {
        eprintln!("usage: compile [--bless | --version | FILE …]");
        return ExitCode::from(2);
    }
    let nvrtc = match Nvrtc::find() {
        Ok(nvrtc) => nvrtc,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::from(3);
        }
    };
    let version = format!("# NVRTC {}.{}", nvrtc.version.0, nvrtc.version.1);
    println!("{} at {}", &version[2..], nvrtc.path.display());
    if version_only {
        return ExitCode::SUCCESS;
    }

    let sources = Source::ALL.into_iter();
    let chosen: Vec<Source> = sources
        .filter(|source| files.is_empty() || files.iter().any(|file| file == source.file().0))
        .collect();
    let (rows, mut faults) = compile_all(nvrtc, &chosen);
    if bless && faults.is_empty() {
        std::fs::write(TABLE, table(&version, &rows)).expect("the table can be written");
        println!("{} rows written to kernels/registers.csv", rows.len());
    } else if !bless {
        faults.extend(compare(&version, &rows, &chosen));
    }
    for fault in &faults {
        println!("FAILED: {fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn compile_all(nvrtc: &Nvrtc, sources: &[Source]) -> (BTreeMap<Key, Row>, Vec<String>) {
    let mut jobs = Vec::new();
    for &source in sources {
        for &precision in source.precisions() {
            jobs.extend(source.architectures().iter().map(|&arch| (source, precision, arch)));
        }
    }
    let compiled: Vec<_> = jobs
        .par_iter()
        .map(|&(source, precision, arch)| nvrtc.compile(source, precision, arch))
        .collect();
    let (mut rows, mut faults) = (BTreeMap::new(), Vec::new());
    for ((source, precision, arch), result) in jobs.into_iter().zip(compiled) {
        match result {
            Err(reason) => faults.push(reason.to_string()),
            Ok(compiled) => {
                for kernel in figures(&compiled.log) {
                    let key =
                        [source.file().0, &kernel.kernel, name(precision), arch].map(str::to_owned);
                    faults.extend(spill(&key, &kernel));
                    rows.insert(key, [kernel.registers, kernel.shared_bytes]);
                }
            }
        }
    }
    println!("{} kernels in {} files", rows.len(), sources.len());
    (rows, faults)
}

fn spill(key: &Key, kernel: &Figures) -> Option<String> {
    let (spilled, stack) = (kernel.spill_bytes, kernel.stack_bytes);
    if spilled == 0 && stack > 0 {
        println!("note: {} keeps {stack} bytes per thread in local memory", key.join(" "));
    }
    (spilled > 0).then(|| format!("{} spills {spilled} bytes of registers", key.join(" ")))
}

fn name(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
    }
}

fn table(version: &str, rows: &BTreeMap<Key, Row>) -> String {
    let mut text = format!("{version}\n{COLUMNS}\n");
    for (key, [registers, shared]) in rows {
        text += &format!("{},{registers},{shared}\n", key.join(","));
    }
    text
}

/// Where the table says less, or knows a kernel that is gone, or does not know one.
fn compare(version: &str, rows: &BTreeMap<Key, Row>, sources: &[Source]) -> Vec<String> {
    let text = std::fs::read_to_string(TABLE).unwrap_or_default();
    let mut lines = text.lines();
    let recorded = lines.next().unwrap_or_default();
    if recorded != version {
        println!(
            "SKIPPED: the figures of kernels/registers.csv are for another compiler ({recorded:?})"
        );
        return Vec::new();
    }
    let mut known: BTreeMap<Key, Row> = BTreeMap::new();
    for line in lines.skip(1) {
        let words: Vec<&str> = line.split(',').collect();
        let [source, kernel, precision, arch, registers, shared] = words[..] else {
            return vec![format!("kernels/registers.csv: {line:?} is not {COLUMNS}")];
        };
        let [Ok(registers), Ok(shared)] = [registers.parse(), shared.parse()] else {
            return vec![format!("kernels/registers.csv: {line:?} does not end in two numbers")];
        };
        if sources.iter().any(|chosen| chosen.file().0 == source) {
            known.insert([source, kernel, precision, arch].map(str::to_owned), [registers, shared]);
        }
    }
    let remedy = "if that is right, write the table anew with --bless";
    let mut faults = Vec::new();
    for (key, &now) in rows {
        let Some(before) = known.remove(key) else {
            faults.push(format!("{} is not in kernels/registers.csv; {remedy}", key.join(" ")));
            continue;
        };
        for (what, before, now) in
            [("registers", before[0], now[0]), ("bytes of shared memory", before[1], now[1])]
        {
            if now > before {
                let kernel = key.join(" ");
                faults.push(format!("{kernel} takes {now} {what}, before {before}; {remedy}"));
            } else if now < before {
                println!("note: {} takes {now} {what}, before {before}", key.join(" "));
            }
        }
    }
    let gone = known
        .keys()
        .map(|key| format!("{} of kernels/registers.csv does not exist; {remedy}", key.join(" ")));
    faults.extend(gone);
    faults
}
