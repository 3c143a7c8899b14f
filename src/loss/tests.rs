//! Tests of the room above.

use super::*;

#[test]
fn names_round_trip() {
    for name in [
        "ce",
        "tce:0.9",
        "focal:2",
        "focal-detached:2",
        "linear:0.5",
        "drop-low:0.1",
        "clipped-focal:2,0.99",
        "random-mask:0.25",
        "tce-dynamic:-0.5",
    ] {
        assert_eq!(name.parse::<Loss>().unwrap().to_string(), name);
    }
}

#[test]
fn bad_names_say_what_would_do() {
    for (name, part) in [
        ("cee", "Unknown loss"),
        ("tce", "1 parameter"),
        ("tce:1.5", "outside [0, 1]"),
        ("tce:NaN", "outside [0, 1]"),
        ("tce:x", "not a number"),
        ("focal:-1", "outside"),
    ] {
        let message = name.parse::<Loss>().unwrap_err().to_string();
        assert!(message.contains(part), "{name}: {message}");
    }
}

#[test]
fn edges_of_the_family() {
    let row = |p: f64| RowStats { p, q: 1.0 - p, nll: -p.ln(), uniform_nll: 0.0, kept: true };
    let zero = RowLoss { f: 0.0, a: 0.0, b: 0.0 };
    assert_eq!(Rule::Tce(0.0).row(row(0.0)), zero);
    assert_eq!(Rule::Tce(0.5).row(row(0.5)).a, 1.0);
    assert_eq!(Rule::DropLow(0.5).row(row(0.5)).a, 1.0);
    assert_eq!(Rule::Focal(2.0).row(row(1.0)), zero);
    assert_eq!(Rule::Focal(0.5).row(row(1.0)), zero);
    assert!(matches!(Loss::Tce { gamma: 1.0 }.rule(1.0), Rule::Ce));
    assert!(matches!(Loss::Focal { gamma: 0.0 }.rule(1.0), Rule::Ce));
    // g(0.9) = 0.0290 with the gradient through the factor, 0.0100 detached.
    let focal = Rule::Focal(2.0).row(row(0.9)).a;
    assert!((focal - (0.01 + 0.18 * -(0.9f64.ln()))).abs() <= 1e-15, "{focal}");
}
