//! Tests of the room above, for every guard of this and the neighbouring families.

use crate::catalogue::Family;
use crate::check::Plan;

/// Runs every guard of a family: all comparisons hold, every guard has at least two planted
/// mistakes, and all of those are rejected.
pub(crate) fn stand(family: &Family, seed: u64) {
    let mut failed = vec![];
    for guard in family.guards.iter().copied().flatten() {
        let outcomes = (guard.run)(&Plan { seed, replicates: guard.replicates });
        let planted: usize = outcomes.iter().map(|outcome| outcome.mistakes.len()).sum();
        assert!(planted >= 2, "{} has {planted} planted mistakes", guard.name);
        failed.extend(outcomes.into_iter().filter(|outcome| {
            !outcome.passed || outcome.mistakes.iter().any(|mistake| !mistake.rejected)
        }));
    }
    assert!(failed.is_empty(), "seed {seed}: {failed:#?}");
}

#[test]
fn the_guards_of_the_categorical_sections_stand() {
    stand(&crate::categorical::FAMILY, 20_250_902);
}

#[test]
fn the_guards_of_the_ngram_sections_stand() {
    stand(&crate::ngram::FAMILY, 20_250_902);
}

#[test]
fn the_guards_of_the_metrics_of_laws_stand() {
    stand(&crate::metrics::FAMILY, 20_250_902);
}

#[test]
fn the_guards_stand_for_other_seeds() {
    // `EXTENSIVE=1` runs ten more seeds.
    if std::env::var_os("EXTENSIVE").is_none() {
        eprintln!("SKIPPED: EXTENSIVE is not set, one seed only");
        return;
    }
    for seed in 1..=10 {
        for family in [crate::categorical::FAMILY, crate::ngram::FAMILY, crate::metrics::FAMILY] {
            stand(&family, seed);
        }
    }
}

#[test]
fn every_point_of_every_figure_lies_on_its_line() {
    // Points are a few standard errors from their line; a fixed seed, 8 of them at most.
    for family in [crate::categorical::FAMILY, crate::ngram::FAMILY, crate::metrics::FAMILY] {
        for figure in family.figures.iter().copied().flatten() {
            let plan = Plan { seed: 20_250_902, replicates: figure.replicates };
            for series in (figure.series)(&plan) {
                for point in &series.points {
                    let on = series.line.iter().find(|(x, _)| *x == point.x);
                    let (_, line) = *on.unwrap_or_else(|| panic!("{}: no line", figure.name));
                    let off = (point.mean - line).abs();
                    // One per cent where the prediction is a limit.
                    let limit = 8.0 * point.standard_error + 0.01 * line;
                    assert!(off <= limit, "{}, {}: {point:?}, {line}", figure.name, series.label);
                }
            }
        }
    }
}
