//! Each loss against `ce`: the paired difference with its interval, as a forest plot.

use super::Figure;
use super::compare::{bracket, direction, judged, meaning, versus};
use super::curves::KEY_CURVES;
use super::number::{count, cut, signed};
use super::scale::Scale;
use super::svg::{Plot, Svg};
use super::view::Study;

/// The forest plot of one metric; `None` where no loss can be paired with `ce`.
pub fn figure(study: &Study, metric: &str) -> Option<Figure> {
    let rows: Vec<_> = study
        .series
        .iter()
        .filter_map(|series| {
            let against = versus(series, study.baseline(series)?, metric)?;
            Some((series, against))
        })
        .collect();
    let longest = rows.iter().map(|(series, _)| series.label.chars().count().min(24)).max()?;
    let name = KEY_CURVES.iter().find(|entry| entry.0 == metric).map_or(metric, |entry| entry.1);
    let generation = rows.iter().map(|(_, against)| against.generation).max()?;
    let title = format!("{name}: difference to ce");
    let mut svg = Svg::new(480.0, 0.0, &title);
    let top = svg.heading(&title, &format!("{}, generation {generation}", meaning(metric))) + 10.0;
    let left = (14.0 + 7.4 * longest as f64).max(60.0);
    let bottom = top + 30.0 * rows.len() as f64;
    svg.fit(bottom + 38.0);
    let plot = Plot { left, top, right: 466.0, bottom };

    let ends = rows.iter().flat_map(|(_, against)| {
        let estimate = &against.difference;
        let (low, high) = estimate.interval.unwrap_or((estimate.mean, estimate.mean));
        [low, high, 0.0]
    });
    let x = Scale::linear(ends, plot.left, plot.right)?;
    let ticks = x.ticks(5);
    for (value, _) in &ticks {
        svg.line("grid", (x.at(*value), plot.top), (x.at(*value), plot.bottom));
    }
    svg.line("rule", (x.at(0.0), plot.top), (x.at(0.0), plot.bottom));
    let good = match direction(metric) {
        1 => "better than ce →",
        -1 => "← better than ce",
        _ => "difference to ce",
    };
    svg.x_axis(plot, &x, &ticks, good);
    for (i, (series, against)) in rows.iter().enumerate() {
        let (y, colour) = (plot.top + 15.0 + 30.0 * i as f64, series.colour);
        let estimate = &against.difference;
        svg.text(&format!("label f{colour}"), "start", (0.0, y + 4.0), &cut(&series.label, 24));
        if let Some((low, high)) = estimate.interval {
            svg.line(&format!("whisker s{colour}"), (x.at(low), y), (x.at(high), y));
        }
        let hover = format!(
            "{} − ce, generation {}: {} {}, {}",
            series.label,
            against.generation,
            signed(estimate.mean),
            bracket(estimate),
            count(estimate.n, "pair")
        );
        svg.mark(colour, (x.at(estimate.mean), y), &hover);
    }
    let sure = |(_, against): &&(_, super::compare::Versus)| {
        against.difference.excludes(0.0) == Some(true)
    };
    let clear: Vec<String> = rows
        .iter()
        .filter(sure)
        .map(|(series, against)| {
            let verdict = judged(metric, against.difference.mean).unwrap_or("different");
            format!("{} ({verdict})", series.label)
        })
        .collect();
    let clear = match clear.is_empty() {
        true => "Here no interval excludes zero.".to_string(),
        false => format!("Here the interval excludes zero for {}.", clear.join(", ")),
    };
    let caption = format!(
        "Mean over seeds of the paired difference, with its 95 % t interval. An interval that \
         crosses the dashed line does not tell the loss from ce. {clear}"
    );
    Some(Figure { name: format!("versus_ce_{metric}"), svg, caption })
}

#[cfg(test)]
mod tests {
    use super::super::demo::{self, assert_balanced};
    use super::*;

    #[test]
    fn only_losses_with_a_partner_are_drawn() {
        let runs = [demo::table(&[
            ("ce", 1, &[2.0, 3.0]),
            ("ce", 2, &[2.0, 3.5]),
            ("tce:0.9", 1, &[2.0, 2.5]),
            ("tce:0.9", 2, &[2.0, 3.01]),
            ("focal:2", 7, &[2.0, 2.5]),
        ])];
        let figure = figure(&Study::new(&runs), "heldout_nats").unwrap();
        let text = figure.svg.file("");
        assert_balanced(&text);
        assert!(text.contains("tce:0.9") && !text.contains("focal"));
        assert!(
            figure.caption.contains("excludes zero for tce:0.9 (better)"),
            "{}",
            figure.caption
        );
    }

    #[test]
    fn without_ce_there_is_nothing_to_compare() {
        let runs = [demo::table(&[("tce:0.9", 1, &[2.0, 3.0])])];
        assert!(figure(&Study::new(&runs), "heldout_nats").is_none());
    }
}
