//! Tokenizers: bytes, characters, words, byte-level BPE, and any `tokenizer.json`.

mod json;
mod kind;
mod vocabulary;

pub use kind::TokenizerKind;

use crate::{Error, Result};
use json::Json;
use serde::{Deserialize, Serialize};
use std::path::Path;
use vocabulary::{Unit, Vocabulary};

/// The spelling of the end token in tokenizers that are built here.
pub const END: &str = "<|endoftext|>";

/// Turns text into tokens and back.
///
/// Every tokenizer has an end token that parts documents. Text can never spell it: a document that
/// contains its letters is encoded as those letters (or, in a word vocabulary, as unknown).
///
/// ```
/// use fortifai::text::{Tokenizer, TokenizerKind};
/// let documents = ["a rose is a rose".to_owned()];
/// let tokenizer = Tokenizer::train(&TokenizerKind::Word, &documents)?;
/// let tokens = tokenizer.encode("is a rose a rat")?;
/// assert_eq!(tokenizer.decode(&tokens), "is a rose a <unk>");
/// # Ok::<(), fortifai::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tokenizer {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Byte,
    Listed(Vocabulary),
    Json(Json),
}

/// How the forms that are not `tokenizer.json` are written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    fortifai_tokenizer: String,
    #[serde(default)]
    tokens: Vec<String>,
}

impl Tokenizer {
    /// A tokenizer of this kind for these documents; `byte` and `file` do not look at them.
    ///
    /// # Errors
    /// When a kind that learns from the documents finds no text in them, when the size is too
    /// small, or when the file cannot be used.
    pub fn train(kind: &TokenizerKind, documents: &[String]) -> Result<Self> {
        let learns = !matches!(kind, TokenizerKind::Byte | TokenizerKind::File(_));
        if learns && documents.iter().all(String::is_empty) {
            return Err(Error::input(format!(
                "The tokenizer \"{kind}\" learns from the corpus, which holds no text; give a corpus \
                 or use byte."
            )));
        }
        let form = match kind {
            TokenizerKind::Byte => Form::Byte,
            TokenizerKind::Char => Form::Listed(Vocabulary::train(Unit::Char, documents)?),
            TokenizerKind::Word => Form::Listed(Vocabulary::train(Unit::Word, documents)?),
            TokenizerKind::Bpe { vocab } => Form::Json(Json::train(*vocab, documents)?),
            TokenizerKind::File(path) => return Self::load(path),
        };
        Ok(Self { form })
    }

    /// A word tokenizer of exactly these words after the end token, with ids 1, 2, …; encoding
    /// refuses every other word.
    ///
    /// # Errors
    /// When a word occurs twice.
    pub fn from_words<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Result<Self> {
        let tokens = [END.to_owned()].into_iter().chain(words.into_iter().map(Into::into));
        Ok(Self { form: Form::Listed(Vocabulary::new(Unit::Word, tokens.collect())?) })
    }

