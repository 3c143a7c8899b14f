//! `fortifai evaluate`: how well a trained model predicts a text, and how it answers items.

use super::device::{OnDevice, Work};
use super::model_dir::{Loaded, Which};
use super::{Common, say, say_json};
use crate::loss::Loss;
use crate::measure::items::{self, Accuracy, ItemFiles, Items, accuracies};
use crate::store::atomic;
use crate::text::{encode_documents, read_documents_split};
use crate::tier::Tier;
use crate::train::score_rows;
use crate::{Error, Result};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Score a text with a trained model: nats per token, perplexity, bits per byte, kept fraction.
///
/// The text is cut into documents as that of the run; every token and every document's end is
/// predicted once, from at most the model's context, in consecutive blocks.
///
/// Items ask which answer the model ranks first. Knowledge retention: the true or the false
/// continuation, by the mean log-probability of their tokens up to the shorter one's length (as the
/// authors' code does) and by the sum (as their paper says). Minimal pairs: the good or the bad
/// sentence, by the sum. Multiple choice: the endings, by the sum and by the sum per byte. Ties are
/// wrong.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai evaluate models/bard sonnets.txt
  fortifai evaluate runs/news-replace --chain ce-seed1 other.jsonl --field body --json
  fortifai evaluate models/wiki --retention questions.json --splits 6
  fortifai evaluate models/wiki --blimp adjunct_island.jsonl --blimp causative.jsonl \\
      --choice hellaswag.jsonl --items-out scores.jsonl")]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Text file or .jsonl file to be scored; may be left out where items are given
    #[arg(value_name = "TEXT")]
    text: Option<PathBuf>,
    /// Member that holds the text in a .jsonl file [default: text]
    #[arg(long, value_name = "NAME", requires = "text")]
    field: Option<String>,
    /// Loss whose kept fraction is told [default: the loss of the model]
    #[arg(long, value_name = "L", requires = "text")]
    loss: Option<Loss>,
    /// Knowledge-retention questions: JSON with context, sentence_true, sentence_false, location
    #[arg(long, value_name = "FILE", help_heading = "Items")]
    retention: Option<PathBuf>,
    /// Also score equal parts of the questions, in their order
    #[arg(long, value_name = "N", requires = "retention", help_heading = "Items")]
    splits: Option<usize>,
    /// Parts by location: the line where each begins, and the line after the last; the questions
    /// outside are left out
    #[arg(
        long,
        value_name = "L,...",
        value_delimiter = ',',
        requires = "retention",
        conflicts_with = "splits",
        help_heading = "Items"
    )]
    split_lines: Option<Vec<u64>>,
    /// Minimal pairs: JSONL with sentence_good, sentence_bad
    #[arg(long, value_name = "FILE", help_heading = "Items")]
    blimp: Vec<PathBuf>,
    /// Multiple choice: JSONL with ctx, endings, label
    #[arg(long, value_name = "FILE", help_heading = "Items")]
    choice: Option<PathBuf>,
    /// Write the scores of every item here, one JSON object per line
    #[arg(long, value_name = "FILE", help_heading = "Items")]
    items_out: Option<PathBuf>,
    #[command(flatten)]
    machine: OnDevice,
    #[command(flatten)]
    common: Common,
}

impl Arguments {
    /// Whether a line of JSON is asked for.
    pub fn json(&self) -> bool {
        self.common.json
    }

    fn files(&self) -> ItemFiles {
        ItemFiles {
            retention: self.retention.clone(),
            splits: self.splits,
            split_lines: self.split_lines.clone(),
            blimp: self.blimp.clone(),
            choice: self.choice.clone(),
        }
    }
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    let items = arguments.files().paths().next().is_some();
    if arguments.text.is_none() && !items {
        return Err(Error::input(
            "There is nothing to score; name a TEXT, or items with --retention, --blimp or --choice.",
        ));
    }
    if arguments.items_out.is_some() && !items {
        return Err(Error::input(
            "There are no items for --items-out; name some with --retention, --blimp or --choice.",
        ));
    }
    arguments.machine.run(arguments)
}

impl Work for &Arguments {
    type Output = ();

