//! `tokenizer.json`: byte-level BPE that we train, and any tokenizer of that format.

use super::END;
use crate::{Error, Result};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, NormalizerWrapper, Tokenizer, TokenizerImpl};

type ByteBpe = TokenizerImpl<BPE, NormalizerWrapper, ByteLevel, ByteLevel, ByteLevel>;

/// Names under which well-known models keep their end-of-document token, in order of preference.
const END_NAMES: [&str; 5] = [END, "<|end_of_text|>", "<eos>", "</s>", "[SEP]"];

/// A tokenizer of the standard format with its end token.
#[derive(Clone, Debug)]
pub struct Json {
    pub(super) inner: Box<Tokenizer>,
    pub(super) end: u32,
    pub(super) size: usize,
}

impl Json {
    /// Byte-level BPE with GPT-2's splitting: the end token is 0, the 256 bytes follow, then the
    /// merges. A small corpus may run out of pairs to merge and give fewer than `vocab` tokens.
    pub fn train(vocab: usize, documents: &[String]) -> Result<Self> {
        if vocab < 257 {
            return Err(Error::input(format!(
                "A BPE vocabulary of {vocab} is too small; 257 (256 bytes and the end token) is the \
                 least."
            )));
        }
        let split = ByteLevel::default().add_prefix_space(false);
        let mut inner = ByteBpe::new(BPE::default());
        inner
            .with_pre_tokenizer(Some(split))
            .with_post_processor(Some(split.trim_offsets(false)))
            .with_decoder(Some(split));
        let mut trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(vocab)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens(vec![AddedToken::from(END, true)])
            .build();
        inner.train(&mut trainer, documents.iter()).map_err(|cause| {
            Error::input(format!("The BPE tokenizer cannot be trained: {cause}."))
        })?;
        Self::new(inner.into()).map_err(Error::input)
    }

    /// Reads a `tokenizer.json`; the error is the reason in words.
    ///
    /// The end token is the first of the well-known names that the file holds; without any, it is
    /// added. Padding and truncation are turned off, and dropout, which is random, is refused.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|cause| format!("it is not JSON ({cause})"))?;
        if value.pointer("/model/dropout").and_then(|rate| rate.as_f64()).unwrap_or(0.0) > 0.0 {
            return Err("its model has dropout, which is random; set \"dropout\" to null".into());
        }
        let inner: Tokenizer = text.parse().map_err(|cause| format!("{cause}"))?;
        Self::new(inner)
    }

    fn new(mut inner: Tokenizer) -> std::result::Result<Self, String> {
        inner.with_padding(None).with_truncation(None).map_err(|cause| cause.to_string())?;
        inner.set_encode_special_tokens(true);
        let find = |inner: &Tokenizer| END_NAMES.iter().find_map(|name| inner.token_to_id(name));
        if find(&inner).is_none() {
            let end = [AddedToken::from(END, true)];
            inner.add_special_tokens(end).map_err(|cause| cause.to_string())?;
        }
        let end = find(&inner).ok_or("it takes no end token")?;
        let last = inner.get_vocab(true).into_values().max().unwrap_or(0);
        Ok(Self { inner: Box::new(inner), end, size: last as usize + 1 })
    }

    /// The ids of `text`, which can never spell a special token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false).map_err(|cause| {
            let head = text.chars().take(40).collect::<String>();
            Error::input(format!("The document \"{head}…\" cannot be encoded: {cause}."))
        })?;
        Ok(encoding.get_ids().to_vec())
    }
}
