//! The outcome of a verification.

use super::budget::{Budget, Used};
use super::operator::{Finding, What};
use super::single::Measured;
use serde::Serialize;
use std::collections::BTreeMap;

/// One comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was compared.
    pub name: String,
    /// The largest error, in the measure that the tolerance speaks of. Absent (null) if it is not a
    /// finite number.
    pub max_error: f64,
    /// The largest error that passes.
    pub tolerance: f64,
    /// Whether it passed; false if the error is not a number.
    pub passed: bool,
    /// How many cases were compared, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cases: Option<usize>,
    /// What is wrong, where more can be said than the numbers do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How often each branch of the operator was visited, where they were counted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub branches: BTreeMap<String, usize>,
}

impl Check {
    /// What a line about its failure says: the numbers where they are beyond the tolerance, and what
    /// more there is to say.
    pub fn failure(&self) -> String {
        let Self { name, max_error, tolerance, .. } = self;
        let detail = self.detail.as_deref().unwrap_or_default();
        match (max_error <= tolerance, self.detail.is_some()) {
            (true, _) => format!("{name}: {detail}"),
            (false, true) => format!("{name}: {max_error:e} > {tolerance:e}: {detail}"),
            (false, false) => format!("{name}: {max_error:e} > {tolerance:e}"),
        }
    }
}

/// All comparisons.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Certificate {
    /// Whether every check passed and there was at least one.
    pub passed: bool,
    /// The checks.
    pub checks: Vec<Check>,
    /// What was left out, and why.
    pub skipped: Vec<String>,
    /// What failed that is none of the checked: then nothing can be concluded.
    #[serde(skip)]
    pub environment: Option<String>,
}

impl Certificate {
    /// Adds a check; an error that is not a number fails.
    pub fn push(&mut self, name: impl Into<String>, max_error: f64, tolerance: f64) {
        let passed = max_error <= tolerance;
        self.push_check(Check {
            name: name.into(),
            max_error,
            tolerance,
            passed,
            cases: None,
            detail: None,
            branches: BTreeMap::new(),
        });
    }

    /// Adds a check over so many cases; it passes if the error is within the tolerance and there is
    /// nothing to say.
    pub(super) fn note(
        &mut self,
        name: String,
        error: f64,
        tolerance: f64,
        cases: usize,
        detail: Option<String>,
    ) {
        self.push_check(Check {
            name,
            max_error: error,
            tolerance,
            passed: error <= tolerance && detail.is_none(),
            cases: Some(cases),
            detail,
            branches: BTreeMap::new(),
        });
    }

    /// The sentence of a finding; one of the environment's ends the certificate.
    pub(super) fn heard(&mut self, found: Option<Finding>) -> Option<String> {
        let found = found?;
        if found.what == What::Environment {
            self.environment.get_or_insert_with(|| found.message.clone());
        }
        Some(found.message)
    }

    /// Adds under a name what a budget says, or what stopped it.
    pub(super) fn budget(&mut self, name: &str, budget: &Budget, found: Option<Finding>) {
        let used = budget.used();
        let worst = used.iter().max_by(|a, b| a.used.total_cmp(&b.used));
        let detail = worst.filter(|worst| worst.used > 1.0).map(|worst| {
            let Used { label, tensor, index, error, allowed, .. } = worst;
            format!("{label}; worst entry: {tensor}[{index}] off by {error:e}, allowed {allowed:e}")
        });
        let detail = self.heard(found).or(detail);
        let (share, cases) = worst.map_or((0.0, 0), |worst| (worst.used, worst.cases));
        self.note(name.to_owned(), share, 1.0, cases, detail);
    }

    /// Adds what was measured of whole models, its names under `prefix`.
    pub(super) fn measured(
        &mut self,
        prefix: &str,
        tolerances: [(&str, f64); 3],
        measured: Measured,
        cases: usize,
    ) {
        let all = tolerances.into_iter().zip(measured.worst).zip(measured.found);
        for (((what, tolerance), error), found) in all {
            self.note(format!("{prefix}{what}"), error, tolerance, cases, found);
        }
    }

    /// How many checks failed, in words.
    pub fn verdict(&self) -> String {
        let all = self.checks.len();
        match self.checks.iter().filter(|check| !check.passed).count() {
            0 if self.passed => format!("{all} checks passed"),
            0 => "nothing was checked: FAILED".into(),
            failed => format!("{failed} of {all} checks FAILED"),
        }
    }

    /// Adds a check.
    pub fn push_check(&mut self, check: Check) {
        self.checks.push(check);
        self.passed = self.checks.iter().all(|check| check.passed);
    }

    /// Adds all of another certificate, its names under `prefix`.
    pub fn extend(&mut self, prefix: &str, other: Certificate) {
        for check in other.checks {
            self.push(format!("{prefix}/{}", check.name), check.max_error, check.tolerance);
        }
        self.skipped.extend(other.skipped.into_iter().map(|line| format!("{prefix}/{line}")));
    }
}

/// `max |a − b|`; infinite if the lengths differ, NaN if any difference is.
pub fn max_difference(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let mut most = 0.0f64;
    for (a, b) in a.iter().zip(b) {
        let error = (a - b).abs();
        if error.is_nan() {
            return f64::NAN;
        }
        most = most.max(error);
    }
    most
}

/// `max |b|`.
pub fn largest(b: &[f64]) -> f64 {
    b.iter().fold(0.0, |most, b| most.max(b.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_counts_what_failed_and_a_failure_says_what_there_is_to_say() {
        let mut certificate = Certificate::default();
        assert_eq!(certificate.verdict(), "nothing was checked: FAILED");
        certificate.push("a", 0.5, 1.0);
        assert_eq!(certificate.verdict(), "1 checks passed");
        certificate.push("b", 2.0, 1.0);
        certificate.note("c".into(), 0.0, 1.0, 7, Some("it refused".into()));
        certificate.note("d".into(), f64::INFINITY, 1.0, 7, Some("case 3".into()));
        assert_eq!(certificate.verdict(), "3 of 4 checks FAILED");
        let said: Vec<String> = certificate.checks[1..].iter().map(Check::failure).collect();
        assert_eq!(said, ["b: 2e0 > 1e0", "c: it refused", "d: inf > 1e0: case 3"]);
    }
}
