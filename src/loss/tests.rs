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

#[test]
fn a_rule_prints_its_name_and_its_parameter() {
    let custom: CustomRule = Arc::new(|row| RowLoss { f: row.nll, a: 1.0, b: 0.0 });
    for (rule, name) in [
        (Rule::Ce, "Ce"),
        (Rule::Tce(0.5), "Tce(0.5)"),
        (Rule::Focal(2.0), "Focal(2)"),
        (Rule::FocalDetached(1.5), "FocalDetached(1.5)"),
        (Rule::Linear(0.25), "Linear(0.25)"),
        (Rule::DropLow(0.1), "DropLow(0.1)"),
        (Rule::Masked, "Masked"),
        (Rule::Smoothed(0.1), "Smoothed(0.1)"),
        (Rule::Custom(custom), "Custom"),
    ] {
        assert_eq!(format!("{rule:?}"), name);
    }
}

#[test]
fn every_loss_has_its_rule() {
    // 1 − clip^(1/γ) with γ = 2 and clip = 0.25 is one half.
    for (name, rule) in [
        ("ce", "Ce"),
        ("tce:0.9", "Tce(0.9)"),
        ("tce:1", "Ce"),
        ("tce:0", "Tce(0)"),
        ("focal:0", "Ce"),
        ("focal:2", "Focal(2)"),
        ("focal-detached:0", "Ce"),
        ("focal-detached:3", "FocalDetached(3)"),
        ("linear:0.5", "Linear(0.5)"),
        ("drop-low:0.125", "DropLow(0.125)"),
        ("clipped-focal:2,0.25", "DropLow(0.5)"),
        ("random-mask:0.25", "Masked"),
        ("tce-dynamic:-0.5", "Tce(0.75)"),
    ] {
        assert_eq!(format!("{:?}", name.parse::<Loss>().unwrap().rule(0.75)), rule, "{name}");
    }
    let dynamic = Loss::TceDynamic { alpha: 1.0 };
    assert!(matches!(dynamic.rule(1.5), Rule::Tce(1.0)));
    assert!(matches!(dynamic.rule(-0.5), Rule::Tce(0.0)));
}

#[test]
fn only_the_rules_that_read_it_ask_for_the_uniform_loss() {
    let custom: CustomRule = Arc::new(|row| RowLoss { f: row.uniform_nll, a: 0.0, b: 1.0 });
    assert!(Rule::Smoothed(0.1).needs_uniform() && Rule::Custom(custom).needs_uniform());
    for rule in [Rule::Ce, Rule::Tce(0.5), Rule::Focal(2.0), Rule::DropLow(0.5), Rule::Masked] {
        assert!(!rule.needs_uniform(), "{rule:?}");
    }
}

#[test]
fn focal_zero_is_cross_entropy_however_small_the_complement() {
    // The general formula would divide by q and multiply infinity by zero.
    let row = RowStats { p: 1.0, q: 1e-310, nll: 1e-310, uniform_nll: 0.0, kept: true };
    assert_eq!(Rule::Focal(0.0).row(row), RowLoss { f: 1e-310, a: 1.0, b: 0.0 });
}

#[test]
fn no_loss_hides_a_row_without_a_probability() {
    let nan = f64::NAN;
    let row = RowStats { p: nan, q: nan, nll: nan, uniform_nll: nan, kept: true };
    for rule in [
        Rule::Ce,
        Rule::Tce(0.9),
        Rule::Tce(1.0),
        Rule::Focal(2.0),
        Rule::FocalDetached(2.0),
        Rule::Linear(1.0),
        Rule::DropLow(0.1),
        Rule::Masked,
        Rule::Smoothed(0.1),
    ] {
        assert!(rule.row(row).f.is_nan(), "{rule:?}");
    }
}

#[test]
fn a_loss_survives_json() {
    for name in ["ce", "tce:0.9", "clipped-focal:2,0.99"] {
        let loss: Loss = name.parse().unwrap();
        let json = serde_json::to_string(&loss).unwrap();
        assert_eq!(json, format!("{name:?}"));
        assert_eq!(serde_json::from_str::<Loss>(&json).unwrap(), loss);
    }
}

#[test]
fn parameters_may_stand_on_the_ends_of_their_domain() {
    for name in ["tce:0", "tce:1", "focal:0", "linear:1", "drop-low:0", "random-mask:1"] {
        assert!(name.parse::<Loss>().is_ok(), "{name}");
    }
    for (name, part) in [
        ("tce:-0.001", "γ = -0.001 of the loss tce lies outside [0, 1]"),
        ("linear:1.001", "outside [0, 1]"),
        ("drop-low:-1", "q = -1 of the loss drop-low"),
        ("random-mask:2", "κ = 2"),
        ("focal:inf", "the finite numbers from 0 up"),
        ("clipped-focal:0,0.5", "the positive finite numbers"),
        ("clipped-focal:-1,0.5", "the positive finite numbers"),
        ("clipped-focal:1,1.5", "clip = 1.5"),
        ("tce-dynamic:inf", "the finite numbers"),
        ("tce-dynamic:-inf", "the finite numbers"),
    ] {
        let message = name.parse::<Loss>().unwrap_err().to_string();
        assert!(message.contains(part), "{name}: {message}");
    }
}

#[test]
fn a_wrong_number_of_parameters_is_answered_with_an_example() {
    for (name, part) in [
        ("ce:1", "takes 0 parameter(s) but 1 are given; write it for example as ce."),
        ("tce", "takes 1 parameter(s) but 0 are given; write it for example as tce:0.9."),
        ("tce:0.5,0.5", "takes 1 parameter(s) but 2 are given"),
        ("focal", "write it for example as focal:2."),
        ("focal-detached", "write it for example as focal:2."),
        ("linear", "write it for example as tce:0.9."),
        (
            "clipped-focal:2",
            "takes 2 parameter(s) but 1 are given; write it for example as clipped-focal:2,0.99.",
        ),
    ] {
        let message = name.parse::<Loss>().unwrap_err().to_string();
        assert!(message.contains(part), "{name}: {message}");
    }
}
