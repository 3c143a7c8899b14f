//! Named inputs of a prediction.

use crate::refusal::{Refusal, require};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::str::FromStr;

/// A number, a list of numbers or a word.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A number.
    Number(f64),
    /// Several numbers, such as the probabilities of a law.
    List(Vec<f64>),
    /// A word, such as the divisor `n-1`.
    Text(String),
}

impl FromStr for Value {
    type Err = Refusal;

    /// `0.5`, `[0.5, 0.3, 0.2]` (the brackets may be left out), or a word.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if inner.is_none() && !text.contains(',') {
            return Ok(Self::Text(text.to_owned()));
        }
        let numbers = inner.unwrap_or(text).split(',').filter(|part| !part.trim().is_empty());
        let parsed = numbers.map(|part| {
            part.trim()
                .parse()
                .map_err(|_| Refusal::new(format!("{part:?} in {text:?} is not a number.")))
        });
        Ok(Self::List(parsed.collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => out.write_str(&shown(*number)),
            Self::List(numbers) => write!(out, "{numbers:?}"),
            Self::Text(text) => out.write_str(text),
        }
    }
}

/// The inputs of one prediction, in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    values: Vec<(String, Value)>,
}

impl Inputs {
    /// Sets or replaces an input.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name.to_owned(), value)),
        }
    }

    /// The same inputs with one more number, to write them in one expression.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.set(name, Value::Number(value));
        self
    }

    /// The value of the given name, if it was given.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name.as_str())
    }

    /// A finite number.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn number(&self, name: &str) -> Result<f64, Refusal> {
        match self.needed(name)? {
            Value::Number(number) if number.is_finite() => Ok(*number),
            other => Err(Refusal::new(format!("{name} = {other}, but a finite number is needed."))),
        }
    }

    /// A whole number below 2⁵³, beyond which not every one can be told from its neighbours.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn count(&self, name: &str) -> Result<usize, Refusal> {
        whole(name, self.number(name)?)
    }

    /// A list of such numbers; a single one is a list of one.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn counts(&self, name: &str) -> Result<Vec<usize>, Refusal> {
        if let Some(Value::Number(_)) = self.get(name) {
            return Ok(vec![self.count(name)?]);
        }
        let entry = format!("an entry of {name}");
        self.list(name)?.iter().map(|&number| whole(&entry, number)).collect()
    }

    /// A list of finite numbers with at least one entry.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn list(&self, name: &str) -> Result<&[f64], Refusal> {
        match self.needed(name)? {
            Value::List(list) if !list.is_empty() && list.iter().all(|x| x.is_finite()) => Ok(list),
            other => {
                Err(Refusal::new(format!("{name} = {other}, but a list of numbers is needed.")))
            }
        }
    }

    /// Probabilities: none negative, their sum 1 within 1e-9.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn law(&self, name: &str) -> Result<&[f64], Refusal> {
        let law = self.list(name)?;
        if let Some(p) = law.iter().find(|&&p| p < 0.0) {
            return Err(Refusal::new(format!(
                "{name} holds the probability {p}, but none may be negative."
            )));
        }
        let total: f64 = law.iter().sum();
        require((total - 1.0).abs() <= 1e-9, &format!("the sum of {name}"), total, "1")?;
        Ok(law)
    }

    /// Refuses what no input of the formula is named.
    ///
    /// # Errors
    /// If there is an input of another name.
    pub(crate) fn expect_only(
        &self,
        known: impl Iterator<Item = &'static str> + Clone,
        formula: &str,
    ) -> Result<(), Refusal> {
        match self.names().find(|name| !known.clone().any(|known| known == *name)) {
            None => Ok(()),
            Some(name) => Err(Refusal::new(format!(
                "{formula} has no input {name:?}; its inputs are: {}.",
                known.collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    fn needed(&self, name: &str) -> Result<&Value, Refusal> {
        self.get(name).ok_or_else(|| Refusal::new(format!("The input {name} is missing.")))
    }
}

impl fmt::Display for Inputs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> =
            self.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        out.write_str(&pairs.join(" "))
    }
}

impl Serialize for Inputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (name, value) in &self.values {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A number as one would write it: all its digits, or with an exponent where zeros would be most of
/// them.
///
/// ```
/// use fortifai_collapse::inputs::shown;
/// assert_eq!([shown(0.25), shown(1e15), shown(1e300)], ["0.25", "1000000000000000", "1e300"]);
/// ```
pub fn shown(number: f64) -> String {
    let plain = number.to_string();
    if plain.len() > LONGEST { format!("{number:e}") } else { plain }
}

/// The most characters of a number without an exponent: 17 digits with sign, point and three zeros.
pub(crate) const LONGEST: usize = 22;

fn whole(name: &str, number: f64) -> Result<usize, Refusal> {
    let whole = number >= 0.0 && number.fract() == 0.0;
    require(whole, name, number, "a whole number that is not negative")?;
    let limit = 1u64 << 53;
    require(number < limit as f64, name, number, &format!("a number below 2^53 = {limit}"))?;
    Ok(number as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_one_would_write_them() {
        assert_eq!("0.5".parse(), Ok(Value::Number(0.5)));
        assert_eq!("[0.5, 0.5]".parse(), Ok(Value::List(vec![0.5, 0.5])));
        assert_eq!("0.5,0.5".parse(), Ok(Value::List(vec![0.5, 0.5])));
        assert_eq!("[3]".parse(), Ok(Value::List(vec![3.0])));
        assert_eq!("n-1".parse(), Ok(Value::Text("n-1".into())));
        assert!("[1, x]".parse::<Value>().is_err());
    }

    #[test]
    fn refusals_name_the_value_and_the_condition() {
        let inputs = Inputs::default().with("n", 1.5);
        let said = inputs.count("n").expect_err("one and a half").to_string();
        assert_eq!(said, "n = 1.5, but a whole number that is not negative is needed.");
        // 2^53 + 1 is read as 2^53.
        for (text, written) in [("9007199254740993", "9007199254740992"), ("1e300", "1e300")] {
            let mut inputs = Inputs::default();
            inputs.set("n", text.parse().expect("a number"));
            let said = inputs.count("n").expect_err("too large").to_string();
            let limit = "a number below 2^53 = 9007199254740992 is needed.";
            assert_eq!(said, format!("n = {written}, but {limit}"));
        }
        let mut inputs = Inputs::default();
        inputs.set("p", Value::List(vec![0.5, 0.4]));
        assert!(inputs.law("p").expect_err("0.9").to_string().contains("sum of p = 0.9"));
    }
}
