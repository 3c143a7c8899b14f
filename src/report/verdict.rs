//! The verdict in words: what happened to each loss, and whether it differs from `ce`.

use super::compare::{Change, change, judged, versus};
use super::number::{count, escape, short, signed};
use super::view::{Series, Study};
use crate::measure::interval::Estimate;

/// The measures that the verdict speaks of, with the words for them.
const SPOKEN: &[(&str, &str)] = &[
    ("heldout_nats", "cross entropy on real text"),
    ("facts_accuracy", "accuracy on facts"),
    ("tail_mass", "mass of the rare tail"),
    ("kl_synthetic_real_nats", "drift of the token histogram"),
    ("vocabulary_alive", "vocabulary still alive"),
];

/// The verdict as HTML: a lead, one card per loss, and what the intervals mean.
pub fn html(study: &Study) -> String {
    let mut out = format!("<p class=\"lead\">{}</p>\n<div class=\"cards\">\n", lead(study));
    for series in &study.series {
        out += &card(study, series);
    }
    out + "</div>\n" + &footing(study)
}

fn lead(study: &Study) -> String {
    let (metric, words) = SPOKEN[0];
    let Some(series) = study.series.iter().find(|s| change(s, metric).is_some()) else {
        return "No chain has a finite cross entropy on real text.".into();
    };
    let moved = change(series, metric).expect("lead found a series that has the metric");
    let label = format!("<b class=\"t{}\">{}</b>", series.colour, escape(&series.label));
    let Some(step) = &moved.change else {
        return format!(
            "Only one generation is finished: with {label} the {words} is {} nats. Collapse shows \
             over generations.",
            short(moved.end.mean)
        );
    };
    let verb = if step.mean >= 0.0 { "rose" } else { "fell" };
    let mut lead = format!(
        "With {label} the {words} {verb} by {} nats in {}{}.",
        short(step.mean.abs()),
        count(moved.last, "generation"),
        aside(step)
    );
    let rivals: Vec<_> = study
        .series
        .iter()
        .filter_map(|series| Some((series, versus(series, study.baseline(series)?, metric)?)))
        .collect();
    let sure = |better: bool| {
        let wanted = rivals.iter().filter(|(_, v)| {
            v.difference.excludes(0.0) == Some(true) && (v.difference.mean < 0.0) == better
        });
        wanted
            .map(|(s, _)| format!("<b class=\"t{}\">{}</b>", s.colour, escape(&s.label)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (better, worse) = (sure(true), sure(false));
    lead += &match (rivals.is_empty(), better.is_empty(), worse.is_empty()) {
        (true, _, _) => String::new(),
        _ if rivals.iter().all(|(_, v)| v.difference.interval.is_none()) => {
            " One seed cannot tell whether another loss differs from ce.".into()
        }
        (_, true, true) => " No other loss is told apart from ce by its interval.".into(),
        (_, false, true) => format!(" Told apart from ce, and better: {better}."),
        (_, true, false) => format!(" Told apart from ce, and worse: {worse}."),
        _ => format!(" Told apart from ce: better {better}; worse {worse}."),
    };
    lead
}

fn card(study: &Study, series: &Series) -> String {
    let mut out = format!(
        "<article class=\"card b{}\"><h3 class=\"t{}\">{}</h3>\n<ul>\n",
        series.colour,
        series.colour,
        escape(&series.label)
    );
    for (metric, words) in SPOKEN {
        let Some(moved) = change(series, metric) else { continue };
        out += &format!("<li><span>{words}</span> {}", sentence(metric, &moved));
        let base = study.baseline(series);
        if let Some(v) = base.and_then(|base| versus(series, base, metric)) {
            let reading = match v.difference.excludes(0.0) {
                None => "one seed, no interval possible".to_string(),
                Some(false) => "not told apart".into(),
                Some(true) => {
                    format!(
                        "excludes 0: {}",
                        judged(metric, v.difference.mean).unwrap_or("differs")
                    )
                }
            };
            let class = match v.difference.excludes(0.0) {
                Some(true) => judged(metric, v.difference.mean).unwrap_or("sure"),
                _ => "open",
            };
            let ratio = v.ratio.as_ref().map(|r| format!(", ratio {}", short(r.mean)));
            out += &format!(
                "<br><small>against ce at generation {}: {}{}{} <em class=\"{class}\">{reading}</em>\
                 </small>",
                v.generation,
                signed(v.difference.mean),
                aside(&v.difference),
                ratio.unwrap_or_default()
            );
        }
        out += "</li>\n";
    }
    out += "</ul>\n";
    let ended: Vec<String> = series
        .chains
        .iter()
        .filter_map(|chain| Some((chain.seed, chain.diverged()?)))
        .map(|(seed, generation)| format!("seed {seed} at generation {generation}"))
        .collect();
    if !ended.is_empty() {
        out += &format!(
            "<p class=\"note\">{} of {} diverged and ended there: {}.</p>\n",
            ended.len(),
            count(series.chains.len(), "chain"),
            ended.join(", ")
        );
    }
    out + "</article>\n"
}

fn sentence(metric: &str, moved: &Change) -> String {
    let end = short(moved.end.mean);
    let (Some(start), Some(step)) = (&moved.start, &moved.change) else {
        return format!("<b>{end}</b> at generation {}; no change to show.", moved.last);
    };
    let class = match step.excludes(0.0) {
        Some(true) => judged(metric, step.mean).unwrap_or("sure"),
        _ => "open",
    };
    format!(
        "<b>{} → {end}</b> <em class=\"{class}\">{}</em>{}",
        short(start.mean),
        signed(step.mean),
        aside(step)
    )
}

/// ` (95 % interval a to b, n seeds)`.
fn aside(estimate: &Estimate) -> String {
    match estimate.interval {
        Some((low, high)) => format!(
            " <span class=\"aside\">(95 % interval {} to {}, {})</span>",
            signed(low),
            signed(high),
            count(estimate.n, "seed")
        ),
        None => " <span class=\"aside\">(one seed: no interval possible)</span>".into(),
    }
}

fn footing(study: &Study) -> String {
    let compared = study.series.iter().filter(|series| study.baseline(series).is_some()).count();
    let mut text = String::from(
        "<p class=\"note\">Changes are from generation 0 to the last one, paired within chains; \
         differences to ce are paired by seed. Intervals are Student-t intervals over seeds at \
         95 %; they say how much seeds vary, not how much corpora or models do.",
    );
    if compared > 1 {
        text += &format!(
            " They are not corrected for the {compared} losses and {} measures compared here: name \
             the comparison that counts before the run.",
            SPOKEN.len()
        );
    }
    if study.seeds() == 1 {
        text += " <b>This report rests on a single seed: no interval is possible, and a difference \
                 between losses may be chance.</b>";
    }
    text + "</p>\n"
}

#[cfg(test)]
mod tests {
    use super::super::demo::{self, assert_balanced};
    use super::*;

    #[test]
    fn the_verdict_is_as_sure_as_the_seeds_allow() {
        let one = html(&Study::new(&[demo::run(&["ce", "tce:0.9"], 0..1, 4)]));
        assert!(one.contains("single seed") && one.contains("no interval possible"));
        assert!(!one.contains("excludes 0"));
        let five = html(&Study::new(&[demo::run(&["ce", "tce:0.9"], 0..5, 4)]));
        assert!(five.contains("excludes 0: better") && five.contains("5 seeds"));
        assert!(!five.contains("no interval"));
        let alone = html(&Study::new(&[demo::run(&["tce:0.9"], 0..5, 1)]));
        assert!(alone.contains("Only one generation") && !alone.contains("against ce"));
        for text in [one, five, alone] {
            assert_balanced(&text);
        }
    }

    #[test]
    fn a_worse_rival_is_called_worse_and_a_diverged_chain_is_named() {
        let runs = [demo::table(&[
            ("ce", 1, &[2.0, 3.0]),
            ("ce", 2, &[2.0, 3.5]),
            ("ce", 3, &[2.0, f64::NAN]),
            ("x", 1, &[2.0, 4.0]),
            ("x", 2, &[2.0, 4.51]),
        ])];
        let text = html(&Study::new(&runs));
        assert!(text.contains("and worse: <b class=\"t3\">x</b>"), "{text}");
        assert!(text.contains("1 of 3 chains diverged and ended there: seed 3 at generation 1."));
    }
}
