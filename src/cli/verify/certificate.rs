//! The certificate as a table: operator × check.

use super::super::say;
use crate::verify::single::TOLERANCES;
use crate::verify::{Certificate, Check};

/// One row per operator: its worst errors, the tolerances, cases and branches; then what failed, the
/// machine and the verdict.
pub(super) fn print(certificate: &Certificate, seed: u64, seconds: f64) {
    let branches = certificate.checks.iter().any(|check| !check.branches.is_empty());
    say(&format!(
        "{:<34} {:>7}  {:>8} {:>8} {:>8} {:>9}  {}\n",
        "operator",
        "cases",
        "value",
        "adjoint",
        "guards",
        "f32 used",
        if branches { "branches visited" } else { "" }
    ));
    for name in operators(certificate) {
        let of = |what: &str| {
            certificate.checks.iter().find(|c| operator(c) == name && kind(c).starts_with(what))
        };
        let error = |what: &str| match of(what) {
            Some(check) if !check.passed => "FAILED".to_owned(),
            Some(check) => format!("{:.1e}", check.max_error),
            None => "·".to_owned(),
        };
        let guards = match of("guards") {
            Some(check) if check.passed => "intact",
            Some(_) => "FAILED",
            None => "·",
        };
        let budget = match of("f32 budget") {
            Some(check) if check.passed => format!("{:.0} %", 100.0 * check.max_error),
            Some(_) => "FAILED".to_owned(),
            None => "·".to_owned(),
        };
        let all = || certificate.checks.iter().filter(|check| operator(check) == name);
        let cases = |narrow: bool| {
            let of = all().filter(|check| match narrow {
                true => kind(check) == "f32 budget" || is_of_model(check),
                false => !kind(check).starts_with("f32 "),
            });
            of.filter_map(|check| check.cases).max()
        };
        let cases: Vec<String> =
            [cases(false), cases(true)].iter().flatten().map(usize::to_string).collect();
        let cases = cases.join("+");
        let branches: Vec<String> = all()
            .flat_map(|check| &check.branches)
            .map(|(branch, times)| format!("{branch} {times}"))
            .collect();
        say(&format!(
            "{name:<34} {cases:>7}  {:>8} {:>8} {guards:>8} {budget:>9}  {}\n",
            error(if of("value").is_some() { "value" } else { "against f64" }),
            error("adjoint"),
            branches.join(", ")
        ));
        for check in all().filter(|check| is_of_model(check)) {
            say(&format!(
                "    {} {:.1e} of {:.1e}\n",
                kind(check),
                check.max_error,
                check.tolerance
            ));
        }
    }
    for check in certificate.checks.iter().filter(|check| !check.passed) {
        say(&format!("FAILED {}\n", check.failure()));
    }
    let against = certificate.checks.iter().find(|check| kind(check) == "against f64");
    say(&match against {
        None => "tolerances: value 1e-12; adjoint 1e-13, model 1e-10; ".to_owned(),
        Some(check) => {
            format!("tolerances: value, against the CPU in f64, {:e}; ", check.tolerance)
        }
    });
    say(
        "cases: those in f64, then small ones in f32; f32 within twice the worst error of the textbook in \
         f32, stored as the device does, both in units of each number's own conditioning, plus one unit in \
         the last place\n",
    );
    for skipped in &certificate.skipped {
        say(&format!("skipped {skipped}\n"));
    }
    let machine = crate::store::machine();
    let threads = rayon::current_num_threads();
    let verdict = certificate.verdict();
    say(&format!("{machine}, {threads} threads, seed {seed}, {seconds:.1} s: {verdict}\n"));
}

/// The worst errors as a Markdown table, the losses of the classifier in one row.
pub(super) fn markdown(certificate: &Certificate) {
    say(
        "| operator | cases | value | adjoint identity | f32: share of twice the textbook's error |\n",
    );
    say("|---|---|---|---|---|\n");
    let mut rows: Vec<&str> = Vec::new();
    for name in operators(certificate) {
        let name = name.split(' ').next().unwrap_or(name);
        if !rows.contains(&name) {
            rows.push(name);
        }
    }
    for row in rows {
        let all = || {
            let own = |check: &&Check| operator(check).split(' ').next() == Some(row);
            certificate.checks.iter().filter(own)
        };
        let worst = |what: &str| {
            let errors = all().filter(|check| kind(check) == what).map(|check| check.max_error);
            errors.reduce(f64::max)
        };
        let number = |what| worst(what).map_or("·".into(), |error| format!("{error:.1e}"));
        let used = worst("f32 budget").map_or("·".into(), |used| format!("{:.0} %", 100.0 * used));
        let cases: usize =
            all().filter(|check| kind(check) == "value").filter_map(|check| check.cases).sum();
        let (value, adjoint) = (number("value"), number("adjoint"));
        say(&format!("| `{row}` | {cases} | {value} | {adjoint} | {used} |\n"));
    }
    for check in certificate.checks.iter().filter(|check| is_of_model(check)) {
        let what = kind(check).trim_start_matches("f32 ");
        say(&format!(
            "| `model` in f32, {what} | {} | {:.1e} of {:.0e} | | |\n",
            check.cases.unwrap_or(0),
            check.max_error,
            check.tolerance
        ));
    }
}

/// The operators in the order of the certificate.
fn operators(certificate: &Certificate) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for check in &certificate.checks {
        let name = operator(check);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn operator(check: &Check) -> &str {
    check.name.split_once('/').map_or(check.name.as_str(), |(operator, _)| operator)
}

/// Of whole models: loss, logits and gradients.
fn is_of_model(check: &Check) -> bool {
    operator(check) == "model" && TOLERANCES.iter().any(|(what, _)| kind(check).contains(what))
}

fn kind(check: &Check) -> &str {
    check.name.split_once('/').map_or("", |(_, kind)| kind)
}
