//! `fortifai theory list`: everything that can be asked.

use super::find;
use crate::Result;
use crate::cli::{say, say_json};
use clap::Args;
use fortifai_collapse::{Entry, Family};
use serde_json::{Value, json};

/// List the predictions, with their inputs, and the checks and figures.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai theory list
  fortifai theory list --family truncated
  fortifai theory list --json | tail -n 1 | jq '.entries[] | [.id, .formula]'")]
pub struct Arguments {
    /// Only this family
    #[arg(long, value_name = "NAME")]
    family: Option<String>,
    /// Print everything as one line of JSON instead
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    let families = find::families(arguments.family.as_deref())?;
    if arguments.json {
        say_json(&described(&families));
        return Ok(());
    }
    let mut text = String::new();
    for family in &families {
        text += &format!("{}\n{}\n\n", family.name.to_uppercase(), family.about);
        for entry in family.entries.iter().copied().flatten() {
            text += &format!(
                "  {:<4} {}\n       {}\n       {}\n",
                entry.id,
                entry.name,
                entry.formula,
                needs(entry)
            );
        }
        let named = |title: &str, names: Vec<(&str, &[&str])>| {
            let names = names.iter().map(|(name, ids)| format!("  {name} ({})\n", ids.join(", ")));
            format!("\n  {title}:\n{}", names.map(|line| format!("  {line}")).collect::<String>())
        };
        let guards = family.guards.iter().copied().flatten();
        text += &named("checks", guards.map(|guard| (guard.name, guard.covers)).collect());
        let figures = family.figures.iter().copied().flatten();
        text += &named("figures", figures.map(|f| (f.name, f.covers)).collect());
        text += "\n";
    }
    let count = families.iter().flat_map(|f| f.entries.iter().copied().flatten()).count();
    text += &format!("{count} predictions. Ask one: fortifai theory predict ID --set name=value\n");
    say(&text);
    Ok(())
}

/// "needs n (samples per generation, e.g. 10), t (…) · exact".
fn needs(entry: &Entry) -> String {
    let inputs: Vec<String> = entry
        .inputs
        .iter()
        .map(|input| format!("{} ({}, e.g. {})", input.name, input.meaning, input.example))
        .collect();
    match inputs.is_empty() {
        true => format!("{}; needs no input", entry.kind),
        false => format!("{}; needs {}", entry.kind, inputs.join(", ")),
    }
}

fn described(families: &[&Family]) -> Value {
    let entries = families.iter().flat_map(|family| {
        family.entries.iter().copied().flatten().map(move |entry| {
            json!({
                "family": family.name, "id": entry.id, "name": entry.name,
                "formula": entry.formula, "kind": entry.kind, "source": entry.source,
                "domain": entry.domain, "digits": entry.digits, "inputs": entry.inputs,
            })
        })
    });
    let guards = families.iter().flat_map(|family| {
        family.guards.iter().copied().flatten().map(move |guard| {
            json!({
                "family": family.name, "name": guard.name, "covers": guard.covers,
                "about": guard.about, "replicates": guard.replicates,
            })
        })
    });
    let figures = families.iter().flat_map(|family| {
        family.figures.iter().copied().flatten().map(move |figure| {
            json!({
                "family": family.name, "name": figure.name, "covers": figure.covers,
                "title": figure.title, "caption": figure.caption,
            })
        })
    });
    json!({
        "exit_code": 0, "entries": entries.collect::<Vec<_>>(),
        "guards": guards.collect::<Vec<_>>(), "figures": figures.collect::<Vec<_>>(),
    })
}
