//! A metric over the generations, one line per loss.

use super::Figure;
use super::compare::{described, meaning};
use super::number::{cut, short};
use super::scale::Scale;
use super::svg::{Plot, Svg};
use super::view::{Series, Study};
use crate::measure::interval;

/// The metrics that have a figure of their own: name, title, what collapse looks like in it.
pub const KEY_CURVES: &[(&str, &str, &str)] = &[
    (
        "heldout_nats",
        "Cross entropy on real text",
        "Collapse shows as a rise: the model forgets text that it could once predict.",
    ),
    (
        "excess_nats",
        "Distance from the truth",
        "Zero is a perfect model. Collapse shows as a rise away from zero.",
    ),
    ("facts_accuracy", "Facts remembered", "Collapse shows as a fall; rare facts are lost first."),
    (
        "tail_mass",
        "Mass of the rare tail",
        "One means that rare tokens keep their share. Early collapse shows as a fall towards zero, \
         often before cross entropy moves; above one, the tail is inflated.",
    ),
    (
        "kl_synthetic_real_nats",
        "Drift of the token histogram",
        "Zero means that generated text uses words as often as real text does. Collapse shows as a \
         rise.",
    ),
    (
        "vocabulary_alive",
        "Vocabulary still alive",
        "A token that is never generated is gone from all later training text. Collapse shows as a \
         fall.",
    ),
    (
        "distinct_1",
        "Distinct words",
        "Collapse shows as a fall: fewer different words in the same amount of text.",
    ),
    (
        "distinct_2",
        "Distinct pairs of words",
        "Collapse shows as a fall, a rise above generation 0 as text that turns into noise.",
    ),
    (
        "distinct_3",
        "Distinct triples of words",
        "Collapse shows as a fall: the same phrases come back.",
    ),
    (
        "token_entropy_nats",
        "Entropy of the generated words",
        "Collapse shows as a fall: a few words take over.",
    ),
    (
        "self_nats",
        "Cross entropy on its own text",
        "A fall while the cross entropy on real text rises is the mark of collapse: the model grows \
         surer of itself and wrong.",
    ),
    (
        "kept_fraction_synthetic",
        "Share of its own text that the loss keeps",
        "A truncated loss drops tokens that the model is sure of. A fall shows growing confidence \
         in its own text.",
    ),
    (
        "kept_fraction_real",
        "Share of real text that the loss keeps",
        "How much of the real text would still teach the model something. For ce it is always one.",
    ),
    (
        "kept_fraction_training",
        "Share of the training text that the loss kept",
        "Compare losses at an equal kept fraction: less signal alone changes the result.",
    ),
];

/// The most characters of a curve's label.
const LABEL: usize = 20;

