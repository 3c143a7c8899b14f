//! `fortifai evaluate`: how well a trained model predicts a text.

use super::device::{OnDevice, Work};
use super::model_dir::Which;
use super::{Common, say, say_json};
use crate::loss::Loss;
use crate::text::{encode_documents, read_documents_split};
use crate::tier::Tier;
use crate::train::score_rows;
use crate::{Error, Result};
use clap::Args;
use std::path::PathBuf;

/// Score a text with a trained model: nats per token, perplexity, bits per byte, kept fraction.
///
/// The text is cut into documents as that of the run; every token and every document's end is
/// predicted once, from at most the model's context, in consecutive blocks.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai evaluate models/bard sonnets.txt
  fortifai evaluate runs/news-replace --chain ce-seed1 other.jsonl --field body --json")]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Text file or .jsonl file to be scored
    #[arg(value_name = "TEXT")]
    text: PathBuf,
    /// Member that holds the text in a .jsonl file [default: text]
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// Loss whose kept fraction is told [default: the loss of the model]
    #[arg(long, value_name = "L")]
    loss: Option<Loss>,
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
}

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    arguments.machine.run(arguments)
}

impl Work for &Arguments {
    type Output = ();

    fn run<T: Tier<Number = f32>>(self, tier: &T) -> Result<()> {
        score(self, tier)
    }
}

fn score<T: Tier<Number = f32>>(arguments: &Arguments, tier: &T) -> Result<()> {
    let loaded = arguments.which.load(tier)?;
    let field = arguments.field.as_deref().or(loaded.config.field.as_deref());
    let documents = read_documents_split(&arguments.text, field, loaded.config.documents)?;
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
    if arguments.common.json {
        say_json(&serde_json::json!({
            "exit_code": 0, "tokens": tokens, "bytes": bytes, "nats_per_token": nats_per_token,
            "perplexity": perplexity, "bits_per_byte": bits_per_byte,
            "kept_fraction": kept_fraction, "loss": loss, "generation": loaded.generation,
        }));
    }
    Ok(())
}
