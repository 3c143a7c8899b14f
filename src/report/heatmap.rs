//! Knowledge retention by part of the text and generation: one grid of cells per loss.

use super::Figure;
use super::svg::Svg;
use super::view::{Series, Study};

/// Metrics of parts begin so; a number follows.
const FAMILY: &str = "retention_split_";

/// Size of a cell at most, and the room for a panel's rows of text.
const CELL: (f64, f64) = (46.0, 24.0);
const LEFT: f64 = 62.0;
const WIDTH: f64 = 480.0;

/// Rows are parts of the text (the first is the one that was regenerated most often), columns
/// generations; the stronger the shade, the more questions are answered right. `None` without such a metric.
pub fn figure(study: &Study) -> Option<Figure> {
    let numbers = |metrics: Vec<&str>| -> Vec<usize> {
        let mut all: Vec<usize> =
            metrics.iter().filter_map(|name| name.strip_prefix(FAMILY)?.parse().ok()).collect();
        all.sort_unstable();
        all
    };
    let parts = numbers(study.metrics());
    let last = *parts.last()?;
    let shown: Vec<&Series> = (study.series.iter())
        .filter(|series| series.last(&format!("{FAMILY}{last}")).is_some())
        .collect();
    let title = "Knowledge retained, by part of the text";
    let mut svg = Svg::new(WIDTH, 0.0, title);
    let sense =
        "share of questions whose true answer the model prefers, in percent, mean over seeds";
    let mut y = svg.heading(title, sense) + 12.0;
    for series in &shown {
        let generations: Vec<usize> = series.generations().into_iter().collect();
        svg.text(&format!("label f{}", series.colour), "start", (0.0, y + 12.0), &series.label);
        y += 22.0;
        let width = ((WIDTH - LEFT) / generations.len().max(1) as f64).min(CELL.0);
        for &part in &parts {
            svg.text("tick", "end", (LEFT - 8.0, y + 16.0), &format!("part {part}"));
            for (column, &generation) in generations.iter().enumerate() {
                let Some(estimate) = series.estimate(&format!("{FAMILY}{part}"), generation) else {
                    continue;
                };
                let share = estimate.mean.clamp(0.0, 1.0);
                let shade = (share.min(0.999) * 10.0) as usize;
                let x = LEFT + column as f64 * width;
                let percent = 100.0 * share;
                let hover = format!(
                    "{}, part {part}, generation {generation}: {}",
                    series.label,
                    super::compare::described(&estimate)
                );
                let place = (x + 0.75, y + 0.75);
                svg.bar(&format!("heat h{shade}"), place, (width - 1.5, CELL.1 - 1.5), &hover);
                let ink = if shade > 6 { "tick on" } else { "tick" };
                let middle = (x + width / 2.0, y + 16.0);
                svg.text(ink, "middle", middle, &format!("{percent:.0}"));
            }
            y += CELL.1;
        }
        for (column, generation) in generations.iter().enumerate() {
            let x = LEFT + (column as f64 + 0.5) * width;
            svg.text("tick", "middle", (x, y + 15.0), &generation.to_string());
        }
        svg.text("tick", "end", (LEFT - 8.0, y + 15.0), "generation");
        y += 30.0;
    }
    svg.fit(y);
    let caption = "Guessing is 50. What collapse takes first should show in the parts that were regenerated \
                   most often: under fractions part 0, in other protocols all alike.";
    Some(Figure { name: "retention_by_part".into(), svg, caption: caption.into() })
}

#[cfg(test)]
mod tests {
    use super::super::demo::{self, assert_balanced};
    use super::*;

    #[test]
    fn parts_are_rows_in_their_order_and_nothing_else_is_drawn() {
        let mut run = demo::run(&["ce", "tce:0.9"], 0..2, 3);
        assert!(figure(&Study::new(&[run.clone()])).is_none());
        for record in &mut run.records {
            for part in [0, 2, 10] {
                let value = if part == 2 { f64::NAN } else { 1.0 };
                record.metrics.insert(format!("{FAMILY}{part}"), value);
            }
        }
        let text = figure(&Study::new(&[run])).unwrap().svg.file("");
        assert_balanced(&text);
        assert_eq!(text.matches("class=\"heat h9\"").count(), 2 * 2 * 3);
        assert!(text.contains("part 0") && text.contains("part 10") && !text.contains("NaN"));
    }
}
