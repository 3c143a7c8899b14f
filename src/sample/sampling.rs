//! Greedy decoding and sampling of one batch: one row per prompt.

use super::Decoder;
use super::generate::{Job, Task, no_token};
use super::pick::Picker;
use crate::{Result, Stream};

/// The tokens that follow each prompt of the batch; finished rows leave it at once.
pub(super) fn decode<D: Decoder>(
    decoder: &mut D,
    task: &Task,
    batch: &[Job],
    picker: &mut Picker<D::Number>,
    streams: &mut [Stream],
) -> Result<Vec<Vec<u32>>> {
    let vocab = decoder.vocab();
    let limit = task.config.max_new_tokens;
    let prompts: Vec<&[u32]> = batch.iter().map(|job| job.prompt).collect();
    let mut texts: Vec<Vec<u32>> = batch.iter().map(|_| Vec::with_capacity(limit)).collect();
    let mut live: Vec<usize> = (0..batch.len()).collect();
    let (mut parents, mut tokens, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    // Where no rule looks at the text, the choice can be made where the logits are.
    let plain = task.config.repetition_penalty == 1.0 && task.barred(0).is_none();
    let there = decoder.choose_by(plain.then_some(task.config));
    let draws = there && task.config.sample;
    if draws {
        decoder.give_uniforms(streams.iter_mut().map(Stream::uniform).collect());
    }
    decoder.prefill(&prompts)?;
    for length in 0..limit {
        let barred = task.barred(length);
        for (row, &item) in live.iter().enumerate() {
            let text = &mut texts[item];
            let token = if there {
                decoder.chosen()[row]
            } else {
                let present = prompts[item].iter().chain(text.iter()).copied();
                let logits = &decoder.logits()[row * vocab..][..vocab];
                picker.pick(logits, present, barred, &mut streams[item])
            };
            let token = token.ok_or_else(|| no_token(&batch[item], length))?;
            text.push(token);
            if Some(token) != task.end && length + 1 < limit {
                parents.push(row);
                tokens.push(token);
                kept.push(item);
            }
        }
        if kept.is_empty() {
            break;
        }
        if draws {
            decoder.give_uniforms(kept.iter().map(|&item| streams[item].uniform()).collect());
        }
        decoder.step(&parents, &tokens)?;
        std::mem::swap(&mut live, &mut kept);
        parents.clear();
        tokens.clear();
        kept.clear();
    }
    for text in &mut texts {
        text.shrink_to_fit();
    }
    Ok(texts)
}
