//! The text that a model generates: documents from nothing, or a text regenerated in windows.

use crate::config::{DecodeConfig, RunConfig};
use crate::model::{Gpt, GptDecoder};
use crate::sample::generate;
use crate::tier::Tier;
use crate::{Error, Result, Stream};

/// The most sequences that are decoded side by side.
const ROWS: usize = 512;
/// Numbers that the key-value cache may hold.
const CACHE: usize = 1 << 26;

/// What is to be written, by whom.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// The run.
    pub config: &'a RunConfig,
    /// The end token.
    pub end: u32,
    /// Names the random streams together with the generation.
    pub seed: u64,
    /// Names the random streams together with the seed.
    pub generation: usize,
    /// The same order given again, from 1 on, asks for other text.
    pub round: usize,
    /// Tokens to write; in windows no more than the text has.
    pub tokens: usize,
    /// What the windows regenerate, without a leading end token.
    pub text: &'a [u32],
    /// Tokens of a document of the real text, on average: a guess that no result depends on.
    pub document_tokens: f64,
    /// Whether to stop.
    pub stopped: &'a dyn Fn() -> bool,
}

/// Generated text.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The stream, an end token first.
    pub stream: Vec<u32>,
    /// Share of documents without a token; `None` in windows.
    pub empty_share: Option<f64>,
}

/// Generates the text that is ordered.
pub fn write<T: Tier>(model: &Gpt<T>, order: &Order) -> Result<Written> {
    match order.config.windows() {
        None => documents(model, order),
        Some((context, stride)) => windows(model, order, context, stride),
    }
}

fn documents<T: Tier>(model: &Gpt<T>, order: &Order) -> Result<Written> {
    let decode = &order.config.decode;
    let rows = rows(model, decode, decode.max_new_tokens + 1);
    let mut decoder = GptDecoder::new(model, rows, decode.max_new_tokens + 1)?;
    let width = rows / decode.beams;
    let mut stream = vec![order.end];
    let (mut asked, mut count, mut empty) = (0, 0, 0);
    let mut mean = order.document_tokens.max(1.0);
    while stream.len() <= order.tokens {
        check(order)?;
        let missing = (order.tokens + 1 - stream.len()) as f64;
        let prompts = vec![vec![order.end]; ((missing / mean).ceil() as usize).clamp(1, width)];
        let streams = |item| stream_of(order, asked + item);
        let texts = generate(&mut decoder, &prompts, decode, Some(order.end), streams)?;
        asked += texts.len();
        for mut text in texts {
            if stream.len() > order.tokens {
                break;
            }
            if text.last() != Some(&order.end) {
                text.push(order.end);
            }
            count += 1;
            empty += usize::from(text.len() == 1);
            stream.extend(text);
        }
        mean = (stream.len() - 1) as f64 / count as f64;
    }
    let empty_share = (count > 0).then(|| empty as f64 / count as f64);
    Ok(Written { stream, empty_share })
}

fn windows<T: Tier>(
    model: &Gpt<T>,
    order: &Order,
    context: usize,
    stride: usize,
) -> Result<Written> {
    let text = &order.text[..order.text.len().min(order.tokens)];
    let decode = DecodeConfig {
        min_new_tokens: stride,
        max_new_tokens: stride,
        ..order.config.decode.clone()
    };
    let rows = rows(model, &decode, context + stride);
    let mut decoder = GptDecoder::new(model, rows, context + stride)?;
    let starts: Vec<usize> = (0..text.len()).step_by(stride).collect();
    let mut stream = vec![order.end];
    let width = rows / decode.beams;
    for (batch, some) in starts.chunks(width).enumerate() {
        check(order)?;
        let prompts: Vec<Vec<u32>> =
            some.iter().map(|&start| prompt(text, start, context, order.end)).collect();
        let streams = |item| stream_of(order, batch * width + item);
        for piece in generate(&mut decoder, &prompts, &decode, None, streams)? {
            stream.extend(piece);
        }
    }
    stream.truncate(text.len() + 1);
    Ok(Written { stream, empty_share: None })
}

/// The `context` tokens before `start`; where there are fewer, the end token and those.
fn prompt(text: &[u32], start: usize, context: usize, end: u32) -> Vec<u32> {
    match start.checked_sub(context) {
        Some(first) => text[first..start].to_vec(),
        None => [end].into_iter().chain(text[..start].iter().copied()).collect(),
    }
}

fn stream_of(order: &Order, item: usize) -> Stream {
    let item = (order.round as u64) << 40 | item as u64;
    Stream::new(order.seed, "generate", order.generation as u64, item)
}

fn check(order: &Order) -> Result<()> {
    match (order.stopped)() {
        true => Err(Error::stopped()),
        false => Ok(()),
    }
}

/// Rows of the decoder: a multiple of the beams that keeps the cache small.
fn rows<T: Tier>(model: &Gpt<T>, decode: &DecodeConfig, context: usize) -> usize {
    let config = &model.config;
    let row = 2 * config.layers * context * config.channels + config.vocab;
    let beams = decode.beams;
    (CACHE / row).clamp(1, ROWS) / beams * beams + if CACHE / row < beams { beams } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::prompt;

    #[test]
    fn windows_see_what_precedes_them() {
        let text = [1, 2, 3, 4, 5, 6];
        assert_eq!(prompt(&text, 0, 2, 0), [0]);
        assert_eq!(prompt(&text, 1, 2, 0), [0, 1]);
        assert_eq!(prompt(&text, 2, 2, 0), [1, 2]);
        assert_eq!(prompt(&text, 5, 2, 0), [4, 5]);
    }
}
