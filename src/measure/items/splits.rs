//! Which part of the text a question belongs to.

use super::Item;
use crate::{Error, Result};
use std::path::Path;

/// How questions are parted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Splits {
    /// Not at all.
    None,
    /// Into so many equal parts in the order of the file: part `j` is `[j·n/N, (j+1)·n/N)`, rounded
    /// down, as in the authors' code.
    Count(usize),
    /// By `location`: part `j` is `[lines[j], lines[j+1])`; what lies in none is left out.
    Lines(Vec<u64>),
}

impl Splits {
    /// The splits that two settings ask for.
    ///
    /// # Errors
    /// Both are given, there are no parts, or the lines do not rise.
    pub fn new(count: Option<usize>, lines: Option<&[u64]>) -> Result<Self> {
        match (count, lines) {
            (None, None) => Ok(Self::None),
            (Some(_), Some(_)) => Err(Error::input(
                "Both splits and split_lines are given; name the number of equal parts or the lines \
                 at which they begin.",
            )),
            (Some(0), _) => {
                Err(Error::input("The number of splits is 0; use 1 or more, or leave it out."))
            }
            (Some(count), _) => Ok(Self::Count(count)),
            (_, Some(lines)) if lines.len() > 1 && lines.is_sorted_by(|a, b| a < b) => {
                Ok(Self::Lines(lines.to_vec()))
            }
            (_, Some(lines)) => Err(Error::input(format!(
                "The split_lines are {lines:?}; give two numbers or more, each larger than the one \
                 before: where every part begins, and the line after the last part."
            ))),
        }
    }

    /// For each item its part: `None` where it is left out, `Some(None)` where there are no parts.
    ///
    /// # Errors
    /// Fewer items than parts; by lines, an item without location, or no item within the lines.
    pub fn assign(&self, items: &[Item], path: &Path) -> Result<Vec<Option<Option<usize>>>> {
        let n = items.len();
        match self {
            Self::None => Ok(vec![Some(None); n]),
            Self::Count(parts) if *parts > n => Err(Error::input(format!(
                "The file {} has {n} items, fewer than the {parts} splits asked for; lower splits.",
                path.display()
            ))),
            // The last j with j·n/N ≤ i: j·n < (i + 1)·N.
            Self::Count(parts) => {
                Ok((0..n).map(|item| Some(Some(((item + 1) * parts - 1) / n))).collect())
            }
            Self::Lines(lines) => by_lines(lines, items, path),
        }
    }
}

fn by_lines(lines: &[u64], items: &[Item], path: &Path) -> Result<Vec<Option<Option<usize>>>> {
    let mut parts = Vec::with_capacity(items.len());
    for (number, item) in items.iter().enumerate() {
        let location = item.location.ok_or_else(|| {
            Error::input(format!(
                "{}, item {number} (from 0): the member \"location\" is missing, by which split_lines \
                 parts the questions; add it, or use splits.",
                path.display()
            ))
        })?;
        let begun = lines.partition_point(|line| *line <= location);
        parts.push((1..lines.len()).contains(&begun).then(|| Some(begun - 1)));
    }
    if parts.iter().all(Option::is_none) {
        return Err(Error::input(format!(
            "No question of {} lies in the lines from {} to {}; check split_lines.",
            path.display(),
            lines[0],
            lines[lines.len() - 1]
        )));
    }
    Ok(parts)
}
