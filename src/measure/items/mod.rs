//! Item measures: contexts with answers of which the model should rank one first.
//!
//! | file | idea |
//! |---|---|
//! | `read` | the files: knowledge retention, minimal pairs, multiple choice |
//! | `splits` | which question belongs to which part of the text |
//! | `encode` | an item as sequences of tokens that fit the context |
//! | `record` | what is kept of every item, and the files it is kept in |
//! | `accuracy` | the metrics that follow from it |
//! | `paired` | two models on the same items |
//!
//! Every answer is scored on its own: with the end token `e`, the tokens `c` of the context and `a` of
//! the answer, its token log-probabilities are `ln p(a_i | e c a_1 … a_{i−1})`. Context and answer are
//! encoded apart, the answer with a space before it; a minimal pair has no context, so that its
//! sentences are scored from their first token on. Of what is longer than the model's context the
//! last tokens are kept, and it is counted how often that happens.

mod accuracy;
mod encode;
mod paired;
mod read;
mod record;
mod splits;

pub use accuracy::{Accuracy, accuracies, metrics};
pub use paired::{Paired, paired};
pub use read::{Item, choice, minimal_pairs, retention};
pub use record::{ItemScore, lines, read_scores};
pub use splits::Splits;

use super::retention::{Scoring, scores};
use crate::loss::Rule;
use crate::model::{Gpt, RowScores};
use crate::text::Tokenizer;
use crate::tier::Tier;
use crate::train::score_rows;
use crate::{Error, Result};
use encode::{Encoded, encode};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The name of the knowledge-retention measure.
pub const RETENTION: &str = "retention";
/// The name of the multiple-choice measure.
pub const CHOICE: &str = "choice";
/// What the names of the minimal-pair measures begin with; the file's name follows.
pub const BLIMP: &str = "blimp_";

/// Which files are measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ItemFiles {
    /// Knowledge-retention questions: `context`, `sentence_true`, `sentence_false`, `location`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<PathBuf>,
    /// Equal parts of the questions: part `j` is `[j·n/N, (j+1)·n/N)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splits: Option<usize>,
    /// Lines at which the parts of the text begin, and the line after the last one: part `j` has the
    /// questions whose `location` lies in `[lines[j], lines[j+1])`. Others are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_lines: Option<Vec<u64>>,
    /// Minimal pairs: `sentence_good`, `sentence_bad`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blimp: Vec<PathBuf>,
    /// Multiple choice: `ctx`, `endings`, `label`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<PathBuf>,
}

impl ItemFiles {
    /// All files, in the order in which they are measured.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.retention.iter().chain(&self.blimp).chain(&self.choice)
    }

    /// Checks what can be checked without reading a file.
    ///
    /// # Errors
    /// No file, splits without questions or of both kinds, two minimal-pair files of one name.
    pub fn validate(&self) -> Result<()> {
        if self.paths().next().is_none() {
            return Err(Error::input(
                "No items are named; give a file of retention, blimp or choice.",
            ));
        }
        if self.retention.is_none() && (self.splits.is_some() || self.split_lines.is_some()) {
            return Err(Error::input(
                "The settings splits and split_lines belong to retention; leave them out or name a \
                 file of retention.",
            ));
        }
        self.splits()?;
        let names: Vec<String> = self.blimp.iter().map(|path| pair_name(path)).collect();
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(Error::input(format!(
                    "Two files of blimp make the measure {name}; rename one of them."
                )));
            }
        }
        Ok(())
    }

    fn splits(&self) -> Result<Splits> {
        Splits::new(self.splits, self.split_lines.as_deref())
    }
}

/// `blimp_` and the file's name without its ending.
fn pair_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("{BLIMP}{}", stem.chars().map(plain).collect::<String>())
}

/// Items that are read and encoded, ready to be scored by any model with this tokenizer.
#[derive(Debug)]
pub struct Items {
    measures: Vec<Measure>,
    end: u32,
}

/// The items of one file.
#[derive(Debug)]
struct Measure {
    name: String,
    items: Vec<Encoded>,
}

