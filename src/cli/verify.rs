//! `fortifai verify`: the gradient certificate, and our numbers beside independent ones.

mod certificate;

use super::device::{DeviceName, OnDevice, Precision, Work};
use super::{Common, progress, say, say_json};
use crate::cpu::Cpu;
use crate::tier::Tier;
use crate::verify::budget::Stored;
use crate::verify::device;
use crate::verify::faults::{Verdict, self_test};
use crate::verify::plan::Plan;
use crate::verify::suite::run;
use crate::verify::visit::OPERATORS;
use crate::verify::{Certificate, golden};
use crate::{Error, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// Check every gradient against its definition, in your own shapes, on your own machine.
///
/// Every operator and the whole model run over ragged and random shapes, in double precision
/// against the textbook formula and its derivative by dual numbers (the adjoint identity), and in
/// single precision against the textbook in the same precision. Buffers are guarded, gradients
/// begin at random values, outputs at NaN. Exits with 1 if anything fails.
///
/// --self-test plants wrong gradients and demands that each is noticed. --golden compares with
/// vectors that PyTorch and transformers made: a directory of losses.json and pairs NAME.json,
/// NAME.safetensors of a GPT-2 in float64; any shapes will do.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  fortifai verify
  fortifai verify --operator attention --cases 500 --seed 7
  fortifai verify --operator linear --shape n=7,c=768,oc=10
  fortifai verify --self-test
  fortifai verify --golden path/to/golden --json")]
pub(super) struct Arguments {
    /// Only the operators whose names contain this
    #[arg(long, value_name = "NAME", conflicts_with_all = ["golden", "self_test"])]
    operator: Option<String>,
    #[command(flatten)]
    machine: OnDevice,
    /// Seed of shapes and points [default: 1]
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true,
          conflicts_with_all = ["golden", "self_test"])]
    seed: Option<u64>,
    /// Random shapes per operator, beside sixteen at and beside tile sizes [default: 64, 8 with
    /// cuda-host]
    #[arg(long, value_name = "N", value_parser = cases, allow_negative_numbers = true,
          conflicts_with_all = ["golden", "self_test"])]
    cases: Option<u32>,
    /// The one operator of --operator in this shape alone, at --cases points: a size for each of its
    /// letters, such as n=7,c=768,oc=10 for linear. Of gradients in single precision eight entries
    /// per tensor and point are looked at
    #[arg(long, value_name = "LETTER=N,…", requires = "operator",
          conflicts_with_all = ["golden", "self_test"])]
    shape: Option<String>,
    /// Print the worst errors as the table of the README
    #[arg(long, conflicts_with_all = ["golden", "self_test", "json"])]
    markdown: bool,
    /// Plant faults and demand that each is noticed
    #[arg(long, conflicts_with = "golden")]
    self_test: bool,
    /// Compare with the golden vectors of this directory
    #[arg(long, value_name = "DIR")]
    golden: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// The seed of a text.
fn seed(text: &str) -> std::result::Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

/// The number of cases of a text.
fn cases(text: &str) -> std::result::Result<u32, String> {
    let most = MOST_CASES;
    let number = text.parse().ok().filter(|cases| *cases <= most);
    number.ok_or_else(|| format!("cases are a whole number from 0 to {most}"))
}

/// The most random shapes per operator; more would take days.
const MOST_CASES: u32 = 100_000;

impl Arguments {
    pub(super) fn json(&self) -> bool {
        self.common.json
    }
}

pub(super) fn execute(arguments: &Arguments) -> Result<()> {
    arguments.common.on_threads(|| verify(arguments))
}