/// The figure of one metric; `None` where no value is finite.
///
/// Thin lines are seeds, thick lines their mean over the chains still alive. The band is the 95 %
/// t interval of the mean where all losses have at least five seeds, else it runs from the least to
/// the largest seed; [`legend`] says which.
pub fn figure(study: &Study, metric: &str) -> Option<Figure> {
    let known = KEY_CURVES.iter().find(|entry| entry.0 == metric);
    let title = known.map_or_else(|| metric.replace('_', " "), |entry| entry.1.to_string());
    let shown: Vec<&Series> = study.series.iter().filter(|s| s.last(metric).is_some()).collect();
    let student = student(study);
    let lines: Vec<Vec<Point>> = shown.iter().map(|s| points(s, metric, student)).collect();

    let all: Vec<&Point> = lines.iter().flatten().collect();
    let longest = shown.iter().map(|s| s.label.chars().count().min(LABEL)).max()?;
    let mut svg = Svg::new(480.0, 330.0, &format!("{title} by generation"));
    let top = svg.heading(&title, meaning(metric)) + 14.0;
    let right = 480.0 - 28.0 - 7.4 * longest as f64;
    let plot = Plot { left: 46.0, top, right, bottom: 288.0 };
    let seeds = shown.iter().flat_map(|s| s.generations().into_iter().map(|g| (*s, g)));
    let mut values: Vec<f64> = seeds.flat_map(|(s, g)| s.values(metric, g)).collect();
    values.extend(all.iter().flat_map(|point| point.band).flat_map(|(low, high)| [low, high]));
    let y = Scale::fitting(&values, plot.bottom, plot.top)?;
    let (x, ticks) = generations(all.iter().map(|point| point.generation), plot);
    svg.y_axis(plot, &y, 5);
    if let Some(level) = reference(metric).filter(|_| values.iter().any(|v| *v > 1.0) && !y.log) {
        svg.line("zero", (plot.left, y.at(level)), (plot.right, y.at(level)));
    }
    svg.x_axis(
        plot,
        &x,
        &ticks,
        if y.log { "generation (vertical: log scale)" } else { "generation" },
    );

    let at = |generation: usize| x.at(generation as f64);
    let mut labels = Vec::new();
    for (series, line) in shown.iter().zip(&lines) {
        let banded: Vec<_> =
            line.iter().filter_map(|p| Some((at(p.generation), p.band?))).collect();
        let upper = banded.iter().map(|(x, band)| (*x, y.at(band.1)));
        let lower = banded.iter().rev().map(|(x, band)| (*x, y.at(band.0)));
        svg.area(&format!("band f{}", series.colour), &upper.chain(lower).collect::<Vec<_>>());
    }
    for (series, line) in shown.iter().zip(&lines) {
        let many = if series.chains.len() > 5 { " many" } else { "" };
        for chain in series.chains.iter().filter(|_| series.chains.len() > 1) {
            let points = chain.records.iter().map(|record| record.generation);
            let points = points.filter_map(|g| Some((at(g), y.at(chain.value(metric, g)?))));
            let class = format!("seed{many} s{}", series.colour);
            svg.path(&class, &points.collect::<Vec<_>>());
        }
        let mean: Vec<_> = line.iter().map(|p| (at(p.generation), y.at(p.mean))).collect();
        svg.path(&format!("mean s{}", series.colour), &mean);
        for (point, place) in line.iter().zip(&mean) {
            let value = &point.described;
            let hover = format!("{}, generation {}: {value}", series.label, point.generation);
            svg.mark(series.colour, *place, &hover);
        }
        for chain in &series.chains {
            let Some(end) = chain.diverged() else { continue };
            let known = (0..=end).rev().find_map(|g| Some((g, chain.value(metric, g)?)));
            if let Some((g, value)) = known {
                let hover =
                    format!("{}, seed {}: diverged at generation {end}", series.label, chain.seed);
                svg.cross(series.colour, (at(g), y.at(value)), &hover);
            }
        }
        if let Some((_, y)) = mean.last() {
            labels.push((series.colour, *y, cut(&series.label, LABEL)));
        }
    }
    svg.end_labels(plot, &labels);
    let sense = known.map_or("", |entry| entry.2).to_string();
    Some(Figure { name: metric.into(), svg, caption: sense })
}

struct Point {
    generation: usize,
    mean: f64,
    band: Option<(f64, f64)>,
    described: String,
}

fn points(series: &Series, metric: &str, student: bool) -> Vec<Point> {
    let point = |generation| {
        let values = series.values(metric, generation);
        let estimate = interval::mean(&values)?;
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let band = match student {
            true => estimate.interval.map(|(low, high)| bounded(metric, low, high)),
            false => (values.len() > 1).then_some((least, most)),
        };
        let mut described = described(&estimate);
        if !student && values.len() > 1 {
            described += &format!(", seeds from {} to {}", short(least), short(most));
        }
        Some(Point { generation, mean: estimate.mean, band, described })
    };
    series.generations().into_iter().filter_map(point).collect()
}

/// Intervals of shares end where shares do, those of divergences at 0.
fn bounded(metric: &str, low: f64, high: f64) -> (f64, f64) {
    let share = ["_share", "_accuracy", "_fraction", "kept_fraction", "distinct_", "alive"];
    match share.iter().any(|part| metric.contains(part)) {
        true => (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0)),
        false if metric.ends_with("_nats") || metric == "tail_mass" => {
            (low.max(0.0), high.max(0.0))
        }
        false => (low, high),
    }
}

