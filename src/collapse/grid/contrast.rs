//! What a study concludes: contrasts between two arms, and when a chain counts as collapsed.

use super::Axis;
use crate::collapse::{Arm, Protocol, record};
use crate::measure::onset::Failing;
use serde::{Deserialize, Serialize};

/// Two arms under one protocol, compared by a paired log-ratio over seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contrast {
    /// The question in a few words.
    pub name: String,
    /// The arm asked about.
    pub arm: Arm,
    /// The arm it is compared with.
    pub against: Arm,
    /// The protocol of both.
    pub protocol: Protocol,
    /// What is compared.
    pub measure: Measure,
}

/// What a contrast compares.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// Time to failure, as the grid's [`OnsetRule`] has it: `onset` in generations, `onset_tokens` in
    /// distinct generated tokens.
    Onset(Axis),
    /// A metric of the last generation.
    Last(String),
}

impl Measure {
    /// As a study's file names it.
    pub fn name(&self) -> &str {
        match self {
            Self::Onset(Axis::Generations) => "onset",
            Self::Onset(Axis::Tokens) => "onset_tokens",
            Self::Last(metric) => metric,
        }
    }
}

impl Serialize for Measure {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Measure {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        match text.as_str() {
            "onset" => Ok(Self::Onset(Axis::Generations)),
            "onset_tokens" => Ok(Self::Onset(Axis::Tokens)),
            metric if record::metric(metric).is_some() => Ok(Self::Last(text)),
            _ => Err(serde::de::Error::custom(format!(
                "the measure {text:?} is neither onset nor onset_tokens nor the name of a metric"
            ))),
        }
    }
}

/// When a chain counts as collapsed: a metric crosses a threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnsetRule {
    /// The metric.
    pub metric: String,
    /// It fails when strictly below this.
    pub below: Option<f64>,
    /// It fails when strictly above this.
    pub above: Option<f64>,
    /// It fails when strictly below its value at generation 0 less this.
    pub fall: Option<f64>,
    /// It fails when strictly above its value at generation 0 plus this.
    pub rise: Option<f64>,
}

impl OnsetRule {
    /// The threshold for a chain that began with `first`, and the side on which it has failed.
    pub fn threshold(&self, first: f64) -> (f64, Failing) {
        match *self {
            Self { below: Some(below), .. } => (below, Failing::Below),
            Self { above: Some(above), .. } => (above, Failing::Above),
            Self { fall: Some(fall), .. } => (first - fall, Failing::Below),
            Self { rise, .. } => (first + rise.unwrap_or(0.0), Failing::Above),
        }
    }

    /// The rule in words.
    pub fn words(&self) -> String {
        let metric = &self.metric;
        match *self {
            Self { below: Some(below), .. } => format!("{metric} below {below}"),
            Self { above: Some(above), .. } => format!("{metric} above {above}"),
            Self { fall: Some(fall), .. } => format!("{metric} {fall} below its generation 0"),
            Self { rise, .. } => format!("{metric} {} above its generation 0", rise.unwrap_or(0.0)),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let given = [self.below, self.above, self.fall, self.rise];
        if given.iter().flatten().count() != 1 || given.iter().flatten().any(|x| !x.is_finite()) {
            return Err("[onset] needs one finite number among below, above, fall and rise".into());
        }
        if [self.fall, self.rise].into_iter().flatten().any(|by| by < 0.0) {
            return Err("[onset] has a negative fall or rise; give how far, 0 or more".into());
        }
        match record::metric(&self.metric) {
            Some(_) => Ok(()),
            None => Err(format!("[onset] names the metric {:?}, which there is not", self.metric)),
        }
    }
}
