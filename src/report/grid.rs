//! The page of a study: its contrasts first, then protocol by protocol what every arm did.

use super::number::{count, escape, short};
use super::ratios::{self, Row};
use super::view::Study;
use super::{Figure, RunView, curves, html, samples};
use crate::collapse::grid::{Answer, Axis, ChainOf, Grid, Measure, answers, chains_of, time};
use crate::measure::interval::{self, Estimate};
use crate::measure::onset::Onset;
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::Path;

/// Writes the report of a grid as a single HTML file; `views` are those of its cells, in order.
///
/// # Errors
/// No finished generation at all, or a file that cannot be written.
pub fn write_grid(
    grid: &Grid,
    views: &[RunView],
    changed: Option<bool>,
    path: &Path,
) -> Result<()> {
    if views.iter().all(|view| view.records.is_empty()) {
        return Err(Error::input(format!(
            "There is nothing to report: no generation of the study {} is finished; run it with \
             collapse --grid first.",
            grid.name
        )));
    }
    super::save(path, &page(grid, views, changed))
}

/// The figures of a study alone: the primary contrasts, and onset ratios by protocol.
fn figures(grid: &Grid, chains: &[ChainOf], answers: &[Answer]) -> Vec<Figure> {
    let mut all: Vec<Figure> = contrasts(answers).into_iter().collect();
    for protocol in protocols(grid) {
        all.extend(onset_ratios(grid, chains, &protocol));
    }
    all
}

/// What is said where the questions are not those of the study's beginning.
pub const QUESTIONS_CHANGED: &str = "The contrasts or the rule of failure were changed after the study had begun \
                                     (grid-first.toml has those of its beginning): do not call them named before the run.";

/// Writes the study's own figures as SVG files into a folder, which is created.
///
/// # Errors
/// A file that cannot be written.
pub fn write_grid_svgs(grid: &Grid, views: &[RunView], dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|cause| Error::writing(dir, cause))?;
    let chains = chains_of(grid, views);
    for figure in figures(grid, &chains, &answers(grid, &chains)) {
        let path = dir.join(format!("{}.svg", super::slug(&figure.name)));
        super::save(&path, &figure.svg.file(&figure.caption))?;
    }
    Ok(())
}

