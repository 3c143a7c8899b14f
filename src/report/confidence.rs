//! Histograms of the target's probability, real text against the model's own, by generation.

use super::Figure;
use super::scale::Scale;
use super::svg::{Plot, Svg};
use super::view::{Series, Study};
use crate::collapse::record::GenerationRecord;

const COLUMNS: usize = 3;
const PANEL: (f64, f64) = (156.0, 126.0);

/// Small multiples for every loss that has histograms: at most six generations, first and last
/// among them, all with the same axes.
pub fn figures(study: &Study) -> Vec<Figure> {
    let all = study.series.iter().map(panels).collect::<Vec<_>>();
    let top = all.iter().flatten().flat_map(|panel| panel.real.iter().chain(&panel.own));
    let top = top.copied().fold(0.0, f64::max).max(0.05);
    let drawn = study.series.iter().zip(&all).filter(|(_, panels)| !panels.is_empty());
    drawn.enumerate().map(|(i, (series, panels))| figure(i, series, panels, top)).collect()
}

struct Panel {
    generation: usize,
    real: Vec<f64>,
    own: Vec<f64>,
}

fn figure(number: usize, series: &Series, panels: &[Panel], top: f64) -> Figure {
    let title = format!("{}: how sure the model is", series.label);
    let rows = panels.len().div_ceil(COLUMNS) as f64;
    let mut svg = Svg::new(480.0, 0.0, &title);
    let head = svg.heading(&title, "share of tokens by the probability the model gives them") + 8.0;
    svg.fit(head + rows * PANEL.1);
    for (i, panel) in panels.iter().enumerate() {
        let (column, row) = ((i % COLUMNS) as f64, (i / COLUMNS) as f64);
        let (left, upper) = (30.0 + column * PANEL.0, head + row * PANEL.1 + 18.0);
        let plot = Plot { left, top: upper, right: left + PANEL.0 - 22.0, bottom: upper + 80.0 };
        draw(&mut svg, series, panel, plot, top, i % COLUMNS == 0);
    }
    let caption = "Filled: the model's own text; outline: held-out real text; mean over seeds. In \
                   collapse the filled bars pile up at the right (the model is sure of what it \
                   writes) while the outline grows at the left (real text surprises it).";
    let dashed = " The dashed line is the threshold: truncated cross entropy drops what lies right \
                  of it.";
    let caption = caption.to_string() + if threshold(&series.loss).is_some() { dashed } else { "" };
    Figure { name: format!("confidence_{number}_{}", super::slug(&series.label)), svg, caption }
}

fn draw(svg: &mut Svg, series: &Series, panel: &Panel, plot: Plot, top: f64, labelled: bool) {
    let x = Scale::exact(0.0, 1.0, plot.left, plot.right);
    let y = Scale::exact(0.0, top, plot.bottom, plot.top);
    svg.text(
        "tick",
        "start",
        (plot.left, plot.top - 6.0),
        &format!("generation {}", panel.generation),
    );
    for (value, label) in y.ticks(2) {
        svg.line("grid", (plot.left, y.at(value)), (plot.right, y.at(value)));
        if labelled {
            svg.text("tick", "end", (plot.left - 5.0, y.at(value) + 4.0), &label);
        }
    }
    let width = 1.0 / panel.own.len().max(1) as f64;
    for (i, share) in panel.own.iter().enumerate() {
        let (from, to) = (i as f64 * width, (i + 1) as f64 * width);
        let size = (x.at(to) - x.at(from) - 0.8, plot.bottom - y.at(*share));
        let hover = format!(
            "p from {from:.2} to {to:.2}: {:.1} % of its own text, {:.1} % of real text",
            100.0 * share,
            100.0 * panel.real.get(i).copied().unwrap_or(0.0)
        );
        let class = format!("own f{}", series.colour);
        svg.bar(&class, (x.at(from) + 0.4, y.at(*share)), size, &hover);
    }
    let width = 1.0 / panel.real.len().max(1) as f64;
    let steps =
        panel.real.iter().enumerate().flat_map(|(i, share)| {
            [i, i + 1].map(|edge| (x.at(edge as f64 * width), y.at(*share)))
        });
    svg.path("real", &steps.collect::<Vec<_>>());
    if let Some(gamma) = threshold(&series.loss) {
        svg.line("rule", (x.at(gamma), plot.top), (x.at(gamma), plot.bottom));
    }
    let ticks = [(0.0, "0".into()), (0.5, "0.5".into()), (1.0, "1".into())];
    svg.x_axis(plot, &x, &ticks, "");
}

