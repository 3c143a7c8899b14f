//! A run under way: its directory, to which nobody else writes, and what its chains share.

use super::arm::Match;
use super::chain::{Chain, Finished, base_weights};
use super::folder::{self, Done, Summary, chain_name, chains};
use super::run::{Observer, Prepared};
use super::saved::Saved;
use super::{Arm, Corpus};
use crate::store::{Alone, Manifest, RunDir};
use crate::tier::Tier;
use crate::{Error, Result};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// Ends runs early: told from outside, at a limit of generations, or since nothing can go on.
pub struct Brake<'a> {
    stop: &'a AtomicBool,
    aborted: AtomicBool,
    committed: AtomicUsize,
    limit: Option<usize>,
}

impl<'a> Brake<'a> {
    /// Watches `stop`, and stops after so many finished generations.
    pub fn new(stop: &'a AtomicBool, limit: Option<usize>) -> Self {
        Self { stop, aborted: AtomicBool::new(false), committed: AtomicUsize::new(0), limit }
    }

    /// Whether to stop.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.aborted.load(Ordering::Relaxed)
    }

    /// Stops everything.
    pub fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    fn count(&self) {
        let count = self.committed.fetch_add(1, Ordering::Relaxed) + 1;
        if self.limit.is_some_and(|limit| count >= limit) {
            self.abort();
        }
    }
}

/// A run under way.
pub struct Session {
    prepared: Prepared,
    dir: RunDir,
    _alone: Alone,
    /// What was finished before.
    done: Done,
    /// The weights of the base model by seed, where there is one.
    bases: Vec<OnceLock<Vec<f32>>>,
    /// Held while a generation is put on disk.
    writing: Mutex<()>,
}

impl Session {
    /// Opens the directory of a run: a new one, or with `resume` one that holds this run. `threads` is
    /// for the record.
    ///
    /// # Errors
    /// An arm that the tier cannot run, a directory that is taken or holds another run, files that
    /// cannot be read or written.
    pub fn open<T: Tier<Number = f32>>(
        tier: &T,
        prepared: Prepared,
        dir: &Path,
        threads: usize,
        resume: bool,
    ) -> Result<Self> {
        let Prepared { config, corpus } = &prepared;
        let weighs = |arm: &&Arm| arm.treatment.unlearn.is_some() || arm.treatment.real.is_some();
        if let Some(arm) = config.losses.iter().find(weighs).filter(|_| !tier.takes_functions()) {
            return Err(Error::input(format!(
                "The arm {arm} weighs tokens by a function of its own, which runs on the CPU only; use --device \
                 cpu, or leave +unlearn and +real out."
            )));
        }
        let inputs = Corpus::inputs(config);
        let inputs: Vec<&Path> = inputs.iter().map(|path| path.as_path()).collect();
        let manifest = Manifest::gather(threads, &config.seeds, &inputs)?;
        let (dir, alone) = match resume {
            true => folder::reopen(dir, config, &manifest)?,
            false => folder::begin(dir, config, &manifest, corpus)?,
        };
        let done = folder::finished(&dir, config)?;
        let bases = config.seeds.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { prepared, dir, _alone: alone, done, bases, writing: Mutex::new(()) })
    }

    /// Trains or reads the base model of a seed.
    ///
    /// # Errors
    /// What fails there, or a stop.
    pub fn base<T: Tier<Number = f32>>(&self, tier: &T, seed: usize, brake: &Brake) -> Result<()> {
        let Prepared { config, corpus } = &self.prepared;
        let number = config.seeds[seed];
        let saved = Saved::open(&self.dir, &format!("base-seed{number}"))?;
        let stopped = || brake.stopped();
        let weights = base_weights(tier, config, corpus, &saved, number, &stopped)?;
        let _ = self.bases[seed].set(weights);
        Ok(())
    }

    /// Follows a chain from where it stands to its end; what it waits for has ended.
    ///
    /// # Errors
    /// What fails on the way, or a stop.
    pub fn follow<T: Tier<Number = f32>>(
        &self,
        tier: &T,
        index: usize,
        brake: &Brake,
        observer: &dyn Observer,
    ) -> Result<()> {
        let Prepared { config, corpus } = &self.prepared;
        let base = self.bases[index % config.seeds.len()].get().map(Vec::as_slice);
        if config.base.is_some() && base.is_none() {
            return Ok(()); // Its failure is reported where it happened.
        }
        let (arm, seed) = chains(config)[index];
        let name = chain_name(&arm, seed);
        let reference = arm.treatment.verify.map(|_| format!("{name}-reference"));
        let leads = match arm.matched {
            Some(_) => leads(&arm, seed, &folder::finished(&self.dir, config)?),
            None => Vec::new(),
        };
        let chain = Chain {
            config: &arm.apply(config),
            corpus,
            saved: Saved::open(&self.dir, &name)?,
            reference: reference.map(|name| Saved::open(&self.dir, &name)).transpose()?,
            arm,
            leads,
            seed,
            base,
            done: self.done.get(&(arm.to_string(), seed)).cloned().unwrap_or_default(),
            stopped: &|| brake.stopped(),
            progress: &|g, stage| observer.stage(index, g, stage),
            commit: &|finished: Finished| {
                let _turn = self.writing.lock().expect("no writer panics");
                folder::commit(&self.dir, &name, &finished)?;
                observer.finished(index, &finished.record);
                brake.count();
                Ok(())
            },
        };
        chain.follow(tier)
    }

    /// Writes the table and the report.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn conclude(&self) -> Result<Summary> {
        folder::conclude(&self.dir, &self.prepared.config)
    }
}

/// What a matched arm takes from its parents, for every generation that they all finished.
pub fn leads(arm: &Arm, seed: u64, done: &Done) -> Vec<f64> {
    let metric = match arm.matched {
        Some(Match::Kept(_)) => "kept_fraction_training",
        _ => "update_norm",
    };
    let figures = |parent: &Arm| -> Vec<f64> {
        let records = done.get(&(parent.to_string(), seed)).map_or(&[][..], Vec::as_slice);
        records.iter().map_while(|record| record.metrics.get(metric).copied()).collect()
    };
    let parents: Vec<Vec<f64>> = arm.parents().iter().map(figures).collect();
    match parents.as_slice() {
        [kept] => kept.clone(),
        [wanted, own] => wanted
            .iter()
            .zip(own)
            .map(|(wanted, own)| if *own > 0.0 { wanted / own } else { 1.0 })
            .collect(),
        _ => Vec::new(),
    }
}
