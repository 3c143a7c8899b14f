use super::super::demo::assert_balanced;
use super::*;
use fortifai_collapse::check::run;
use fortifai_collapse::prediction::{Digits, Input};
use fortifai_collapse::{Entry, Guard, Kind, Outcome, Refusal};

const fn figure(log_y: bool, series: fn(&Plan) -> Vec<Series>) -> Figure {
    Figure {
        name: "shrinking",
        covers: &["X1"],
        title: "A <thing> shrinks & shrinks",
        caption: "Nothing is left in the end.",
        x: "generation",
        y: "size",
        log_y,
        replicates: 10,
        series,
    }
}

static LOG: Figure = figure(true, |_| series(0.5));
static LINEAR: Figure = figure(false, |_| series(0.5));
static HOSTILE: Figure = figure(true, |_| series(f64::NAN));
static EMPTY: Figure = figure(false, |_| Vec::new());

fn series(rate: f64) -> Vec<Series> {
    let at = |x: f64| (x, rate.powf(x));
    let points = (0..5).map(|x| Point {
        x: f64::from(x),
        mean: if x == 4 { 0.0 } else { at(f64::from(x)).1 },
        standard_error: 0.1,
    });
    let line = (0..50).map(|x| at(f64::from(x) / 10.0)).collect();
    vec![
        Series { label: "half <each>".into(), line, points: points.collect() },
        Series { label: "nothing".into(), line: vec![(0.0, f64::INFINITY)], points: Vec::new() },
    ]
}

static FAMILY: Family = Family {
    name: "Test & family",
    about: "Things <of> no importance.",
    entries: &[&[Entry {
        id: "X1",
        name: "half",
        formula: "x < 2 ? x/2",
        kind: Kind::Exact,
        source: "algebra",
        domain: "x >= 0",
        digits: Digits::Elementary,
        inputs: &[Input { name: "x", meaning: "a number", example: "3" }],
        value: |inputs| Ok::<_, Refusal>(inputs.number("x")? / 2.0),
    }]],
    guards: &[&[GUARD]],
    figures: &[&[figure(true, |_| series(0.5))]],
};

const GUARD: Guard = Guard {
    name: "halves",
    covers: &["X1"],
    about: "Halves.",
    replicates: 1,
    run: |_| vec![Outcome::deterministic("3/2", 1.5, 1.5, 1e-15).mistake("<2>", 2.0)],
};

static GUARDS: [Guard; 1] = [GUARD];

#[test]
fn pictures_are_sound_whatever_is_drawn() {
    for figure in [&LOG, &LINEAR, &HOSTILE, &EMPTY] {
        let drawn = draw(figure, &Plan { seed: 1, replicates: 10 });
        let text = drawn.svg.file("");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert_balanced(&text);
    }
    let drawn = draw(&LOG, &Plan { seed: 1, replicates: 10 });
    let text = drawn.svg.inline();
    // One line, four marks on the logarithmic scale (zero is none), one label.
    assert_eq!(text.matches("<polyline").count(), 1);
    assert_eq!(text.matches("class=\"hit\"").count(), 4);
    assert!(text.contains("half &lt;each&gt;"));
}

#[test]
fn pictures_stand_below_each_other_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.svg");
    let plan = Plan { seed: 1, replicates: 10 };
    write_svg(&[draw(&LOG, &plan), draw(&LINEAR, &plan)], &path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_balanced(&text);
    assert!(text.starts_with("<svg xmlns=") && text.matches("<svg").count() == 3);
    assert!(write_svg(&[], &folder.path().join("no/such.svg")).is_err());
}

#[test]
fn the_page_says_what_stands_and_why() {
    let plan = Plan { seed: 1, replicates: 10 };
    let report = run(&[&GUARDS[0]], 1, None, |_, _| ());
    let chapter = Chapter { family: &FAMILY, report, figures: vec![draw(&LOG, &plan)] };
    let page = page::page(&[chapter], 5);
    assert_balanced(&page);
    for part in [
        "Every test passed.",
        "x &lt; 2 ? x/2",
        "= 1.500 at x=3",
        "1 test passed",
        "&lt;2&gt;: noticed",
        "href=\"#Test___family\"",
        "Seed 5",
        "1 prediction · 1 test",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for part in ["NaN", "<script", "http://", "https://", "<of>"] {
        assert!(!page.contains(part), "{part}");
    }
}
