//! What a run was made from.

use super::{RunDir, atomic, blake3_file, commit};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a run was made from: enough to say whether two runs should agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this package.
    pub version: String,
    /// Commit of the source, or `unknown`.
    pub commit: String,
    /// Model name of the processor, or `unknown`.
    pub cpu: String,
    /// Worker threads.
    pub threads: usize,
    /// Seeds of the run.
    pub seeds: Vec<u64>,
    /// BLAKE3 of each input file by its path.
    pub inputs: BTreeMap<String, String>,
    /// When the run began, in UTC, as in `2025-01-31T12:00:00Z`.
    pub started: String,
}

impl Manifest {
    /// Describes this process and hashes the input files.
    ///
    /// # Errors
    /// If an input file cannot be read.
    pub fn gather(threads: usize, seeds: &[u64], inputs: &[&Path]) -> Result<Self> {
        let hash = |path: &&Path| Ok((path.display().to_string(), blake3_file(path)?));
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |past| past.as_secs());
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").into(),
            commit: commit::source_commit(),
            cpu: machine(),
            threads,
            seeds: seeds.to_vec(),
            inputs: inputs.iter().map(hash).collect::<Result<_>>()?,
            started: utc(seconds),
        })
    }

    /// Writes `manifest.json`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, run: &RunDir) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).expect("a manifest is plain data");
        text.push('\n');
        atomic::write(&run.manifest(), text.as_bytes())
    }

    /// Reads `manifest.json`.
    ///
    /// # Errors
    /// If it is missing or not a manifest.
    pub fn read(run: &RunDir) -> Result<Self> {
        let path = run.manifest();
        let text = std::fs::read(&path).map_err(|cause| {
            Error::input(format!(
                "The manifest {} cannot be read: {cause}. Name the directory of a run.",
                path.display()
            ))
        })?;
        serde_json::from_slice(&text).map_err(|cause| {
            Error::input(format!(
                "The file {} is not a manifest: {cause}. Restore it or run again with another \
                 --out.",
                path.display()
            ))
        })
    }
}

/// Model name of the processor, or `unknown`.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok();
    info.and_then(|info| cpu_name(&info)).unwrap_or_else(|| "unknown".into())
}

fn cpu_name(info: &str) -> Option<String> {
    let value =
        |line: &str| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().into());
    info.lines().find_map(value)
}

/// Seconds since 1970 as a date and time in UTC (Gregorian, years of 1 March to end of February).
fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let days = days + 719_468; // since 1 March of the year 0
    let era_day = days % 146_097;
    let year_of_era = (era_day - era_day / 1_460 + era_day / 36_524 - era_day / 146_096) / 365;
    let year_day = era_day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * year_day + 2) / 153;
    let day = year_day - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = days / 146_097 * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::{Manifest, cpu_name, utc};
    use crate::store::RunDir;

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path()).unwrap();
        assert!(Manifest::read(&run).is_err());
        let input = folder.path().join("corpus.txt");
        assert!(Manifest::gather(2, &[1], &[&input]).is_err());
        std::fs::write(&input, "text").unwrap();
        let manifest = Manifest::gather(2, &[1, u64::MAX], &[&input]).unwrap();
        assert_eq!(manifest.inputs.values().next().unwrap().len(), 64);
        manifest.write(&run).unwrap();
        assert_eq!(Manifest::read(&run).unwrap(), manifest);
        std::fs::write(run.manifest(), "{}").unwrap();
        assert!(Manifest::read(&run).unwrap_err().to_string().contains("is not a manifest"));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        // `date -u -d @SECONDS +%FT%TZ` of GNU coreutils.
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(951_868_800), "2000-03-01T00:00:00Z");
        assert_eq!(utc(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(utc(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn the_processor_is_named() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Other\n";
        assert_eq!(cpu_name(info).unwrap(), "Some CPU @ 2 GHz");
        assert_eq!(cpu_name("processor : 0"), None);
    }
}
