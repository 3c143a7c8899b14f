//! Token streams: documents joined and parted by the end token.

use super::Tokenizer;
use crate::Result;

/// The stream `end doc end doc … end`.
///
/// It starts with the end token, so that the first token of every document has a context, and it
/// ends with one, so that the end of every document is predicted.
///
/// # Errors
/// When the tokenizer refuses a document.
pub fn encode_documents<D: AsRef<str>>(tokenizer: &Tokenizer, documents: &[D]) -> Result<Vec<u32>> {
    let end = tokenizer.end_token();
    let mut stream = vec![end];
    for document in documents {
        stream.extend(tokenizer.encode(document.as_ref())?);
        stream.push(end);
    }
    Ok(stream)
}

/// The inverse of [`encode_documents`] on tokens: what stands between end tokens.
///
/// A leading end token opens the first document and a trailing one closes the last; two adjacent
/// end tokens hold an empty document. Tokens after the last end token form an unfinished document,
/// which is left out unless `unfinished` is set.
pub fn split_documents(stream: &[u32], end: u32, unfinished: bool) -> Vec<&[u32]> {
    let stream = stream.strip_prefix(&[end]).unwrap_or(stream);
    let mut documents = stream.split(|&token| token == end).collect::<Vec<_>>();
    if documents.last().is_some_and(|last| last.is_empty() || !unfinished) {
        documents.pop();
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::TokenizerKind;

    #[test]
    fn documents_stand_between_end_tokens() {
        let documents = ["ab".to_owned(), String::new(), "é".to_owned()];
        let tokenizer = Tokenizer::train(&TokenizerKind::Byte, &documents).unwrap();
        let stream = encode_documents(&tokenizer, &documents).unwrap();
        assert_eq!(stream, [256, 97, 98, 256, 256, 195, 169, 256]);
        let parts = split_documents(&stream, 256, true);
        assert_eq!(parts, [&[97u32, 98][..], &[], &[195, 169]]);
        assert_eq!(split_documents(&[256, 1, 256, 2], 256, false), [&[1u32][..]]);
        assert_eq!(split_documents(&[256, 1, 256, 2], 256, true), [&[1u32][..], &[2]]);
        assert_eq!(encode_documents::<&str>(&tokenizer, &[]).unwrap(), [256]);
        assert!(split_documents(&[256], 256, true).is_empty());
    }
}
