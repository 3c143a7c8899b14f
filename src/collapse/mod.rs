//! Recursive runs: train, generate, mix, train again.
//!
//! | file | idea |
//! |---|---|
//! | `protocol` | which text each generation trains on |
//! | `corpus` | the real text: training, held out, pretraining |
//! | `stream` | a text as tokens cut into units |
//! | `write` | the text that a model generates |
//! | `measure` | the metrics of one generation |
//! | `chain` | one (loss, seed): generation after generation |
//! | `saved` | what a chain leaves on disk so that it can go on |
//! | `run` | all chains side by side, their records, the report |
//! | `record` | one line of `metrics.jsonl` |

mod chain;
mod corpus;
mod measure;
pub mod protocol;
pub mod record;
mod run;
mod saved;
mod stream;
mod write;

pub use chain::Stage;
pub use corpus::Corpus;
pub use protocol::Protocol;
pub use run::{
    Observer, Prepared, RunOptions, Summary, chain_name, chains, load_weights, open, run,
    saved_config, view,
};