fn page(grid: &Grid, views: &[RunView], changed: Option<bool>) -> String {
    let chains = chains_of(grid, views);
    let answers = answers(grid, &chains);
    let done = views.iter().filter(|view| !view.records.is_empty()).count();
    let facts = format!(
        "{} of {} · {} · {}",
        done,
        count(grid.cells.len(), "cell"),
        count(chains.len(), "chain"),
        count(grid.contrasts.len(), "primary contrast")
    );
    let mut verdict = String::from("<ul>\n");
    for answer in &answers {
        verdict += &format!("<li>{}</li>\n", words(grid, answer));
    }
    verdict += "</ul>\n<p class=\"note\">Seeds are the unit: every ratio is a geometric mean over paired \
                seeds with its 95 % t interval, and p-values are adjusted after Holm over all primary \
                contrasts. ";
    verdict += match changed {
        Some(true) => QUESTIONS_CHANGED,
        Some(false) => "They and the rule of failure are those with which the study began.",
        None => "",
    };
    verdict += " ";
    if let Some(rule) = &grid.onset {
        verdict += &format!(
            "A chain has failed at the first crossing of “{}”, interpolated between generations; one \
             that never fails counts with its last generation, one that fails before half a generation with \
             that, since nothing is measured in between.",
            escape(&rule.words())
        );
    }
    verdict += "</p>\n";
    verdict += &html::grid(&figures(grid, &chains, &answers));
    let mut sections: Vec<(String, String, String)> =
        vec![("verdict".into(), "Verdict".into(), verdict)];
    for protocol in protocols(grid) {
        let of_protocol: Vec<RunView> = (grid.cells.iter().zip(views))
            .filter(|(cell, view)| {
                cell.config.protocol.to_string() == protocol && !view.records.is_empty()
            })
            .map(|(_, view)| view.clone())
            .collect();
        if of_protocol.is_empty() {
            continue;
        }
        let study = Study::new(&of_protocol);
        let mut body = format!("<p class=\"about\">{}</p>\n", escape(&curves::legend(&study)));
        for (group, figures) in html::figures(&study) {
            let folded = !matches!(group.0, "curves" | "against" | "beside");
            let pictures = html::grid(&figures);
            body += &match folded {
                true => format!("<details><summary>{}</summary>\n{pictures}</details>\n", group.1),
                false => format!("<h3>{}</h3>\n{pictures}", group.1),
            };
        }
        let texts = samples::html(&study);
        if !texts.is_empty() {
            let about = html::ABOUT_SAMPLES;
            body += &format!(
                "<details><summary>Samples</summary>\n<p class=\"about\">{about}</p>\n{texts}</details>\n"
            );
        }
        let anchor = super::slug(&protocol);
        sections.push((anchor, format!("Protocol {}", escape(&protocol)), body));
    }
    let file = format!(
        "<details><summary>The grid file</summary><pre tabindex=\"0\">{}</pre></details>\n",
        escape(&grid.text)
    );
    let manifests: BTreeSet<&str> = views.iter().map(|v| v.manifest_json.as_str()).collect();
    let manifests: String = manifests
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| format!("<pre tabindex=\"0\">{}</pre>\n", escape(text)))
        .collect();
    let machines =
        format!("<details><summary>Manifests of the cells</summary>{manifests}</details>\n");
    sections.push(("provenance".into(), "Provenance".into(), file + &machines));
    let sections: Vec<(&str, &str, String)> = (sections.iter())
        .map(|(anchor, heading, body)| (anchor.as_str(), heading.as_str(), body.clone()))
        .collect();
    html::shell("Model collapse study", &escape(&grid.name), &facts, html::STYLE, &sections)
}

fn protocols(grid: &Grid) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for cell in &grid.cells {
        let protocol = cell.config.protocol.to_string();
        if !all.contains(&protocol) {
            all.push(protocol);
        }
    }
    all
}

fn words(grid: &Grid, answer: &Answer) -> String {
    let contrast = &answer.contrast;
    let what = match &contrast.measure {
        Measure::Onset(Axis::Generations) => "time to failure".to_owned(),
        Measure::Onset(Axis::Tokens) => "generated tokens to failure".to_owned(),
        Measure::Last(metric) => {
            format!("{} at the last generation", super::compare::meaning(metric))
        }
    };
    let (arm, against) = (contrast.arm.to_string(), contrast.against.to_string());
    let head = format!(
        "<b>{}</b>: {} of {} relative to {}, protocol {}",
        escape(&contrast.name),
        escape(&what),
        escape(&arm),
        escape(&against),
        contrast.protocol
    );
    let (estimate, (low, high)) = match (answer.log_ratio, answer.silence()) {
        (Some(ratio), None) => (ratio, ratio.map(f64::exp).interval.unwrap_or_default()),
        (Some(ratio), Some(why)) => {
            return format!("{head}: × {}; {why}.", short(ratio.mean.exp()));
        }
        (None, why) => return format!("{head}: {}.", why.unwrap_or_default()),
    };
    let ratio = estimate.map(f64::exp);
    let verdict = match (answer.adjusted_p, estimate.mean >= 0.0) {
        (Some(p), true) if p < 0.05 => "larger, by an interval that survives Holm",
        (Some(p), false) if p < 0.05 => "smaller, by an interval that survives Holm",
        _ => "not told apart",
    };
    let power = answer.detectable.map_or(String::new(), |least| {
        format!(
            " With as many seeds a ratio of {} survives Holm's first step in four of five studies.",
            short(least.exp())
        )
    });
    let censored = match (answer.censored, grid.onset.is_some()) {
        (0, _) | (_, false) => String::new(),
        (n, true) => format!(" {} had not failed at the end.", count(n, "chain")),
    };
    let floored = match answer.floored {
        0 => String::new(),
        n => format!(
            " {} failed before half a generation and {} with that: the ratio depends on it.",
            count(n, "chain"),
            if n == 1 { "counts" } else { "count" }
        ),
    };
    let left_out = match answer.left_out {
        0 => String::new(),
        n => format!(" {} left out: a chain diverged or has not ended.", count(n, "pair")),
    };
    format!(
        "{head}: × {} [{}, {}], {}, p {} after Holm: {verdict}.{power}{censored}{floored}{left_out}",
        short(ratio.mean),
        short(low),
        short(high),
        count(ratio.n, "pair"),
        short(answer.adjusted_p.unwrap_or(1.0)),
    )
}