fn verify(arguments: &Arguments) -> Result<()> {
    let machine = arguments.machine.meant()?;
    if machine.device == DeviceName::Cpu && machine.precision == Precision::Bf16 {
        return Err(Error::input(
            "--precision bf16 on the CPU is the reference that a device in bf16 is held to; add --device \
             cuda or cuda-host, or leave --precision out.",
        ));
    }
    if machine.device != DeviceName::Cpu && (arguments.self_test || arguments.golden.is_some()) {
        return Err(Error::input(
            "--self-test and --golden are about double precision, which the CPU alone has; leave out \
             --device.",
        ));
    }
    if arguments.self_test {
        return test_the_checks(arguments.common.json);
    }
    if let Some(directory) = &arguments.golden {
        let certificate = golden(directory)?;
        return conclude(arguments, &certificate, json!({}), summarise);
    }
    let mut plan = Plan {
        operator: arguments.operator.clone(),
        seed: arguments.seed.unwrap_or(1),
        cases: arguments.cases.unwrap_or(match machine.device {
            DeviceName::CudaHost => 8,
            _ => 64,
        }) as usize,
        shape: None,
    };
    if let Some(part) = &plan.operator
        && (part.trim().is_empty() || !OPERATORS.iter().any(|name| name.contains(part.as_str())))
    {
        return Err(Error::input(format!(
            "--operator {part:?} is no part of any operator's name; they are: {}.",
            OPERATORS.join(", ")
        )));
    }
    if let (Some(text), Some(part)) = (&arguments.shape, arguments.operator.as_deref()) {
        let (operator, shape) = own_shape(text, part)?;
        (plan.operator, plan.shape) = (Some(operator.to_owned()), Some(shape));
        if plan.cases == 0 {
            return Err(Error::input("--cases 0 leaves nothing to check in the shape of --shape."));
        }
    }
    let start = Instant::now();
    let bar = progress::steps(OPERATORS.len() as u64);
    let done = |name: &str| {
        bar.set_message(name.to_owned());
        bar.inc(1);
    };
    let certificate = match machine.device {
        DeviceName::Cpu => run(&Cpu::<f64>::new(), &Cpu::<f32>::new(), &plan, done),
        _ => {
            let stored = match machine.precision {
                Precision::F32 => Stored::Single,
                Precision::Bf16 => Stored::Bf16,
            };
            machine.run(OnTier { plan: &plan, stored, done: &done })?
        }
    };
    bar.finish_and_clear();
    if let Some(sentence) = &certificate.environment {
        return Err(Error::environment(sentence.clone()));
    }
    let seconds = start.elapsed().as_secs_f64();
    let circumstances = json!({
        "machine": crate::store::machine(),
        "threads": rayon::current_num_threads(),
        "seed": plan.seed,
        "seconds": seconds,
    });
    conclude(arguments, &certificate, circumstances, |certificate| match arguments.markdown {
        true => certificate::markdown(certificate),
        false => certificate::print(certificate, plan.seed, seconds),
    })
}

/// The largest product of the sizes of `--shape`: the textbook takes a step for each, and seconds for
/// so many.
const MOST: usize = 1 << 26;

/// The sizes of `--shape`: one for each letter of the one operator that is meant.
fn own_shape(text: &str, part: &str) -> Result<(&'static str, BTreeMap<String, usize>)> {
    let meant: Vec<&'static str> = match OPERATORS.iter().find(|name| **name == part) {
        Some(name) => vec![name],
        None => OPERATORS.into_iter().filter(|name| name.contains(part)).collect(),
    };
    let [operator] = meant[..] else {
        return Err(Error::input(format!(
            "--shape is for one operator, but --operator {part:?} names {}.",
            meant.join(", ")
        )));
    };
    let letters = Plan::letters(operator);
    let example: Vec<String> = letters.iter().map(|letter| format!("{letter}=5")).collect();
    let refused = |what: String| {
        Error::input(format!(
            "--shape {text:?}: {what}; {operator} has the letters {}, such as {}.",
            letters.join(", "),
            example.join(",")
        ))
    };
    let mut shape = BTreeMap::new();
    for one in text.split(',') {
        let (letter, size) =
            one.split_once('=').ok_or_else(|| refused(format!("{one:?} is not LETTER=N")))?;
        let letter = letter.trim();
        if !letters.contains(&letter) {
            return Err(refused(format!("{letter:?} is no letter of it")));
        }
        let size: usize =
            size.trim().parse().ok().filter(|size| (1..=1 << 20).contains(size)).ok_or_else(
                || refused(format!("{letter} is not a whole number from 1 to 1048576")),
            )?;
        if shape.insert(letter.to_owned(), size).is_some() {
            return Err(refused(format!("{letter} is given twice")));
        }
    }
    if let Some(missing) = letters.iter().find(|letter| !shape.contains_key(**letter)) {
        return Err(refused(format!("{missing} is missing")));
    }
    let product = shape.values().fold(1usize, |product, &size| product.saturating_mul(size));
    if product > MOST {
        return Err(refused(format!("the product of the sizes is {product}, more than {MOST}")));
    }
    Ok((operator, shape))
}

