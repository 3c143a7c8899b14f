//! The page: one file, no script, no external resource.

use super::curves::{self, KEY_CURVES};
use super::number::{count, escape};
use super::view::Study;
use super::{Figure, beside, confidence, forest, heatmap, samples, svg, tables, training, verdict};

/// The style sheet of the page.
pub const STYLE: &str = include_str!("page.css");

/// The metrics of the forest plots.
const AGAINST_CE: [&str; 4] =
    ["heldout_nats", "facts_accuracy", "tail_mass", "kl_synthetic_real_nats"];

/// How to read the samples.
pub const ABOUT_SAMPLES: &str = "The first pieces of text of the first and the last generation. Collapsed text \
                                 repeats itself, or says what is not so. The stronger its shade, the higher the \
                                 probability that its own model gives it; dotted underlines mark those that \
                                 the loss would drop.";

/// A section of figures: anchor, heading, what it is about.
type Group = (&'static str, &'static str, &'static str);

const CURVES: Group = ("curves", "Generations", "Each figure follows one measure.");
const AGAINST: Group = ("against", "Against ce", "Is another loss better than ce, or was it luck?");
const BESIDE: Group = (
    "beside",
    "Theory beside practice",
    "What endless text and capacity would give, and what was measured.",
);
const SURE: Group = ("sure", "Confidence", "The probability given to each next token.");
const TRAINING: Group = ("training", "Training", "What the optimiser saw.");
const MORE: Group = ("more", "More measures", "What else was recorded.");

/// All figures by section; sections without any are left out.
pub fn figures(study: &Study) -> Vec<(Group, Vec<Figure>)> {
    let mut key: Vec<Figure> =
        KEY_CURVES.iter().filter_map(|entry| curves::figure(study, entry.0)).collect();
    key.extend(heatmap::figure(study));
    let against = AGAINST_CE.iter().filter_map(|metric| forest::figure(study, metric)).collect();
    let others = study.metrics().into_iter();
    let others = others.filter(|name| KEY_CURVES.iter().all(|entry| entry.0 != *name));
    let mut more: Vec<Figure> = others.filter_map(|name| curves::figure(study, name)).collect();
    for figure in &mut more {
        figure.name = super::slug(&figure.name);
    }
    let groups = [
        (CURVES, key),
        (AGAINST, against),
        (BESIDE, beside::figures(study)),
        (SURE, confidence::figures(study)),
        (TRAINING, training::figures(study)),
        (MORE, more),
    ];
    groups.into_iter().filter(|(_, figures): &(Group, Vec<Figure>)| !figures.is_empty()).collect()
}

/// The whole page.
pub fn page(study: &Study) -> String {
    let mut groups = figures(study);
    let mut first: Vec<Figure> = Vec::new();
    if let Some((_, curves)) = groups.iter_mut().find(|(group, _)| group.0 == CURVES.0) {
        first = curves.drain(..curves.len().min(2)).collect();
    }
    groups.retain(|(_, figures)| !figures.is_empty());
    let legend = format!("<p class=\"note\">{}</p>\n", escape(&curves::legend(study)));
    let pictures = if first.is_empty() { String::new() } else { grid(&first) + &legend };
    let mut sections = vec![("verdict", "Verdict", verdict::html(study, &pictures))];
    for ((anchor, heading, about), figures) in &groups {
        let legend = if *anchor == CURVES.0 { curves::legend(study) } else { String::new() };
        let about = format!("<p class=\"about\">{about} {}</p>\n", escape(&legend));
        sections.push((anchor, heading, about + &grid(figures)));
    }
    let table = tables::html(study);
    if !table.is_empty() {
        let about = "<p class=\"about\">Brackets hold the 95 % t interval over seeds. Cells are \
                     coloured only where it excludes zero.</p>\n";
        sections.insert(sections.len().min(3), ("table", "Numbers", about.to_string() + &table));
    }
    let samples = samples::html(study);
    if !samples.is_empty() {
        let about = format!("<p class=\"about\">{ABOUT_SAMPLES}</p>\n");
        sections.push(("samples", "Samples", about + &samples));
    }
    sections.push(("provenance", "Provenance", provenance(study)));
    assemble(study, &sections)
}

/// Pictures side by side, each with its caption.
pub fn grid(figures: &[Figure]) -> String {
    let mut out = String::from("<div class=\"figures\">\n");
    for figure in figures {
        let caption = match figure.caption.is_empty() {
            true => String::new(),
            false => format!("<figcaption>{}</figcaption>", escape(&figure.caption)),
        };
        out += &format!("<figure>{}{caption}</figure>\n", figure.svg.inline());
    }
    out + "</div>\n"
}

fn assemble(study: &Study, sections: &[(&str, &str, String)]) -> String {
    let titles: Vec<&str> = study.runs.iter().map(|run| run.title.as_str()).collect();
    let title = escape(&titles.join(" + "));
    let chains = study.series.iter().flat_map(|series| &series.chains);
    let generations = chains.flat_map(|chain| &chain.records).map(|r| r.generation + 1).max();
    let facts = format!(
        "{} · {} · {}",
        count(study.series.len(), "loss"),
        count(study.seeds(), "seed"),
        count(generations.unwrap_or(0), "generation")
    );
    shell("Model collapse report", &title, &facts, STYLE, sections)
}

/// A page of sections (anchor, heading, body) under a heading; `title` and `facts` are HTML.
pub fn shell(
    kind: &str,
    title: &str,
    facts: &str,
    style: &str,
    sections: &[(&str, &str, String)],
) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} – model collapse</title>\n\
         <style>\n{}{style}</style>\n</head>\n<body>\n<header><p class=\"kind\">{kind}</p>\n\
         <h1>{title}</h1>\n<p class=\"facts\">{facts}</p>\n<nav>",
        svg::STYLE
    );
    for (anchor, heading, _) in sections {
        out += &format!("<a href=\"#{anchor}\">{heading}</a> ");
    }
    out += "</nav></header>\n<main>\n";
    for (anchor, heading, body) in sections {
        out += &format!("<section id=\"{anchor}\">\n<h2>{heading}</h2>\n{body}</section>\n");
    }
    out + "</main>\n</body>\n</html>\n"
}

