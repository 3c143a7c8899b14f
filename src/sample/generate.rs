//! The entry of decoding: checks, batches, one random stream per prompt.

use super::pick::Picker;
use super::{Decoder, beam, sampling};
use crate::config::DecodeConfig;
use crate::{Error, Result, Stream};

/// What holds for all prompts.
pub(super) struct Task<'a> {
    pub(super) config: &'a DecodeConfig,
    pub(super) end: Option<u32>,
}

impl Task<'_> {
    /// The end token, as long as fewer than `min_new_tokens` are there.
    pub(super) fn barred(&self, length: usize) -> Option<u32> {
        self.end.filter(|_| length < self.config.min_new_tokens)
    }
}

/// A prompt and its number among all prompts.
pub(super) struct Job<'a> {
    pub(super) number: usize,
    pub(super) prompt: &'a [u32],
}

/// The new tokens that follow each prompt, without the prompt; the end token is their last one if
/// it was produced, otherwise there are `max_new_tokens` of them.
///
/// The settings mean what they mean in transformers' `generate`: the repetition penalty looks at
/// prompt and new tokens; the end token is barred before `min_new_tokens`; `temperature`, `top_k`
/// and `top_p` act in this order and only when sampling; beam search is the one with
/// `early_stopping=False` and returns the best hypothesis. Token `end` ends a text; with `None`
/// every text has `max_new_tokens` tokens.
///
/// `streams(i)` gives the random numbers of prompt `i`. A text depends on its prompt and its
/// stream alone, so the outputs do not depend on the batches, which are as large as
/// [`Decoder::max_rows`] allows.
///
/// # Errors
/// Settings outside their range; an empty prompt; a token outside the vocabulary; a prompt that
/// with `max_new_tokens` exceeds [`Decoder::context`]; more beams than rows; logits that are NaN
/// or leave no token; whatever the decoder returns.
pub fn generate<D: Decoder>(
    decoder: &mut D,
    prompts: &[Vec<u32>],
    config: &DecodeConfig,
    end: Option<u32>,
    streams: impl Fn(usize) -> Stream,
) -> Result<Vec<Vec<u32>>> {
    config.validate()?;
    check(decoder, prompts, config, end)?;
    let task = Task { config, end };
    let jobs: Vec<Job> = (prompts.iter().enumerate())
        .map(|(number, prompt)| Job { number, prompt: prompt.as_slice() })
        .collect();
    let width = decoder.max_rows() / config.beams;
    let mut texts = Vec::with_capacity(prompts.len());
    if config.beams > 1 {
        for batch in jobs.chunks(width) {
            texts.extend(beam::decode(decoder, &task, batch)?);
        }
        return Ok(texts);
    }
    let mut picker = Picker::new(config, decoder.vocab());
    for batch in jobs.chunks(width) {
        let mut streams: Vec<Stream> = batch.iter().map(|job| streams(job.number)).collect();
        texts.extend(sampling::decode(decoder, &task, batch, &mut picker, &mut streams)?);
    }
    Ok(texts)
}

fn check<D: Decoder>(
    decoder: &D,
    prompts: &[Vec<u32>],
    config: &DecodeConfig,
    end: Option<u32>,
) -> Result<()> {
    let (vocab, context, rows) = (decoder.vocab(), decoder.context(), decoder.max_rows());
    if config.beams > rows {
        return Err(Error::input(format!(
            "The search needs {} rows side by side for its beams, but this decoder holds {rows}; \
             use fewer beams.",
            config.beams
        )));
    }
    if let Some(end) = end.filter(|&end| end as usize >= vocab) {
        return Err(Error::input(format!(
            "The end token is {end}, but the model knows the tokens 0 to {}; take the end token \
             of the model's own tokenizer.",
            vocab - 1
        )));
    }
    for (number, prompt) in prompts.iter().enumerate() {
        if prompt.is_empty() {
            return Err(Error::input(format!(
                "Prompt {number} is empty; begin it with at least one token, such as the end \
                 token."
            )));
        }
        if let Some(token) = prompt.iter().find(|&&token| token as usize >= vocab) {
            return Err(Error::input(format!(
                "Prompt {number} holds token {token}, but the model knows the tokens 0 to {}; \
                 encode the prompt with the model's own tokenizer.",
                vocab - 1
            )));
        }
        let (length, new) = (prompt.len(), config.max_new_tokens);
        if length.saturating_add(new) > context {
            return Err(Error::input(format!(
                "Prompt {number} has {length} tokens, and with max_new_tokens = {new} the text \
                 may grow past the model's context of {context}; shorten the prompt, or lower \
                 max_new_tokens to {} or less.",
                context.saturating_sub(length)
            )));
        }
    }
    Ok(())
}

