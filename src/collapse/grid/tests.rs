use super::*;
use crate::Stream;
use crate::collapse::record::{GenerationRecord, Outcome};
use crate::measure::onset::Onset;
use crate::report::RunView;
use statrs::distribution::{Continuous, ContinuousCDF, Normal};
use std::collections::BTreeMap;

const STUDY: &str = r#"
name = "a study"
[settings]
generations = 4
[onset]
metric = "facts_accuracy"
below = 0.75
[[part]]
protocols = ["replace", "mix:0.5"]
losses = ["ce", "tce:0.9", "random-mask@kept=tce:0.9"]
seeds = 3
[[part]]
protocols = ["replace"]
losses = ["ce", "focal:2"]
seeds = [2, 9]
[[contrast]]
name = "TCE delays collapse"
arm = "tce:0.9"
against = "ce"
protocol = "replace"
measure = "onset"
[[contrast]]
name = "TCE ends lower"
arm = "tce:0.9"
against = "ce"
protocol = "replace"
measure = "heldout_nats"
"#;

#[test]
fn a_grid_is_cut_into_cells_by_seed_and_protocol() {
    let grid = Grid::parse(STUDY, "The test").unwrap();
    let places: Vec<(String, u64, usize)> = (grid.cells.iter())
        .map(|cell| {
            let config = &cell.config;
            (config.protocol.to_string(), config.seeds[0], config.losses.len())
        })
        .collect();
    let expected = [
        ("replace", 1, 3),
        ("mix:0.5", 1, 3),
        ("replace", 2, 4),
        ("mix:0.5", 2, 3),
        ("replace", 3, 3),
        ("mix:0.5", 3, 3),
        ("replace", 9, 2),
    ];
    assert_eq!(places, expected.map(|(protocol, seed, losses)| (protocol.into(), seed, losses)));
    assert!(grid.cells.iter().all(|cell| cell.config.generations == 4));
}

#[test]
fn a_cells_name_depends_on_its_numbers_alone() {
    let grid = Grid::parse(STUDY, "The test").unwrap();
    let again = STUDY.replace("a study", "another name").replace("TCE ends lower", "x");
    let again = Grid::parse(&again, "The test").unwrap();
    let names = |grid: &Grid| grid.cells.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&grid), names(&again));
    let other = Grid::parse(&STUDY.replace("generations = 4", "generations = 5"), "x").unwrap();
    assert!(names(&grid).iter().all(|name| !names(&other).contains(name)));
}

#[test]
fn nonsense_is_refused_by_name() {
    for (from, to, words) in [
        ("generations = 4", "generatoins = 4", "generatoins"),
        ("generations = 4", "seeds = 4", "belongs into a [[part]]"),
        ("seeds = 3", "seeds = 0", "no seeds"),
        ("seeds = [2, 9]", "seeds = [2, 9]\nsettings.generations = 7", "different settings"),
        ("seeds = 3", "seeds = [\"a\"]", "seeds must be how many"),
        ("\"tce:0.9\", \"random", "\"random", "name tce:0.9 among the losses"),
        ("against = \"ce\"", "against = \"linear:1\"", "no part has both"),
        (
            "protocol = \"replace\"\nmeasure = \"onset\"",
            "protocol = \"fractions\"\nmeasure = \"onset\"",
            "fractions",
        ),
        ("measure = \"heldout_nats\"", "measure = \"luck\"", "luck"),
        ("below = 0.75", "", "one finite number"),
        ("metric = \"facts_accuracy\"", "metric = \"fun\"", "fun"),
        ("[[part]]", "[[parts]]", "parts"),
    ] {
        let text = STUDY.replace(from, to);
        assert_ne!(text, STUDY, "{from}");
        let sentence = Grid::parse(&text, "The test").unwrap_err().to_string();
        assert!(sentence.contains(words), "{words:?} is not in {sentence:?}");
    }
    let one = STUDY.split("[[contrast]]").nth(1).unwrap();
    let many = format!("{STUDY}{}", format!("[[contrast]]{one}").repeat(3));
    assert!(Grid::parse(&many, "x").unwrap_err().to_string().contains("at most 4"));
}

fn record(loss: &str, seed: u64, generation: usize, facts: f64, nats: f64) -> GenerationRecord {
    GenerationRecord {
        loss: loss.into(),
        seed,
        generation,
        outcome: Outcome::Finished,
        metrics: BTreeMap::from_iter([
            ("facts_accuracy".to_owned(), facts),
            ("heldout_nats".to_owned(), nats),
            ("synthetic_tokens_cumulative".to_owned(), 100.0 * generation as f64),
        ]),
        p_histogram_real: Vec::new(),
        p_histogram_synthetic: Vec::new(),
        training: Vec::new(),
        samples: Vec::new(),
        readings: Vec::new(),
    }
}

