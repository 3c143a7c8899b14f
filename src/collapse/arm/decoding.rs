//! How an arm generates where it does not do so as the run does.

use super::Arm;
use crate::config::{DecodeConfig, RunConfig};
use crate::{Error, Result};
use std::fmt;

/// Settings of decoding in place of the run's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Decoding {
    /// The temperature of sampling.
    pub temperature: Option<f64>,
    /// Samples among so many of the likeliest tokens.
    pub top_k: Option<usize>,
    /// Samples from the smallest set of tokens with this mass.
    pub top_p: Option<f64>,
    /// Takes the likeliest token, or beam of so many.
    pub beams: Option<usize>,
    /// The penalty on tokens that are already there.
    pub penalty: Option<f64>,
}

/// The names, for errors and help.
pub(super) const NAMES: &str =
    "@temperature=T, @top-k=K, @top-p=P, @greedy, @beams=N and @penalty=R";

impl Decoding {
    /// Sets one by its name; `None` if there is none of that name. The error is a piece of a sentence.
    pub fn set(&mut self, name: &str, value: &str) -> Option<std::result::Result<(), String>> {
        let positive = || value.parse::<f64>().ok().filter(|x| x.is_finite() && *x > 0.0);
        let whole = || value.parse::<usize>().ok().filter(|count| *count > 0);
        let done = match name {
            "temperature" => put(&mut self.temperature, positive()),
            "top-p" => put(&mut self.top_p, positive().filter(|p| *p <= 1.0)),
            "penalty" => put(&mut self.penalty, positive()),
            "top-k" => put(&mut self.top_k, whole()),
            "beams" => put(&mut self.beams, whole().filter(|beams| *beams > 1)),
            "greedy" => put(&mut self.beams, Some(1).filter(|_| value.is_empty())),
            _ => return None,
        };
        Some(done.map_err(|twice| match twice {
            true => format!("@{name} is named twice, or @greedy beside @beams"),
            false => format!("{name} = {value:?} is no value for it; {NAMES} are known"),
        }))
    }

    /// A run's settings with these in their place.
    pub fn apply(&self, decode: &mut DecodeConfig) {
        decode.temperature = self.temperature.unwrap_or(decode.temperature);
        decode.top_k = self.top_k.unwrap_or(decode.top_k);
        decode.top_p = self.top_p.unwrap_or(decode.top_p);
        decode.repetition_penalty = self.penalty.unwrap_or(decode.repetition_penalty);
        if let Some(beams) = self.beams {
            (decode.sample, decode.beams) = (false, beams);
        }
    }

    /// Checks the settings against a run.
    pub(super) fn validate(&self, arm: &Arm, config: &RunConfig) -> Result<()> {
        let refuse = |cause: &str| Err(Error::input(format!("The arm {arm} {cause}.")));
        let samples = self.temperature.is_some() || self.top_k.is_some() || self.top_p.is_some();
        if samples && self.beams.is_some() {
            return refuse("both samples and takes the likeliest; leave one out");
        }
        if samples && !config.decode.sample {
            return refuse(
                "has settings of sampling, but the run does not sample; set decode.sample = true or \
                 leave them out",
            );
        }
        if self.beams.is_some() && config.windows().is_none() {
            return refuse(
                "takes the likeliest, but every document begins with the same token and would be the \
                 same; set generate.mode = \"windows\"",
            );
        }
        Ok(())
    }
}

/// Sets what was not set; the error says whether it was.
fn put<X>(place: &mut Option<X>, value: Option<X>) -> std::result::Result<(), bool> {
    match (place.is_some(), value) {
        (true, _) => Err(true),
        (_, None) => Err(false),
        (_, value) => {
            *place = value;
            Ok(())
        }
    }
}

impl fmt::Display for Decoding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { temperature, top_k, top_p, beams, penalty } = *self;
        let counted = |count: Option<usize>| count.map(|count| count as f64);
        let settings = [("temperature", temperature), ("top-k", counted(top_k)), ("top-p", top_p)];
        for (name, value) in settings {
            if let Some(value) = value {
                write!(out, "@{name}={value}")?;
            }
        }
        match beams {
            None => {}
            Some(1) => write!(out, "@greedy")?,
            Some(beams) => write!(out, "@beams={beams}")?,
        }
        penalty.map_or(Ok(()), |penalty| write!(out, "@penalty={penalty}"))
    }
}
