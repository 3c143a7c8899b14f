//! `theory check --until`: checks that go on and on.

use crate::cli::{Common, say, say_json, stop_flag};
use crate::{Error, Result};
use fortifai_collapse::check::Soak;
use std::sync::atomic::Ordering;

/// When a run of batches ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When a test is significant.
    Significant,
    /// After so many batches, or when a test is significant.
    Batches(u64),
}

impl Until {
    /// `significant`, or a number of batches.
    pub fn read(text: &str) -> std::result::Result<Self, String> {
        match (text, text.parse()) {
            ("significant", _) => Ok(Self::Significant),
            (_, Ok(batches)) if batches > 0 => Ok(Self::Batches(batches)),
            _ => Err(format!("{text:?} is neither `significant` nor a number of batches.")),
        }
    }
}

/// Runs batches until the end that was asked for, or a signal.
pub fn execute(mut run: Soak, until: Until, common: &Common) -> Result<()> {
    let stop = stop_flag()?;
    let mut sound = true;
    while sound && until != Until::Batches(run.batches) && !stop.load(Ordering::Relaxed) {
        sound = common.on_threads(|| Ok(run.batch()))?;
        let worst = run.evidence.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
        if let Some(worst) = worst {
            eprintln!(
                "batch {}: nearest to its boundary is {}: {}, {:.3} of {:.3}",
                run.batches, worst.guard, worst.name, worst.z, worst.boundary
            );
        }
    }
    let stopped = sound && stop.load(Ordering::Relaxed) && until != Until::Batches(run.batches);
    for evidence in run.evidence.iter().filter(|evidence| !evidence.passed) {
        say(&format!(
            "SIGNIFICANT {}: {}: predicted {}, measured {} ± {}; {:.3} is beyond {:.3}\n",
            evidence.guard,
            evidence.name,
            evidence.predicted,
            evidence.measured,
            evidence.standard_error,
            evidence.z,
            evidence.boundary
        ));
    }
    say(&format!(
        "{} tests in {} batches: {}. True predictions ever fail any of them with probability at \
         most {:.1e}.\n",
        run.evidence.len(),
        run.batches,
        if sound { "nothing significant" } else { "FAILED" },
        run.family_false_alarm()
    ));
    // Where a signal stopped the run, the error is the line of JSON.
    if common.json && !stopped {
        say_json(&serde_json::json!({
            "exit_code": u8::from(!sound), "passed": sound, "batches": run.batches,
            "next_seed": run.next_seed(), "family_false_alarm": run.family_false_alarm(),
            "checks": run.evidence,
        }));
    }
    match (sound, stopped) {
        (false, _) => Err(Error::Check(format!("Significant after {} batches.", run.batches))),
        (true, true) => Err(Error::Stopped(format!(
            "Stopped after {} batches. Fresh random numbers go on with --seed {}.",
            run.batches,
            run.next_seed()
        ))),
        (true, false) => Ok(()),
    }
}

/// How much of the way to its boundary a test has gone; a statistic that is no number all of it.
fn share(evidence: &fortifai_collapse::check::Evidence) -> f64 {
    let share = (evidence.z / evidence.boundary).abs();
    if share.is_nan() { f64::INFINITY } else { share }
}

#[cfg(test)]
mod tests {
    use super::Until;

    #[test]
    fn ends_are_read() {
        assert_eq!(Until::read("significant"), Ok(Until::Significant));
        assert_eq!(Until::read("12"), Ok(Until::Batches(12)));
        assert!(Until::read("0").is_err() && Until::read("soon").is_err());
    }
}