#[test]
fn contrasts_are_paired_by_seed_and_tell_what_is_censored() {
    let grid = Grid::parse(STUDY, "The test").unwrap();
    let mut views = vec![RunView::default(); grid.cells.len()];
    for (cell, view) in grid.cells.iter().zip(&mut views) {
        let seed = cell.config.seeds[0];
        if cell.config.protocol != Protocol::Replace || seed > 3 {
            continue;
        }
        // ce falls below 75 % at generation 1, tce:0.9 at 2, for seed 3 never.
        for (loss, facts) in [
            ("ce", [1.0, 0.75, 0.5, 0.25]),
            ("tce:0.9", if seed == 3 { [1.0; 4] } else { [1.0, 1.0, 0.75, 0.5] }),
        ] {
            for (generation, facts) in facts.into_iter().enumerate() {
                let nats = if loss == "ce" { 2.0 } else { 1.0 };
                view.records.push(record(loss, seed, generation, facts, nats));
            }
        }
    }
    let chains = chains_of(&grid, &views);
    let rule = grid.onset.as_ref().unwrap();
    assert_eq!(onset(&chains[0], rule, Axis::Generations), Some(Onset::At(1.0)));
    assert_eq!(onset(&chains[0], rule, Axis::Tokens), Some(Onset::At(100.0)));
    let answers = answers(&grid, &chains);
    let first = &answers[0];
    let ratio = first.log_ratio.unwrap().map(f64::exp);
    // Ratios 2, 2 and at least 3: the geometric mean is ∛12.
    assert!((ratio.mean - 12f64.cbrt()).abs() < 1e-12);
    assert_eq!((ratio.n, first.censored), (3, 1));
    assert_eq!(first.silence(), None);
    // Half in every pair: no spread, and so nothing on other seeds.
    let second = answers[1].log_ratio.unwrap().map(f64::exp);
    assert!((second.mean - 0.5).abs() < 1e-15);
    assert_eq!((second.interval, answers[1].adjusted_p, answers[1].detectable), (None, None, None));
    assert!(answers[1].silence().unwrap().starts_with("the same in all 3 pairs"));
    let csv = contrasts_csv(&answers);
    assert_eq!(csv.lines().count(), 3);
    assert!(csv.contains("TCE ends lower,tce:0.9,ce,replace,heldout_nats,3,0.5"), "{csv}");
    assert!(onsets_csv(&grid, &chains).contains("replace,tce:0.9,3,3,300,right"));
}

#[test]
fn where_nobody_fails_there_is_nothing_to_compare() {
    let grid = Grid::parse(STUDY, "The test").unwrap();
    let mut views = vec![RunView::default(); grid.cells.len()];
    for (cell, view) in grid.cells.iter().zip(&mut views) {
        for loss in ["ce", "tce:0.9"] {
            for generation in 0..cell.config.generations {
                view.records.push(record(loss, cell.config.seeds[0], generation, 1.0, 1.0));
            }
        }
    }
    let answers = answers(&grid, &chains_of(&grid, &views));
    let of = answers[0].log_ratio.unwrap();
    assert_eq!((of.mean, of.interval, answers[0].adjusted_p), (0.0, None, None));
    let why = answers[0].silence().unwrap();
    assert!(why.starts_with("no chain failed within the run"), "{why}");
}

#[test]
fn what_fails_at_once_or_diverges_is_counted_and_said() {
    let grid = Grid::parse(STUDY, "The test").unwrap();
    let mut views = vec![RunView::default(); grid.cells.len()];
    for (cell, view) in grid.cells.iter().zip(&mut views) {
        let seed = cell.config.seeds[0];
        if cell.config.protocol != Protocol::Replace || seed > 3 {
            continue;
        }
        // ce falls below 75 % after a tenth of a generation; tce:0.9 at generation 2, for seed 2 by
        // diverging there, for seed 3 by diverging at once.
        for generation in 0..4 {
            let facts = if generation == 0 { 0.76 } else { 0.66 };
            view.records.push(record("ce", seed, generation, facts, 1.0));
            let facts = if generation < 2 { 1.0 } else { 0.5 };
            let mut other = record("tce:0.9", seed, generation, facts, 2.0 + seed as f64);
            let end = [4, 2, 0][seed as usize - 1];
            if generation >= end {
                other.outcome = Outcome::Diverged;
                other.metrics.remove("facts_accuracy");
                other.metrics.remove("heldout_nats");
            }
            if generation <= end {
                view.records.push(other);
            }
        }
    }
    let chains = chains_of(&grid, &views);
    let rule = grid.onset.as_ref().unwrap();
    let of = |seed, axis| {
        let found = |chain: &&ChainOf| chain.seed == seed && chain.arm.to_string() == "tce:0.9";
        onset(chains.iter().find(found).unwrap(), rule, axis).unwrap()
    };
    assert_eq!(of(2, Axis::Generations), Onset::At(2.0));
    assert_eq!(of(2, Axis::Tokens), Onset::At(200.0));
    assert_eq!(of(3, Axis::Generations), Onset::Left(0.0));
    let answers = answers(&grid, &chains);
    // ce counts with half a generation in all three pairs, as does the chain that diverged at once.
    assert_eq!((answers[0].floored, answers[0].censored), (4, 0));
    let planned = answers[0].log_ratio.unwrap().n + answers[0].left_out;
    // At the last generation two of the three have no value any more.
    assert_eq!(answers[1].log_ratio.unwrap().n, 1);
    assert_eq!(answers[1].left_out, planned - 1);
    let csv = contrasts_csv(&answers);
    let width = |line: &str| line.split(',').count();
    assert!(csv.lines().all(|line| width(line) == width(csv.lines().next().unwrap())), "{csv}");
}