fn contrasts(answers: &[Answer]) -> Option<Figure> {
    let rows: Vec<Row> = (answers.iter().enumerate())
        .filter_map(|(index, answer)| {
            let label = answer.contrast.name.clone();
            Some(Row {
                label,
                note: String::new(),
                colour: index % 8,
                log_ratio: answer.log_ratio?,
            })
        })
        .collect();
    let caption = "The study's contrasts. An interval that crosses the dashed line does not \
                   tell the two arms apart; what survives Holm's adjustment is said above.";
    ratios::forest(
        "primary_contrasts",
        "Primary contrasts",
        "ratio, 95 % t interval over seeds",
        &rows,
        caption,
    )
}

/// Times to failure of every arm relative to `ce`, paired by seed.
fn onset_ratios(grid: &Grid, chains: &[ChainOf], protocol: &str) -> Option<Figure> {
    let rule = grid.onset.as_ref()?;
    let find = |chain: &ChainOf| time(chain, rule, Axis::Generations);
    let here: Vec<&ChainOf> =
        chains.iter().filter(|chain| chain.protocol.to_string() == protocol).collect();
    let mut arms = Vec::new();
    for chain in &here {
        if !arms.contains(&chain.arm) {
            arms.push(chain.arm);
        }
    }
    let base = arms.iter().find(|arm| arm.to_string() == "ce").copied()?;
    let mut never = 0;
    let mut rows = Vec::new();
    for (index, arm) in arms.into_iter().filter(|arm| *arm != base).enumerate() {
        let mut pairs = Vec::new();
        let mut own = [0; 2];
        for chain in here.iter().filter(|chain| chain.arm == arm) {
            let other = here.iter().find(|other| other.arm == base && other.seed == chain.seed);
            if let (Some(a), Some(b)) = (find(chain), other.and_then(|other| find(other))) {
                own[0] += usize::from(a.floored);
                own[1] += usize::from(matches!(a.onset, Onset::Right(_)));
                never += usize::from(matches!(b.onset, Onset::Right(_)));
                pairs.push((a.value, b.value));
            }
        }
        if let Some(log_ratio) = interval::paired_log_ratio(&pairs).map(Estimate::without_point) {
            let of = pairs.len();
            let note = match own {
                [0, 0] => String::new(),
                [begun, 0] => format!("{begun} of {of} failed at once"),
                [0, whole] => format!("{whole} of {of} never failed"),
                [begun, whole] => format!("{begun} of {of} failed at once, {whole} never"),
            };
            rows.push(Row { label: arm.to_string(), note, colour: (index + 1) % 8, log_ratio });
        }
    }
    let caption = format!(
        "Time to failure in generations divided by that of ce, geometric mean over paired seeds with its 95 % \
         t interval. Failure: {}. A chain that never failed counts with its last generation (ce: in {never} \
         pairs), one that failed at once, before half a generation, with half a generation: its interval means \
         little.",
        rule.words()
    );
    let title = format!("Time to failure relative to ce, {protocol}");
    let name = format!("onset_{}", super::slug(protocol));
    ratios::forest(&name, &title, "right of the line: failed later than ce", &rows, &caption)
}
