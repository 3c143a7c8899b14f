//! `fortifai theory predict`: the value of a closed form.

use super::find;
use crate::cli::{say, say_json};
use crate::{Error, Result};
use clap::Args;
use fortifai_collapse::inputs::shown;
use fortifai_collapse::{Entry, Inputs, Prediction};
use std::fmt::Write;

/// Predict a number: what is expected, at the inputs given.
///
/// NAME is an id such as G1, or a word of a prediction's name. Of several predictions of that name
/// all are made that take exactly the inputs given; --formula picks one of them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai theory predict G1 --set n=10
      by what factor does the standard deviation of a fitted Gaussian shrink per generation?
  fortifai theory predict N5 --set p=0.5,0.25,0.15,0.07,0.03 --set n=12 --set t=7
      how many nats of entropy are left after 7 generations of 12 tokens each?
  fortifai theory predict T1 --set sigma/sigma_gamma=0.9 --formula \"c(sigma)\"
  fortifai theory predict G2 --set n=10 divisor=n --json")]
pub struct Arguments {
    /// Id, such as G1, or words of a prediction's name
    #[arg(value_name = "NAME")]
    name: String,
    /// Inputs: numbers, lists such as 0.5,0.3,0.2 or [0.5,0.3,0.2], or words such as n-1
    #[arg(long = "set", value_name = "KEY=VALUE", num_args = 1.., action = clap::ArgAction::Append)]
    set: Vec<String>,
    /// Only the prediction with this formula, or with this piece in its formula
    #[arg(long, value_name = "TEXT")]
    formula: Option<String>,
    /// Print one line of JSON on stdout at the end, for programs
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    let inputs = read_inputs(&arguments.set)?;
    let mut entries = find::entries(&arguments.name)?;
    if let Some(formula) = &arguments.formula {
        entries = with_formula(&entries, formula)?;
    }
    let predictions = predict(&entries, &inputs)?;
    for prediction in &predictions {
        let Prediction { id, name, formula, inputs, kind, source, .. } = prediction;
        let value = shown(prediction.value);
        say(&format!(
            "{id} {name}\n   {formula}\n   = {value}\n   at {inputs} ({kind}; {source})\n"
        ));
    }
    if arguments.json {
        say_json(&serde_json::json!({ "exit_code": 0, "predictions": predictions }));
    }
    Ok(())
}

/// `key=value` pairs; the key ends at the first equals sign.
fn read_inputs(set: &[String]) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    for pair in set {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Error::input(format!(
                "--set {pair} has no equals sign; write --set {pair}=value."
            )));
        };
        if inputs.get(name).is_some() {
            return Err(Error::input(format!("The input {name} is set twice.")));
        }
        let value = value
            .parse()
            .map_err(|refusal| Error::input(format!("--set {pair} cannot be read: {refusal}")))?;
        inputs.set(name, value);
    }
    Ok(inputs)
}

/// The entry of exactly this formula, or else those that contain it.
fn with_formula(entries: &[&'static Entry], formula: &str) -> Result<Vec<&'static Entry>> {
    let matching = |test: &dyn Fn(&Entry) -> bool| -> Vec<&'static Entry> {
        entries.iter().copied().filter(|entry| test(entry)).collect()
    };
    let exact = matching(&|entry| entry.formula == formula);
    let found =
        if exact.is_empty() { matching(&|entry| entry.formula.contains(formula)) } else { exact };
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::input(format!(
            "No formula here reads {formula:?}; there are:\n{}",
            listed(entries)
        ))),
    }
}

/// Every entry that takes exactly these inputs.
fn predict(entries: &[&'static Entry], inputs: &Inputs) -> Result<Vec<Prediction>> {
    let knows = |entry: &Entry| {
        inputs.names().all(|name| entry.inputs.iter().any(|input| input.name == name))
    };
    let complete = |entry: &Entry| entry.inputs.iter().all(|i| inputs.get(i.name).is_some());
    let (mut predictions, mut refusals) = (Vec::new(), Vec::new());
    for entry in entries.iter().filter(|entry| knows(entry)) {
        match entry.predict(inputs) {
            Ok(prediction) => predictions.push(prediction),
            Err(refusal) if complete(entry) || entries.len() == 1 => {
                refusals.push(refusal.to_string());
            }
            Err(_) => (),
        }
    }
    match (predictions.is_empty(), refusals.is_empty()) {
        (false, _) => {
            refusals.iter().for_each(|refusal| eprintln!("not predicted: {refusal}"));
            Ok(predictions)
        }
        (true, false) if entries.len() > 1 => Err(Error::input(refusals.join("\n"))),
        (true, false) => Err(Error::input(format!("{}\n{}", refusals.join("\n"), listed(entries)))),
        (true, true) => {
            let given: Vec<&str> = inputs.names().collect();
            let takes =
                |name: &str| entries.iter().any(|e| e.inputs.iter().any(|i| i.name == name));
            let unknown: Vec<&str> = given.iter().copied().filter(|name| !takes(name)).collect();
            let given = match (given.is_empty(), unknown.is_empty()) {
                (true, _) => "No input is set.".to_string(),
                (_, true) => {
                    format!("No prediction of this name takes exactly {}.", given.join(", "))
                }
                (_, false) => format!(
                    "No prediction of this name takes exactly {}; unknown to all is {}.",
                    given.join(", "),
                    unknown.join(", ")
                ),
            };
            Err(Error::input(format!("{given} There are:\n{}", listed(entries))))
        }
    }
}

/// The entries with a command that works, each.
fn listed(entries: &[&Entry]) -> String {
    let mut text = String::new();
    for entry in entries.iter().take(40) {
        let _ = writeln!(text, "  {} {}", entry.id, entry.formula);
        for input in entry.inputs {
            let Some(meaning) = Some(input.meaning).filter(|m| !m.is_empty()) else { continue };
            let _ = writeln!(
                text,
                "      {}: {meaning}, for example --set {}={}",
                input.name, input.name, input.example
            );
        }
    }
    if entries.len() > 40 {
        let _ = writeln!(text, "  and {} more", entries.len() - 40);
    }
    text.trim_end().to_string()
}
