//! The real text of a run: what is trained on, what is held out, what a base model is trained on.

use crate::config::RunConfig;
use crate::measure::items::Items;
use crate::text::{Tokenizer, TokenizerKind, ToyWorld, encode_documents, read_documents_split};
use crate::{Error, Result, Stream};
use std::path::{Path, PathBuf};

/// Share of a corpus file that is held out where no held-out file is named.
const HELDOUT: f64 = 0.1;

/// A corpus, read and tokenized.
#[derive(Debug)]
pub struct Corpus {
    tokenizer: Tokenizer,
    toy: Option<&'static ToyWorld>,
    toy_tokens: usize,
    real: Vec<u32>,
    heldout: Vec<u32>,
    heldout_bytes: usize,
    base: Option<Vec<u32>>,
    base_tokens: usize,
    items: Option<Items>,
}

impl Corpus {
    /// Reads the corpus of a run.
    ///
    /// # Errors
    /// A file that cannot be read, holds no text, or is not UTF-8; items that cannot be used.
    pub fn load(config: &RunConfig) -> Result<Self> {
        let base = config.base.as_ref();
        let base_tokens = base.map_or(0, |base| base.tokens);
        let items = |tokenizer: &Tokenizer| {
            config.evaluate.as_ref().map(|files| Items::load(files, tokenizer)).transpose()
        };
        if config.is_toy() {
            let world = ToyWorld::standard();
            let sizes = config.toy.clone().unwrap_or_default();
            return Ok(Self {
                tokenizer: world.tokenizer().clone(),
                toy: Some(world),
                toy_tokens: sizes.train_tokens,
                real: Vec::new(),
                heldout: Self::toy_heldout(world, config),
                heldout_bytes: 0,
                base: None,
                base_tokens,
                items: items(world.tokenizer())?,
            });
        }
        let read =
            |path: &Path| read_documents_split(path, config.field.as_deref(), config.documents);
        let mut train = read(Path::new(&config.corpus))?;
        let heldout = match &config.heldout {
            Some(path) => read(path)?,
            None => hold_out(&mut train, Path::new(&config.corpus))?,
        };
        let kind = config.tokenizer.clone().unwrap_or(TokenizerKind::Bpe { vocab: 1024 });
        let tokenizer = Tokenizer::train(&kind, &train)?;
        let base = match base.and_then(|base| base.corpus.as_ref()) {
            Some(path) => Some(encode_documents(&tokenizer, &read(path)?)?),
            None => None,
        };
        let mut heldout_bytes = heldout.iter().map(String::len).sum();
        let mut heldout = encode_documents(&tokenizer, &heldout)?;
        if let Some(tokens) = config.heldout_tokens.filter(|&tokens| tokens < heldout.len()) {
            heldout.truncate(tokens);
            let end = tokenizer.end_token();
            let text: Vec<u32> = heldout.iter().copied().filter(|&token| token != end).collect();
            heldout_bytes = tokenizer.decode(&text).len();
        }
        Ok(Self {
            real: encode_documents(&tokenizer, &train)?,
            heldout,
            heldout_bytes,
            items: items(&tokenizer)?,
            tokenizer,
            toy: None,
            toy_tokens: 0,
            base,
            base_tokens,
        })
    }

    /// The held-out text of a run in the toy world.
    pub fn toy_heldout(world: &ToyWorld, config: &RunConfig) -> Vec<u32> {
        let tokens = config.toy.clone().unwrap_or_default().heldout_tokens;
        world.sample_stream(&mut Stream::new(0, "toy-heldout", 0, 0), tokens)
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The toy world, if that is the corpus.
    pub fn toy(&self) -> Option<&'static ToyWorld> {
        self.toy
    }

    /// The real training text of a seed as `end doc end … end`; every loss has the same.
    pub fn real(&self, seed: u64) -> Vec<u32> {
        self.drawn(seed, "toy-corpus", self.toy_tokens).unwrap_or_else(|| self.real.clone())
    }

    /// The text of a seed's base model.
    pub fn base(&self, seed: u64) -> Vec<u32> {
        self.drawn(seed, "toy-base", self.base_tokens)
            .or_else(|| self.base.clone())
            .unwrap_or_else(|| self.real.clone())
    }

    /// The held-out text, the same for every seed.
    pub fn heldout(&self) -> &[u32] {
        &self.heldout
    }

