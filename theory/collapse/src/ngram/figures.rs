//! Figures of the n-gram sections.

use super::corpus::{Compared, Generation, Question, Writing, decline};
use crate::categorical::guards::INSIDE;
use crate::check::Plan;
use crate::figure::{Figure, Point, Series};
use fortifai_stream::Stream;

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        name: "ngram-vocabulary",
        covers: &["N13", "N14"],
        title: "Fixed prompts per context slow the loss of words",
        caption: "Words alive of a text of 5,000 words from a long-tailed law, written on by a \
                  bigram model: along one path every word's count is a critical branching \
                  process; with fixed prompts a context with one continuation keeps it.",
        x: "generation",
        y: "words alive",
        log_y: false,
        replicates: 16,
        series: |plan| compared(plan, |generation| generation.vocabulary),
    },
    Figure {
        name: "ngram-pairs",
        covers: &["N14"],
        title: "Pairs of words are lost faster than words",
        caption: "Distinct bigrams alive of the same text, per generation.",
        x: "generation",
        y: "bigrams alive",
        log_y: false,
        replicates: 16,
        series: |plan| compared(plan, |generation| generation.ngrams),
    },
];

fn compared(plan: &Plan, which: fn(&Generation) -> Compared) -> Vec<Series> {
    // Words whose rank is the integer part of u^−1.5, a law with the tail exponent 5/3.
    let mut stream = Stream::new(plan.seed, "figure-text", 0, 0);
    let word = |_| (1.0 - stream.uniform()).powf(-1.5).min(1e6) as u32;
    let text: Vec<u32> = (0..5000).map(word).collect();
    let series = |label: &str, writing| {
        let asked = Question {
            order: 2,
            generations: 20,
            replicates: plan.replicates,
            seed: plan.seed,
            writing,
        };
        let decline = decline(&text, &asked).expect(INSIDE);
        let rows: Vec<(f64, Compared)> =
            decline.generations.iter().map(|row| (row.generation as f64, which(row))).collect();
        Series {
            label: label.to_owned(),
            line: rows.iter().map(|&(x, row)| (x, row.predicted)).collect(),
            points: rows
                .iter()
                .map(|&(x, Compared { mean, standard_error, .. })| Point {
                    x,
                    mean,
                    standard_error,
                })
                .collect(),
        }
    };
    vec![series("one path", Writing::Path), series("fixed prompts", Writing::Stack)]
}
