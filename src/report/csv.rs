//! All numbers in long form, one row per metric.

use super::RunView;
use crate::collapse::record::Outcome;

/// The table with its header; fields are quoted as RFC 4180 asks.
pub fn table(runs: &[RunView]) -> String {
    let mut text = String::from("run,loss,seed,generation,metric,value\n");
    for run in runs {
        for record in &run.records {
            let head = format!(
                "{},{},{},{}",
                field(&run.title),
                field(&record.loss),
                record.seed,
                record.generation
            );
            let diverged = f64::from(u8::from(record.outcome == Outcome::Diverged));
            let metrics = record.metrics.iter().map(|(name, value)| (name.as_str(), *value));
            for (name, value) in metrics.chain([("diverged", diverged)]) {
                text += &format!("{head},{},{value}\n", field(name));
            }
        }
    }
    text
}

fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::demo;
    use super::*;

    /// A reader of RFC 4180, written for this test.
    fn parse(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell, mut quoted) = (vec![], vec![], String::new(), false);
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            match (quoted, c) {
                (true, '"') if characters.peek() == Some(&'"') => {
                    cell.push('"');
                    characters.next();
                }
                (_, '"') => quoted = !quoted,
                (false, ',') => row.push(std::mem::take(&mut cell)),
                (false, '\n') => {
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                _ => cell.push(c),
            }
        }
        assert!(!quoted && row.is_empty() && cell.is_empty());
        rows
    }

    #[test]
    fn every_number_reads_back_exactly() {
        let mut run = demo::run(&["ce", "clipped-focal:2,0.1"], 0..2, 3);
        run.title = "a \"quoted\"\ntitle, with comma".into();
        run.records[0].metrics.insert("odd".into(), f64::NAN);
        run.records[0].metrics.insert("large".into(), f64::NEG_INFINITY);
        let rows = parse(&table(&[run.clone()]));
        assert_eq!(rows[0], ["run", "loss", "seed", "generation", "metric", "value"]);
        let mut rows = rows[1..].iter();
        for record in &run.records {
            for (name, value) in &record.metrics {
                let row = rows.next().unwrap();
                let seed = record.seed.to_string();
                assert_eq!(row[..3], [run.title.clone(), record.loss.clone(), seed]);
                assert_eq!((&row[3], &row[4]), (&record.generation.to_string(), name));
                let read: f64 = row[5].parse().unwrap();
                assert!(read == *value || (read.is_nan() && value.is_nan()));
            }
            assert_eq!(rows.next().unwrap()[4..], ["diverged", "0"]);
        }
        assert!(rows.next().is_none());
    }
}
