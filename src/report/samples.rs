//! Generated text side by side: first against last generation, by loss, every token shaded by the
//! probability that its own model gives it.

use super::number::{cut, escape};
use super::view::{Chain, Series, Study};
use crate::collapse::record::{GenerationRecord, ReadToken};

/// Pieces of text per generation and the most characters of each.
const PIECES: usize = 2;
const LENGTH: usize = 700;

/// The samples as HTML; empty where no record holds any.
pub fn html(study: &Study) -> String {
    let mut out = String::new();
    for series in &study.series {
        let Some((chain, records)) = chosen(series) else { continue };
        out += &format!(
            "<section class=\"sample\"><h3 class=\"t{}\">{} <small>seed {}</small></h3>\n\
             <div class=\"pair\">\n",
            series.colour,
            escape(&series.label),
            chain.seed
        );
        for record in records {
            out += &format!("<div><h4>generation {}</h4>\n", record.generation);
            for (index, piece) in record.samples.iter().take(PIECES).enumerate() {
                let text = match record.readings.get(index).filter(|reading| !reading.is_empty()) {
                    Some(reading) => shaded(reading),
                    None => escape(&cut(piece, LENGTH)),
                };
                let empty = "<em>(empty)</em>".to_string();
                let text = if text.trim().is_empty() { empty } else { text };
                out += &format!("<blockquote tabindex=\"0\">{text}</blockquote>\n");
            }
            out += "</div>\n";
        }
        out += "</div></section>\n";
    }
    out
}

/// Tokens on ten shades, those that the loss would drop underlined.
fn shaded(reading: &[ReadToken]) -> String {
    let mut out = String::new();
    let mut length = 0;
    for token in reading {
        length += token.text.chars().count();
        if length > LENGTH {
            out.push('…');
            break;
        }
        let shade = (token.p.clamp(0.0, 0.999) * 10.0) as usize;
        let (class, said) = if token.kept { ("", "") } else { (" off", ", dropped by the loss") };
        out += &format!(
            "<span class=\"q{shade}{class}\" title=\"{:.3}{said}\">{}</span>",
            token.p,
            escape(&token.text)
        );
    }
    out
}

/// The chain of the least seed that has samples, with its first and last such record.
fn chosen<'a, 'b>(series: &'b Series<'a>) -> Option<(&'b Chain<'a>, Vec<&'a GenerationRecord>)> {
    let with = |chain: &Chain<'a>| -> Vec<&'a GenerationRecord> {
        chain.records.iter().copied().filter(|record| !record.samples.is_empty()).collect()
    };
    let chains = series.chains.iter().filter(|chain| !with(chain).is_empty());
    let chain = chains.min_by_key(|chain| chain.seed)?;
    let mut records = with(chain);
    if records.len() > 2 {
        records.drain(1..records.len() - 1);
    }
    Some((chain, records))
}

#[cfg(test)]
mod tests {
    use super::super::demo::{self, assert_balanced};
    use super::*;

    #[test]
    fn samples_cannot_leave_their_box() {
        let mut run = demo::run(&["ce"], 0..2, 4);
        run.records[0].samples =
            vec!["</blockquote><script>alert(1)</script>&".into(), "\0".into()];
        run.records[3].samples = vec!["é".repeat(5000), String::new(), "third".into()];
        let html = html(&Study::new(&[run]));
        assert_balanced(&html);
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;"));
        assert!(html.contains("(empty)") && !html.contains("third"));
        assert!(
            html.len() < 5000 && html.contains("generation 0") && html.contains("generation 3")
        );
    }

    #[test]
    fn tokens_show_how_sure_their_model_was() {
        let mut run = demo::run(&["ce"], 0..1, 1);
        let token = |text: &str, p, kept| ReadToken { text: text.into(), p, kept };
        run.records[0].readings =
            vec![vec![token("<a>", 0.05, true), token(" b", 0.95, false), token("c", 1.0, false)]];
        let html = html(&Study::new(&[run]));
        assert_balanced(&html);
        for piece in [
            "<span class=\"q0\" title=\"0.050\">&lt;a&gt;</span>",
            "<span class=\"q9 off\" title=\"0.950, dropped by the loss\"> b</span>",
            "<span class=\"q9 off\" title=\"1.000, dropped by the loss\">c</span>",
        ] {
            assert!(html.contains(piece), "{html}");
        }
        // A sample without a reading is shown plain.
        assert!(html.contains("every child in veld"));
    }

    #[test]
    fn without_samples_there_is_nothing() {
        let mut run = demo::run(&["ce"], 0..1, 2);
        run.records.iter_mut().for_each(|record| record.samples.clear());
        assert_eq!(html(&Study::new(&[run])), "");
    }
}
