//! `fortifai verify`: our numbers beside independent ones.

use super::{say, say_json};
use crate::verify::{Certificate, golden};
use crate::{Error, Result};
use std::path::PathBuf;

/// Check the gradients, losses, optimiser and decoding against golden vectors.
///
/// A golden directory holds losses.json (per-token losses and logit gradients) and pairs
/// NAME.json, NAME.safetensors of a GPT-2 in float64 with its logits, gradients, AdamW steps and
/// generated tokens, all made by PyTorch and transformers. Any shapes will do.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: fortifai verify --golden path/to/golden --json")]
pub(super) struct Arguments {
    /// Directory of the golden vectors
    #[arg(long, value_name = "DIR")]
    golden: PathBuf,
    /// Print all checks as one line of JSON instead of the summary
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn json(&self) -> bool {
        self.json
    }
}

pub(super) fn execute(arguments: &Arguments) -> Result<()> {
    let certificate = golden(&arguments.golden)?;
    if arguments.json {
        let json = serde_json::to_value(&certificate).expect("plain data");
        say_json(&json);
    } else {
        summarise(&certificate);
    }
    let failed = certificate.checks.iter().filter(|check| !check.passed).count();
    if failed > 0 {
        let all = certificate.checks.len();
        return Err(Error::Check(format!("{failed} of {all} checks failed.")));
    }
    Ok(())
}

/// One line per group of checks, the worst of each; failed checks one by one.
fn summarise(certificate: &Certificate) {
    let mut groups: Vec<(String, usize, &crate::verify::Check)> = Vec::new();
    for check in &certificate.checks {
        let name = group(&check.name);
        match groups.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, count, worst)) => {
                *count += 1;
                // A NaN is worse than anything.
                if check.max_error.is_nan() || check.max_error > worst.max_error {
                    *worst = check;
                }
            }
            None => groups.push((name, 1, check)),
        }
    }
    say(&format!("{:<32} {:>6}  {:>11}  {:>9}\n", "check", "number", "worst error", "tolerance"));
    for (name, count, worst) in groups {
        say(&format!(
            "{name:<32} {count:>6}  {:>11.2e}  {:>9.0e}\n",
            worst.max_error, worst.tolerance
        ));
    }
    for check in certificate.checks.iter().filter(|check| !check.passed) {
        say(&format!("FAILED {}: {:e} > {:e}\n", check.name, check.max_error, check.tolerance));
    }
    for skipped in &certificate.skipped {
        say(&format!("skipped {skipped}\n"));
    }
    let verdict = if certificate.passed { "passed" } else { "FAILED" };
    say(&format!("{} checks: {verdict}\n", certificate.checks.len()));
}

/// The part of a name that many checks share: file and kind of check.
fn group(name: &str) -> String {
    let (file, rest) = name.split_once('/').unwrap_or(("", name));
    if rest.starts_with("case ") {
        let what = ["per token", "mean", "gradient"];
        let what = what.iter().find(|what| rest.ends_with(**what)).unwrap_or(&"other");
        return format!("{file}: {what}");
    }
    let kind = rest.split(".transformer").next().unwrap_or(rest);
    let kind = if kind.starts_with("adamw step") { "adamw trajectory" } else { kind };
    format!("{file}: {kind}")
}
