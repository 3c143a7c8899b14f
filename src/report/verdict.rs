//! The verdict in words: what happened to each loss, and whether it differs from `ce`.

use super::compare::{Change, bracket, change, judged, versus};
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

/// The verdict as HTML: a lead, the given pictures, one card per loss, and what the intervals mean.
pub fn html(study: &Study, pictures: &str) -> String {
    let lead = lead(study);
    let mut out = format!("<p class=\"lead\">{lead}</p>\n{pictures}<div class=\"cards\">\n");
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
        (_, false, true) => format!(" Better than ce by an interval that excludes 0: {better}."),
        (_, true, false) => format!(" Worse than ce by an interval that excludes 0: {worse}."),
        _ => format!(" By intervals that exclude 0, better than ce: {better}; worse: {worse}."),
    };
    lead
}

fn card(study: &Study, series: &Series) -> String {
    let (colour, label) = (series.colour, escape(&series.label));
    let reached = series.generations().last().copied().unwrap_or(0);
    let span = match reached {
        0 => "generation 0".to_string(),
        _ => format!("generation 0 to {reached}"),
    };
    let mut out = format!(
        "<article class=\"card b{colour}\"><h3><span class=\"t{colour}\">{label}</span> \
         <small>{}, {span}</small></h3>\n<ul>\n",
        count(series.chains.len(), "seed")
    );
    for (metric, words) in SPOKEN {
        let Some(moved) = change(series, metric) else { continue };
        out += &format!("<li><div><span>{words}</span>{}</div><div>", course(&moved, reached));
        if let Some(step) = &moved.change {
            out += &detail("change", metric, step, "");
        }
        let base = study.baseline(series);
        if let Some(v) = base.and_then(|base| versus(series, base, metric)) {
            let name = match v.generation == moved.last {
                true => "to ce".to_string(),
                false => format!("to ce, generation {}", v.generation),
            };
            let reading = reading(metric, &v.difference);
            out += &detail(&name, metric, &v.difference, &reading);
        }
        out += "</div></li>\n";
    }
    out += "</ul>\n";
    let (all, metrics) = (series.chains.len(), SPOKEN.iter());
    let fewest = metrics.filter_map(|entry| Some(change(series, entry.0)?.end.n)).min();
    if let Some(n) = fewest.filter(|n| *n < all) {
        out += &format!("<p class=\"note\">The last generation rests on {n} of {all} seeds.</p>\n");
    }
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

/// The mean at generation 0 and at the last generation, named where the chains reach further.
fn course(moved: &Change, reached: usize) -> String {
    let (end, last) = (short(moved.end.mean), moved.last);
    let start = moved.start.as_ref().filter(|_| last > 0);
    let start = start.map_or_else(String::new, |start| format!("{} → ", short(start.mean)));
    let early = match last < reached {
        true => format!(" <small>generation {last}</small>"),
        false => String::new(),
    };
    format!("<b>{start}{end}</b>{early}")
}

/// One line `name +0.1 [−0.1, +0.3]`, the number coloured where the interval excludes 0.
fn detail(name: &str, metric: &str, estimate: &Estimate, reading: &str) -> String {
    let class = match estimate.excludes(0.0) {
        Some(true) => judged(metric, estimate.mean).unwrap_or("sure"),
        _ => "open",
    };
    format!(
        "<div class=\"detail\"><span>{name}</span><em class=\"{class}\">{}</em>\
         <span>{}{reading}</span></div>",
        signed(estimate.mean),
        bracket(estimate)
    )
}

/// Whether the interval of a difference tells a loss from `ce`.
fn reading(metric: &str, difference: &Estimate) -> String {
    let good = judged(metric, difference.mean);
    match difference.excludes(0.0) {
        None => String::new(),
        Some(false) => "<br>includes 0: not told apart".into(),
        Some(true) => format!(
            "<br><em class=\"{}\">excludes 0: {}</em>",
            good.unwrap_or("sure"),
            good.unwrap_or("differs")
        ),
    }
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
        "<p class=\"note\">All numbers are means over seeds. A change is the last generation minus \
         generation 0 of the same chain",
    );
    if compared > 0 {
        text += "; “to ce” is the loss minus ce at the last generation that both reached, paired by \
                 seed";
    }
    text += ". Brackets hold Student-t intervals over seeds at 95 %; a number is coloured where its \
             interval excludes 0. They say how much seeds vary, not how much corpora or models do.";
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
        let one = html(&Study::new(&[demo::run(&["ce", "tce:0.9"], 0..1, 4)]), "");
        assert!(one.contains("single seed") && one.contains("no interval"));
        assert!(!one.contains("excludes 0:"));
        let five = html(&Study::new(&[demo::run(&["ce", "tce:0.9"], 0..5, 4)]), "");
        assert!(five.contains("excludes 0: better") && five.contains("5 seeds"));
        assert!(!five.contains("no interval"));
        let alone = html(&Study::new(&[demo::run(&["tce:0.9"], 0..5, 1)]), "");
        assert!(alone.contains("Only one generation") && !alone.contains("<span>to ce"));
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
        let text = html(&Study::new(&runs), "");
        assert!(
            text.contains("Worse than ce by an interval that excludes 0: <b class=\"t3\">x</b>"),
            "{text}"
        );
        assert!(text.contains("1 of 3 chains diverged and ended there: seed 3 at generation 1."));
    }
}
