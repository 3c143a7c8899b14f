//! Options that set what a settings file can set.

use crate::collapse::Arm;
use crate::config::{MOST_SEEDS, RunConfig, parse, resolve};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Options of `collapse` and `train`; each wins over the settings file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Settings {
    /// Settings file (TOML); the options given here win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// `toy`, a text file, or a .jsonl file with one document per line
    #[arg(long, value_name = "toy|PATH", help_heading = "Text")]
    pub corpus: Option<String>,
    /// Member that holds the text in a .jsonl file [default: text]
    #[arg(long, value_name = "NAME", help_heading = "Text")]
    pub field: Option<String>,
    /// Held-out text [default: the last tenth of the corpus]
    #[arg(long, value_name = "PATH", help_heading = "Text")]
    pub heldout: Option<String>,
    /// Where a text file is cut into documents: file, blank-line or wiki-heading
    #[arg(long, value_name = "SPLIT", help_heading = "Text")]
    pub documents: Option<String>,
    /// byte, char, word, bpe:SIZE or file:PATH [default: bpe:1024]
    #[arg(long, value_name = "KIND", help_heading = "Text")]
    pub tokenizer: Option<String>,
    /// Shape of the model by name: toy (0.1 M weights), small (11 M), gpt2 (124 M)
    #[arg(long, value_name = "PRESET", help_heading = "Model and training")]
    pub model: Option<String>,
    /// Where each generation's weights start: scratch, base (a pretrained model, --set base.model=DIR) or
    /// chain (the generation before)
    #[arg(long, value_name = "INIT", help_heading = "Model and training")]
    pub init: Option<String>,
    /// Passes over the training text
    #[arg(long, value_name = "X", help_heading = "Model and training")]
    pub epochs: Option<f64>,
    /// Optimiser steps of each generation, in place of passes
    #[arg(long, value_name = "N", help_heading = "Model and training")]
    pub steps: Option<u32>,
    /// Blocks of text per optimiser step
    #[arg(long, value_name = "N", help_heading = "Model and training")]
    pub batch: Option<u32>,
    /// Peak learning rate
    #[arg(long, value_name = "X", help_heading = "Model and training")]
    pub learning_rate: Option<f64>,
    /// Softmax temperature of sampling
    #[arg(long, value_name = "X", help_heading = "Decoding")]
    pub temperature: Option<f64>,
    /// Sample from the K best tokens only; 0 is off
    #[arg(long, value_name = "K", help_heading = "Decoding")]
    pub top_k: Option<u32>,
    /// Sample from the smallest set of tokens with this mass only; 1 is off
    #[arg(long, value_name = "P", help_heading = "Decoding")]
    pub top_p: Option<f64>,
    /// Beams of the search; needs --greedy
    #[arg(long, value_name = "N", help_heading = "Decoding")]
    pub beams: Option<u32>,
    /// Take the best token (or beam) instead of sampling
    #[arg(long, help_heading = "Decoding")]
    pub greedy: bool,
    /// Penalty on tokens already present; 1 is off
    #[arg(long, value_name = "X", help_heading = "Decoding")]
    pub repetition_penalty: Option<f64>,
    /// Most tokens of a generated document
    #[arg(long, value_name = "N", help_heading = "Decoding")]
    pub max_new_tokens: Option<u32>,
    /// Any other setting by its name in the file, for example --set train.weight_decay=0.01
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl Settings {
    /// The settings of the file and of these options, and of `more` options.
    ///
    /// With `saved`, the settings of a run already there, the layers lie on top of those.
    pub fn resolve(&self, saved: Option<&Path>, more: Table) -> Result<RunConfig> {
        let mut layers = Vec::new();
        for path in saved.into_iter().chain(self.config.as_deref()) {
            layers.push((format!("The settings file {}", path.display()), parse(path)?));
        }
        layers.push(("The command line".into(), self.table()?));
        layers.push(("The command line".into(), more));
        for assignment in &self.set {
            layers.push((format!("--set {assignment}"), assign(assignment)?));
        }
        resolve(&layers)
    }

    fn table(&self) -> Result<Table> {
        let mut table = Table::new();
        let texts = [
            ("corpus", &self.corpus),
            ("field", &self.field),
            ("heldout", &self.heldout),
            ("documents", &self.documents),
            ("tokenizer", &self.tokenizer),
            ("model.preset", &self.model),
            ("init", &self.init),
        ];
        for (key, value) in texts {
            put(&mut table, key, value.clone().map(Value::String));
        }
        let numbers = [
            ("train.epochs", self.epochs),
            ("train.learning_rate", self.learning_rate),
            ("decode.temperature", self.temperature),
            ("decode.top_p", self.top_p),
            ("decode.repetition_penalty", self.repetition_penalty),
        ];
        for (key, value) in numbers {
            put(&mut table, key, value.map(Value::Float));
        }
        let counts = [
            ("train.steps", self.steps),
            ("train.batch", self.batch),
            ("decode.top_k", self.top_k),
            ("decode.beams", self.beams),
            ("decode.max_new_tokens", self.max_new_tokens),
        ];
        for (key, value) in counts {
            put(&mut table, key, value.map(|count| Value::Integer(count.into())));
        }
        put(&mut table, "decode.sample", self.greedy.then_some(Value::Boolean(false)));
        Ok(table)
    }
}

/// Sets a dotted key, where there is a value.
pub fn put(table: &mut Table, key: &str, value: Option<Value>) {
    let Some(value) = value else { return };
    match key.split_once('.') {
        None => {
            table.insert(key.into(), value);
        }
        Some((head, rest)) => {
            let below = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(below) = below {
                put(below, rest, Some(value));
            }
        }
    }
}

/// `key=value`, where the value is TOML or else a plain word.
fn assign(text: &str) -> Result<Table> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(Error::input(format!(
            "--set {text} has no equals sign; write for example --set train.batch=8."
        )));
    };
    let parsed = format!("x = {value}").parse::<Table>().ok();
    let value = parsed.and_then(|mut table| table.remove("x"));
    let mut table = Table::new();
    let word = text.split_once('=').map_or("", |parts| parts.1);
    put(&mut table, key.trim(), Some(value.unwrap_or_else(|| Value::String(word.into()))));
    Ok(table)
}

