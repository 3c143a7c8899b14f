//! `fortifai theory check`: simulated chains beside their predictions.

use super::{find, soak};
use crate::cli::{Common, say, say_json};
use crate::{Error, Result};
use clap::Args;
use fortifai_collapse::check::{self, Checked, Report, Statistic};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Simulate the toy models and compare them with their closed forms.
///
/// Every test states how often it is wrong about a true prediction (4e-9 each; all of them
/// together below 1e-6), and must reject the same prediction with planted mistakes in it. NAME is
/// a check's name, an id such as G1, a family, or a word of what is simulated.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai theory check                          everything
  fortifai theory check G1 T2 --seed 7           what guards G1 and T2, other random numbers
  fortifai theory check gaussian --replicates 1000000
  fortifai theory check --until significant      go on, batch after batch, until something is wrong;
                                                 the boundary allows for looking after every batch
  fortifai theory check B3 --until 50 --json     at most 50 batches")]
pub struct Arguments {
    /// Checks, ids, families [default: everything]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Independent repetitions of every simulation [default: each check's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    replicates: Option<u64>,
    /// Seed of the random numbers; batches use it and the numbers after it
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Go on in batches with fresh seeds: `significant`, or at most so many batches
    #[arg(long, value_name = "significant|N", value_parser = soak::Until::read)]
    until: Option<soak::Until>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    let guards = find::guards(&arguments.names)?;
    if let Some(until) = arguments.until {
        let run = check::Soak::new(guards, arguments.seed, arguments.replicates);
        return soak::execute(run, until, &arguments.common);
    }
    let (count, all) = (AtomicUsize::new(0), guards.len());
    let report = arguments.common.on_threads(|| {
        Ok(check::run(&guards, arguments.seed, arguments.replicates, |guard, checks| {
            let done = count.fetch_add(1, Ordering::Relaxed) + 1;
            let good = checks.iter().all(|check| check.outcome.passed);
            let word = if good { "passed" } else { "FAILED" };
            eprintln!("{done}/{all} {}: {word} ({} tests)", guard.name, checks.len());
        }))
    })?;
    if guards.iter().any(|guard| arguments.replicates.is_some_and(|n| n < guard.replicates)) {
        eprintln!(
            "Fewer replicates than a check's own: planted mistakes may go unnoticed, and the \
             stated share of false alarms is not certain for skewed quantities."
        );
    }
    say(&table(&report));
    let failed = report.checks.iter().filter(|check| !check.outcome.passed).count();
    if arguments.common.json {
        say_json(&json(&report));
    }
    match report.passed {
        true => Ok(()),
        false if failed == 0 => Err(Error::Check(
            "Every prediction stands, but a test did not notice a planted mistake.".into(),
        )),
        false => Err(Error::Check(format!("{failed} of {} tests failed.", report.checks.len()))),
    }
}

/// `predicted`, `measured`, … of every test, and the verdict of all.
pub fn json(report: &Report) -> serde_json::Value {
    let mut value = serde_json::to_value(report).expect("plain data");
    value["exit_code"] = serde_json::json!(u8::from(!report.passed));
    value
}

fn table(report: &Report) -> String {
    let mut text = format!(
        "{:<58} {:>12} {:>12} {:>9} {:>8}  {}\n",
        "check", "predicted", "measured", "statistic", "limit", "planted mistakes rejected"
    );
    for check in &report.checks {
        text += &row(check);
    }
    let random = report.checks.iter().filter(|check| check.outcome.false_alarm > 0.0).count();
    text + &format!(
        "{} tests, {random} of them statistical: {}. True predictions fail any of them with \
         probability at most {:.1e}.\n",
        report.checks.len(),
        if report.passed { "passed" } else { "FAILED" },
        report.family_false_alarm
    )
}

fn row(check: &Checked) -> String {
    let outcome = &check.outcome;
    let name = format!("{}: {}", check.guard, outcome.name);
    let name = match name.chars().count() > 58 {
        true => name.chars().take(57).chain(['…']).collect(),
        false => name,
    };
    let limit = match outcome.statistic {
        Statistic::Binomial => "tail".to_string(),
        _ => format!("{:.3}", outcome.limit),
    };
    let rejected = outcome.mistakes.iter().filter(|mistake| mistake.rejected).count();
    let verdict = if outcome.passed { "" } else { "  FAILED" };
    format!(
        "{name:<58} {:>12} {:>12} {:>9.3} {limit:>8}  {rejected}/{}{verdict}\n",
        digits(outcome.predicted),
        digits(outcome.measured),
        outcome.z,
        outcome.mistakes.len()
    )
}

/// Seven significant digits.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if (1e-3..1e6).contains(&size) => {
            let places = (6 - size.log10().floor() as i32).clamp(0, 9) as usize;
            format!("{value:.places$}")
        }
        _ => format!("{value:.5e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn numbers_have_seven_digits() {
        let cases =
            [(0.0, "0"), (0.5905, "0.5905000"), (12.25, "12.25000"), (-1e-9, "-1.00000e-9")];
        for (value, text) in cases {
            assert_eq!(digits(value), text);
        }
    }
}