impl Items {
    /// Reads and encodes all files.
    ///
    /// # Errors
    /// Those of [`ItemFiles::validate`]; a file that is not of its form, named with line and member;
    /// a text that the tokenizer cannot express.
    pub fn load(files: &ItemFiles, tokenizer: &Tokenizer) -> Result<Self> {
        files.validate()?;
        let mut measures = Vec::new();
        let mut add = |name: String, path: &Path, items: Vec<Item>, splits: &Splits| {
            let parts = splits.assign(&items, path)?;
            let kept = items.iter().zip(parts).enumerate();
            let kept = kept.filter_map(|(number, (item, part))| Some((number, item, part?)));
            let items =
                kept.map(|(number, item, part)| encode(tokenizer, path, number, item, part));
            measures.push(Measure { name, items: items.collect::<Result<_>>()? });
            Ok::<(), Error>(())
        };
        if let Some(path) = &files.retention {
            add(RETENTION.into(), path, retention(path)?, &files.splits()?)?;
        }
        for path in &files.blimp {
            add(pair_name(path), path, minimal_pairs(path)?, &Splits::None)?;
        }
        if let Some(path) = &files.choice {
            add(CHOICE.into(), path, choice(path)?, &Splits::None)?;
        }
        Ok(Self { measures, end: tokenizer.end_token() })
    }

    /// Tokens that a model reads to score all items.
    pub fn tokens(&self) -> usize {
        let items = self.measures.iter().flat_map(|measure| &measure.items);
        items.map(Encoded::tokens).sum()
    }

    /// The scores of all items, file by file, in the order of the files.
    ///
    /// The bits of a score depend on the model and the item alone, on the CPU tier: see
    /// [`score_rows`].
    ///
    /// # Errors
    /// Those of the tier.
    pub fn score<T: Tier>(&self, model: &Gpt<T>) -> Result<Vec<ItemScore>> {
        let mut all = Vec::new();
        for Measure { name, items } in &self.measures {
            let answers: Vec<_> = items
                .iter()
                .flat_map(|item| item.sequences(self.end, model.config.context))
                .collect();
            let sequences: Vec<Vec<u32>> =
                answers.iter().map(|answer| answer.tokens.clone()).collect();
            let rows = score_rows(model, &sequences, &Rule::Ce)?;
            let mut next = answers.iter().zip(&rows);
            for item in items {
                let of_item: Vec<_> = next.by_ref().take(item.answers.len()).collect();
                let cut = of_item.iter().any(|(answer, _)| answer.cut);
                let logs: Vec<Vec<f64>> =
                    of_item.iter().map(|(answer, row)| last(row, answer.scored)).collect();
                all.push(judged(name, item, &logs, cut));
            }
        }
        Ok(all)
    }
}

/// The log-probabilities of the last `count` tokens.
fn last(row: &RowScores, count: usize) -> Vec<f64> {
    row.nll[row.nll.len() - count..].iter().map(|nll| -nll).collect()
}

/// The scores of one item from the log-probabilities of its answers' tokens.
fn judged(measure: &str, item: &Encoded, logs: &[Vec<f64>], cut: bool) -> ItemScore {
    let sums: Vec<f64> = logs.iter().map(|logs| logs.iter().sum()).collect();
    let means = match (measure, logs) {
        (RETENTION, [yes, no]) => {
            let (yes, no) = scores(yes, no, Scoring::MeanToShorter);
            vec![yes, no]
        }
        (CHOICE, _) => {
            sums.iter().zip(&item.bytes).map(|(sum, bytes)| sum / *bytes as f64).collect()
        }
        _ => Vec::new(),
    };
    ItemScore {
        measure: measure.into(),
        item: item.number,
        split: item.split,
        answer: item.right,
        right: accuracy::ranked_first(&sums, item.right),
        right_by_mean: (!means.is_empty()).then(|| accuracy::ranked_first(&means, item.right)),
        sums,
        means,
        tokens: logs.iter().map(Vec::len).collect(),
        cut,
    }
}

#[cfg(test)]
mod tests;