fn provenance(study: &Study) -> String {
    let mut out = String::new();
    if study.runs.len() > 1 {
        out += match study.pooled {
            true => {
                "<p class=\"about\">The seeds of these runs are pooled: their settings agree.</p>\n"
            }
            false => {
                "<p class=\"about\">The runs are kept apart: their settings differ, or a loss and \
                 seed occurs twice.</p>\n"
            }
        };
    }
    for run in study.runs {
        out += &format!("<h3>{}</h3>\n", escape(&run.title));
        if !run.command.is_empty() {
            out += &format!("<pre tabindex=\"0\">{}</pre>\n", escape(&run.command));
        }
        let manifest = serde_json::from_str::<serde_json::Value>(&run.manifest_json)
            .and_then(|value| serde_json::to_string_pretty(&value))
            .unwrap_or_else(|_| run.manifest_json.clone());
        for (name, text) in [("Configuration", &run.config_toml), ("Manifest", &manifest)] {
            if !text.trim().is_empty() {
                out += &format!(
                    "<details><summary>{name}</summary><pre tabindex=\"0\">{}</pre></details>\n",
                    escape(text)
                );
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::demo::{self, assert_balanced};
    use super::super::{RunView, write, write_csv, write_svgs};
    use super::*;

    fn sound(runs: &[RunView]) -> String {
        let page = page(&Study::new(runs));
        assert_balanced(&page);
        for word in
            ["NaN", "\"inf", "inf,", "inf<", "inf ", "undefined", "<script", "http://", "https://"]
        {
            assert!(!page.contains(word), "{word}");
        }
        page
    }

    #[test]
    fn the_page_holds_every_section() {
        let page = sound(&[demo::run(&["ce", "tce:0.9", "focal:2"], 0..5, 6)]);
        for anchor in [
            "verdict",
            "curves",
            "against",
            "table",
            "sure",
            "training",
            "more",
            "samples",
            "provenance",
        ] {
            assert!(page.contains(&format!("<section id=\"{anchor}\">")), "{anchor}");
            assert!(page.contains(&format!("href=\"#{anchor}\"")), "{anchor}");
        }
        assert!(page.contains("3 losses · 5 seeds · 6 generations"));
    }

    #[test]
    fn absent_measures_leave_no_trace() {
        let page = sound(&[demo::table(&[("tce:0.9", 1, &[2.0])])]);
        assert!(!page.contains("Facts remembered") && !page.contains("id=\"against\""));
        assert!(page.contains("1 loss · 1 seed · 1 generation<"));
    }

    #[test]
    fn hostile_records_give_a_sound_page() {
        let losses =
            ["ce", "<i>", "tce:0.9", "focal:2", "a\"b", "linear:1", "drop-low:0.1", "x&y", "9"];
        let mut run = demo::run(&losses, 0..3, 3);
        let nan = f64::NAN;
        for (i, record) in run.records.iter_mut().enumerate() {
            let odd = [nan, f64::INFINITY, 1e308, -1e308, 0.0, 1e-320, -3.0][i % 7];
            record.metrics.insert("heldout_nats".into(), odd);
            record.metrics.insert("<script>".into(), odd);
            record.training[0].loss_nats = odd;
            record.samples = vec!["</pre><script>".into(); i % 3];
            record.p_histogram_real = vec![odd; i % 4];
        }
        run.title = "</title><script>".into();
        run.config_toml = "not toml <".into();
        run.manifest_json = "{".into();
        sound(&[run.clone(), run]);
    }

    #[test]
    fn a_run_without_any_number_still_gives_a_page() {
        let mut run = demo::table(&[("ce", 1, &[f64::NAN])]);
        for record in &mut run.records {
            record.metrics.clear();
            record.training.clear();
            record.samples.clear();
            record.p_histogram_real.clear();
            record.p_histogram_synthetic.clear();
        }
        let page = sound(&[run]);
        assert!(page.contains("diverged and ended there"));
    }

    /// `REPORT_DEMO=DIR` keeps the reports for a look: `REPORT_DEMO=demo cargo test --lib report::html`.
    #[test]
    fn the_demo_report_can_be_looked_at() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = std::env::var_os("REPORT_DEMO").map(std::path::PathBuf::from);
        let dir = dir.unwrap_or_else(|| temporary.path().into());
        std::fs::create_dir_all(&dir).unwrap();
        let losses = ["ce", "tce:0.9", "tce:0.99", "focal:2"];
        let mut full = demo::run(&losses, 0..5, 8);
        full.records.retain(|r| !(r.loss == "focal:2" && r.seed == 3 && r.generation > 5));
        let last = |r: &&mut crate::collapse::record::GenerationRecord| {
            r.loss == "focal:2" && r.seed == 3 && r.generation == 5
        };
        full.records.iter_mut().find(last).unwrap().outcome =
            crate::collapse::record::Outcome::Diverged;
        let many = [
            "ce",
            "tce:0.9",
            "tce:0.99",
            "focal:2",
            "focal-detached:2",
            "linear:1",
            "drop-low:0.1",
            "random-mask:0.8",
        ];
        let cases = [
            ("full", full),
            ("eight", demo::run(&many, 0..3, 4)),
            ("one", demo::run(&["ce", "tce:0.9"], 0..1, 1)),
        ];
        for (name, run) in cases {
            let runs = [run];
            write(&runs, &dir.join(format!("{name}.html"))).unwrap();
            write_csv(&runs, &dir.join(format!("{name}.csv"))).unwrap();
            write_svgs(&runs, &dir.join(name)).unwrap();
            std::fs::write(dir.join(format!("{name}.txt")), super::super::final_table(&runs))
                .unwrap();
        }
    }
}
