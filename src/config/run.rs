//! The settings of a recursive run.

use super::{DecodeConfig, ModelConfig, TrainConfig};
use crate::collapse::{Arm, Protocol};
use crate::measure::items::ItemFiles;
use crate::text::{DocumentSplit, TokenizerKind};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything that determines the numbers of a run; written to its directory as `config.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// `toy`, or the path of a text file or of a `.jsonl` file.
    pub corpus: String,
    /// The member that holds the text in a `.jsonl` file; `text` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Held-out text; if left out, the last tenth of the corpus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heldout: Option<PathBuf>,
    /// So many tokens of the held-out text, from its beginning; if left out, all of it. The toy world
    /// has its own setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heldout_tokens: Option<usize>,
    /// Where a text file is cut into documents.
    #[serde(with = "split_name")]
    pub documents: DocumentSplit,
    /// The tokenizer; the toy world has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerKind>,
    /// Share of each generation's own training text by which its best weights are chosen. It is
    /// never the held-out text, and holds no more real text than the protocol grants.
    pub validation: f64,
    /// The losses to be compared, each with its controls and treatments.
    pub losses: Vec<Arm>,
    /// The seeds; every loss runs with each of them.
    pub seeds: Vec<u64>,
    /// Number of generations, the one on real text only included.
    pub generations: usize,
    /// Which text each generation trains on.
    pub protocol: Protocol,
    /// Where each generation's weights start.
    pub init: Init,
    /// Generated tokens per generation; if left out, as many as the real corpus has. The protocol
    /// `fractions` takes none: it regenerates its training text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synthetic_tokens: Option<usize>,
    /// Each generation's tokens are this many times those of the one before: samples that grow or
    /// shrink.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub growth: f64,
    /// The model. `vocab` is that of the tokenizer and stands here as 0 until it is known.
    pub model: ModelConfig,
    /// Training of each generation.
    pub train: TrainConfig,
    /// The pretrained model that `init = "base"` starts every generation from, and `init = "chain"`
    /// generation 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseConfig>,
    /// Decoding of the generated text.
    pub decode: DecodeConfig,
    /// How text is generated.
    pub generate: GenerateConfig,
    /// Sizes of the toy corpus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toy: Option<ToyConfig>,
    /// Items that are measured in every generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluate: Option<ItemFiles>,
}

fn one() -> f64 {
    1.0
}

fn is_one(growth: &f64) -> bool {
    *growth == 1.0
}

/// Where the weights of a generation start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// Fresh random weights, the same for every generation of a seed.
    Scratch,
    /// The weights of a model that was trained once per seed with cross entropy.
    Base,
    /// The weights of the generation before; generation 0 starts from the base model where there is
    /// one, as the paper's does, else from fresh ones.
    Chain,
}

/// The pretrained model: one that is there, or cross entropy on text of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BaseConfig {
    /// Directory of a model that `fortifai train` made, of the same shape and tokenizer; every seed
    /// starts from it. If left out, each seed trains one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Its text; if left out, more toy text for the toy world, else the run's own real corpus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<PathBuf>,
    /// Tokens of its text in the toy world.
    pub tokens: usize,
    /// Its training.
    pub train: TrainConfig,
}

impl Default for BaseConfig {
    fn default() -> Self {
        Self { model: None, corpus: None, tokens: 100_000, train: TrainConfig::default() }
    }
}

/// How text is generated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateConfig {
    /// The mode.
    pub mode: GenerateMode,
    /// `windows`: tokens of context before each piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// `windows`: tokens of each piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
}

/// The modes of generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GenerateMode {
    /// Documents from nothing: the prompt is the end token, each document runs up to its own end
    /// or to `max_new_tokens`, until the budget is reached. Every document is followed by an end
    /// token, a cut one too.
    Documents,
    /// The paper's: for each `stride` tokens of the text to be regenerated, the `context` tokens
    /// before them are the prompt and exactly `stride` tokens are generated; put together, these
    /// are the regenerated text, as long as the old one. The first `context` tokens have less
    /// before them: their prompt is the end token and whatever precedes. Document boundaries are
    /// ordinary tokens here.
    Windows,
}

/// Sizes of the toy corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToyConfig {
    /// Tokens of the real corpus, drawn once per seed.
    pub train_tokens: usize,
    /// Tokens of the held-out text, the same for every seed.
    pub heldout_tokens: usize,
}

impl Default for ToyConfig {
    fn default() -> Self {
        Self { train_tokens: 150_000, heldout_tokens: 8_000 }
    }
}

/// The most seeds of a run.
pub const MOST_SEEDS: usize = 10_000;

/// The most generations of a run.
const MOST_GENERATIONS: usize = 10_000;

impl RunConfig {
    /// Whether the corpus is the built-in toy world.
    pub fn is_toy(&self) -> bool {
        self.corpus == "toy"
    }

    /// Tokens that generation `g` trains on where its protocol has a budget, and that generation
    /// `g − 1` writes; `real` is the size of the real corpus.
    pub fn budget(&self, g: usize, real: usize) -> usize {
        let named = self.synthetic_tokens;
        let first = named.unwrap_or_else(|| self.protocol.budget(real, self.generations));
        match self.growth == 1.0 {
            true => first,
            false => (first as f64 * self.growth.powi(g as i32)).round() as usize,
        }
    }

    /// Context and stride of the mode `windows`.
    pub fn windows(&self) -> Option<(usize, usize)> {
        match self.generate.mode {
            GenerateMode::Documents => None,
            GenerateMode::Windows => {
                let stride = self.generate.stride.unwrap_or(32).max(1);
                let room = self.model.context.saturating_sub(stride).max(1);
                Some((self.generate.context.unwrap_or(room), stride))
            }
        }
    }

    /// Checks what can be checked without reading the corpus.
    ///
    /// # Errors
    /// A setting outside its range, or two that contradict each other.
    pub fn validate(&self) -> Result<()> {
        let refuse = |sentence: String| Err(Error::input(sentence));
        if self.losses.is_empty() {
            return refuse(
                "The list of losses is empty; name at least one, for example ce.".into(),
            );
        }
        if self.seeds.len() > MOST_SEEDS {
            return refuse(format!(
                "There are {} seeds; use at most {MOST_SEEDS}.",
                self.seeds.len()
            ));
        }
        if self.seeds.is_empty() {
            return refuse("The list of seeds is empty; name at least one, for example 1.".into());
        }
        for (index, loss) in self.losses.iter().enumerate() {
            if self.losses[..index].contains(loss) {
                return refuse(format!("The loss {loss} is named twice; name it once."));
            }
        }
        for arm in &self.losses {
            arm.validate(self)?;
        }
        for (index, seed) in self.seeds.iter().enumerate() {
            if self.seeds[..index].contains(seed) {
                return refuse(format!("The seed {seed} is named twice; name it once."));
            }
            if i64::try_from(*seed).is_err() {
                return refuse(format!("The seed {seed} is too large; use one below 2^63."));
            }
        }
        if self.generations == 0 || self.generations > MOST_GENERATIONS {
            return refuse(format!(
                "The number of generations is {}; use a number from 1 to {MOST_GENERATIONS}.",
                self.generations
            ));
        }
        self.model.validate()?;
        if !(0.0..=0.5).contains(&self.validation) {
            return refuse(format!(
                "The validation share is {}; use a number from 0 (none) to 0.5.",
                self.validation
            ));
        }
        if self.synthetic_tokens == Some(0) {
            return refuse("The setting synthetic_tokens is 0; use 1 or more.".into());
        }
        if self.synthetic_tokens.is_some() && self.protocol == Protocol::Fractions {
            return refuse(
                "The protocol fractions regenerates its training text and takes no \
                 synthetic_tokens; leave the setting out or choose another protocol."
                    .into(),
            );
        }
        let ends = self.growth.powi(self.generations as i32);
        if !(self.growth > 0.0 && (1e-3..=1e3).contains(&ends)) {
            return refuse(format!(
                "The growth {} makes the last of {} generations {ends:.3} times as large as the first; \
                 use a number nearer to 1.",
                self.growth, self.generations
            ));
        }
        if self.growth != 1.0 && matches!(self.protocol, Protocol::Fractions | Protocol::Fresh(_)) {
            return refuse(format!(
                "The protocol {} shares out the real corpus and takes no growth; leave the setting out or \
                 choose another protocol.",
                self.protocol
            ));
        }
        if self.growth != 1.0 && self.windows().is_some() {
            return refuse(
                "In windows a generation writes as much as it reads; leave growth out or set \
                 generate.mode = \"documents\"."
                    .into(),
            );
        }
        if let Some(files) = &self.evaluate {
            files.validate()?;
        }
        self.check_corpus()?;
        self.check_windows()?;
        crate::train::check_settings(&self.train)?;
        if let Some(base) = &self.base {
            crate::train::check_settings(&base.train)?;
            if base.model.is_some() && base.corpus.is_some() {
                return refuse(
                    "The table [base] names both a model and a corpus to train one on; name one of \
                     them."
                        .into(),
                );
            }
            if base.model.is_some() && base.train != TrainConfig::default() {
                return refuse(
                    "The table [base] names a model that is there and settings to train one by; leave \
                     [base.train] out, or leave model out."
                        .into(),
                );
            }
        }
        self.decode.validate()
    }

    fn check_corpus(&self) -> Result<()> {
        let toy_only = |name: &str| {
            Error::input(format!(
                "The toy world has a {name} of its own; leave {name} out or name a corpus file."
            ))
        };
        match &self.toy {
            Some(_) if !self.is_toy() => Err(Error::input(
                "The table [toy] has no meaning for a corpus file; leave it out or use corpus = \
                 \"toy\".",
            )),
            _ if self.heldout_tokens == Some(0) => Err(Error::input(
                "The setting heldout_tokens is 0; use 1 or more, or leave it out.",
            )),
            _ if !self.is_toy() => Ok(()),
            _ if self.heldout_tokens.is_some() => Err(Error::input(
                "The toy world has held-out text of its own; set toy.heldout_tokens instead of \
                 heldout_tokens.",
            )),
            _ if self.heldout.is_some() => Err(toy_only("heldout")),
            _ if self.tokenizer.is_some() => Err(toy_only("tokenizer")),
            _ if self.field.is_some() => Err(toy_only("field")),
            _ => Ok(()),
        }
    }

    fn check_windows(&self) -> Result<()> {
        let Some((context, stride)) = self.windows() else {
            if self.generate.context.or(self.generate.stride).is_some() {
                return Err(Error::input(
                    "The settings context and stride of [generate] belong to mode = \"windows\"; \
                     leave them out or choose that mode.",
                ));
            }
            let room = self.model.context.saturating_sub(1);
            if self.decode.max_new_tokens > room {
                return Err(Error::input(format!(
                    "A document of max_new_tokens = {} does not fit into the model's context of {} \
                     after the end token; lower max_new_tokens to {room} or raise the context.",
                    self.decode.max_new_tokens, self.model.context
                )));
            }
            return Ok(());
        };
        if context == 0 || context + stride > self.model.context {
            return Err(Error::input(format!(
                "Windows of {context} context tokens and {stride} new ones do not fit into the \
                 model's context of {}; their sum may not exceed it.",
                self.model.context
            )));
        }
        Ok(())
    }
}

/// Names of the ways to cut a file into documents.
pub(super) mod split_name {
    use crate::text::DocumentSplit;
    use serde::{Deserialize, Deserializer, Serializer};

    const NAMES: [(&str, DocumentSplit); 3] = [
        ("file", DocumentSplit::File),
        ("blank-line", DocumentSplit::BlankLine),
        ("wiki-heading", DocumentSplit::WikiHeading),
    ];

    pub fn serialize<S: Serializer>(split: &DocumentSplit, out: S) -> Result<S::Ok, S::Error> {
        let name = NAMES.iter().find(|(_, other)| other == split).map_or("file", |entry| entry.0);
        out.serialize_str(name)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<DocumentSplit, D::Error> {
        let text = String::deserialize(input)?;
        let found = NAMES.iter().find(|(name, _)| *name == text);
        found.map(|entry| entry.1).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "unknown document split {text:?}, expected file, blank-line or wiki-heading"
            ))
        })
    }
}
