//! Theory beside practice: what the limit of endless text and capacity expects of each loss, as dashed
//! lines under what was measured.

use super::Figure;
use super::compare::{bracket, meaning};
use super::curves::generations;
use super::number::{cut, short};
use super::scale::Scale;
use super::svg::{Plot, Svg};
use super::view::{Series, Study};
use crate::collapse::forecast::{Expected, distinct_pairs, expected};
use crate::collapse::{Arm, Corpus};
use crate::config::RunConfig;

/// The metrics that theory speaks of, with a title.
const METRICS: [(&str, &str); 3] = [
    ("excess_nats", "Distance from the truth, expected and measured"),
    ("top_probability", "Largest probability, expected and measured"),
    ("kept_fraction_real", "Share of real text kept, expected and measured"),
];

/// Dashed what is expected, solid what was measured. Outside the toy world, whose truth is known, only the
/// decline of pairs, where the run's corpus can still be read.
pub fn figures(study: &Study) -> Vec<Figure> {
    let config = |run: &super::RunView| toml::from_str::<RunConfig>(&run.config_toml).ok();
    let Some(config) = study.runs.iter().find_map(config) else {
        return Vec::new();
    };
    if !config.is_toy() {
        return pairs(study, &config).into_iter().collect();
    }
    let known: Vec<(&Series, Vec<Expected>)> = (study.series.iter())
        .filter_map(|series| {
            let arm: Arm = series.loss.parse().ok()?;
            Some((series, expected(&config, &arm)?))
        })
        .collect();
    let mut all: Vec<Figure> = METRICS
        .iter()
        .filter_map(|(metric, title)| {
            let of = |(series, steps): &(&Series, Vec<Expected>)| {
                let lines = steps.iter().map(|step| step.metric(metric)).collect::<Option<_>>()?;
                // A mask at random keeps what it is told to.
                let told =
                    *metric == "kept_fraction_real" && series.loss.starts_with("random-mask");
                (!told).then_some((series.colour, lines))
            };
            let lines = known.iter().map(|entry| (entry.0, of(entry))).collect::<Vec<_>>();
            let lines = lines.into_iter().filter_map(|(series, line)| {
                let (colour, line) = line?;
                Some((Some(series), colour, line))
            });
            draw(metric, title, lines.collect(), &departures(metric))
        })
        .collect();
    all.extend(pairs(study, &config));
    all
}

/// The decline of pairs beside that of a 2-gram model, for every loss.
fn pairs(study: &Study, config: &RunConfig) -> Option<Figure> {
    let corpus = Corpus::load(config).ok()?;
    let expected = distinct_pairs(config, &corpus)?;
    let title = "Distinct pairs of tokens, beside a 2-gram model's";
    let mut lines: Vec<Line> = vec![(None, 7, expected)];
    lines.extend(
        study.series.iter().take(8).map(|series| (Some(series), series.colour, Vec::new())),
    );
    let sense = "Dashed: the same corpus rewritten again and again from its own pairs of tokens alone, by \
                 the closed form. A model that generalises invents pairs that such a model cannot; one \
                 that collapses loses them faster.";
    draw("distinct_2", title, lines, sense)
}

/// A series or none, a colour, and what is expected by generation or nothing.
type Line<'a, 'b> = (Option<&'a Series<'b>>, usize, Vec<f64>);

fn departures(metric: &str) -> String {
    let expected = "Dashed: the law that each loss learns from endless text, generation after \
                    generation; solid: the mean over seeds.";
    let more = match metric {
        "excess_nats" => {
            " What lies above the dashed line is due to finite text, model and training: for ce all of \
             it. What lies below says that training ends before the loss has taken away what it would."
        }
        "top_probability" => {
            " TCE should pin the largest probability at γ wherever the truth is surer than that; where \
             the solid line lies above, single steps carry it past the threshold, behind which nothing \
             pulls it back."
        }
        _ => {
            " At the end of training TCE should keep (1 − q)/(1 − γ) of the tokens of a context whose \
             likeliest has q > γ, and all others."
        }
    };
    expected.to_owned() + more
}

