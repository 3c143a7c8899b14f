//! Runs as the report sees them: chains grouped into one series per loss, each with its colour.

use super::RunView;
use crate::collapse::record::{GenerationRecord, METRICS, Outcome};
use crate::measure::interval::{self, Estimate};
use std::collections::{BTreeMap, BTreeSet};

/// Colours (and marker shapes) of the palette; see `style.css`.
pub const COLOURS: usize = 8;

/// One (run, loss, seed) chain, its records by ascending generation.
pub struct Chain<'a> {
    /// Index of the run.
    pub run: usize,
    /// The seed.
    pub seed: u64,
    /// One record per generation; of a repeated generation the one written last.
    pub records: Vec<&'a GenerationRecord>,
}

impl Chain<'_> {
    /// A finite metric at a generation.
    pub fn value(&self, metric: &str, generation: usize) -> Option<f64> {
        let record = self.records.iter().find(|record| record.generation == generation)?;
        record.metrics.get(metric).copied().filter(|value| value.is_finite())
    }

    /// The generation at which training diverged.
    pub fn diverged(&self) -> Option<usize> {
        let last = self.records.last()?;
        (last.outcome == Outcome::Diverged).then_some(last.generation)
    }
}

/// All chains of one loss.
pub struct Series<'a> {
    /// The loss, followed by the run's title where runs must be kept apart.
    pub label: String,
    /// The loss alone.
    pub loss: String,
    /// Index of the colour, below [`COLOURS`].
    pub colour: usize,
    /// One chain per seed.
    pub chains: Vec<Chain<'a>>,
}

impl Series<'_> {
    /// The last generation at which some chain has a finite value of the metric.
    pub fn last(&self, metric: &str) -> Option<usize> {
        self.generations().into_iter().rev().find(|&g| !self.values(metric, g).is_empty())
    }

    /// The finite values of a metric at a generation, one per chain that has it.
    pub fn values(&self, metric: &str, generation: usize) -> Vec<f64> {
        self.chains.iter().filter_map(|chain| chain.value(metric, generation)).collect()
    }

    /// The mean over seeds at a generation.
    pub fn estimate(&self, metric: &str, generation: usize) -> Option<Estimate> {
        interval::mean(&self.values(metric, generation))
    }

    /// All generations that occur, ascending.
    pub fn generations(&self) -> BTreeSet<usize> {
        self.chains.iter().flat_map(|chain| &chain.records).map(|r| r.generation).collect()
    }
}

/// Everything that is reported together.
pub struct Study<'a> {
    /// The runs.
    pub runs: &'a [RunView],
    /// One series per loss, `ce` first, then in order of appearance.
    pub series: Vec<Series<'a>>,
    /// Whether chains of different runs were pooled into one series.
    pub pooled: bool,
}

impl<'a> Study<'a> {
    /// Groups the records of all runs.
    ///
    /// Chains of several runs are pooled under the name of their loss when the configurations agree
    /// but for losses, seeds and titles, and when no (loss, seed) occurs twice; otherwise each run
    /// keeps series of its own.
    pub fn new(runs: &'a [RunView]) -> Self {
        let mut chains: Vec<(String, Chain)> = Vec::new();
        for (run, view) in runs.iter().enumerate() {
            let mut table: BTreeMap<(&str, u64), BTreeMap<usize, &GenerationRecord>> =
                BTreeMap::new();
            let mut order: Vec<&str> = Vec::new();
            for record in &view.records {
                if !order.contains(&record.loss.as_str()) {
                    order.push(&record.loss);
                }
                let chain = table.entry((&record.loss, record.seed)).or_default();
                chain.insert(record.generation, record);
            }
            for loss in order {
                for ((_, seed), records) in table.range((loss, 0)..=(loss, u64::MAX)) {
                    let records = records.values().copied().collect();
                    chains.push((loss.to_string(), Chain { run, seed: *seed, records }));
                }
            }
        }
        let pooled = runs.len() > 1 && poolable(runs, &chains);
        let titles = distinct_titles(runs);
        let mut series: Vec<Series> = Vec::new();
        for (loss, chain) in chains {
            let label = match runs.len() > 1 && !pooled {
                true => format!("{loss} · {}", titles[chain.run]),
                false => loss.clone(),
            };
            match series.iter_mut().find(|series| series.label == label) {
                Some(series) => series.chains.push(chain),
                None => series.push(Series { label, loss, colour: 0, chains: vec![chain] }),
            }
        }
        series.sort_by_key(|series| series.loss != "ce");
        colour(&mut series);
        Self { runs, series, pooled }
    }

