//! The catalogue as a whole: nothing twice, nothing unguarded, and no more false alarms than said.

use fortifai_collapse::check::{FAMILY_LEVEL, room_for_tests, run};
use fortifai_collapse::{FAMILIES, Guard, Kind, Plan, catalogue};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn every_example_is_predicted() {
    for entry in catalogue::entries() {
        let prediction = entry.predict(&entry.example());
        let prediction = prediction.unwrap_or_else(|said| panic!("{} {said}", entry.id));
        assert!(prediction.value.is_finite(), "{prediction}");
    }
}

#[test]
fn every_entry_says_what_it_is() {
    for entry in catalogue::entries() {
        let texts = [entry.id, entry.name, entry.formula, entry.source, entry.domain];
        assert!(texts.iter().all(|text| !text.trim().is_empty()), "{} {}", entry.id, entry.formula);
        let names: BTreeSet<&str> = entry.inputs.iter().map(|input| input.name).collect();
        assert_eq!(names.len(), entry.inputs.len(), "{} {}", entry.id, entry.formula);
        assert!(names.iter().all(|name| !name.contains('=')), "{} {}", entry.id, entry.formula);
    }
}

#[test]
fn id_and_formula_name_one_entry() {
    let mut seen = BTreeSet::new();
    for entry in catalogue::entries() {
        assert!(seen.insert((entry.id, entry.formula)), "{} {} twice", entry.id, entry.formula);
    }
}

#[test]
fn families_guards_and_figures_have_names_of_their_own() {
    let unique = |what: &str, names: Vec<&str>| {
        let mut seen = BTreeSet::new();
        names.into_iter().for_each(|name| assert!(seen.insert(name), "the {what} {name} twice"));
    };
    unique("family", FAMILIES.iter().map(|family| family.name).collect());
    unique("guard", catalogue::guards().map(|guard| guard.name).collect());
    unique("figure", catalogue::figures().map(|figure| figure.name).collect());
}

#[test]
fn what_is_guarded_or_drawn_is_an_entry() {
    let ids: BTreeSet<&str> = catalogue::entries().map(|entry| entry.id).collect();
    let guards = catalogue::guards().map(|guard| (guard.name, guard.covers));
    for (name, covers) in guards.chain(catalogue::figures().map(|f| (f.name, f.covers))) {
        assert!(!covers.is_empty(), "{name} covers nothing");
        covers.iter().for_each(|id| assert!(ids.contains(id), "{name} covers {id}, no entry"));
    }
}

#[test]
fn everything_exact_is_guarded() {
    let covered: BTreeSet<&str> = catalogue::guards().flat_map(|g| g.covers).copied().collect();
    let exact = catalogue::entries().filter(|entry| entry.kind == Kind::Exact);
    let bare: BTreeSet<&str> = exact.map(|e| e.id).filter(|id| !covered.contains(id)).collect();
    assert!(bare.is_empty(), "no guard covers {bare:?}");
}

#[test]
fn every_prediction_stands_every_mistake_is_noticed_and_the_levels_add_up() {
    let guards: Vec<&'static Guard> = catalogue::guards().collect();
    let report = run(&guards, 1, None, |_, _| ());
    let mut mistakes: BTreeMap<&str, usize> = BTreeMap::new();
    for check in &report.checks {
        let outcome = &check.outcome;
        assert!(outcome.passed, "{}: {outcome:?}", check.guard);
        assert!(check.powerful, "{} misses a mistake: {outcome:?}", check.guard);
        *mistakes.entry(check.guard).or_default() += outcome.mistakes.len();
    }
    for guard in guards {
        assert!(mistakes.get(guard.name) >= Some(&2), "{}: fewer than two mistakes", guard.name);
    }
    assert!(report.passed);
    let random = report.checks.iter().filter(|check| check.outcome.false_alarm > 0.0).count();
    assert!(random <= room_for_tests(), "{random} statistical tests");
    assert!(report.family_false_alarm <= FAMILY_LEVEL, "{}", report.family_false_alarm);
}

#[test]
fn figures_have_a_line_and_points_near_it() {
    for figure in catalogue::figures() {
        let series = (figure.series)(&Plan { seed: 1, replicates: figure.replicates });
        assert!(!series.is_empty(), "{}", figure.name);
        for series in series {
            let values = series.line.iter().map(|place| place.1);
            let finite = values.chain(series.points.iter().map(|point| point.mean));
            assert!(finite.clone().count() > 0, "{}: {} is empty", figure.name, series.label);
            assert!(finite.into_iter().all(f64::is_finite), "{}: {}", figure.name, series.label);
        }
    }
}