/// The threshold of `tce:γ`.
fn threshold(loss: &str) -> Option<f64> {
    let gamma: f64 = loss.strip_prefix("tce:")?.parse().ok()?;
    (0.0..1.0).contains(&gamma).then_some(gamma)
}

fn panels(series: &Series) -> Vec<Panel> {
    let all: Vec<usize> = series.generations().into_iter().collect();
    let panel = |&generation: &usize| {
        let records = series.chains.iter().flat_map(|chain| &chain.records);
        let records: Vec<_> = records.filter(|r| r.generation == generation).collect();
        let mean = |of: fn(&GenerationRecord) -> &Vec<f64>| {
            let sound = |shares: &&Vec<f64>| {
                !shares.is_empty() && shares.iter().all(|s| (0.0..=1.0).contains(s))
            };
            let rows: Vec<&Vec<f64>> = records.iter().map(|r| of(r)).filter(sound).collect();
            let bins = rows.iter().map(|row| row.len()).min().unwrap_or(0);
            let sum = |i| rows.iter().map(|row| row[i]).sum::<f64>() / rows.len() as f64;
            (0..bins).map(sum).collect::<Vec<f64>>()
        };
        let (real, own) = (mean(|r| &r.p_histogram_real), mean(|r| &r.p_histogram_synthetic));
        Some(Panel { generation, real, own }).filter(|p| !p.real.is_empty() || !p.own.is_empty())
    };
    spread(&all.iter().filter_map(panel).collect::<Vec<_>>().len())
        .into_iter()
        .filter_map(|i| all.iter().filter_map(panel).nth(i))
        .collect()
}

/// At most six indices below `n`, evenly spread, with both ends.
fn spread(&n: &usize) -> Vec<usize> {
    let wanted = n.min(2 * COLUMNS);
    (0..wanted).map(|i| if wanted > 1 { i * (n - 1) / (wanted - 1) } else { 0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::demo::{self, assert_balanced};
    use super::*;

    #[test]
    fn panels_hold_both_ends_and_at_most_six() {
        assert_eq!(spread(&1), [0]);
        assert_eq!(spread(&4), [0, 1, 2, 3]);
        assert_eq!(spread(&11), [0, 2, 4, 6, 8, 10]);
        assert!(spread(&0).is_empty());
    }

    #[test]
    fn odd_histograms_are_drawn_or_left_out() {
        let mut run = demo::run(&["tce:0.9", "ce"], 0..2, 3);
        run.records[0].p_histogram_real = vec![f64::NAN; 20];
        run.records[1].p_histogram_synthetic = vec![];
        run.records[2].p_histogram_real = vec![0.5, 0.5];
        let runs = [run];
        let figures = figures(&Study::new(&runs));
        assert_eq!(figures.len(), 2);
        for figure in figures {
            let text = figure.svg.file("");
            assert!(!text.contains("NaN") && !text.contains("inf"));
            assert_balanced(&text);
        }
    }

    #[test]
    fn the_threshold_is_that_of_truncated_cross_entropy() {
        assert_eq!(threshold("tce:0.9"), Some(0.9));
        assert_eq!(
            (threshold("tce:1"), threshold("focal:2"), threshold("tce:x")),
            (None, None, None)
        );
    }
}
