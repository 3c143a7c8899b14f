//! An arm of a comparison: a loss, how its controls are matched, and what is done to the text.
//!
//! An arm is written `LOSS[@SETTING=VALUE…][+TREATMENT=VALUE…]`.
//!
//! | part | meaning |
//! |---|---|
//! | `random-mask@kept=tce:0.9` | a random mask that keeps, in every generation, the share of training tokens that the arm `tce:0.9` of the same seed kept in it |
//! | `ce@step=tce:0.9` | the learning rate of every generation scaled so that the mean norm of a weight update is that of the arm `tce:0.9` |
//! | `ce@sgd=0.1` | stochastic gradient descent with momentum `beta1` at this learning rate. Adam divides by the gradient's own size, so that a factor on it cancels; here it does not |
//! | `ce@temperature=1.2`, `ce@top-p=0.9`, `ce@beams=5@penalty=3` … | a [`Decoding`] of its own |
//! | `ce+surplexity=0.5` … | a [`Treatment`] of the generated text |
//!
//! SGD is AdamW with an `epsilon` far above every `√v`, and a learning rate as many times larger:
//! `m̂·(lr·ε) / (√v̂ + ε) → lr·m̂`.

mod decoding;
mod treatment;

pub use decoding::Decoding;
pub use treatment::Treatment;

use crate::config::RunConfig;
use crate::loss::Loss;
use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// AdamW's epsilon in an arm with `sgd`: beside it `√v` vanishes in `f32` below 10³.
const SGD_EPSILON: f64 = 1e10;

/// What is compared with what: everything in which the chains of one seed differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arm {
    /// The loss.
    pub loss: Loss,
    /// What it takes from another arm.
    pub matched: Option<Match>,
    /// The learning rate of SGD in AdamW's stead.
    pub sgd: Option<f64>,
    /// How it generates where it does not do so as the run does.
    pub decoding: Decoding,
    /// What is done to generated text before training.
    pub treatment: Treatment,
}

/// A quantity that is measured on one arm and imposed on another, generation by generation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Match {
    /// The share of training tokens kept; the loss is a random mask.
    Kept(Loss),
    /// The mean norm of a weight update.
    Step(Loss),
}

impl From<Loss> for Arm {
    fn from(loss: Loss) -> Self {
        let (decoding, treatment) = (Decoding::default(), Treatment::default());
        Self { loss, matched: None, sgd: None, decoding, treatment }
    }
}

impl Arm {
    /// The arms of which figures are needed, generation by generation, before this one can train.
    pub fn parents(&self) -> Vec<Self> {
        let alike = |loss: Loss| Self { loss, matched: None, ..*self };
        match self.matched {
            None => Vec::new(),
            Some(Match::Kept(loss)) => vec![alike(loss)],
            Some(Match::Step(loss)) => vec![alike(loss), alike(self.loss)],
        }
    }

    /// A run's settings as this arm changes them.
    pub fn apply(&self, config: &RunConfig) -> RunConfig {
        let mut config = config.clone();
        if let Some(rate) = self.sgd {
            config.train.learning_rate = rate * SGD_EPSILON;
            config.train.weight_decay /= SGD_EPSILON;
            config.train.epsilon = SGD_EPSILON;
        }
        self.decoding.apply(&mut config.decode);
        config
    }

    /// Checks what an arm asks of a run.
    ///
    /// # Errors
    /// A parent that is not among the run's arms, or a treatment that its text does not allow.
    pub fn validate(&self, config: &RunConfig) -> Result<()> {
        for parent in self.parents() {
            if !config.losses.contains(&parent) {
                return Err(Error::input(format!(
                    "The arm {self} is matched to the arm {parent}, which is not in the run; name \
                     {parent} among the losses too."
                )));
            }
        }
        self.decoding.validate(self, config)?;
        self.treatment.validate(self, config)
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.matched {
            Some(Match::Kept(parent)) => write!(out, "random-mask@kept={parent}")?,
            Some(Match::Step(parent)) => write!(out, "{}@step={parent}", self.loss)?,
            None => write!(out, "{}", self.loss)?,
        }
        if let Some(rate) = self.sgd {
            write!(out, "@sgd={rate}")?;
        }
        write!(out, "{}{}", self.decoding, self.treatment)
    }
}