fn reference(metric: &str) -> Option<f64> {
    (metric == "tail_mass").then_some(1.0)
}

/// The horizontal scale over whole generations, with its ticks.
pub fn generations(all: impl Iterator<Item = usize>, plot: Plot) -> (Scale, Vec<(f64, String)>) {
    let (mut first, mut last) = (usize::MAX, 0);
    for generation in all {
        (first, last) = (first.min(generation), last.max(generation));
    }
    let first = first.min(last);
    let room = if first == last { 0.5 } else { 0.04 * (last - first) as f64 };
    let scale = Scale::exact(first as f64 - room, last as f64 + room, plot.left, plot.right);
    let step = [1, 2, 5].into_iter().find(|step| (last - first) / step <= 8);
    let step = step.unwrap_or_else(|| (last - first).div_ceil(60) * 10);
    let ticks = (first..=last).filter(|generation| generation % step == 0);
    (scale, ticks.map(|generation| (generation as f64, generation.to_string())).collect())
}

fn student(study: &Study) -> bool {
    study.series.iter().all(|series| series.chains.len() >= 5)
}

/// How to read the lines and bands of every curve.
pub fn legend(study: &Study) -> String {
    let mut text = match (study.seeds(), student(study)) {
        (0 | 1, _) => "Lines are single seeds: no band can be drawn.".to_string(),
        (_, true) => {
            "Thick lines are means over seeds, thin lines single seeds, bands the 95 % t interval of the mean.".into()
        }
        (_, false) => {
            "Thick lines are means over seeds, thin lines single seeds, bands run from the least to the largest seed.".into()
        }
    };
    if study.series.iter().flat_map(|s| &s.chains).any(|chain| chain.diverged().is_some()) {
        text += " A cross marks the last value of a chain that diverged; means are over the chains \
                 still alive.";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::demo::{self, assert_balanced};
    use super::*;

    #[test]
    fn every_kind_of_run_gives_a_sound_picture() {
        let nan = f64::NAN;
        let cases = [
            demo::table(&[("ce", 1, &[2.0])]),
            demo::table(&[
                ("ce", 1, &[2.0, nan, f64::INFINITY, 3.0]),
                ("x", 2, &[nan, 1e308, -1e308]),
            ]),
            demo::table(&[("ce", 1, &[1e-9, 1e3]), ("ce", 2, &[5.0])]),
            demo::run(&["ce", "tce:0.9"], 0..6, 13),
        ];
        for run in cases {
            let runs = [run];
            let figure = figure(&Study::new(&runs), "heldout_nats").unwrap();
            let text = figure.svg.file("");
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            assert_balanced(&text);
        }
    }

    #[test]
    fn the_legend_says_which_band_is_drawn() {
        let caption = |seeds: std::ops::Range<u64>| {
            let runs = [demo::run(&["ce"], seeds, 3)];
            legend(&Study::new(&runs))
        };
        assert!(caption(0..5).contains("95 % t interval"));
        assert!(caption(0..3).contains("the least to the largest seed"));
        assert!(caption(0..1).contains("no band"));
    }

    #[test]
    fn a_metric_without_values_has_no_figure() {
        let runs = [demo::table(&[("ce", 1, &[f64::NAN])])];
        assert!(figure(&Study::new(&runs), "heldout_nats").is_none());
        assert!(figure(&Study::new(&runs), "unheard_of").is_none());
    }

    #[test]
    fn generations_are_whole_numbers() {
        let plot = Plot { left: 0.0, top: 0.0, right: 100.0, bottom: 1.0 };
        let labels = |last: usize| -> Vec<String> {
            generations(0..=last, plot).1.into_iter().map(|tick| tick.1).collect()
        };
        assert_eq!(labels(0), ["0"]);
        assert_eq!(labels(2), ["0", "1", "2"]);
        assert_eq!(labels(20), ["0", "5", "10", "15", "20"]);
    }
}
