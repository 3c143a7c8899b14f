//! `fortifai generate`: text from a trained model.

use super::device::{OnDevice, Work};
use super::model_dir::Which;
use super::{Common, say, say_json};
use crate::model::GptDecoder;
use crate::tier::Tier;
use crate::{Error, Result, Stream};
use clap::Args;

/// Write text with a trained model: whole documents, or the continuation of a prompt.
///
/// The decoding settings are those of the run; options given here win.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai generate models/toy --count 5
  fortifai generate models/bard --prompt 'ROMEO:' --temperature 0.8 --max-new-tokens 80
  fortifai generate runs/toy-replace --chain tce-0.9-seed1 --greedy")]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Text to continue [default: the beginning of a document]
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// How many texts
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: usize,
    /// Names the random numbers
    #[arg(long, value_name = "K", default_value_t = 1)]
    seed: u64,
    /// Softmax temperature
    #[arg(long, value_name = "X")]
    temperature: Option<f64>,
    /// Sample from the K best tokens only; 0 is off
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Sample from the smallest set of tokens with this mass only; 1 is off
    #[arg(long, value_name = "P")]
    top_p: Option<f64>,
    /// Beams of the search; needs --greedy
    #[arg(long, value_name = "N")]
    beams: Option<usize>,
    /// Take the best token (or beam) instead of sampling
    #[arg(long)]
    greedy: bool,
    /// Penalty on tokens already present; 1 is off
    #[arg(long, value_name = "X")]
    repetition_penalty: Option<f64>,
    /// Most new tokens
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<usize>,
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

/// The most texts of one call.
const MOST_TEXTS: usize = 1_000_000;

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    arguments.machine.run(arguments)
}

impl Work for &Arguments {
    type Output = ();

    fn run<T: Tier<Number = f32>>(self, tier: &T) -> Result<()> {
        write(self, tier)
    }
}

fn write<T: Tier<Number = f32>>(arguments: &Arguments, tier: &T) -> Result<()> {
    let loaded = arguments.which.load(tier)?;
    let mut decode = loaded.config.decode.clone();
    decode.sample = decode.sample && !arguments.greedy;
    decode.temperature = arguments.temperature.unwrap_or(decode.temperature);
    decode.top_k = arguments.top_k.unwrap_or(decode.top_k);
    decode.top_p = arguments.top_p.unwrap_or(decode.top_p);
    decode.beams = arguments.beams.unwrap_or(decode.beams);
    decode.repetition_penalty = arguments.repetition_penalty.unwrap_or(decode.repetition_penalty);
    let end = loaded.tokenizer.end_token();
    let mut prompt = vec![end];
    prompt.extend(loaded.tokenizer.encode(arguments.prompt.as_deref().unwrap_or(""))?);
    let context = loaded.model.config.context;
    if prompt.len() >= context {
        return Err(Error::input(format!(
            "The prompt has {} tokens and the model's context {context}; shorten the prompt.",
            prompt.len()
        )));
    }
    let room = context - prompt.len();
    decode.max_new_tokens = arguments.max_new_tokens.unwrap_or(decode.max_new_tokens.min(room));
    decode.min_new_tokens = decode.min_new_tokens.min(decode.max_new_tokens);
    decode.validate()?;
    if !(1..=MOST_TEXTS).contains(&arguments.count) {
        return Err(Error::input(format!(
            "The number of texts given with --count is {}; use a number from 1 to {MOST_TEXTS}.",
            arguments.count
        )));
    }
    let prompts = vec![prompt; arguments.count];
    let texts = arguments.common.on_threads(|| {
        let rows = (arguments.count * decode.beams).clamp(1, 256).max(decode.beams);
        let mut decoder = GptDecoder::new(&loaded.model, rows, context)?;
        let streams = |item| Stream::new(arguments.seed, "generate", 0, item as u64);
        crate::sample::generate(&mut decoder, &prompts, &decode, Some(end), streams)
    })?;
    let texts: Vec<String> = texts.iter().map(|text| loaded.tokenizer.decode(text)).collect();
    for text in &texts {
        say(&format!("{}{text}\n", arguments.prompt.as_deref().unwrap_or("")));
    }
    if arguments.common.json {
        say_json(&serde_json::json!({
            "exit_code": 0, "prompt": arguments.prompt, "texts": texts,
            "generation": loaded.generation,
        }));
    }
    Ok(())
}
