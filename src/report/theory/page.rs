//! The page of the theory.

use super::super::html::{self, shell};
use super::super::number::{count, escape, short};
use super::super::slug;
use super::Chapter;
use fortifai_collapse::check::{Checked, FAMILY_LEVEL};
use fortifai_collapse::prediction::Digits;
use fortifai_collapse::{Entry, Kind};

/// What the theory adds to the style sheet of the reports.
const STYLE: &str = include_str!("../theory.css");

/// The whole page.
pub fn page(chapters: &[Chapter], seed: u64) -> String {
    let mut sections = vec![("overview", "Overview", overview(chapters, seed))];
    let anchors: Vec<String> = chapters.iter().map(|chapter| slug(chapter.family.name)).collect();
    for (chapter, anchor) in chapters.iter().zip(&anchors) {
        sections.push((anchor, chapter.family.name, section(chapter)));
    }
    sections.push(("reading", "How to read this", READING.to_string()));
    let style = format!("{}{STYLE}", html::STYLE);
    shell("What should happen", "The theory of model collapse", &facts(chapters), &style, &sections)
}

const READING: &str = "<p>A <b>line</b> is a closed form; a <b>mark</b> is the mean of simulated \
chains, its bar two standard errors to either side. Nothing is fitted: where marks leave the line, \
one of the two is wrong, unless the caption calls the line a bound or a limit.</p>\n<p>A <b>check</b> compares a simulated quantity with its prediction \
through a statistic whose law is known. Its limit is so wide that a true prediction passes it \
except with probability 4e-9, and yet the same prediction with a planted mistake in it – n for \
n − 1, off by one generation – must fail. <b>Exact</b> holds for every finite size, \
<b>asymptotic</b> in the limit its domain names, a <b>bound</b> on one side only.</p>\n\
<p>Generation 0 is the truth; generation t is the model fitted to data of generation t − 1; n is \
the number of samples per generation, and logarithms are natural.</p>\n";

fn facts(chapters: &[Chapter]) -> String {
    let entries = chapters.iter().map(|c| c.family.entries.iter().map(|t| t.len()).sum::<usize>());
    let tests = chapters.iter().map(|chapter| chapter.report.checks.len()).sum();
    format!("{} · {}", count(entries.sum(), "prediction"), count(tests, "test"))
}

fn overview(chapters: &[Chapter], seed: u64) -> String {
    let checks = || chapters.iter().flat_map(|chapter| &chapter.report.checks);
    let failed = checks().filter(|check| !check.outcome.passed).count();
    let alarm: f64 = chapters.iter().map(|chapter| chapter.report.family_false_alarm).sum();
    let mistakes = || checks().flat_map(|check| &check.outcome.mistakes);
    let rejected = mistakes().filter(|mistake| mistake.rejected).count();
    let verdict = match failed {
        0 => "<em class=\"better\">Every test passed.</em>".to_string(),
        n => format!(
            "<em class=\"worse\">{} not stand.</em>",
            if n == 1 { "One test does".into() } else { format!("{n} tests do") }
        ),
    };
    let mut out = format!(
        "<p class=\"lead\">A model that learns from its own output forgets. How fast, and what \
         stops it, can be computed before anything is trained. {verdict} <span class=\"aside\">Were \
         all of it true, one of the {} tests would fail with probability {} at most (allowed: {}); \
         {rejected} of {} planted mistakes were noticed. Seed {seed}.</span></p>\n\
         <div class=\"cards\">\n",
        checks().count(),
        short(alarm),
        short(FAMILY_LEVEL),
        mistakes().count(),
    );
    for (index, chapter) in chapters.iter().enumerate() {
        let entries: usize = chapter.family.entries.iter().map(|table| table.len()).sum();
        out += &format!(
            "<a class=\"card b{}\" href=\"#{}\"><h3>{}</h3><p>{}</p><small>{} · {}</small></a>\n",
            index % 8,
            slug(chapter.family.name),
            escape(chapter.family.name),
            escape(chapter.family.about),
            count(entries, "prediction"),
            count(chapter.report.checks.len(), "test"),
        );
    }
    out + "</div>\n"
}

