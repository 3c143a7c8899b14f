//! The final table: loss × {generation 0, last generation, change, difference to `ce`}.

use super::compare::{Change, KEY, Versus, bracket, change, direction, judged, meaning, versus};
use super::number::{cut, escape, short, signed};
use super::view::{Series, Study};
use crate::measure::interval::Estimate;

/// The table as text for a terminal.
pub fn text(study: &Study) -> String {
    let mut out = String::new();
    for (metric, rows) in blocks(study) {
        out += &format!("\n{metric}: {}{}\n", meaning(metric), hint(metric));
        let mut lines = vec![
            [
                "loss",
                "seeds",
                "generation 0",
                "last",
                "change [95 % t]",
                "minus ce [95 % t]",
                "ratio to ce [95 % t]",
            ]
            .map(String::from),
        ];
        for row in &rows {
            lines.push(row.cells());
        }
        let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max();
        let widths: Vec<usize> = (0..7).map(|column| width(column).unwrap_or(0)).collect();
        for line in lines {
            let cells: Vec<String> =
                line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            out += &format!("  {}\n", cells.join("  ").trim_end());
        }
    }
    match out.is_empty() {
        true => "There is no finished generation to show.\n".into(),
        false => out.trim_start().to_string(),
    }
}

/// The table as HTML, one `<table>` per metric.
pub fn html(study: &Study) -> String {
    let mut out = String::new();
    for (metric, rows) in blocks(study) {
        let about = format!("{}{}", meaning(metric), hint(metric));
        out += &format!(
            "<div class=\"scroll\"><table><caption><b>{}</b> {}</caption><thead><tr><th>loss</th>\
             <th>seeds</th><th>generation 0</th><th>last</th><th>change</th><th>minus ce</th><th>ratio to ce</th></tr>\
             </thead><tbody>\n",
            escape(metric),
            escape(&about)
        );
        for row in &rows {
            let [_, seeds, start, end, change, versus, ratio] = row.cells();
            out += &format!(
                "<tr><th scope=\"row\"><i class=\"dot b{}\"></i>{}</th><td>{seeds}</td>\
                 <td>{start}</td><td>{end}</td><td class=\"{}\">{change}</td>\
                 <td class=\"{}\">{versus}</td><td class=\"open\">{ratio}</td></tr>\n",
                row.series.colour,
                escape(&row.series.label),
                tone(metric, row.change.change.as_ref()),
                tone(metric, row.versus.as_ref().map(|v| &v.difference)),
            );
        }
        out += "</tbody></table></div>\n";
    }
    out
}

struct Row<'a> {
    series: &'a Series<'a>,
    change: Change,
    versus: Option<Versus>,
}

impl Row<'_> {
    fn cells(&self) -> [String; 7] {
        let Change { last, start, end, change } = &self.change;
        let with = |e: &Estimate| format!("{} {}", signed(e.mean), bracket(e));
        let dash = || "—".to_string();
        let ratio = |e: &Estimate| match e.interval {
            Some((low, high)) => format!("{} [{}, {}]", short(e.mean), short(low), short(high)),
            None => short(e.mean),
        };
        let all = self.series.chains.len();
        let seeds = if end.n == all { all.to_string() } else { format!("{} of {all}", end.n) };
        let against = |v: &Versus| match v.generation == *last {
            true => with(&v.difference),
            false => format!("{} (generation {})", with(&v.difference), v.generation),
        };
        [
            cut(&self.series.label, 40),
            seeds,
            start.as_ref().map_or_else(dash, |e| short(e.mean)),
            format!("{} (g {last})", short(end.mean)),
            change.as_ref().map_or_else(dash, with),
            self.versus.as_ref().map_or_else(dash, against),
            self.versus.as_ref().and_then(|v| v.ratio.as_ref()).map_or_else(dash, ratio),
        ]
    }
}

fn blocks<'a>(study: &'a Study) -> Vec<(&'static str, Vec<Row<'a>>)> {
    let block = |metric: &&'static str| {
        let row = |series: &'a Series<'a>| {
            let base = study.baseline(series);
            let versus = base.and_then(|base| versus(series, base, metric));
            Some(Row { series, change: change(series, metric)?, versus })
        };
        (*metric, study.series.iter().filter_map(row).collect::<Vec<_>>())
    };
    KEY.iter().map(block).filter(|(_, rows)| !rows.is_empty()).collect()
}

fn hint(metric: &str) -> &'static str {
    match direction(metric) {
        1 => " (larger is better)",
        -1 => " (smaller is better)",
        _ => "",
    }
}

/// The class of a cell: coloured only where the interval excludes zero.
fn tone(metric: &str, estimate: Option<&Estimate>) -> &'static str {
    match estimate {
        Some(e) if e.excludes(0.0) == Some(true) => judged(metric, e.mean).unwrap_or("sure"),
        _ => "open",
    }
}

#[cfg(test)]
mod tests {
    use super::super::demo::{self, assert_balanced};
    use super::*;

    #[test]
    fn the_text_holds_the_numbers_worked_out_by_hand() {
        let runs = [demo::table(&[
            ("ce", 1, &[2.0, 3.0]),
            ("ce", 2, &[2.0, 5.0]),
            ("tce:0.9", 1, &[2.0, 2.5]),
            ("tce:0.9", 2, &[2.0, 4.0]),
        ])];
        let text = text(&Study::new(&runs));
        // Means 4 and 3.25; changes (1, 3) → 2 ± 12.706 and (0.5, 2) → 1.25 ± 9.530; differences
        // (−0.5, −1) → −0.75 ± 3.177.
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("heldout_nats: cross entropy on held-out real text"));
        assert!(lines[2].contains("4.000 (g 1)") && lines[2].contains("+2.000 [−10.71, +14.71]"));
        assert!(lines[2].trim_end().ends_with('—'));
        assert!(lines[3].contains("3.250 (g 1)") && lines[3].contains("+1.250 [−8.280, +10.78]"));
        assert!(lines[3].contains("−0.750 [−3.927, +2.427]"), "{text}");
    }

    #[test]
    fn a_single_seed_says_that_there_is_no_interval() {
        let runs = [demo::table(&[("ce", 1, &[2.0, 3.0])])];
        let study = Study::new(&runs);
        assert!(text(&study).contains("+1.000 no interval: 1 seed"), "{}", text(&study));
        assert!(html(&study).contains("<td class=\"open\">"));
    }

    #[test]
    fn lost_chains_are_counted_and_markup_is_escaped() {
        let runs = [demo::table(&[
            ("<b>", 1, &[2.0, 3.0]),
            ("<b>", 2, &[2.0, f64::NAN]),
            ("ce", 3, &[1.0]),
        ])];
        let study = Study::new(&runs);
        assert!(text(&study).contains("1 of 2"));
        let html = html(&study);
        assert!(!html.contains("<b>\u{20}") && html.contains("&lt;b&gt;"));
        assert_balanced(&html);
    }
}
