//! What is done to generated text between writing it and training on it.
//!
//! | written | meaning | source |
//! |---|---|---|
//! | `+surplexity=K` | the share K of the documents that surprise their own model most | Gambetta and others 2024, arXiv 2410.12341 |
//! | `+edit=P` | tokens to which their own model gave more than P are drawn again | Zhu and others 2024, arXiv 2412.14689 |
//! | `+verify=K` | the share K of the documents that the chain's own generation 0 finds most likely per token | Feng and others 2024, arXiv 2406.07515 |
//! | `+grammar` | the documents that the toy world's grammar can produce | the same, with a perfect verifier |
//! | `+unlearn=W` | what the verifier rejected is trained on with the loss `−W·ln(1 − p)` | unlikelihood: Welleck and others 2020, arXiv 1908.04319 |
//! | `+real=W` | the real part of the training text weighs W in the mean loss, the generated part 1 − W | He and others 2025, arXiv 2502.18049 |
//!
//! Filters are given more to choose from, so that what they leave is as long as the text of an arm
//! without them.

use super::Arm;
use crate::config::RunConfig;
use crate::{Error, Result};
use std::fmt;

/// Steps between generation and training, in the order of their fields.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Treatment {
    /// Share of documents kept, those of highest mean surprise under their own model.
    pub surplexity: Option<f64>,
    /// Share of documents kept, those of highest mean log-likelihood under generation 0.
    pub verify: Option<f64>,
    /// Whether only grammatical documents of the toy world are kept.
    pub grammar: bool,
    /// Probability above which a token is drawn again.
    pub edit: Option<f64>,
    /// Weight of the rejected documents' loss `−ln(1 − p)`.
    pub unlearn: Option<f64>,
    /// Weight of the real part of the training text.
    pub real: Option<f64>,
}

/// The names, for errors and help.
const NAMES: &str = "surplexity=K, verify=K, grammar, edit=P, unlearn=W and real=W";

impl Treatment {
    /// Whether there is nothing to do.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether documents are chosen.
    pub fn filters(&self) -> bool {
        self.surplexity.is_some() || self.verify.is_some() || self.grammar
    }

    /// Sets one by its name; the error is a piece of a sentence.
    pub fn set(&mut self, name: &str, value: &str) -> std::result::Result<(), String> {
        let place = match name {
            "grammar" if !value.is_empty() => return Err("+grammar takes no value".into()),
            "grammar" if self.grammar => return Err("+grammar is named twice".into()),
            "grammar" => {
                self.grammar = true;
                return Ok(());
            }
            "surplexity" => &mut self.surplexity,
            "verify" => &mut self.verify,
            "edit" => &mut self.edit,
            "unlearn" => &mut self.unlearn,
            "real" => &mut self.real,
            _ => return Err(format!("the treatment {name:?} is not known; known are {NAMES}")),
        };
        let number = value.parse::<f64>().ok().filter(|number| *number > 0.0 && *number < 1.0);
        let Some(number) = number else {
            return Err(format!("+{name}={value} is no number between 0 and 1"));
        };
        match place.replace(number) {
            None => Ok(()),
            Some(_) => Err(format!("+{name} is named twice")),
        }
    }

    /// Checks the treatment against a run.
    pub(super) fn validate(&self, arm: &Arm, config: &RunConfig) -> Result<()> {
        let refuse = |cause: &str| Err(Error::input(format!("The arm {arm} {cause}.")));
        if self.grammar && !config.is_toy() {
            return refuse(
                "asks for the toy world's grammar; use it with --corpus toy, or +verify",
            );
        }
        if self.filters() && config.windows().is_some() {
            return refuse(
                "chooses among documents, but the text is generated in windows; set generate.mode = \
                 \"documents\" or leave the filter out",
            );
        }
        let filters = [self.surplexity.is_some(), self.verify.is_some(), self.grammar];
        if filters.into_iter().filter(|filter| *filter).count() > 1 {
            return refuse("has several filters; choose one");
        }
        if self.unlearn.is_some() && !(self.verify.is_some() || self.grammar) {
            return refuse(
                "unlearns what is marked as flawed; add +verify=K or +grammar to mark it",
            );
        }
        if self.unlearn.is_some() && self.real.is_some() {
            return refuse("has both +unlearn and +real; choose one");
        }
        let marks = self.unlearn.is_some() || self.real.is_some();
        if marks && arm.loss.kind() == "random-mask" {
            return refuse("has a random mask and weights by text; choose one");
        }
        Ok(())
    }
}

impl fmt::Display for Treatment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { surplexity, verify, grammar, edit, unlearn, real } = *self;
        let name = |out: &mut fmt::Formatter<'_>, name: &str, value: Option<f64>| match value {
            Some(value) => write!(out, "+{name}={value}"),
            None => Ok(()),
        };
        name(out, "surplexity", surplexity)?;
        name(out, "verify", verify)?;
        if grammar {
            write!(out, "+grammar")?;
        }
        name(out, "edit", edit)?;
        name(out, "unlearn", unlearn)?;
        name(out, "real", real)
    }
}
