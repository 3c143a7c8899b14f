//! Curves from a table: wide, one column each, or long as the reports write it.

use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What onset is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Synthetic tokens trained on: a column (or, in a long table, a metric) `tokens`,
    /// `synthetic_tokens` or `synthetic_tokens_cumulative`.
    Tokens,
    /// Generations: a column `generation`, `generations`, `stage` or `stages`.
    Generations,
}

const TOKENS: [&str; 3] = ["tokens", "synthetic_tokens", "synthetic_tokens_cumulative"];
const GENERATIONS: [&str; 4] = ["generation", "generations", "stage", "stages"];

impl Axis {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Tokens => &TOKENS,
            Self::Generations => &GENERATIONS,
        }
    }

    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Generations => "generations",
        }
    }
}

/// A curve of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The column's name, or what names a run and its metric.
    pub name: String,
    /// `(axis, value)`, the axis increasing.
    pub points: Vec<(f64, f64)>,
    /// Where its run diverged, which is failure whatever the measure; known of a long table alone.
    pub diverged: Option<f64>,
}

/// The curves of the CSV file over `axis`, by default tokens if the table has them, and that axis.
/// A wide table has the axes and one column per curve; a long one the columns
/// `generation,metric,value` and others that name a run. `measures` are the columns or metrics
/// wanted: none means all of a wide table, and the only one of a long table.
///
/// # Errors
/// If the file is no table with that axis and those measures, a cell is not a number, or the axis
/// does not increase.
pub fn read(path: &Path, axis: Option<Axis>, measures: &[String]) -> Result<(Axis, Vec<Curve>)> {
    let file = std::fs::File::open(path).map_err(|cause| Error::reading(path, cause))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let broken = |cause: csv::Error| {
        Error::input(format!(
            "{} is no table: {cause}. Give it as comma separated values with a header, every row as \
             long as the header.",
            path.display()
        ))
    };
    let header: Vec<String> = reader.headers().map_err(broken)?.iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> =
        reader.records().collect::<std::result::Result<_, csv::Error>>().map_err(broken)?;
    let mut table = Table { path, header, rows, axis: axis.unwrap_or(Axis::Tokens), measures };
    if axis.is_none() && !table.has_tokens() {
        table.axis = Axis::Generations;
    }
    if table.rows.is_empty() {
        return Err(table.refusal("has no rows below its header"));
    }
    if let Some(twice) =
        (1..table.header.len()).find(|&i| table.header[..i].contains(&table.header[i]))
    {
        return Err(
            table.refusal(&format!("has two columns {:?}; name each once", table.header[twice]))
        );
    }
    let curves = if table.is_long() { table.long()? } else { table.wide()? };
    curves.iter().try_for_each(|curve| table.increasing(curve))?;
    Ok((table.axis, curves))
}

struct Table<'a> {
    path: &'a Path,
    header: Vec<String>,
    rows: Vec<csv::StringRecord>,
    axis: Axis,
    measures: &'a [String],
}

