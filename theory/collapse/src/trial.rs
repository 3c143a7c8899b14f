//! What the tests of every family ask of its tables.

use crate::check::{Guard, Plan};
use crate::figure::Figure;
use crate::inputs::Inputs;
use crate::prediction::Entry;
use crate::refusal::Refusal;
use fortifai_stream::Stream;

/// A formula, its inputs and its true value.
pub(crate) type Row<'a> = (&'a str, &'a [(&'a str, f64)], f64);

/// Every entry predicts a finite number at its example, and refuses an input of another name.
pub(crate) fn examples_are_predicted(tables: &[&[Entry]]) {
    for entry in tables.iter().copied().flatten() {
        let prediction = entry.predict(&entry.example()).expect(entry.formula);
        assert!(prediction.value.is_finite(), "{prediction}");
        assert!(entry.predict(&entry.example().with("no such input", 1.0)).is_err());
    }
    nothing_is_silent(tables);
}

/// Whatever is typed, every entry answers with a number or with a refusal.
fn nothing_is_silent(tables: &[&[Entry]]) {
    let words = [
        "0",
        "1",
        "2",
        "3",
        "7",
        "100",
        "9007199254740991",
        "0.5",
        "0.9",
        "-1",
        "1e-300",
        "1e-12",
        "1e12",
        "1e300",
        "word",
        "[2, 1]",
        "[1e-300, 1e300]",
    ];
    let mut stream = Stream::new(1, "inputs", 0, 0);
    for entry in tables.iter().copied().flatten() {
        for _ in 0..2_000 {
            let mut inputs = Inputs::default();
            for input in entry.inputs {
                // Half of them as in the example, so that the rest is reached.
                let typed = if stream.below(2) == 0 {
                    input.example
                } else {
                    words[stream.below(words.len())]
                };
                inputs.set(input.name, typed.parse().expect("a value"));
            }
            // Overflow is refused by the entry; a number that is none would be a mistake of ours.
            let value = (entry.value)(&inputs);
            assert!(!value.is_ok_and(f64::is_nan), "{} at {inputs}", entry.formula);
        }
    }
}

/// The prediction of the entry of that formula and exactly those inputs.
pub(crate) fn predict(
    tables: &[&[Entry]],
    formula: &str,
    pairs: &[(&str, f64)],
) -> Result<f64, Refusal> {
    let inputs = pairs.iter().fold(Inputs::default(), |all, &(name, value)| all.with(name, value));
    let named = |entry: &&Entry| {
        entry.formula == formula
            && entry.inputs.len() == pairs.len()
            && entry.inputs.iter().all(|input| inputs.get(input.name).is_some())
    };
    let entry = tables.iter().copied().flatten().find(named).expect(formula);
    entry.predict(&inputs).map(|prediction| prediction.value)
}

/// Every guard passes, and each of its comparisons rejects at least two planted mistakes. Set
/// `EXTENSIVE=1` for ten seeds.
pub(crate) fn guards_pass(guards: &[Guard]) {
    let seeds = if std::env::var_os("EXTENSIVE").is_some() { 10 } else { 1 };
    for guard in guards {
        let start = std::time::Instant::now();
        let mut weakest = f64::INFINITY;
        for seed in 1..=seeds {
            for outcome in (guard.run)(&Plan { seed, replicates: guard.replicates }) {
                if std::env::var_os("SHOW").is_some() {
                    eprintln!("{} {}: {:.3}", guard.name, outcome.name, outcome.z);
                    for mistake in &outcome.mistakes {
                        eprintln!("    {}: {:.2} of {}", mistake.name, mistake.z, outcome.limit);
                    }
                }
                let name = format!("{} (seed {seed})", guard.name);
                assert!(outcome.passed, "{name}: {outcome:?}");
                assert!(outcome.mistakes.len() >= 2, "{name}: {outcome:?}");
                for mistake in &outcome.mistakes {
                    weakest = weakest.min(mistake.z.abs() / outcome.limit);
                }
                let kept = outcome.mistakes.iter().find(|mistake| !mistake.rejected);
                assert!(kept.is_none(), "{name}: {kept:?} of {outcome:?}");
            }
        }
        let seconds = start.elapsed().as_secs_f64() / seeds as f64;
        eprintln!("{}: {seconds:.2} s, weakest mistake {weakest:.1} limits", guard.name);
    }
}

/// The bits of every guard at a small size are those of one thread.
pub(crate) fn guards_repeat(guards: &[Guard]) {
    let plan = Plan { seed: 5, replicates: 50 };
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    for guard in guards {
        let (many, alone) = ((guard.run)(&plan), one.install(|| (guard.run)(&plan)));
        assert_eq!(many, alone, "{}", guard.name);
    }
}

/// Every figure's points lie within 6.5 standard errors of the predicted line (interpolated), or
/// within the given share of it.
pub(crate) fn figures_agree(figures: &[Figure], share: f64) {
    for figure in figures {
        let start = std::time::Instant::now();
        let plan = Plan { seed: 7, replicates: figure.replicates };
        for series in (figure.series)(&plan) {
            for point in &series.points {
                let pair = series.line.windows(2).find(|pair| point.x <= pair[1].0 + 1e-9);
                let pair = pair.expect("the point lies on the line's axis");
                let weight = (point.x - pair[0].0) / (pair[1].0 - pair[0].0);
                let truth = pair[0].1 + weight * (pair[1].1 - pair[0].1);
                let slack = 6.5 * point.standard_error + share * truth.abs();
                let near = (point.mean - truth).abs() <= slack;
                assert!(near, "{} {}: {point:?} against {truth}", figure.name, series.label);
            }
        }
        eprintln!("{}: {:.2} s", figure.name, start.elapsed().as_secs_f64());
    }
}
