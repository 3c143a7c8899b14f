//! Event files for TensorBoard: one folder per chain, metrics by generation, training losses by step.
//!
//! A file is a sequence of records (length, its checksum, data, its checksum); the data are protocol
//! buffers `Event { wall_time = 1, step = 2, file_version = 3, summary = 5 }`, of which a summary holds
//! `Value { tag = 1, simple_value = 2 }`. All of it follows from the records: the same run gives the
//! same bytes, and no clock is read.

use super::RunView;
use super::view::Study;
use crate::{Error, Result};
use std::path::Path;

/// Writes the chains of all runs below `dir`.
///
/// # Errors
/// A file that cannot be written.
pub fn write(runs: &[RunView], dir: &Path) -> Result<()> {
    for run in runs {
        let one = std::slice::from_ref(run);
        for series in Study::new(one).series {
            for chain in &series.chains {
                let name = format!("{}-seed{}", super::slug(&series.loss), chain.seed);
                let folder = dir.join(super::slug(&run.title)).join(name);
                std::fs::create_dir_all(&folder).map_err(|cause| Error::writing(&folder, cause))?;
                let mut bytes = Vec::new();
                push(&mut bytes, &version());
                let mut steps = 0;
                for record in &chain.records {
                    let metrics = record.metrics.iter().filter(|(_, value)| value.is_finite());
                    let metrics: Vec<(String, f64)> =
                        metrics.map(|(name, value)| (format!("metrics/{name}"), *value)).collect();
                    push(&mut bytes, &event(record.generation, &metrics));
                    for point in &record.training {
                        let kept = ("training/kept_fraction".to_owned(), point.kept_fraction);
                        let loss = ("training/loss_nats".to_owned(), point.loss_nats);
                        let nats =
                            point.validation_nats.map(|x| ("training/validation_nats".into(), x));
                        let scalars: Vec<_> =
                            [Some(loss), Some(kept), nats].into_iter().flatten().collect();
                        push(&mut bytes, &event(steps + point.step, &scalars));
                    }
                    steps += record.training.last().map_or(0, |point| point.step);
                }
                let path = folder.join("events.out.tfevents.0.fortifai");
                std::fs::write(&path, bytes).map_err(|cause| Error::writing(&path, cause))?;
            }
        }
    }
    Ok(())
}

/// One record with its checksums.
fn push(out: &mut Vec<u8>, data: &[u8]) {
    let masked = |bytes: &[u8]| {
        let sum = crc32c::crc32c(bytes);
        sum.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
    };
    let length = (data.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked(&length));
    out.extend(data);
    out.extend(masked(data));
}

fn version() -> Vec<u8> {
    let mut out = Vec::new();
    field(&mut out, 3, b"brain.Event:2");
    out
}

fn event(step: usize, scalars: &[(String, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in scalars {
        let mut one = Vec::new();
        field(&mut one, 1, tag.as_bytes());
        one.push(2 << 3 | 5);
        one.extend((*value as f32).to_le_bytes());
        field(&mut summary, 1, &one);
    }
    let mut out = vec![1 << 3 | 1];
    out.extend(0f64.to_le_bytes());
    out.push(2 << 3);
    varint(&mut out, step as u64);
    field(&mut out, 5, &summary);
    out
}

/// A field of bytes: its number and wire type, its length, the bytes.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::super::demo;
    use super::*;

    #[test]
    fn records_are_framed_and_their_sums_are_those_of_the_format() {
        // The first record of every file that TensorFlow's own writer makes without a time.
        let mut out = Vec::new();
        push(&mut out, &version());
        assert_eq!(out[..8], 15u64.to_le_bytes());
        assert_eq!(&out[12..14], [0x1a, 13]);
        assert_eq!(&out[14..27], b"brain.Event:2");
        // CRC-32C of "123456789" is 0xe3069283.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let mut number = Vec::new();
        varint(&mut number, 300);
        assert_eq!(number, [0xac, 2]);
    }

    #[test]
    fn every_chain_has_a_file_and_the_same_run_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let runs = [demo::run(&["ce", "tce:0.9"], 0..2, 2)];
        let read = |name: &str| {
            write(&runs, &dir.path().join(name)).unwrap();
            let path =
                dir.path().join(name).join("demo/tce_0.9-seed1/events.out.tfevents.0.fortifai");
            std::fs::read(path).unwrap()
        };
        let (first, second) = (read("a"), read("b"));
        assert_eq!(first, second);
        let text = String::from_utf8_lossy(&first);
        assert!(text.contains("metrics/heldout_nats") && text.contains("training/loss_nats"));
    }
}