/// A list of losses. A piece that begins with a digit or a sign belongs to the loss before it, so
/// that `ce,clipped-focal:2,0.99` has two entries.
pub fn losses(text: &str) -> Result<Value> {
    let mut names: Vec<String> = Vec::new();
    for piece in text.split(',') {
        let number = piece.trim().starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
        match names.last_mut().filter(|_| number) {
            Some(name) => *name += &format!(",{piece}"),
            None => names.push(piece.trim().into()),
        }
    }
    for name in &names {
        name.parse::<Arm>()?;
    }
    Ok(Value::Array(names.into_iter().map(Value::String).collect()))
}

/// A list of seeds: `N` stands for 1 to N, `a,b,c` for itself.
pub fn seeds(text: &str) -> Result<Value> {
    let number = |word: &str| {
        word.trim().parse::<i64>().ok().filter(|seed| *seed >= 0).ok_or_else(|| {
            Error::input(format!(
                "The seeds {text:?} are neither a number nor a list; write --seeds 3 for the seeds \
                 1, 2, 3, or a list such as --seeds 7,8,20."
            ))
        })
    };
    let list: Vec<i64> = match text.split_once(',') {
        None => {
            let count = number(text)?;
            if count > MOST_SEEDS as i64 {
                return Err(Error::input(format!(
                    "The number of seeds is {count}; use at most {MOST_SEEDS}, or --seed {count} for \
                     that single seed."
                )));
            }
            (1..=count).collect()
        }
        Some(_) => {
            let words = text.split(',').filter(|word| !word.trim().is_empty());
            words.map(number).collect::<Result<_>>()?
        }
    };
    Ok(Value::Array(list.into_iter().map(Value::Integer).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_are_meant() {
        let show = |value: Result<Value>| value.unwrap().to_string();
        assert_eq!(
            show(losses("ce, clipped-focal:2,0.99,tce:.9")),
            r#"["ce", "clipped-focal:2,0.99", "tce:.9"]"#
        );
        assert!(losses("ce,foo").is_err());
        assert_eq!(show(seeds("3")), "[1, 2, 3]");
        assert_eq!(show(seeds("7,")), "[7]");
        assert_eq!(show(seeds("7, 9")), "[7, 9]");
        assert!(seeds("x").is_err() && seeds("1,-2").is_err());
        assert_eq!(assign("a.b=1.5").unwrap().to_string(), "[a]\nb = 1.5\n");
        assert_eq!(assign("a=b:1").unwrap().to_string(), "a = \"b:1\"\n");
        assert!(assign("a").is_err());
    }
}
