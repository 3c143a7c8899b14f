//! A study: arms × protocols × seeds as a list of runs.
//!
//! A grid file has a table `settings` (what `collapse --config` takes, without losses, protocol and
//! seeds), some tables `part` (protocols × losses × seeds, with `settings` of their own on top), and
//! what is to be concluded, named before anything runs: the table `onset` and up to four tables
//! `contrast`.
//!
//! The unit of work is the cell, one protocol and one seed with all arms that any part asks for there:
//! arms that are matched to others find them in the same cell, and paired chains share their machine.
//! A cell's folder bears a hash of its settings and of the text it reads, so that a grid that is
//! changed computes what is new and finds again what is not.

mod carry;
mod conclude;
mod contrast;

pub use carry::{CellObserver, GridOptions, Shard, carry_out, finished, questions_changed};
pub use conclude::{
    Answer, Axis, ChainOf, Time, answers, chains_of, contrasts_csv, onset, onsets_csv, time,
};
pub use contrast::{Contrast, Measure, OnsetRule};

use super::{Corpus, Protocol};
use crate::config::{MOST_SEEDS, RunConfig, resolve};
use crate::store::blake3_file;
use crate::{Error, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The most contrasts that may be called primary.
pub const MOST_CONTRASTS: usize = 4;

/// One protocol and one seed.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The folder's name: protocol, seed, hash.
    pub name: String,
    /// The settings.
    pub config: RunConfig,
}

/// A study as its file describes it.
#[derive(Clone, Debug)]
pub struct Grid {
    /// The study's name.
    pub name: String,
    /// All cells: by seed, then by protocol in the order of the file.
    pub cells: Vec<Cell>,
    /// What is concluded.
    pub contrasts: Vec<Contrast>,
    /// When a chain counts as collapsed.
    pub onset: Option<OnsetRule>,
    /// The file's text.
    pub text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    settings: Table,
    part: Vec<Part>,
    #[serde(default)]
    contrast: Vec<Contrast>,
    onset: Option<OnsetRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    protocols: Vec<Protocol>,
    losses: Vec<String>,
    seeds: Seeds,
    #[serde(default)]
    settings: Table,
}

/// A cell as the parts ask for it.
struct Place {
    seed: u64,
    protocol: Protocol,
    losses: Vec<String>,
    settings: Table,
}

/// How many seeds from 1 on, or which.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "seeds must be how many, such as 8, or a list, such as [1, 2, 3], without negative ones"
)]
enum Seeds {
    Count(u64),
    List(Vec<u64>),
}