/// Chains whose facts decline in a straight line, so that they fail after a log-normal time: all of a
/// sweep through onset, pairing and interval. Says how many of the intervals hold the true ratio of the
/// times to failure up to the last generation, and how many chains never failed.
fn covered(sweeps: u64, centre: f64) -> (f64, f64) {
    const SEEDS: u64 = 8;
    const SPREAD: f64 = 0.15;
    const RATIO: f64 = 1.25;
    const LAST: usize = 7;
    let losses = "losses = [\"ce\", \"tce:0.9\"]\nseeds = 8";
    let text = format!(
        "name = \"x\"\n[settings]\ngenerations = 8\n[onset]\nmetric = \"facts_accuracy\"\nbelow = 0.85\n\
         [[part]]\nprotocols = [\"replace\"]\n{losses}\n[[contrast]]\nname = \"r\"\narm = \"tce:0.9\"\n\
         against = \"ce\"\nprotocol = \"replace\"\nmeasure = \"onset\"\n"
    );
    let grid = Grid::parse(&text, "The test").unwrap();
    // E min(X, c) for a normal X, the time's logarithm, and the logarithm c of the last generation.
    let (sd, end) = (SPREAD * 2f64.sqrt(), (LAST as f64).ln());
    let restricted = |mean: f64| {
        let z = (end - mean) / sd;
        let normal = Normal::new(0.0, 1.0).unwrap();
        mean * normal.cdf(z) + end * (1.0 - normal.cdf(z)) - sd * normal.pdf(z)
    };
    let truth = restricted(centre + RATIO.ln()) - restricted(centre);
    let (mut held, mut censored) = (0, 0);
    for sweep in 0..sweeps {
        let mut views = vec![RunView::default(); grid.cells.len()];
        for (cell, view) in grid.cells.iter().zip(&mut views) {
            let seed = cell.config.seeds[0];
            let mut stream = Stream::new(sweep, "coverage", seed, centre.to_bits());
            let shared = SPREAD * stream.normal();
            for (loss, centre) in [("ce", centre), ("tce:0.9", centre + RATIO.ln())] {
                let time = (centre + shared + SPREAD * stream.normal()).exp();
                for g in 0..=LAST {
                    view.records.push(record(loss, seed, g, 1.0 - 0.15 * g as f64 / time, 1.0));
                }
            }
        }
        let answer = answers(&grid, &chains_of(&grid, &views)).remove(0);
        let (low, high) = answer.log_ratio.unwrap().interval.unwrap();
        held += u64::from((low..=high).contains(&truth));
        censored += answer.censored;
    }
    let chains = (2 * SEEDS * sweeps) as f64;
    (held as f64 / sweeps as f64, censored as f64 / chains)
}

/// The rate is known, and so is how often an interval should hold it: 2,000 sweeps of eight seeds with
/// `EXTENSIVE=1` must lie within three standard errors of 95 %.
#[test]
fn intervals_of_onset_ratios_hold_the_truth_as_often_as_they_say() {
    let extensive = std::env::var_os("EXTENSIVE").is_some_and(|value| value != "0");
    let (sweeps, low, high) = if extensive { (2000, 0.935, 0.965) } else { (200, 0.90, 0.99) };
    for (name, centre) in [("all fail", 3f64.ln()), ("some never fail", 5.5f64.ln())] {
        let (share, censored) = covered(sweeps, centre);
        println!(
            "{name}: {sweeps} sweeps of 8 seeds, {:.1} % of the chains never failed, the 95 % interval \
             held the true ratio in {:.1} %",
            100.0 * censored,
            100.0 * share
        );
        assert!((low..=high).contains(&share), "{name}: {share}");
    }
}