impl Table<'_> {
    fn refusal(&self, what: &str) -> Error {
        Error::input(format!("{} {what}.", self.path.display()))
    }

    /// The number in a cell.
    fn number(&self, row: usize, column: usize) -> Result<f64> {
        let text = &self.rows[row][column];
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| {
            let line = self.rows[row].position().map_or(row as u64 + 2, |place| place.line());
            let found = if text.is_empty() { "an empty cell" } else { text };
            self.refusal(&format!(
                "has {found} in line {line}, column {:?}, where a finite number is needed",
                self.header[column]
            ))
        })
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|own| own == name)
    }

    fn is_long(&self) -> bool {
        self.column("metric").is_some() && self.column("value").is_some()
    }

    fn has_tokens(&self) -> bool {
        let metric = self.column("metric").filter(|_| self.is_long());
        metric.map_or(self.axis_column().is_some(), |metric| {
            self.rows.iter().any(|row| TOKENS.contains(&&row[metric]))
        })
    }

    fn axis_column(&self) -> Option<usize> {
        self.axis.names().iter().find_map(|name| self.column(name))
    }

    fn no_axis(&self) -> Error {
        self.refusal(&format!(
            "has no axis of {}, which is a column named {}; it has {}. Name one so, or choose \
             another --axis",
            self.axis.word(),
            self.axis.names().join(" or "),
            self.header.join(", ")
        ))
    }

    fn wide(&self) -> Result<Vec<Curve>> {
        let axis = self.axis_column().ok_or_else(|| self.no_axis())?;
        let is_axis = |name: &str| TOKENS.contains(&name) || GENERATIONS.contains(&name);
        let there = (0..self.header.len()).filter(|&column| !is_axis(&self.header[column]));
        self.all_there(&there.clone().map(|column| self.header[column].as_str()).collect())?;
        let columns = there.filter(|&column| {
            self.measures.is_empty() || self.measures.contains(&self.header[column])
        });
        let curve = |column: usize| {
            let point = |row| Ok((self.number(row, axis)?, self.number(row, column)?));
            let points = (0..self.rows.len()).map(point).collect::<Result<_>>()?;
            Ok(Curve { name: self.header[column].clone(), points, diverged: None })
        };
        columns.map(curve).collect()
    }

    /// Refuses a table that lacks a measure that is asked for, or has none at all.
    fn all_there(&self, there: &BTreeSet<&str>) -> Result<()> {
        let list = || there.iter().copied().collect::<Vec<_>>().join(", ");
        if there.is_empty() {
            return Err(self.refusal("has no measure besides its axes"));
        }
        match self.measures.iter().find(|name| !there.contains(name.as_str())) {
            Some(name) => Err(self.refusal(&format!("has no measure {name:?}; it has {}", list()))),
            None => Ok(()),
        }
    }

    /// Curves by all columns but generation, metric and value, and by metric.
    fn long(&self) -> Result<Vec<Curve>> {
        let needed = |name: &str| {
            self.column(name).ok_or_else(|| self.refusal(&format!("has no column {name}")))
        };
        let (metric, value) = (needed("metric")?, needed("value")?);
        let generation = GENERATIONS.iter().find_map(|name| self.column(name));
        let generation = generation.ok_or_else(|| self.refusal("has no column generation"))?;
        let keys: Vec<usize> = (0..self.header.len())
            .filter(|column| ![metric, value, generation].contains(column))
            .collect();
        let there = self.rows.iter().map(|row| &row[metric]);
        let there: BTreeSet<&str> = there.filter(|name| !TOKENS.contains(name)).collect();
        self.all_there(&there)?;
        if self.measures.is_empty() && there.len() > 1 {
            let list = there.into_iter().collect::<Vec<_>>().join(", ");
            return Err(self.refusal(&format!(
                "holds several measures, which share no threshold: choose with --measure among {list}"
            )));
        }
        let key =
            |row: usize| keys.iter().map(|&column| &self.rows[row][column]).collect::<Vec<_>>();
        // Tokens are a metric of their own there, of the same run and generation.
        let tokens: BTreeMap<(Vec<&str>, &str), usize> = (0..self.rows.len())
            .filter(|&row| TOKENS.contains(&&self.rows[row][metric]))
            .map(|row| ((key(row), &self.rows[row][generation]), row))
            .collect();
        let at = |row: usize| match self.axis {
            Axis::Generations => self.number(row, generation),
            Axis::Tokens => {
                let place = tokens.get(&(key(row), &self.rows[row][generation]));
                self.number(*place.ok_or_else(|| self.no_axis())?, value)
            }
        };
        let mut ends: BTreeMap<Vec<&str>, f64> = BTreeMap::new();
        for row in (0..self.rows.len()).filter(|&row| &self.rows[row][metric] == "diverged") {
            if self.number(row, value)? > 0.0 {
                ends.insert(key(row), at(row)?);
            }
        }
        let mut curves: Vec<Curve> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for row in 0..self.rows.len() {
            let measure = &self.rows[row][metric];
            let wanted =
                self.measures.is_empty() || self.measures.iter().any(|name| name == measure);
            if TOKENS.contains(&measure) || !wanted {
                continue;
            }
            let at = at(row)?;
            let name = [key(row).join(" · "), measure.to_owned()].join(" · ");
            let place = *places.entry(name.clone()).or_insert_with(|| {
                let diverged = ends.get(&key(row)).copied();
                curves.push(Curve { name, points: Vec::new(), diverged });
                curves.len() - 1
            });
            curves[place].points.push((at, self.number(row, value)?));
        }
        Ok(curves)
    }

    fn increasing(&self, curve: &Curve) -> Result<()> {
        let wrong = curve.points.windows(2).find(|pair| pair[1].0 <= pair[0].0);
        wrong.map_or(Ok(()), |pair| {
            Err(self.refusal(&format!(
                "goes from {} back to {} {} in the curve {:?}; sort its rows by a strictly \
                 increasing axis",
                pair[0].0,
                pair[1].0,
                self.axis.word(),
                curve.name
            )))
        })
    }
}