    /// The `ce` series that a series is compared with: its own run's where runs are kept apart.
    pub fn baseline(&self, series: &Series) -> Option<&Series<'a>> {
        let run = series.chains.first()?.run;
        self.series.iter().filter(|_| series.loss != "ce").find(|other| {
            other.loss == "ce" && (self.pooled || other.chains.iter().any(|c| c.run == run))
        })
    }

    /// Names of all metrics that have a finite value: those of [`METRICS`] first, in that order.
    pub fn metrics(&self) -> Vec<&'a str> {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for record in self.runs.iter().flat_map(|run| &run.records) {
            let finite = record.metrics.iter().filter(|(_, value)| value.is_finite());
            seen.extend(finite.map(|(name, _)| name.as_str()));
        }
        let mut names: Vec<&str> =
            METRICS.iter().map(|metric| metric.0).filter(|name| seen.remove(name)).collect();
        names.extend(seen);
        names
    }

    /// The most chains that any series has.
    pub fn seeds(&self) -> usize {
        self.series.iter().map(|series| series.chains.len()).max().unwrap_or(0)
    }
}

/// `b − a` and the like need pairs: chains of two series with the same run (unless pooled) and seed.
pub fn pairs(a: &Series, b: &Series, metric: &str, generation: usize) -> Vec<(f64, f64)> {
    let value = |chain: &Chain| chain.value(metric, generation);
    a.chains
        .iter()
        .filter_map(|x| {
            let same = |y: &&Chain| y.seed == x.seed;
            let y = b.chains.iter().filter(same).find(|y| y.run == x.run);
            let y = y.or_else(|| b.chains.iter().find(same))?;
            Some((value(x)?, value(y)?))
        })
        .collect()
}

fn poolable(runs: &[RunView], chains: &[(String, Chain)]) -> bool {
    let mut seen = BTreeSet::new();
    let once = chains.iter().all(|(loss, chain)| seen.insert((loss, chain.seed)));
    let mut settings = runs.iter().map(|run| settings(&run.config_toml));
    let first = settings.next().flatten();
    once && first.is_some() && settings.all(|other| other == first)
}

/// The configuration without what may differ between pooled runs.
fn settings(config: &str) -> Option<toml::Table> {
    let mut table: toml::Table = config.parse().ok()?;
    for key in ["loss", "losses", "seed", "seeds", "title", "name", "out", "threads", "device"] {
        table.remove(key);
    }
    Some(table)
}

fn distinct_titles(runs: &[RunView]) -> Vec<String> {
    let mut titles: Vec<String> = Vec::new();
    for run in runs {
        let mut title = run.title.clone();
        let mut count = 2;
        while titles.contains(&title) {
            title = format!("{} #{count}", run.title);
            count += 1;
        }
        titles.push(title);
    }
    titles
}

/// `ce`, the first `tce` and `focal` have colours of their own in every report; the others take
/// what is free.
fn colour(series: &mut [Series]) {
    let wish = |loss: &str| match loss.split(':').next() {
        Some("ce") => 0,
        Some("tce") => 1,
        Some("focal") => 2,
        _ => 3,
    };
    let mut taken = [0usize; COLOURS];
    for item in series {
        let wish = wish(&item.loss);
        let least = *taken.iter().min().expect("view::colour has colours");
        let free = |colour: &usize| taken[*colour] == least;
        item.colour = Some(wish)
            .filter(free)
            .or_else(|| (3..COLOURS).chain(0..3).find(free))
            .expect("view::colour always has a least used colour");
        taken[item.colour] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::demo;
    use super::*;

    #[test]
    fn runs_are_pooled_only_when_they_measure_the_same_thing() {
        let (a, mut b) = (demo::run(&["ce"], 0..2, 2), demo::run(&["ce"], 2..4, 2));
        let two = [a.clone(), b.clone()];
        let study = Study::new(&two);
        assert!(study.pooled);
        assert_eq!((study.series.len(), study.series[0].chains.len()), (1, 4));
        b.config_toml += "\nprotocol = \"accumulate\"\n";
        assert_eq!(Study::new(&[a.clone(), b]).series.len(), 2);
        let twice = [a.clone(), a];
        let labels: Vec<_> = Study::new(&twice).series.into_iter().map(|s| s.label).collect();
        assert_eq!(labels, ["ce · demo", "ce · demo #2"]);
    }

    #[test]
    fn a_repeated_generation_counts_once_and_colours_differ() {
        let losses = ["tce:0.9", "ce", "focal:2", "tce:0.99", "linear:1", "a:1", "b:1", "c:1"];
        let mut run = demo::run(&losses, 0..1, 2);
        let mut again = run.records[0].clone();
        again.metrics.insert("heldout_nats".into(), 9.0);
        run.records.push(again);
        let runs = [run];
        let study = Study::new(&runs);
        assert_eq!(study.series[0].label, "ce");
        let colours: BTreeSet<_> = study.series.iter().map(|series| series.colour).collect();
        assert_eq!(colours.len(), 8);
        let tce = study.series.iter().find(|series| series.label == "tce:0.9").unwrap();
        assert_eq!((tce.colour, tce.chains[0].records.len()), (1, 2));
        assert_eq!(tce.values("heldout_nats", 0), [9.0]);
    }
}