/// The error when a row's logits allow no token.
pub(super) fn no_token(job: &Job, length: usize) -> Error {
    Error::input(format!(
        "The logits of prompt {} after {length} new tokens are NaN or infinite, or leave no token \
         to choose; the model has diverged (train with a smaller learning rate) or its only \
         likely token is barred (lower min_new_tokens).",
        job.number
    ))
}

#[cfg(test)]
mod tests {
    use super::generate;
    use crate::config::DecodeConfig;
    use crate::sample::toy::Markov;
    use crate::{Error, Stream};

    fn streams(number: usize) -> Stream {
        Stream::new(5, "decode", 0, number as u64)
    }

    fn prompts() -> Vec<Vec<u32>> {
        (0..23u32).map(|i| (0..1 + i % 5).map(|j| (i * 3 + j) % 11).collect()).collect()
    }

    #[test]
    fn outputs_do_not_depend_on_the_batches() {
        let plain = DecodeConfig { max_new_tokens: 12, ..DecodeConfig::default() };
        let penalised =
            DecodeConfig { repetition_penalty: 1.5, min_new_tokens: 3, ..plain.clone() };
        let filtered = DecodeConfig { temperature: 1.7, top_k: 6, top_p: 0.8, ..penalised.clone() };
        let greedy = DecodeConfig { sample: false, ..penalised.clone() };
        let beams = DecodeConfig { beams: 3, length_penalty: 0.5, ..greedy.clone() };
        let (mut ended, mut full) = (0, 0);
        for config in [plain, penalised, filtered, greedy, beams] {
            let texts = |rows| {
                let mut decoder = Markov::random(11, 9, 40, rows);
                generate(&mut decoder, &prompts(), &config, Some(4), streams).unwrap()
            };
            let alone = texts(config.beams);
            for rows in [config.beams + 1, 16, 100] {
                assert_eq!(alone, texts(rows), "{config:?} with {rows} rows");
            }
            assert!(alone.iter().all(|text| text.len() >= config.min_new_tokens.max(1)));
            for text in alone {
                let end = text.last() == Some(&4);
                assert!(end || text.len() == 12);
                assert!(!text[..text.len() - 1].contains(&4));
                ended += usize::from(end);
                full += usize::from(!end);
            }
        }
        assert!(ended >= 5 && full >= 5, "{ended} texts ended, {full} did not");
    }

    #[test]
    fn finished_rows_cost_nothing() {
        let config = DecodeConfig { max_new_tokens: 30, ..DecodeConfig::default() };
        let mut decoder = Markov::random(11, 9, 40, 100);
        let texts = generate(&mut decoder, &prompts(), &config, Some(4), streams).unwrap();
        let needed: usize = texts.iter().map(|text| text.len() - 1).sum();
        assert_eq!(decoder.rows_stepped, needed);
    }

    #[test]
    fn bad_requests_are_refused_with_numbers_and_remedy() {
        let config = DecodeConfig { max_new_tokens: 12, ..DecodeConfig::default() };
        let beams = DecodeConfig { sample: false, beams: 9, ..config.clone() };
        let say = |prompts: &[Vec<u32>], config, end| {
            let mut decoder = Markov::random(11, 9, 40, 8);
            match generate(&mut decoder, prompts, config, end, streams) {
                Err(Error::Input(sentence)) => sentence,
                other => panic!("not refused: {other:?}"),
            }
        };
        let long = vec![vec![1], vec![0; 29]];
        let sentence = say(&long, &config, None);
        assert!(sentence.contains("Prompt 1 has 29 tokens") && sentence.contains("to 11 or less"));
        assert!(say(&[vec![]], &config, None).contains("Prompt 0 is empty"));
        assert!(say(&[vec![11]], &config, None).contains("token 11"));
        assert!(say(&[vec![1]], &config, Some(11)).contains("end token is 11"));
        assert!(say(&[vec![1]], &beams, None).contains("holds 8"));
    }

    #[test]
    fn diverged_logits_are_refused_by_every_method() {
        let config = DecodeConfig { max_new_tokens: 12, ..DecodeConfig::default() };
        let greedy = DecodeConfig { sample: false, ..config.clone() };
        let beams = DecodeConfig { beams: 2, ..greedy.clone() };
        for config in [config, greedy, beams] {
            let mut decoder = Markov::new(vec![f64::NAN; 9], 40, 8);
            let error = generate(&mut decoder, &[vec![0]], &config, None, streams).unwrap_err();
            assert!(error.to_string().contains("prompt 0 after 0 new tokens"), "{error}");
        }
    }

    #[test]
    fn no_prompts_give_no_texts() {
        let mut decoder = Markov::random(11, 9, 40, 8);
        let texts = generate(&mut decoder, &[], &DecodeConfig::default(), None, streams).unwrap();
        assert!(texts.is_empty());
    }
}