    /// The tokens of `text`, without end tokens.
    ///
    /// # Errors
    /// When the text holds what the tokenizer cannot express and it has no unknown token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match &self.form {
            Form::Byte => Ok(text.bytes().map(u32::from).collect()),
            Form::Listed(vocabulary) => vocabulary.encode(text),
            Form::Json(json) => json.encode(text),
        }
    }

    /// The text of `tokens`. End tokens (and other special tokens) are left out; bytes that are not
    /// UTF-8 and ids outside the vocabulary become U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let end = self.end_token();
        let kept = tokens.iter().copied().filter(|&token| token != end);
        match &self.form {
            Form::Byte => {
                let bytes = kept.map(|token| u8::try_from(token).unwrap_or(0xff));
                String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
            }
            Form::Listed(list) => list.decode(kept.map(|token| self.token_text(token))),
            Form::Json(json) => {
                let inside = kept.filter(|&token| (token as usize) < json.size);
                let text = json.inner.decode(&inside.collect::<Vec<_>>(), true);
                text.unwrap_or_else(|_| char::REPLACEMENT_CHARACTER.to_string())
            }
        }
    }

    /// The number of tokens: one more than the largest id.
    pub fn vocab_size(&self) -> usize {
        match &self.form {
            Form::Byte => 257,
            Form::Listed(vocabulary) => vocabulary.tokens.len(),
            Form::Json(json) => json.size,
        }
    }

    /// The token that parts documents.
    pub fn end_token(&self) -> u32 {
        match &self.form {
            Form::Byte => 256,
            Form::Listed(_) => 0,
            Form::Json(json) => json.end,
        }
    }

    /// The token of what the vocabulary does not hold, where there is one.
    pub fn unknown_token(&self) -> Option<u32> {
        match &self.form {
            Form::Byte => None,
            Form::Listed(vocabulary) => vocabulary.id(vocabulary::UNKNOWN),
            Form::Json(json) => json.inner.token_to_id(vocabulary::UNKNOWN),
        }
    }

    /// How a single token is written in tables: `A`, `<0x0a>`, `Ġthe`, `<|endoftext|>`; U+FFFD for
    /// an id outside the vocabulary.
    pub fn token_text(&self, token: u32) -> String {
        let text = match &self.form {
            Form::Byte => match u8::try_from(token) {
                Ok(byte) if byte.is_ascii_graphic() => Some((byte as char).to_string()),
                Ok(byte) => Some(format!("<0x{byte:02x}>")),
                Err(_) => (token == 256).then(|| END.to_owned()),
            },
            Form::Listed(vocabulary) => vocabulary.tokens.get(token as usize).cloned(),
            Form::Json(json) => json.inner.id_to_token(token),
        };
        text.unwrap_or_else(|| char::REPLACEMENT_CHARACTER.to_string())
    }

    /// The id of a token as [`Self::token_text`] writes it in word, char and JSON vocabularies.
    pub fn token_id(&self, text: &str) -> Option<u32> {
        match &self.form {
            Form::Byte => (0..257).find(|&token| self.token_text(token) == text),
            Form::Listed(vocabulary) => vocabulary.id(text),
            Form::Json(json) => json.inner.token_to_id(text),
        }
    }

    /// Writes one JSON file: BPE and loaded tokenizers as a standard `tokenizer.json`, the others
    /// as `{"fortifai_tokenizer": KIND, "tokens": [...]}`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.to_json()).map_err(|cause| Error::writing(path, cause))
    }

    /// The content of the file that [`Self::save`] writes.
    pub fn to_json(&self) -> String {
        let (kind, tokens) = match &self.form {
            Form::Byte => ("byte", Vec::new()),
            Form::Listed(Vocabulary { unit: Unit::Char, tokens, .. }) => ("char", tokens.clone()),
            Form::Listed(Vocabulary { unit: Unit::Word, tokens, .. }) => ("word", tokens.clone()),
            Form::Json(json) => {
                return json
                    .inner
                    .to_string(true)
                    .expect("Tokenizer::to_json: strings and numbers");
            }
        };
        let saved = Saved { fortifai_tokenizer: kind.into(), tokens };
        serde_json::to_string(&saved).expect("Tokenizer::to_json: strings and numbers")
    }

    /// Reads what [`Self::save`] wrote, or any `tokenizer.json`.
    ///
    /// # Errors
    /// When the file is missing or is neither of the two.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|cause| Error::reading(path, cause))?;
        Self::parse(&text).map_err(|cause| {
            Error::input(format!(
                "The file {} is not a tokenizer: {cause}. Give a file that fortifai saved or a \
                 tokenizer.json.",
                path.display()
            ))
        })
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let form = match serde_json::from_str::<Saved>(text) {
            Ok(saved) => {
                let listed = |unit| Vocabulary::new(unit, saved.tokens.clone()).map(Form::Listed);
                match saved.fortifai_tokenizer.as_str() {
                    "byte" => Form::Byte,
                    "char" => listed(Unit::Char).map_err(|cause| cause.to_string())?,
                    "word" => listed(Unit::Word).map_err(|cause| cause.to_string())?,
                    other => {
                        return Err(format!("its kind is \"{other}\", not byte, char or word"));
                    }
                }
            }
            Err(cause) if text.contains("\"fortifai_tokenizer\"") => return Err(cause.to_string()),
            Err(_) => Form::Json(Json::parse(text)?),
        };
        Ok(Self { form })
    }
}

#[cfg(test)]
mod tests;
