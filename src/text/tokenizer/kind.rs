//! The names by which users choose a tokenizer.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, str::FromStr};

/// Which tokenizer to build: `byte`, `char`, `word`, `bpe:1024`, `file:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TokenizerKind {
    /// 256 bytes and the end token; needs no training and meets no unknown text.
    Byte,
    /// The characters of the corpus.
    Char,
    /// The words of the corpus, split at white space; a line break is a word of its own.
    Word,
    /// Byte-level byte pair encoding trained on the corpus.
    Bpe {
        /// Size of the vocabulary, with the 256 bytes and the end token.
        vocab: usize,
    },
    /// A saved tokenizer: ours, or any `tokenizer.json`.
    File(PathBuf),
}

impl fmt::Display for TokenizerKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte => out.write_str("byte"),
            Self::Char => out.write_str("char"),
            Self::Word => out.write_str("word"),
            Self::Bpe { vocab } => write!(out, "bpe:{vocab}"),
            Self::File(path) => write!(out, "file:{}", path.display()),
        }
    }
}

impl FromStr for TokenizerKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let accepted = "write byte, char, word, bpe:SIZE (for example bpe:1024) or file:PATH";
        match (name, name.split_once(':')) {
            ("byte", _) => Ok(Self::Byte),
            ("char", _) => Ok(Self::Char),
            ("word", _) => Ok(Self::Word),
            (_, Some(("file", path))) if !path.is_empty() => Ok(Self::File(path.into())),
            (_, Some(("bpe", size))) => match size.parse() {
                Ok(vocab) => Ok(Self::Bpe { vocab }),
                Err(_) => Err(Error::input(format!(
                    "The tokenizer \"{name}\" has the size \"{size}\", which is not a whole \
                     number; {accepted}."
                ))),
            },
            _ => Err(Error::input(format!("There is no tokenizer \"{name}\"; {accepted}."))),
        }
    }
}

impl TryFrom<String> for TokenizerKind {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        name.parse()
    }
}

impl From<TokenizerKind> for String {
    fn from(kind: TokenizerKind) -> Self {
        kind.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["byte", "char", "word", "bpe:1024", "file:a b/c:d.json"] {
            let kind: TokenizerKind = name.parse().unwrap();
            assert_eq!(kind.to_string(), name);
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<TokenizerKind>(&json).unwrap(), kind);
        }
        for name in ["", "bpe", "bpe:", "bpe:1k", "file:", "Byte", "words"] {
            let error = name.parse::<TokenizerKind>().unwrap_err();
            assert!(error.to_string().contains("bpe:1024"), "{error}");
        }
    }
}
