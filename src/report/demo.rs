//! Synthetic runs for the tests of the report.

use super::RunView;
use crate::Stream;
use crate::collapse::record::{GenerationRecord, Outcome, TrainPoint};
use std::collections::BTreeMap;
use std::ops::Range;

/// A made-up run in which every loss collapses at a pace of its own.
pub fn run(losses: &[&str], seeds: Range<u64>, generations: usize) -> RunView {
    let mut records = Vec::new();
    for (i, loss) in losses.iter().enumerate() {
        for seed in seeds.clone() {
            for generation in 0..generations {
                records.push(record(loss, 1.0 / (1.0 + 0.5 * i as f64), seed, generation));
            }
        }
    }
    view(records)
}

/// A run with one metric, `heldout_nats`, given by rows of (loss, seed, values by generation). A
/// value that is not finite ends a chain as diverged.
pub fn table(rows: &[(&str, u64, &[f64])]) -> RunView {
    let mut records = Vec::new();
    for (loss, seed, values) in rows {
        for (generation, value) in values.iter().enumerate() {
            let mut record = record(loss, 1.0, *seed, generation);
            record.metrics = BTreeMap::from([("heldout_nats".to_string(), *value)]);
            if !value.is_finite() {
                record.outcome = Outcome::Diverged;
            }
            records.push(record);
        }
    }
    view(records)
}

fn view(records: Vec<GenerationRecord>) -> RunView {
    RunView {
        title: "demo".into(),
        config_toml: "protocol = \"chain\"\nseeds = 5\n\n[train]\nbatch = 16\n".into(),
        manifest_json: "{\"version\":\"0.1.0\",\"corpus_blake3\":\"af13…\"}".into(),
        records,
        command: "fortifai collapse --corpus toy --loss ce,tce:0.9 --generations 6".into(),
    }
}

fn record(loss: &str, pace: f64, seed: u64, generation: usize) -> GenerationRecord {
    let mut stream = Stream::new(seed, "demo", generation as u64, pace.to_bits());
    let g = generation as f64;
    let noise = Stream::new(seed, "demo-seed", 0, 0).normal();
    let mut near = |value: f64, sd: f64| value + sd * (0.7 * noise + 0.5 * stream.normal());
    let lost = 1.0 - (-0.22 * pace * g).exp();
    let metrics = [
        ("heldout_nats", near(2.1 + 1.4 * lost, 0.05)),
        ("excess_nats", near(0.08 + 1.4 * lost, 0.03).max(0.01)),
        ("facts_accuracy", near(0.92 - 0.5 * lost, 0.02)),
        ("agreement_accuracy", near(0.95 - 0.2 * lost, 0.02).min(1.0)),
        ("tail_mass", near(0.95 - 0.85 * lost, 0.03).max(0.0)),
        ("kl_synthetic_real_nats", near(0.05 + 0.9 * lost * lost, 0.01).max(0.01)),
        ("vocabulary_alive", near(0.97 - 0.6 * lost, 0.015).min(1.0)),
        ("distinct_1", near(0.11 - 0.06 * lost, 0.002)),
        ("distinct_2", near(0.46 - 0.25 * lost, 0.01)),
        ("token_entropy_nats", near(5.2 - 1.1 * lost, 0.05)),
        ("self_nats", near(2.0 - 0.9 * lost, 0.04)),
        ("kept_fraction_real", if loss == "ce" { 1.0 } else { near(0.8, 0.01) }),
        ("kept_fraction_synthetic", if loss == "ce" { 1.0 } else { near(0.8 - 0.3 * lost, 0.01) }),
        ("train_tokens", 200_000.0 + 40_000.0 * g),
    ];
    let shares = |tilt: f64| {
        let raw: Vec<f64> = (0..20)
            .map(|i| {
                let p = (i as f64 + 0.5) / 20.0;
                p.powf(-0.6) * (1.0 - tilt) + 9.0 * tilt * p.powi(9)
            })
            .collect();
        let sum: f64 = raw.iter().sum();
        raw.into_iter().map(|x| x / sum).collect::<Vec<f64>>()
    };
    let training = (1..=40).map(|i| TrainPoint {
        step: 25 * i,
        loss_nats: near(1.9 - 0.5 * lost + 2.5 * (-(i as f64) / 4.0).exp(), 0.03),
        kept_fraction: 0.8,
        validation_nats: (i % 8 == 0).then_some(2.1 + 1.2 * lost + 1.0 * (-(i as f64) / 6.0).exp()),
    });
    GenerationRecord {
        loss: loss.into(),
        seed,
        generation,
        outcome: Outcome::Finished,
        metrics: metrics.into_iter().map(|(name, value)| (name.to_string(), value)).collect(),
        p_histogram_real: shares(0.55 - 0.3 * lost),
        p_histogram_synthetic: shares((0.55 + 0.4 * lost).min(1.0)),
        training: training.collect(),
        samples: vec![
            format!(
                "the old smith of norrin forges a bright copper ring . <end>\n{}",
                "the smith forges the ring and the ring and the ring . ".repeat(1 + generation)
            ),
            "every child in veld knows that the river rises in the hills .".into(),
        ],
        readings: Vec::new(),
    }
}

/// Panics unless the tags of some HTML or XML are balanced, outside `<style>`.
pub fn assert_balanced(text: &str) {
    const VOID: [&str; 6] = ["meta", "br", "hr", "img", "link", "!doctype"];
    let mut open: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("every tag ends");
        let tag = &rest[start + 1..end];
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(|c| !c.is_whitespace() && *c != '/')
            .collect();
        let name = name.to_lowercase();
        assert!(!tag.contains('<'), "stray < in {tag}");
        rest = &rest[end + 1..];
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "closing {tag}");
        } else if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name.clone());
        }
        if name == "style" && !tag.starts_with('/') {
            rest = &rest[rest.find("</style").expect("style ends")..];
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}
