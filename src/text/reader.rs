//! Documents from files: plain text or one JSON object per line.

use crate::{Error, Result};
use std::path::Path;

/// Where a plain text file is cut into documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DocumentSplit {
    /// The whole file is one document.
    #[default]
    File,
    /// Runs of blank lines separate documents.
    BlankLine,
    /// A first-level heading ` = Title = ` between blank lines starts a document, as in WikiText.
    WikiHeading,
}

/// The documents of a file, a plain text file being one document.
///
/// A name that ends in `.jsonl` means one JSON object per line whose member `field` (`"text"`
/// unless given) is the document; blank lines are passed over. Everything else is plain text.
///
/// # Errors
/// Bad input when the file is missing, a directory, empty, or not UTF-8, and, with file and line,
/// when a line is not a JSON object or its field is missing or not a string.
pub fn read_documents(path: &Path, field: Option<&str>) -> Result<Vec<String>> {
    read_documents_split(path, field, DocumentSplit::File)
}

/// As [`read_documents`], with plain text cut at `split`; it has no effect on `.jsonl` files.
///
/// # Errors
/// As [`read_documents`].
pub fn read_documents_split(
    path: &Path,
    field: Option<&str>,
    split: DocumentSplit,
) -> Result<Vec<String>> {
    let text = read_text(path)?;
    let documents = if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("jsonl")) {
        json_lines(path, &text, field.unwrap_or("text"))?
    } else {
        match split {
            DocumentSplit::File => vec![text],
            DocumentSplit::BlankLine => blocks(&text),
            DocumentSplit::WikiHeading => articles(&text),
        }
    };
    if documents.iter().all(|document| document.trim().is_empty()) {
        return Err(Error::input(format!(
            "The file {} holds no text; give a file with at least one non-empty document.",
            path.display()
        )));
    }
    Ok(documents)
}

/// The text of a UTF-8 file, without a byte-order mark.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    if path.is_dir() {
        return Err(Error::input(format!(
            "{} is a directory; name one text file or .jsonl file inside it.",
            path.display()
        )));
    }
    let bytes = std::fs::read(path).map_err(|cause| Error::reading(path, cause))?;
    let text = String::from_utf8(bytes).map_err(|cause| {
        let offset = cause.utf8_error().valid_up_to();
        let line = 1 + cause.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count();
        Error::input(format!(
            "The file {} is not UTF-8: line {line} holds the invalid byte 0x{:02x} at offset \
             {offset}; convert the file to UTF-8.",
            path.display(),
            cause.as_bytes()[offset]
        ))
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn json_lines(path: &Path, text: &str, field: &str) -> Result<Vec<String>> {
    let mut documents = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let refuse =
            |what: String| Error::input(format!("{}, line {}: {what}", path.display(), index + 1));
        let value: serde_json::Value = serde_json::from_str(line).map_err(|cause| {
            refuse(format!("this is not JSON ({cause}); write one JSON object per line."))
        })?;
        let members = value.as_object().ok_or_else(|| {
            refuse(format!("a JSON object with the field \"{field}\" is needed, not {value}."))
        })?;
        let document = members.get(field).ok_or_else(|| {
            let names = members.keys().map(|name| format!("\"{name}\"")).collect::<Vec<_>>();
            refuse(format!(
                "the field \"{field}\" is missing; choose one of the fields that are there: {}.",
                if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
            ))
        })?;
        let document = document.as_str().ok_or_else(|| {
            refuse(format!("the field \"{field}\" must be a string, not {document}."))
        })?;
        documents.push(document.to_owned());
    }
    Ok(documents)
}

/// Runs of non-blank lines.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.split_inclusive('\n') {
        match blocks.last_mut() {
            Some(block) if !line.trim().is_empty() => block.push_str(line),
            Some(block) if !block.is_empty() => blocks.push(String::new()),
            _ => {}
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// Stretches that begin with a first-level heading; text before the first heading is a document
/// of its own when it is not blank.
fn articles(text: &str) -> Vec<String> {
    let lines = text.split_inclusive('\n').collect::<Vec<_>>();
    let blank = |index: Option<usize>| {
        index.and_then(|index| lines.get(index)).is_none_or(|line| line.trim().is_empty())
    };
    let mut articles = vec![String::new()];
    for (index, line) in lines.iter().enumerate() {
        if is_heading(line) && blank(index.checked_sub(1)) && blank(Some(index + 1)) {
            articles.push(String::new());
        }
        if let Some(article) = articles.last_mut() {
            article.push_str(line);
        }
    }
    articles.retain(|article| !article.trim().is_empty());
    articles
}

fn is_heading(line: &str) -> bool {
    let title = line.trim().strip_prefix("= ").and_then(|rest| rest.strip_suffix(" ="));
    title.is_some_and(|title| !title.starts_with('=') && !title.ends_with('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        (dir, path)
    }

    fn refusal(name: &str, content: &[u8]) -> String {
        let (_dir, path) = file(name, content);
        let error = read_documents(&path, None).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn plain_text_is_cut_where_the_caller_says() {
        let text = "\n = One = \n\na = b = c\n\n = = Part = = \n\nx\n\n\n = Two = \n\ny\n";
        let (_dir, path) = file("wiki.txt", text.as_bytes());
        let read = |split| read_documents_split(&path, None, split).unwrap();
        assert_eq!(read(DocumentSplit::File), [text]);
        assert_eq!(read(DocumentSplit::BlankLine).len(), 6);
        let articles = read(DocumentSplit::WikiHeading);
        assert_eq!(articles.len(), 2);
        assert!(articles[0].starts_with(" = One = ") && articles[1].ends_with("\ny\n"));
    }

    #[test]
    fn json_lines_give_one_document_each() {
        let content = "\u{feff}{\"text\":\"früh\",\"id\":1}\r\n\n{\"text\":\"\",\"body\":\"b\"}";
        let (_dir, path) = file("a.jsonl", content.as_bytes());
        assert_eq!(read_documents(&path, None).unwrap(), ["früh", ""]);
        let missing = read_documents(&path, Some("body")).unwrap_err().to_string();
        assert!(missing.contains("line 1: the field \"body\" is missing"), "{missing}");
        assert!(missing.contains("\"id\", \"text\""), "{missing}");
    }

    #[test]
    fn bad_input_is_named_with_its_place() {
        assert!(
            refusal("a.jsonl", b"{\"text\":\"x\"}\n{oops").contains("line 2: this is not JSON")
        );
        assert!(refusal("a.jsonl", b"{\"text\":7}").contains("must be a string, not 7"));
        assert!(refusal("a.jsonl", b"[1]").contains("a JSON object with the field"));
        assert!(refusal("a.txt", b"").contains("holds no text"));
        assert!(refusal("a.jsonl", b"{\"text\":\"\"}\n").contains("holds no text"));
        let bytes = refusal("a.txt", b"ab\nc\xffd");
        assert!(bytes.contains("line 2 holds the invalid byte 0xff at offset 4"), "{bytes}");
        let dir = tempfile::tempdir().unwrap();
        let folder = read_documents(dir.path(), None).unwrap_err().to_string();
        assert!(folder.contains("is a directory"), "{folder}");
        let gone = read_documents(&dir.path().join("no.txt"), None).unwrap_err().to_string();
        assert!(gone.contains("does not exist"), "{gone}");
    }
}