    fn run<T: Tier<Number = f32>>(self, tier: &T) -> Result<()> {
        let loaded = self.which.load(tier)?;
        let files = self.files();
        let items = match files.paths().next() {
            Some(_) => Some(Items::load(&files, &loaded.tokenizer)?),
            None => None,
        };
        let mut result = Map::from_iter([
            ("exit_code".into(), json!(0)),
            ("generation".into(), json!(loaded.generation)),
        ]);
        if let Some(text) = &self.text {
            result.extend(score_text(self, text, &loaded)?);
        }
        if let Some(items) = items {
            result.insert("items".into(), score_items(self, &items, &loaded)?);
        }
        if self.common.json {
            say_json(&Value::Object(result));
        }
        Ok(())
    }
}

fn score_text<T: Tier<Number = f32>>(
    arguments: &Arguments,
    text: &Path,
    loaded: &Loaded<T>,
) -> Result<Map<String, Value>> {
    let field = arguments.field.as_deref().or(loaded.config.field.as_deref());
    let documents = read_documents_split(text, field, loaded.config.documents)?;
    let bytes: usize = documents.iter().map(String::len).sum();
    let stream = encode_documents(&loaded.tokenizer, &documents)?;
    let t = loaded.model.config.context;
    // Consecutive blocks share one token: the last target of one is the first input of the next.
    let sequences: Vec<Vec<u32>> = (0..stream.len() - 1)
        .step_by(t)
        .map(|start| stream[start..stream.len().min(start + t + 1)].to_vec())
        .collect();
    let loss = arguments.loss.unwrap_or(loaded.loss);
    let rule = loss.rule(1.0);
    let scores = arguments.common.on_threads(|| score_rows(&loaded.model, &sequences, &rule))?;
    let tokens: usize = scores.iter().map(|row| row.nll.len()).sum();
    let nats: f64 = scores.iter().flat_map(|row| &row.nll).sum();
    let kept = scores.iter().flat_map(|row| &row.kept).filter(|kept| **kept).count();
    let kept_fraction = match loss {
        Loss::RandomMask { keep } => keep,
        _ => kept as f64 / tokens as f64,
    };
    let nats_per_token = nats / tokens as f64;
    if !nats_per_token.is_finite() {
        return Err(Error::input(
            "The model gives a token of this text probability 0, or has diverged; its loss is not \
             finite.",
        ));
    }
    let bits_per_byte = nats / std::f64::consts::LN_2 / bytes as f64;
    let perplexity = nats_per_token.exp();
    say(&format!(
        "tokens         {tokens}\nnats per token {nats_per_token:.6}\nperplexity     {perplexity:.4}\n\
         bits per byte  {bits_per_byte:.6}\nkept fraction  {kept_fraction:.4} ({loss})\n"
    ));
    Ok(Map::from_iter([
        ("tokens".into(), json!(tokens)),
        ("bytes".into(), json!(bytes)),
        ("nats_per_token".into(), json!(nats_per_token)),
        ("perplexity".into(), json!(perplexity)),
        ("bits_per_byte".into(), json!(bits_per_byte)),
        ("kept_fraction".into(), json!(kept_fraction)),
        ("loss".into(), json!(loss)),
    ]))
}

fn score_items<T: Tier<Number = f32>>(
    arguments: &Arguments,
    items: &Items,
    loaded: &Loaded<T>,
) -> Result<Value> {
    let scores = arguments.common.on_threads(|| items.score(&loaded.model))?;
    if let Some(path) = &arguments.items_out {
        atomic::write(path, items::lines(&scores).as_bytes())?;
    }
    let all = accuracies(&scores);
    let cut = scores.iter().filter(|score| score.cut).count();
    say(&table(&all));
    if cut > 0 {
        let context = loaded.model.config.context;
        say(&format!(
            "{cut} of {} items are longer than the context of {context} tokens; their last tokens were \
             read.\n",
            scores.len()
        ));
    }
    let mut members: Map<String, Value> = all
        .iter()
        .map(|of| {
            let value = json!({ "accuracy": of.share(), "right": of.right, "items": of.items });
            (of.metric.clone(), value)
        })
        .collect();
    members.insert("items_cut".into(), json!(cut));
    Ok(Value::Object(members))
}

fn table(all: &[Accuracy]) -> String {
    let widest = all.iter().map(|of| of.metric.len()).max().unwrap_or(0).max("metric".len());
    let mut text = format!("{:widest$} {:>9} {:>7}\n", "metric", "accuracy", "items");
    for of in all {
        text += &format!("{:widest$} {:>9.4} {:>7}\n", of.metric, of.share(), of.items);
    }
    text
}
