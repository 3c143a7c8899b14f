//! What a grid's records say: onsets of all chains, contrasts with their intervals.

use super::{Contrast, Grid, Measure, OnsetRule};
use crate::collapse::record::{GenerationRecord, Outcome};
use crate::collapse::{Arm, Protocol};
use crate::measure::interval::{self, Estimate};
use crate::measure::onset::{Onset, onsets};
use crate::report::RunView;
use serde::Serialize;

/// One chain of a grid: where it is in it, and its records by generation.
#[derive(Clone, Debug)]
pub struct ChainOf<'a> {
    /// The protocol.
    pub protocol: Protocol,
    /// The arm.
    pub arm: Arm,
    /// The seed.
    pub seed: u64,
    /// One record per finished generation.
    pub records: Vec<&'a GenerationRecord>,
}

/// The chains of a grid that have come to their end, cell after cell; `views` are those of the cells,
/// in order. What is still going on has no onset yet.
pub fn chains_of<'a>(grid: &Grid, views: &'a [RunView]) -> Vec<ChainOf<'a>> {
    let mut all = Vec::new();
    for (cell, view) in grid.cells.iter().zip(views) {
        for &arm in &cell.config.losses {
            let (name, seed) = (arm.to_string(), cell.config.seeds[0]);
            let of_arm = view.records.iter().filter(|r| r.loss == name && r.seed == seed);
            let mut records: Vec<&GenerationRecord> = of_arm.collect();
            records.sort_by_key(|record| record.generation);
            records.dedup_by_key(|record| record.generation);
            let ended = records.last().is_some_and(|last| {
                last.generation + 1 == cell.config.generations || last.outcome == Outcome::Diverged
            });
            if ended {
                all.push(ChainOf { protocol: cell.config.protocol, arm, seed, records });
            }
        }
    }
    all
}

/// The axis of an onset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Number of the generation.
    Generations,
    /// Distinct generated tokens that entered training, cumulated.
    Tokens,
}

/// When a chain failed, on an axis; `None` without the metric. A generation that diverged has failed.
pub fn onset(chain: &ChainOf, rule: &OnsetRule, axis: Axis) -> Option<Onset> {
    let value = |record: &GenerationRecord| record.metrics.get(&rule.metric).copied();
    let place = |record: &GenerationRecord| place(record, axis);
    let first = chain.records.first()?;
    if first.outcome == Outcome::Diverged {
        return Some(Onset::Left(place(first)));
    }
    let (threshold, failing) = rule.threshold(value(first)?);
    let mut points: Vec<(f64, f64)> = Vec::new();
    for record in &chain.records {
        match value(record) {
            Some(value) => points.push((place(record), value)),
            None if record.outcome == Outcome::Diverged => {
                return Some(match onsets(&points, threshold, failing).first {
                    Onset::Right(_) => Onset::At(place(record)),
                    earlier => earlier,
                });
            }
            None => return None,
        }
    }
    // Two generations may have trained on no new text; the later one says more.
    points.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            earlier.1 = later.1;
        }
        same
    });
    Some(onsets(&points, threshold, failing).first)
}

fn place(record: &GenerationRecord, axis: Axis) -> f64 {
    match axis {
        Axis::Generations => record.generation as f64,
        Axis::Tokens => record.metrics.get("synthetic_tokens_cumulative").copied().unwrap_or(0.0),
    }
}

/// The least time to failure that counts, in generations. Between generation 0 and 1 nothing is measured, and
/// a ratio to a time near nought would be all of the answer.
const FLOOR: f64 = 0.5;

/// A chain's time to failure as it enters ratios.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// On the axis: the onset; the last generation where there is none; at least half a generation.
    pub value: f64,
    /// The onset.
    pub onset: Onset,
    /// Whether the onset lies before half a generation, which it counts with.
    pub floored: bool,
}

/// A chain's time to failure; `None` without the metric, or where half a generation is no number of
/// tokens, since there is no second one.
pub fn time(chain: &ChainOf, rule: &OnsetRule, axis: Axis) -> Option<Time> {
    let onset = onset(chain, rule, axis)?;
    let floor = match axis {
        Axis::Generations => FLOOR,
        Axis::Tokens => FLOOR * place(chain.records.get(1)?, axis),
    };
    Some(Time { value: onset.place().max(floor), onset, floored: onset.place() < floor })
}

/// A contrast with its answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The question.
    pub contrast: Contrast,
    /// The mean over seeds of `ln(arm / against)`.
    pub log_ratio: Option<Estimate>,
    /// The p-value, adjusted after Holm over all contrasts of the grid.
    pub adjusted_p: Option<f64>,
    /// The log-ratio that as many seeds with as much spread would find in four of five studies, at the level
    /// of Holm's first step.
    pub detectable: Option<f64>,
    /// Chains of either arm that had not failed at their last generation; there the onset counts as
    /// that generation, so that what is compared is the time to failure up to the end.
    pub censored: usize,
    /// Chains of either arm that had failed before half a generation, which they count with.
    pub floored: usize,
    /// Pairs of the study without a value: a chain diverged, was matched to one that did, or has not
    /// ended.
    pub left_out: usize,
}