    /// Bytes of the held-out text; 0 in the toy world.
    pub fn heldout_bytes(&self) -> usize {
        self.heldout_bytes
    }

    /// The items that every generation is measured by.
    pub fn items(&self) -> Option<&Items> {
        self.items.as_ref()
    }

    /// The files that a run reads.
    pub fn inputs(config: &RunConfig) -> Vec<PathBuf> {
        let corpus = (!config.is_toy()).then(|| PathBuf::from(&config.corpus));
        let tokenizer = match &config.tokenizer {
            Some(TokenizerKind::File(path)) => Some(path.clone()),
            _ => None,
        };
        let base = config.base.as_ref().and_then(|base| base.corpus.clone());
        // What was measured of a model tells it from any other.
        let model = config.base.as_ref().and_then(|base| base.model.as_ref());
        let model = model.map(|dir| dir.join("metrics.jsonl"));
        let items = config.evaluate.iter().flat_map(|files| files.paths()).cloned();
        let texts = [corpus, config.heldout.clone(), tokenizer, base, model];
        texts.into_iter().flatten().chain(items).collect()
    }

    fn drawn(&self, seed: u64, purpose: &str, tokens: usize) -> Option<Vec<u32>> {
        let mut stream = Stream::new(seed, purpose, 0, 0);
        self.toy.map(|world| world.sample_stream(&mut stream, tokens))
    }
}

/// Moves the last tenth of the text, by bytes, out of `documents`: whole documents where they are
/// short, else a part of one, cut at a line end.
fn hold_out(documents: &mut Vec<String>, path: &Path) -> Result<Vec<String>> {
    let total: usize = documents.iter().map(String::len).sum();
    let mut wanted = (total as f64 * HELDOUT).ceil() as usize;
    let mut held = Vec::new();
    while let Some(mut last) = documents.pop() {
        if last.len() > wanted && last.len() > total / 20 {
            let at = cut(&last, last.len() - wanted);
            let tail = last.split_off(at);
            documents.extend((!last.is_empty()).then_some(last));
            held.extend((!tail.is_empty()).then_some(tail));
            break;
        }
        wanted = wanted.saturating_sub(last.len());
        held.push(last);
        if wanted == 0 {
            break;
        }
    }
    held.reverse();
    if documents.iter().chain([&String::new()]).all(|text| text.trim().is_empty())
        || held.iter().all(|text| text.trim().is_empty())
    {
        return Err(Error::input(format!(
            "The file {} is too short to hold out a tenth of it; give a longer text, or a \
             held-out text of its own with --heldout.",
            path.display()
        )));
    }
    Ok(held)
}

/// The line start nearest below `at`, or the character boundary where the line is long.
fn cut(text: &str, at: usize) -> usize {
    let at = (0..=at).rev().find(|&place| text.is_char_boundary(place)).unwrap_or(0);
    let line = text[..at].rfind('\n').map_or(0, |place| place + 1);
    if line > 0 && at - line <= text.len() / 10 { line } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_the_held_out_text_has_its_own_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let [train, held] = ["train", "held"].map(|name| folder.path().join(name));
        std::fs::write(&train, "aäb ".repeat(50)).unwrap();
        std::fs::write(&held, "äb a".repeat(50)).unwrap();
        let text = format!(
            "corpus = {train:?}\nheldout = {held:?}\ntokenizer = \"char\"\nheldout_tokens = 21"
        );
        let config = crate::config::resolve(&[("The test".into(), text.parse().unwrap())]).unwrap();
        let corpus = Corpus::load(&config).unwrap();
        // The end token, then five times four characters of five bytes.
        assert_eq!((corpus.heldout().len(), corpus.heldout_bytes()), (21, 25));
    }

    #[test]
    fn a_tenth_is_held_out_and_nothing_is_lost() {
        let line = "wörter und zeilen\n";
        for documents in [
            vec![line.repeat(300)],
            vec![line.into(); 300],
            vec![line.repeat(3), line.repeat(100)],
            vec!["ö".repeat(999)],
        ] {
            let whole = documents.concat();
            let mut train = documents.clone();
            let held = hold_out(&mut train, Path::new("x")).unwrap();
            assert_eq!(train.concat() + &held.concat(), whole);
            let share = held.concat().len() as f64 / whole.len() as f64;
            assert!((0.09..0.13).contains(&share), "{share}");
        }
        assert!(hold_out(&mut vec!["x".into()], Path::new("x")).is_err());
    }
}
