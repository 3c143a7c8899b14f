//! A forest plot of ratios on a logarithmic axis.

use super::Figure;
use super::number::{count, short};
use super::scale::Scale;
use super::svg::{Plot, Svg};
use crate::measure::interval::Estimate;

/// One row.
pub struct Row {
    /// What is compared.
    pub label: String,
    /// What is to be known of it, below the label; may be empty.
    pub note: String,
    /// Number of its colour.
    pub colour: usize,
    /// The logarithm of the ratio.
    pub log_ratio: Estimate,
}

/// Characters of a line of a label.
const LINE: usize = 34;

/// Ratios drawn and printed with their intervals; `None` without rows.
pub fn forest(
    name: &str,
    title: &str,
    subtitle: &str,
    rows: &[Row],
    caption: &str,
) -> Option<Figure> {
    let lines: Vec<[String; 2]> = rows.iter().map(|row| wrap(&row.label)).collect();
    let longest = lines.iter().flatten().map(|line| line.chars().count()).max()?;
    let mut svg = Svg::new(760.0, 0.0, title);
    let top = svg.heading(title, subtitle) + 10.0;
    let left = (14.0 + 7.4 * longest as f64).max(60.0);
    let bottom = top + 34.0 * rows.len() as f64;
    svg.fit(bottom + 38.0);
    let plot = Plot { left, top, right: 590.0, bottom };
    let ends: Vec<f64> = (rows.iter())
        .flat_map(|row| {
            let estimate = row.log_ratio.map(f64::exp);
            let (low, high) = estimate.interval.unwrap_or((estimate.mean, estimate.mean));
            [low.max(1e-3), high.min(1e3), 1.0]
        })
        .collect();
    let x = Scale::logarithmic(&ends, plot.left, plot.right)
        .or_else(|| Scale::linear(ends.iter().copied(), plot.left, plot.right))?;
    let ticks = x.ticks(5);
    for (value, _) in &ticks {
        svg.line("grid", (x.at(*value), plot.top), (x.at(*value), plot.bottom));
    }
    svg.line("rule", (x.at(1.0), plot.top), (x.at(1.0), plot.bottom));
    svg.x_axis(plot, &x, &ticks, "ratio (logarithmic)");
    for (index, (row, [first, second])) in rows.iter().zip(&lines).enumerate() {
        let y = plot.top + 17.0 + 34.0 * index as f64;
        let estimate = row.log_ratio.map(f64::exp);
        let (label, below) = (format!("label f{}", row.colour), y + 11.0);
        let alone = second.is_empty() && row.note.is_empty();
        svg.text(&label, "start", (0.0, if alone { y + 4.0 } else { y - 3.0 }), first);
        match second.is_empty() {
            false => svg.text(&label, "start", (0.0, below), second),
            true => svg.text("tick", "start", (0.0, below), &row.note),
        }
        let interval = match estimate.interval {
            Some((low, high)) => {
                let ends = (x.at(low.max(1e-3)), x.at(high.min(1e3)));
                svg.line(&format!("whisker s{}", row.colour), (ends.0, y), (ends.1, y));
                format!("[{}, {}]", short(low), short(high))
            }
            None => "no interval".into(),
        };
        let words = format!("× {} {interval}", short(estimate.mean));
        let hover = format!("{}: {words}, {}", row.label, count(estimate.n, "pair"));
        svg.mark(row.colour, (x.at(estimate.mean), y), &hover);
        svg.text("label", "start", (plot.right + 8.0, y + 4.0), &words);
    }
    Some(Figure { name: name.into(), svg, caption: caption.into() })
}

/// Up to two lines, broken at a space; what is longer still runs on.
fn wrap(label: &str) -> [String; 2] {
    let place = match label.chars().count() > LINE {
        true => label.char_indices().take(LINE + 1).filter(|(_, letter)| *letter == ' ').last(),
        false => None,
    };
    match place {
        Some((place, _)) => [label[..place].to_owned(), label[place + 1..].to_owned()],
        None => [label.to_owned(), String::new()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::demo::assert_balanced;

    #[test]
    fn long_labels_are_broken_and_intervals_are_printed() {
        assert_eq!(wrap("TCE against CE"), ["TCE against CE", ""]);
        let long = "TCE 0.9 against a random mask at its kept fraction";
        let [first, second] = wrap(long);
        assert!(first.chars().count() <= LINE && format!("{first} {second}") == long);
        let log_ratio =
            Estimate { mean: 0.0, interval: Some((-0.5, 0.5)), p_value: None, n: 3, left_out: 0 };
        let row = |label: &str, note: &str| Row {
            label: label.into(),
            note: note.into(),
            colour: 1,
            log_ratio,
        };
        let rows = [row(long, ""), row("focal:2", "3 of 3 never failed")];
        let figure = forest("name", "Title", "subtitle", &rows, "caption").unwrap();
        let text = figure.svg.file("");
        assert_balanced(&text);
        assert!(text.contains("× 1.000 [0.607, 1.649]") && text.contains("3 of 3 never failed"));
        assert!(text.contains("kept fraction"), "{text}");
        assert!(forest("name", "Title", "subtitle", &[], "caption").is_none());
    }
}