impl FromStr for Arm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let error = |cause: String| {
            Error::input(format!(
                "In the arm {text:?} {cause}; write for example ce, random-mask@kept=tce:0.9, \
                 ce@step=tce:0.9, ce@sgd=0.1, ce@top-p=0.9 or ce+surplexity=0.5."
            ))
        };
        let refuse = |cause: String| Err(error(cause));
        let mut words = text.split_inclusive(['@', '+']).peekable();
        let mut marked = Vec::new();
        let mut sign = ' ';
        for word in words.by_ref() {
            let body = word.trim_end_matches(['@', '+']);
            // The sign of a number belongs to it: `tce-dynamic:+1`.
            marked.push((sign, body.trim()));
            sign = word.chars().last().unwrap_or(' ');
        }
        let mut pieces = marked.into_iter();
        let name = pieces.next().map_or("", |piece| piece.1);
        let pieces: Vec<(char, &str)> = pieces.collect();
        let by_parent = pieces.iter().any(|(_, word)| word.starts_with("kept="));
        let loss = match (name, by_parent) {
            ("random-mask", true) => Loss::RandomMask { keep: 1.0 },
            (_, true) => return refuse("kept= belongs to random-mask alone".into()),
            _ => name.parse()?,
        };
        let mut arm = Self::from(loss);
        for (sign, word) in pieces {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let number = || match value.parse::<f64>() {
                Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
                _ => Err(error(format!("{key} = {value:?} is no positive number"))),
            };
            match (sign, key) {
                ('@', "kept" | "step") if arm.matched.is_some() => {
                    return refuse("two arms are named to be matched to; name one".into());
                }
                ('@', "kept") => arm.matched = Some(Match::Kept(value.parse()?)),
                ('@', "step") => arm.matched = Some(Match::Step(value.parse()?)),
                ('@', "sgd") => arm.sgd = Some(number()?),
                ('+', _) => {
                    if let Err(cause) = arm.treatment.set(key, value) {
                        return refuse(cause);
                    }
                }
                _ => match arm.decoding.set(key, value) {
                    Some(Ok(())) => {}
                    Some(Err(cause)) => return refuse(cause),
                    None => return refuse(format!("{sign}{word} is not known")),
                },
            }
        }
        match arm.matched {
            Some(Match::Step(parent)) if parent == arm.loss => {
                refuse("the loss is matched to itself".into())
            }
            Some(Match::Kept(parent)) if parent.kind() == "random-mask" => {
                refuse("a random mask is matched to another one".into())
            }
            _ => Ok(arm),
        }
    }
}

impl serde::Serialize for Arm {
    fn serialize<S: serde::Serializer>(&self, out: S) -> std::result::Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Arm {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_read_back_as_they_are_written() {
        for text in [
            "ce",
            "tce:0.9",
            "clipped-focal:2,0.99",
            "smooth:0.1",
            "random-mask:0.5",
            "random-mask@kept=tce:0.9",
            "ce@step=tce:0.9",
            "ce@sgd=0.1",
            "random-mask@kept=tce:0.9@sgd=0.1",
            "ce@temperature=1.2",
            "ce@temperature=0.8@top-k=40@top-p=0.95",
            "ce@beams=5@penalty=3",
            "ce@greedy",
            "ce+surplexity=0.5",
            "ce+edit=0.99",
            "ce+verify=0.5+unlearn=0.1",
            "ce+grammar",
            "tce:0.9@sgd=0.5+real=0.618",
        ] {
            let arm: Arm = text.parse().unwrap();
            assert_eq!(arm.to_string(), text);
        }
        assert_eq!("tce-dynamic:-1".parse::<Arm>().unwrap().to_string(), "tce-dynamic:-1");
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (text, words) in [
            ("ce@kept=tce:0.9", "random-mask alone"),
            ("random-mask", "takes 1 parameter"),
            ("random-mask@kept=random-mask:0.5", "another one"),
            ("ce@step=ce", "itself"),
            ("ce@step=tce:0.9@step=focal:2", "name one"),
            ("ce@sgd=0", "no positive number"),
            ("ce@speed=3", "@speed=3 is not known"),
            ("ce@top-p=2", "top-p = \"2\" is no value"),
            ("ce@top-k=0", "top-k = \"0\" is no value"),
            ("ce@greedy=1", "greedy = \"1\" is no value"),
            ("ce@greedy@beams=5", "@greedy beside @beams"),
            ("ce@greedy@top-p=0.9", "both samples and takes the likeliest"),
            ("ce@beams=5", "generate.mode = \"windows\""),
            ("ce+magic=1", "magic"),
            ("ce+surplexity=2", "surplexity"),
            ("ce+grammar=1", "grammar"),
            ("ce+unlearn=0.1", "flawed"),
            ("ce+edit=0.9+edit=0.8", "twice"),
            ("tec:0.9", "Unknown loss"),
        ] {
            let sentence = match text.parse::<Arm>() {
                Err(error) => error.to_string(),
                Ok(arm) => arm.validate(&run(&["ce"])).unwrap_err().to_string(),
            };
            assert!(sentence.contains(words), "{words:?} is not in {sentence:?}");
        }
    }

    fn run(losses: &[&str]) -> RunConfig {
        let losses = losses.iter().map(|loss| (*loss).into()).map(toml::Value::String).collect();
        let table = toml::Table::from_iter([("losses".into(), toml::Value::Array(losses))]);
        crate::config::resolve(&[("the test".into(), table)]).unwrap()
    }

    #[test]
    fn parents_are_alike_but_for_the_loss_and_must_be_in_the_run() {
        let arm: Arm = "ce@step=tce:0.9@sgd=0.1+edit=0.9".parse().unwrap();
        let parents: Vec<String> = arm.parents().iter().map(Arm::to_string).collect();
        assert_eq!(parents, ["tce:0.9@sgd=0.1+edit=0.9", "ce@sgd=0.1+edit=0.9"]);
        let arm: Arm = "random-mask@kept=tce:0.9".parse().unwrap();
        let sentence = arm.validate(&run(&["ce"])).unwrap_err().to_string();
        assert!(sentence.contains("name tce:0.9 among the losses"), "{sentence}");
        arm.validate(&run(&["tce:0.9"])).unwrap();
    }

    #[test]
    fn sgd_is_the_limit_of_adamw_and_keeps_the_decay() {
        let config = run(&["ce"]);
        let sgd = "ce@sgd=0.1".parse::<Arm>().unwrap().apply(&config);
        assert_eq!(sgd.train.learning_rate / sgd.train.epsilon, 0.1);
        let shrink = sgd.train.learning_rate * sgd.train.weight_decay;
        assert!((shrink - 0.1 * config.train.weight_decay).abs() < 1e-12);
    }
}