fn draw(metric: &str, title: &str, lines: Vec<Line>, caption: &str) -> Option<Figure> {
    let measured = |series: &Series| -> Vec<(usize, f64)> {
        let mean = |g| Some((g, series.estimate(metric, g)?.mean));
        series.generations().into_iter().filter_map(mean).collect()
    };
    let shown: Vec<&Line> = (lines.iter())
        .filter(|line| line.0.is_none_or(|series| series.last(metric).is_some()))
        .collect();
    shown.iter().find(|line| line.0.is_some())?;
    let label = |line: &Line| line.0.map_or("2-gram".to_owned(), |series| cut(&series.label, 20));
    let longest = shown.iter().map(|line| label(line).chars().count()).max()?;
    let mut svg = Svg::new(480.0, 330.0, title);
    let top = svg.heading(title, meaning(metric)) + 14.0;
    let right = 480.0 - 28.0 - 7.4 * longest as f64;
    let plot = Plot { left: 46.0, top, right, bottom: 288.0 };
    let points: Vec<Vec<(usize, f64)>> =
        shown.iter().map(|line| line.0.map_or(Vec::new(), measured)).collect();
    let last = points.iter().flatten().map(|point| point.0).max()?;
    let values: Vec<f64> = (points.iter().flatten().map(|point| point.1))
        .chain(shown.iter().flat_map(|line| line.2.iter().take(last + 1).copied()))
        .filter(|value| value.is_finite())
        .collect();
    let y = Scale::linear(values, plot.bottom, plot.top)?;
    let (x, ticks) = generations(points.iter().flatten().map(|point| point.0), plot);
    svg.y_axis(plot, &y, 5);
    svg.x_axis(plot, &x, &ticks, "generation");
    let mut labels = Vec::new();
    for (line, points) in shown.iter().zip(&points) {
        let colour = line.1;
        let dashed: Vec<_> = (line.2.iter().take(last + 1).enumerate())
            .map(|(g, value)| (x.at(g as f64), y.at(*value)))
            .collect();
        svg.path(&format!("theory s{colour}"), &dashed);
        let solid: Vec<_> =
            points.iter().map(|(g, value)| (x.at(*g as f64), y.at(*value))).collect();
        svg.path(&format!("mean s{colour}"), &solid);
        for ((g, value), place) in points.iter().zip(&solid) {
            let series = line.0?;
            let estimate = series.estimate(metric, *g)?;
            let expected =
                line.2.get(*g).map_or(String::new(), |v| format!(", expected {}", short(*v)));
            let hover = format!(
                "{}, generation {g}: {} {}{expected}",
                series.label,
                short(*value),
                bracket(&estimate)
            );
            svg.mark(colour, *place, &hover);
        }
        if let Some((_, y)) = solid.last().or(dashed.last()) {
            labels.push((colour, *y, label(line)));
        }
    }
    svg.end_labels(plot, &labels);
    let departs = |(line, points): (&&Line, &Vec<(usize, f64)>)| {
        let name = label(line);
        let expected = line.2.clone();
        let far = points.iter().filter_map(move |&(g, value)| Some((g, value, *expected.get(g)?)));
        let (g, value, expected) =
            far.max_by(|a, b| (a.1 - a.2).abs().total_cmp(&(b.1 - b.2).abs()))?;
        Some((name, g, value, expected))
    };
    let furthest = (shown.iter().zip(&points))
        .filter_map(departs)
        .max_by(|a, b| (a.2 - a.3).abs().total_cmp(&(b.2 - b.3).abs()));
    let furthest = furthest.map_or(String::new(), |(name, g, value, expected)| {
        format!(
            " Furthest from it: {name} at generation {g}, {} measured and {} expected.",
            short(value),
            short(expected)
        )
    });
    Some(Figure { name: format!("beside_{metric}"), svg, caption: format!("{caption}{furthest}") })
}

#[cfg(test)]
mod tests {
    use super::super::demo::{self, assert_balanced};
    use super::*;

    #[test]
    fn only_the_toy_world_has_a_truth_to_be_compared_with() {
        let mut run = demo::run(&["ce", "tce:0.9", "focal:2", "linear:1"], 0..2, 3);
        assert!(figures(&Study::new(&[run.clone()])).is_empty());
        let text = "generations = 3\ntoy.heldout_tokens = 300\ntoy.train_tokens = 3000";
        let config = crate::config::resolve(&[("the test".into(), text.parse().unwrap())]).unwrap();
        run.config_toml = toml::to_string(&config).unwrap();
        let runs = [run];
        let all = figures(&Study::new(&runs));
        let names: Vec<&str> = all.iter().map(|figure| figure.name.as_str()).collect();
        assert_eq!(names, ["beside_excess_nats", "beside_kept_fraction_real", "beside_distinct_2"]);
        assert!(all[0].caption.contains(" Furthest from it: "), "{}", all[0].caption);
        let folder = tempfile::tempdir().unwrap();
        let corpus = folder.path().join("book.txt");
        std::fs::write(&corpus, "the cat sat on the mat and the dog sat on the cat. ".repeat(40))
            .unwrap();
        let text = format!(
            "corpus = {corpus:?}\ntokenizer = \"byte\"\nprotocol = \"replace\"\ngenerations = 3"
        );
        let config = crate::config::resolve(&[("the test".into(), text.parse().unwrap())]).unwrap();
        let mut other = runs[0].clone();
        other.config_toml = toml::to_string(&config).unwrap();
        let real = figures(&Study::new(&[other]));
        assert!(real.len() == 1 && real[0].name == "beside_distinct_2");
        for figure in all {
            let text = figure.svg.file("");
            assert!(text.contains("class=\"theory") && !text.contains("NaN"), "{text}");
            assert_balanced(&text);
        }
    }
}