/// The checks of a tier without double precision.
struct OnTier<'a> {
    plan: &'a Plan,
    stored: Stored,
    done: &'a dyn Fn(&str),
}

impl Work for OnTier<'_> {
    type Output = Certificate;

    fn run<T: Tier<Number = f32>>(self, tier: &T) -> Result<Certificate> {
        Ok(device::run(tier, self.stored, self.plan, self.done))
    }
}

/// Prints the certificate and turns failures into the exit code.
fn conclude(
    arguments: &Arguments,
    certificate: &Certificate,
    circumstances: serde_json::Value,
    print: impl FnOnce(&Certificate),
) -> Result<()> {
    if arguments.common.json {
        let mut line = serde_json::to_value(certificate).expect("plain data");
        for (key, value) in circumstances.as_object().into_iter().flatten() {
            line[key] = value.clone();
        }
        say_json(&line);
    } else {
        print(certificate);
    }
    let failed = certificate.checks.iter().filter(|check| !check.passed).count();
    if failed > 0 {
        let all = certificate.checks.len();
        return Err(Error::Check(format!("{failed} of {all} checks failed.")));
    }
    Ok(())
}

/// `--self-test`.
fn test_the_checks(as_json: bool) -> Result<()> {
    let bar = progress::steps(0);
    let verdicts = self_test(|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let missed = verdicts.iter().filter(|verdict| !verdict.caught).count();
    let (controls, faults): (Vec<&Verdict>, Vec<&Verdict>) =
        verdicts.iter().partition(|verdict| verdict.control);
    if as_json {
        say_json(&json!({ "passed": missed == 0, "faults": faults, "controls": controls }));
    } else {
        say(&format!("{:<64} {:<12} {:<8} {}\n", "planted fault", "class", "check", "verdict"));
        for verdict in controls {
            let found = if verdict.caught { "passes, as it must" } else { "FAILS" };
            say(&format!("{:<85} {found}\n", verdict.name));
            if !verdict.caught {
                say(&format!("    {}\n", verdict.said));
            }
        }
        for verdict in faults {
            let class = serde_json::to_value(verdict.class).expect("a word");
            let found = match (verdict.caught, verdict.subtle) {
                (false, _) => "MISSED",
                (true, true) => "caught; finite differences at 1e-3 would pass it",
                (true, false) => "caught",
            };
            let (name, by) = (&verdict.name, verdict.by.to_string());
            let class = class.as_str().unwrap_or_default();
            say(&format!("{name:<64} {class:<12} {by:<8} {found}\n"));
            if !verdict.caught {
                say(&format!("    {}\n", verdict.said));
            }
        }
        say(&format!("{} of {} as they should be\n", verdicts.len() - missed, verdicts.len()));
    }
    match missed {
        0 => Ok(()),
        _ => Err(Error::Check(format!("{missed} planted faults were not noticed as they should."))),
    }
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
        say(&format!("FAILED {}\n", check.failure()));
    }
    for skipped in &certificate.skipped {
        say(&format!("skipped {skipped}\n"));
    }
    say(&format!("{}\n", certificate.verdict()));
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
