//! Generated text side by side: first against last generation, by loss.

use super::number::{cut, escape};
use super::view::{Chain, Series, Study};
use crate::collapse::record::GenerationRecord;

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
            for piece in record.samples.iter().take(PIECES) {
                let empty = "<em>(empty)</em>".to_string();
                let text = escape(&cut(piece, LENGTH));
                let text = if text.trim().is_empty() { empty } else { text };
                out += &format!("<blockquote tabindex=\"0\">{text}</blockquote>\n");
            }
            out += "</div>\n";
        }
        out += "</div></section>\n";
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
    fn without_samples_there_is_nothing() {
        let mut run = demo::run(&["ce"], 0..1, 2);
        run.records.iter_mut().for_each(|record| record.samples.clear());
        assert_eq!(html(&Study::new(&[run])), "");
    }
}
