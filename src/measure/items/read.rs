//! Files of items: one JSON object per line, or one JSON array of objects.

use crate::text::reader::read_text;
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;

/// A context and answers, one of which is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What stands before the answer; empty for minimal pairs.
    pub context: String,
    /// The answers.
    pub answers: Vec<String>,
    /// Which answer is right.
    pub right: usize,
    /// The line of the text to which the item belongs, where it says so.
    pub location: Option<u64>,
}

/// Knowledge-retention questions: the true answer first.
///
/// # Errors
/// Bad input that names file, line and member.
pub fn retention(path: &Path) -> Result<Vec<Item>> {
    const MEMBERS: &str = "context, sentence_true and sentence_false, and may have location";
    read(path, MEMBERS, |entry| {
        Ok(Item {
            context: entry.text("context")?,
            answers: vec![entry.text("sentence_true")?, entry.text("sentence_false")?],
            right: 0,
            location: entry.location()?,
        })
    })
}

/// Minimal pairs in BLiMP's form: the good sentence first.
///
/// # Errors
/// As [`retention`].
pub fn minimal_pairs(path: &Path) -> Result<Vec<Item>> {
    read(path, "sentence_good and sentence_bad", |entry| {
        Ok(Item {
            context: String::new(),
            answers: vec![entry.text("sentence_good")?, entry.text("sentence_bad")?],
            right: 0,
            location: None,
        })
    })
}

/// Multiple choice in HellaSwag's form: the label counts the endings from 0, as a number or a text.
///
/// # Errors
/// As [`retention`].
pub fn choice(path: &Path) -> Result<Vec<Item>> {
    read(path, "ctx, endings and label", |entry| {
        let context = entry.text("ctx")?;
        let answers = entry.texts("endings")?;
        let right = entry.label(answers.len())?;
        Ok(Item { context, answers, right, location: None })
    })
}

fn read(
    path: &Path,
    members: &str,
    item: impl Fn(&Entry) -> std::result::Result<Item, String>,
) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for (line, object) in entries(path)? {
        items.push(item(&Entry(&object)).map_err(|cause| {
            Error::input(format!(
                "{}, line {line}: {cause}; an item here has {members}.",
                path.display()
            ))
        })?);
    }
    Ok(items)
}

/// One JSON object, asked for its members.
struct Entry<'a>(&'a Map<String, Value>);

impl Entry<'_> {
    fn get(&self, member: &str) -> std::result::Result<&Value, String> {
        self.0.get(member).ok_or_else(|| format!("the member \"{member}\" is missing"))
    }

    fn text(&self, member: &str) -> std::result::Result<String, String> {
        plain_text(self.get(member)?, &format!("the member \"{member}\""))
    }

    fn texts(&self, member: &str) -> std::result::Result<Vec<String>, String> {
        let value = self.get(member)?;
        let list = value.as_array().filter(|list| list.len() > 1).ok_or_else(|| {
            format!("the member \"{member}\" must be a list of two texts or more, not {value}")
        })?;
        let named = list.iter().enumerate();
        named
            .map(|(index, value)| {
                plain_text(value, &format!("entry {index} of the member \"{member}\""))
            })
            .collect()
    }

    fn label(&self, answers: usize) -> std::result::Result<usize, String> {
        let value = self.get("label")?;
        let number = match value {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_u64(),
        };
        let number = number.and_then(|number| usize::try_from(number).ok());
        number.filter(|number| *number < answers).ok_or_else(|| {
            format!(
                "the member \"label\" must be the number of the right ending, from 0 to {}, not {value}",
                answers - 1
            )
        })
    }

    fn location(&self) -> std::result::Result<Option<u64>, String> {
        match self.0.get("location") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| {
                format!("the member \"location\" must be the number of a line, not {value}")
            }),
        }
    }
}

fn plain_text(value: &Value, what: &str) -> std::result::Result<String, String> {
    match value.as_str() {
        Some(text) if text.trim().is_empty() => Err(format!("{what} is blank")),
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("{what} must be a text, not {value}")),
    }
}

/// The objects of a file, each with the line on which it begins.
///
/// # Errors
/// A file that cannot be read, is not JSON, holds something else than objects, or nothing at all.
fn entries(path: &Path) -> Result<Vec<(usize, Map<String, Value>)>> {
    let text = read_text(path)?;
    let values = match text.trim_start().starts_with('[') {
        true => array(&text),
        false => lines(&text),
    };
    let object = |(line, value)| match value {
        Value::Object(object) => Ok((line, object)),
        other => Err((line, format!("a JSON object is needed, not {other}"))),
    };
    let objects = values.and_then(|values| values.into_iter().map(object).collect());
    let objects: Vec<_> = objects.map_err(|(line, cause)| {
        Error::input(format!(
            "{}, line {line}: {cause}; write one JSON object per line, or one array of objects.",
            path.display()
        ))
    })?;
    if objects.is_empty() {
        return Err(Error::input(format!(
            "The file {} holds no items; give a file with at least one JSON object.",
            path.display()
        )));
    }
    Ok(objects)
}

/// Values with their lines, or a line and what is wrong there.
type Values = std::result::Result<Vec<(usize, Value)>, (usize, String)>;

fn lines(text: &str) -> Values {
    let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let value = |(index, line): (usize, &str)| {
        let value = serde_json::from_str(line);
        value.map(|value| (index + 1, value)).map_err(|cause| (index + 1, not_json(&cause)))
    };
    numbered.map(value).collect()
}

fn array(text: &str) -> Values {
    let mut at = Cursor { rest: text, line: 1 };
    let mut values = Vec::new();
    at.eat('[');
    while !at.eat(']') {
        if !values.is_empty() && !at.eat(',') {
            return Err((at.line, "a comma or the array's closing bracket is missing".into()));
        }
        at.skip_blanks();
        let mut parser = serde_json::Deserializer::from_str(at.rest).into_iter::<Value>();
        match parser.next() {
            Some(Ok(value)) => values.push((at.line, value)),
            Some(Err(cause)) => return Err((at.line + cause.line() - 1, not_json(&cause))),
            None => return Err((at.line, "the array's closing bracket is missing".into())),
        }
        at.skip(parser.byte_offset());
    }
    at.skip_blanks();
    match at.rest.is_empty() {
        true => Ok(values),
        false => Err((at.line, "something follows the array".into())),
    }
}

/// What a parser says, without its own count of lines.
fn not_json(cause: &serde_json::Error) -> String {
    let words = cause.to_string();
    format!("this is not JSON ({})", words.split(" at line ").next().unwrap_or_default())
}

/// A place in a text that knows its line.
struct Cursor<'a> {
    rest: &'a str,
    line: usize,
}

impl Cursor<'_> {
    fn skip(&mut self, length: usize) {
        let (passed, rest) = self.rest.split_at(length);
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count();
        self.rest = rest;
    }

    fn skip_blanks(&mut self) {
        self.skip(self.rest.len() - self.rest.trim_start().len());
    }

    /// Steps over blanks and the sign, if that is what follows.
    fn eat(&mut self, sign: char) -> bool {
        self.skip_blanks();
        let found = self.rest.starts_with(sign);
        if found {
            self.skip(sign.len_utf8());
        }
        found
    }
}