fn section(chapter: &Chapter) -> String {
    let mut out = format!("<p class=\"about\">{}</p>\n", escape(chapter.family.about));
    if !chapter.figures.is_empty() {
        out += "<div class=\"figures\">\n";
        for drawn in &chapter.figures {
            out += &format!(
                "<figure>{}<figcaption>{}</figcaption></figure>\n",
                drawn.svg.inline(),
                escape(&drawn.caption)
            );
        }
        out += "</div>\n";
    }
    out += "<h3 class=\"sub\">Predictions</h3>\n<div class=\"formulas\">\n";
    for entry in chapter.family.entries.iter().copied().flatten() {
        out += &formula(entry, chapter);
    }
    out + "</div>\n" + &checks(chapter)
}

/// One prediction: what it says, its value at the example, its conditions and how it was checked.
fn formula(entry: &Entry, chapter: &Chapter) -> String {
    let example = entry.example();
    let value = match entry.predict(&example) {
        Ok(prediction) => {
            let at = if entry.inputs.is_empty() { String::new() } else { format!(" at {example}") };
            format!("<span class=\"value\">= {}{}</span>", short(prediction.value), escape(&at))
        }
        Err(refusal) => format!("<span class=\"value\">{}</span>", escape(&refusal.to_string())),
    };
    let digits = match entry.digits {
        Digits::Elementary => "1e-12",
        Digits::Special => "1e-10",
    };
    let inputs: Vec<String> = entry
        .inputs
        .iter()
        .map(|i| format!("<b>{}</b> {}", escape(i.name), escape(i.meaning)))
        .collect();
    let inputs = match inputs.is_empty() {
        true => String::new(),
        false => format!("<dt>with</dt><dd>{}</dd>", inputs.join("; ")),
    };
    format!(
        "<article><p class=\"id\">{} <span class=\"{}\">{}</span></p><div><h4>{}</h4>\
         <p class=\"formula\">{}</p>{value}<dl>{inputs}<dt>holds</dt><dd>{}</dd>\
         <dt>source</dt><dd>{}</dd><dt>digits</dt><dd>{digits} relative</dd><dt>checked</dt><dd>{}</dd></dl></div></article>\n",
        escape(entry.id),
        match entry.kind {
            Kind::Exact => "exact",
            Kind::Asymptotic => "asymptotic",
            Kind::Bound => "bound",
        },
        entry.kind,
        escape(entry.name),
        escape(entry.formula),
        escape(entry.domain),
        escape(entry.source),
        checked(entry, chapter),
    )
}

/// What the guards of the entry's id found.
fn checked(entry: &Entry, chapter: &Chapter) -> String {
    let of = chapter.report.checks.iter().filter(|check| check.covers.contains(&entry.id));
    let of: Vec<&Checked> = of.collect();
    let failed = of.iter().filter(|check| !check.outcome.passed).count();
    match (of.len(), failed) {
        (0, _) => "against golden digits".into(),
        (all, 0) => {
            format!("{}: <em class=\"better\">{} passed</em>", entry.id, count(all, "test"))
        }
        (all, bad) => {
            format!("{}: <em class=\"worse\">{bad} of {} failed</em>", entry.id, count(all, "test"))
        }
    }
}

fn checks(chapter: &Chapter) -> String {
    if chapter.report.checks.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "<details><summary>{}</summary><div class=\"scroll\"><table class=\"checks\"><thead><tr>\
         <th>check</th><th>predicted</th><th>measured</th><th>statistic</th><th>limit</th>\
         <th>planted mistakes</th></tr></thead><tbody>\n",
        count(chapter.report.checks.len(), "test")
    );
    for check in &chapter.report.checks {
        let outcome = &check.outcome;
        let class = if outcome.passed { "" } else { " class=\"worse\"" };
        let mistakes: Vec<String> = outcome
            .mistakes
            .iter()
            .map(|m| {
                let verdict = if m.rejected { "noticed" } else { "missed" };
                format!("{}: {verdict} ({})", escape(&m.name), short(m.z))
            })
            .collect();
        out += &format!(
            "<tr><th scope=\"row\">{}<small>{}</small></th><td>{}</td><td>{}</td><td{class}>{}</td><td>{}</td><td>{}</td></tr>\n",
            escape(&outcome.name),
            escape(check.guard),
            short(outcome.predicted),
            short(outcome.measured),
            short(outcome.z),
            short(outcome.limit),
            mistakes.join("<br>")
        );
    }
    out + "</tbody></table></div></details>\n"
}
