use super::*;
use std::path::Path;

fn below(points: &[(f64, f64)]) -> Onsets {
    onsets(points, 75.0, Failing::Below)
}

#[test]
fn a_value_at_the_threshold_has_not_failed() {
    let found = below(&[(0.0, 80.0), (16.0, 75.0), (48.0, 69.4)]);
    assert_eq!(found.first, Onset::At(16.0));
    assert_eq!(below(&[(0.0, 75.0), (1.0, 75.0)]).first, Onset::Right(1.0));
}

#[test]
fn what_lies_outside_the_points_is_censored() {
    assert_eq!(below(&[(2.0, 74.0), (3.0, 70.0)]).first, Onset::Left(2.0));
    assert_eq!(below(&[(0.0, 80.0)]).last, Onset::Right(0.0));
}

#[test]
fn a_curve_that_recovers_has_a_first_and_a_last_crossing() {
    let found = below(&[(0.0, 77.0), (1.0, 73.0), (2.0, 77.0), (3.0, 73.0), (4.0, 77.0)]);
    assert_eq!((found.first, found.last), (Onset::At(0.5), Onset::At(2.5)));
    assert!(found.recovered);
    assert!(!below(&[(0.0, 77.0), (1.0, 73.0)]).recovered);
}

#[test]
fn above_is_the_mirror_of_below() {
    let points = [(0.0, 3.0), (1.0, 3.5), (2.0, 4.5), (3.0, 3.9)];
    let mirrored = points.map(|(x, y)| (x, -y));
    let above = onsets(&points, 4.0, Failing::Above);
    assert_eq!(above, onsets(&mirrored, -4.0, Failing::Below));
    assert_eq!(above.first, Onset::At(1.5));
}

#[test]
fn a_ratio_of_censored_onsets_is_a_bound_or_nothing() {
    use Onset::{At, Left, Right};
    assert_eq!(At(3.0).ratio(At(2.0)), Some(Ratio::Is(1.5)));
    assert_eq!(Right(3.0).ratio(At(2.0)), Some(Ratio::AtLeast(1.5)));
    assert_eq!(At(3.0).ratio(Right(2.0)), Some(Ratio::AtMost(1.5)));
    assert_eq!(Left(3.0).ratio(At(2.0)), Some(Ratio::AtMost(1.5)));
    assert_eq!(At(3.0).ratio(Left(2.0)), Some(Ratio::AtLeast(1.5)));
    assert_eq!(Right(3.0).ratio(Right(2.0)), None);
    assert_eq!(At(3.0).ratio(At(0.0)), None);
}

/// M tokens to fail, and the ratios to cross entropy in tokens and stages that are given where
/// they were computed, from the paper's tables 6–9.
const PUBLISHED: [(f64, Option<f64>, Option<f64>); 16] = [
    (38.1, Some(1.0), Some(1.0)),
    (91.4, Some(2.40), Some(1.72)),
    (90.7, Some(2.38), Some(1.71)),
    (68.1, Some(1.79), Some(1.43)),
    (14.4, Some(1.0), Some(1.0)),
    (15.5, Some(1.08), None),
    (100.6, Some(7.01), Some(3.42)),
    (17.8, Some(1.24), None),
    (15.2, Some(1.0), Some(1.0)),
    (47.4, Some(3.11), Some(2.08)),
    (13.1, Some(0.86), None),
    (16.0, Some(1.05), None),
    (44.3, Some(1.0), Some(1.0)),
    (100.7, Some(2.27), Some(1.63)),
    (116.1, Some(2.62), Some(1.76)),
    (135.2, Some(3.05), Some(1.92)),
];

#[test]
fn the_published_times_to_failure_come_out() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kr-split-0.csv");
    let first = |axis| {
        let (_, curves) = read(&table, Some(axis), &[]).unwrap();
        let firsts = curves.iter().map(|curve| below(&curve.points).first);
        firsts.collect::<Vec<Onset>>()
    };
    let (tokens, stages) = (first(Axis::Tokens), first(Axis::Generations));
    assert_eq!(tokens.len(), PUBLISHED.len());
    for (row, &(millions, in_tokens, in_stages)) in PUBLISHED.iter().enumerate() {
        let Onset::At(onset) = tokens[row] else { panic!("row {row}: {:?}", tokens[row]) };
        assert!((onset / 1e6 - millions).abs() <= 0.0501, "row {row}: {onset}");
        let entropy = row / 4 * 4;
        for (onsets, published) in [(&tokens, in_tokens), (&stages, in_stages)] {
            let Some(Ratio::Is(ratio)) = onsets[row].ratio(onsets[entropy]) else {
                panic!("{row}")
            };
            assert!(
                published.is_none_or(|number| (ratio - number).abs() <= 0.00501),
                "{row}: {ratio}"
            );
        }
    }
}

fn table(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn a_long_table_has_a_curve_per_run_and_the_tokens_of_each() {
    let (_folder, path) = table(
        "run,seed,generation,metric,value\n\
         a,1,0,retention,80\na,1,0,tokens,0\na,1,1,retention,70\na,1,1,tokens,500\n\
         a,2,0,retention,80\na,2,0,tokens,0\na,2,0,loss,nan\na,2,1,retention,72\na,2,1,tokens,600\n",
    );
    let wanted = ["retention".to_owned()];
    let (axis, curves) = read(&path, None, &wanted).unwrap();
    assert_eq!(axis, Axis::Tokens);
    assert_eq!(curves[1].name, "a · 2 · retention");
    assert_eq!(curves[1].points, [(0.0, 80.0), (600.0, 72.0)]);
    let (_, curves) = read(&path, Some(Axis::Generations), &wanted).unwrap();
    assert_eq!(curves[0].points, [(0.0, 80.0), (1.0, 70.0)]);
    let said = read(&path, None, &[]).unwrap_err().to_string();
    assert!(said.contains("--measure among loss, retention"), "{said}");
}

#[test]
fn nonsense_is_refused_with_a_sentence() {
    for (text, part) in [
        ("", "has no rows"),
        ("generation,CE\n", "has no rows"),
        ("generation,CE\n1,80\n0,70\n", "from 1 back to 0"),
        ("generation,CE\n0,80\n0,70\n", "from 0 back to 0"),
        ("generation,CE,TCE\n0,80,81\n1,70\n", "is no table"),
        ("generation,CE\n0,80\n1,\n", "an empty cell in line 3, column \"CE\""),
        ("generation,CE\n0,80\n1,many\n", "many in line 3"),
        ("generation,CE\n0,80\n1,nan\n", "nan in line 3"),
        ("step,CE\n0,80\n1,70\n", "has no axis of generations"),
        ("generation,CE,CE\n0,80,1\n1,70,1\n", "two columns \"CE\""),
        ("generation,tokens\n0,80\n1,90\n", "no measure besides"),
    ] {
        let (_folder, path) = table(text);
        let said = read(&path, None, &[]).unwrap_err().to_string();
        assert!(said.contains(part), "{text:?}: {part:?} is not in {said:?}");
        assert!(said.contains("table.csv") && said.ends_with('.'), "{said}");
    }
    let (_folder, path) = table("generation,CE\n0,80\n1,70\n");
    let said = read(&path, None, &["TCE".into()]).unwrap_err().to_string();
    assert!(said.contains("no measure \"TCE\"; it has CE"), "{said}");
    let said = read(&path, Some(Axis::Tokens), &[]).unwrap_err().to_string();
    assert!(said.contains("no axis of tokens"), "{said}");
}
