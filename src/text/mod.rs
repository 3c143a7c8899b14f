//! Text: readers, tokenizers, token streams and the built-in toy world.
//!
//! [`reader`] turns files into documents, [`tokenizer`] turns documents into tokens, [`corpus`]
//! joins them into the stream that is trained on, and [`toy`] is a small world whose exact law is
//! known at every token.

pub mod corpus;
pub mod reader;
pub mod tokenizer;
pub mod toy;

pub use corpus::{encode_documents, split_documents};
pub use reader::{DocumentSplit, read_documents, read_documents_split};
pub use tokenizer::{Tokenizer, TokenizerKind};
pub use toy::ToyWorld;