impl Grid {
    /// Reads a grid file; paths in it are taken from where the program runs.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key, settings that no run can have, a contrast between
    /// arms that are not compared.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|cause| Error::reading(path, cause))?;
        Self::parse(&text, &format!("The grid file {}", path.display()))
    }

    /// As [`Grid::read`], from the file's text; `what` names it in errors.
    ///
    /// # Errors
    /// As [`Grid::read`].
    pub fn parse(text: &str, what: &str) -> Result<Self> {
        let refuse = |cause: String| Error::input(format!("{what} cannot be used: {cause}."));
        let file: File = toml::from_str(text).map_err(|cause| {
            refuse(cause.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
        })?;
        let mut places: Vec<Place> = Vec::new();
        for part in &file.part {
            for key in ["losses", "protocol", "seeds"] {
                if file.settings.contains_key(key) || part.settings.contains_key(key) {
                    return Err(refuse(format!(
                        "settings have {key}, which belongs into a [[part]]"
                    )));
                }
            }
            if let Seeds::Count(count) = part.seeds
                && count > MOST_SEEDS as u64
            {
                return Err(refuse(format!("it asks for {count} seeds; use at most {MOST_SEEDS}")));
            }
            let seeds = match &part.seeds {
                Seeds::Count(count) => (1..=*count).collect(),
                Seeds::List(list) => list.clone(),
            };
            if let Some(twice) = twice(&seeds) {
                return Err(refuse(format!(
                    "a [[part]] names the seed {twice} twice; name it once"
                )));
            }
            if seeds.is_empty() || part.protocols.is_empty() || part.losses.is_empty() {
                return Err(refuse("a [[part]] has no seeds, no protocols or no losses".into()));
            }
            for &seed in &seeds {
                for &protocol in &part.protocols {
                    let same =
                        |place: &&mut Place| (place.seed, place.protocol) == (seed, protocol);
                    match places.iter_mut().find(same) {
                        Some(place) if place.settings != part.settings => {
                            return Err(refuse(format!(
                                "two parts have seed {seed} under {protocol} with different settings"
                            )));
                        }
                        Some(place) => {
                            let new =
                                part.losses.iter().filter(|loss| !place.losses.contains(loss));
                            let new: Vec<String> = new.cloned().collect();
                            place.losses.extend(new);
                        }
                        None => places.push(Place {
                            seed,
                            protocol,
                            losses: part.losses.clone(),
                            settings: part.settings.clone(),
                        }),
                    }
                }
            }
        }
        if places.is_empty() {
            return Err(refuse("it has no [[part]]".into()));
        }
        // Seed by seed, so that whatever is finished early is balanced.
        places.sort_by_key(|place| place.seed);
        let cells = places.into_iter().map(|place| cell(&file.settings, place, what));
        let grid = Self {
            name: file.name,
            cells: cells.collect::<Result<_>>()?,
            contrasts: file.contrast,
            onset: file.onset,
            text: text.to_owned(),
        };
        grid.check().map_err(refuse)?;
        Ok(grid)
    }

    /// The folders of the cells below a grid's.
    pub fn folders(&self, dir: &Path) -> Vec<PathBuf> {
        self.cells.iter().map(|cell| dir.join(&cell.name)).collect()
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.contrasts.len() > MOST_CONTRASTS {
            return Err(format!(
                "it names {} contrasts; name at most {MOST_CONTRASTS}, the more there are the less each \
                 can show",
                self.contrasts.len()
            ));
        }
        let names: Vec<&str> =
            self.contrasts.iter().map(|contrast| contrast.name.as_str()).collect();
        if let Some(name) = twice(&names) {
            return Err(format!("two contrasts are called {name:?}; give each a name of its own"));
        }
        for contrast in &self.contrasts {
            let Contrast { name, arm, against, protocol, measure } = contrast;
            let compared = self.cells.iter().any(|cell| {
                cell.config.protocol == *protocol
                    && [arm, against].iter().all(|arm| cell.config.losses.contains(arm))
            });
            if arm == against || !compared {
                return Err(format!(
                    "the contrast {name:?} compares {arm} with {against} under {protocol}, but no part has \
                     both there"
                ));
            }
            if matches!(measure, Measure::Onset(_)) && self.onset.is_none() {
                return Err(format!(
                    "the contrast {name:?} is of onsets, but there is no table [onset]"
                ));
            }
        }
        match &self.onset {
            Some(rule) => rule.check(),
            None => Ok(()),
        }
    }
}

/// The first value that stands in a list a second time.
fn twice<X: PartialEq + Copy>(values: &[X]) -> Option<X> {
    (values.iter().enumerate())
        .find(|(i, value)| values[..*i].contains(value))
        .map(|entry| *entry.1)
}

fn cell(settings: &Table, place: Place, what: &str) -> Result<Cell> {
    let Place { seed, protocol, losses, settings: of_part } = place;
    let mut more = Table::new();
    more.insert("protocol".into(), Value::String(protocol.to_string()));
    more.insert("losses".into(), Value::Array(losses.into_iter().map(Value::String).collect()));
    let number = i64::try_from(seed).map_err(|_| {
        Error::input(format!(
            "{what} cannot be used: the seed {seed} is too large; use one below 2^63."
        ))
    })?;
    more.insert("seeds".into(), Value::Array(vec![Value::Integer(number)]));
    let layers = [settings.clone(), of_part, more].map(|table| (what.to_owned(), table));
    let config = resolve(&layers)?;
    let name = format!("{}-seed{seed}-{}", protocol.to_string().replace(':', "-"), hash(&config)?);
    Ok(Cell { name, config })
}

/// Twelve digits of a BLAKE3 hash of everything that determines a run's numbers.
fn hash(config: &RunConfig) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let text = toml::to_string(config).map_err(|cause| {
        Error::input(format!("The settings cannot be written as TOML: {cause}."))
    })?;
    hasher.update(text.as_bytes());
    for path in Corpus::inputs(config) {
        hasher.update(blake3_file(&path)?.as_bytes());
    }
    Ok(hasher.finalize().to_hex()[..12].to_owned())
}

#[cfg(test)]
mod tests;