impl Answer {
    /// Why there is no interval, where there is none.
    pub fn silence(&self) -> Option<String> {
        let Some(ratio) = self.log_ratio else {
            return Some(format!(
                "none of {} pairs has a value: chains diverged, have not ended, or have no such measure",
                self.left_out
            ));
        };
        match (ratio.interval, ratio.n) {
            (Some(_), _) => None,
            (None, 1) => Some("one seed, which says nothing of others".into()),
            (None, n) if self.censored == 2 * n => {
                Some(format!("no chain failed within the run, in {n} pairs: nothing to compare"))
            }
            (None, n) if self.floored == 2 * n => Some(format!(
                "all chains failed within half a generation, in {n} pairs: nothing to compare"
            )),
            (None, n) => Some(format!("the same in all {n} pairs: no spread, hence no interval")),
        }
    }
}

/// Answers all contrasts. Onsets are restricted to the run: a chain that never failed counts with its
/// last generation, one that failed before half a generation with that.
pub fn answers(grid: &Grid, chains: &[ChainOf]) -> Vec<Answer> {
    let mut all: Vec<Answer> = grid.contrasts.iter().map(|c| answer(grid, chains, c)).collect();
    let p = |answer: &Answer| answer.log_ratio.and_then(|estimate| estimate.p_value);
    let raw: Vec<f64> = all.iter().map(|answer| p(answer).unwrap_or(f64::NAN)).collect();
    for (answer, adjusted) in all.iter_mut().zip(interval::holm(&raw)) {
        answer.adjusted_p = p(answer).map(|_| adjusted);
    }
    all
}

fn answer(grid: &Grid, chains: &[ChainOf], contrast: &Contrast) -> Answer {
    let (mut censored, mut floored) = (0, 0);
    let figure = |chain: &ChainOf| match &contrast.measure {
        Measure::Last(metric) => {
            let last = chain.records.last().and_then(|record| record.metrics.get(metric));
            last.map(|&value| (value, None))
        }
        Measure::Onset(axis) => {
            time(chain, grid.onset.as_ref()?, *axis).map(|time| (time.value, Some(time)))
        }
    };
    let mut pairs = Vec::new();
    let of = |arm: &Arm, seed: Option<u64>| {
        let arm = *arm;
        chains.iter().filter(move |chain| {
            chain.arm == arm
                && chain.protocol == contrast.protocol
                && seed.is_none_or(|seed| chain.seed == seed)
        })
    };
    for chain in of(&contrast.arm, None) {
        let Some(other) = of(&contrast.against, Some(chain.seed)).next() else { continue };
        if let (Some(a), Some(b)) = (figure(chain), figure(other)) {
            pairs.push((a.0, b.0));
            for time in [a.1, b.1].into_iter().flatten() {
                censored += usize::from(matches!(time.onset, Onset::Right(_)));
                floored += usize::from(time.floored);
            }
        }
    }
    let planned = (grid.cells.iter())
        .filter(|cell| cell.config.protocol == contrast.protocol)
        .filter(|cell| {
            [contrast.arm, contrast.against].iter().all(|arm| cell.config.losses.contains(arm))
        })
        .count();
    let logs: Vec<f64> = pairs.iter().map(|(a, b)| a.ln() - b.ln()).collect();
    let log_ratio = interval::paired_log_ratio(&pairs).map(Estimate::without_point);
    let alpha = (1.0 - interval::LEVEL) / grid.contrasts.len().max(1) as f64;
    Answer {
        contrast: contrast.clone(),
        log_ratio,
        adjusted_p: None,
        detectable: log_ratio
            .and_then(|ratio| ratio.interval)
            .and(interval::detectable(&logs, alpha)),
        censored,
        floored,
        left_out: planned.saturating_sub(log_ratio.map_or(0, |ratio| ratio.n)),
    }
}

/// The contrasts as CSV: one line each, ratios rather than logarithms.
pub fn contrasts_csv(answers: &[Answer]) -> String {
    let mut out = String::from(
        "name,arm,against,protocol,measure,pairs,ratio,low,high,p,holm_p,detectable_ratio,censored,floored,left_out\n",
    );
    for answer in answers {
        let Contrast { name, arm, against, protocol, measure } = &answer.contrast;
        let ratio = answer.log_ratio.map(|estimate| estimate.map(f64::exp));
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let fields = [
            quoted(name),
            quoted(&arm.to_string()),
            quoted(&against.to_string()),
            protocol.to_string(),
            measure.name().to_owned(),
            ratio.map_or(0, |ratio| ratio.n).to_string(),
            number(ratio.map(|ratio| ratio.mean)),
            number(ratio.and_then(|ratio| ratio.interval).map(|interval| interval.0)),
            number(ratio.and_then(|ratio| ratio.interval).map(|interval| interval.1)),
            number(ratio.and_then(|ratio| ratio.p_value)),
            number(answer.adjusted_p),
            number(answer.detectable.map(f64::exp)),
            answer.censored.to_string(),
            answer.floored.to_string(),
            answer.left_out.to_string(),
        ];
        out += &(fields.join(",") + "\n");
    }
    out
}

/// The onsets of all chains as CSV.
pub fn onsets_csv(grid: &Grid, chains: &[ChainOf]) -> String {
    let mut out = String::from("protocol,arm,seed,generations,tokens,censored\n");
    let Some(rule) = &grid.onset else { return out };
    for chain in chains {
        let place = |axis| onset(chain, rule, axis);
        let Some(generations) = place(Axis::Generations) else { continue };
        let censored = match generations {
            Onset::At(_) => "no",
            Onset::Left(_) => "left",
            Onset::Right(_) => "right",
        };
        let tokens = place(Axis::Tokens).map_or(String::new(), |onset| onset.place().to_string());
        out += &format!(
            "{},{},{},{},{tokens},{censored}\n",
            chain.protocol,
            quoted(&chain.arm.to_string()),
            chain.seed,
            generations.place()
        );
    }
    out
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
