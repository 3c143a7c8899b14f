//! Recursive runs: train, generate, mix, train again.
//!
//! | file | idea |
//! |---|---|
//! | `arm` | what is compared: a loss, its matched controls, a treatment of the text |
//! | `protocol` | which text each generation trains on |
//! | `corpus` | the real text: training, held out, pretraining |
//! | `stream` | a text as tokens cut into units |
//! | `write` | the text that a model generates |
//! | `treat` | what is done to it before training |
//! | `measure` | the metrics of one generation |
//! | `chain` | one (loss, seed): generation after generation |
//! | `saved` | what a chain leaves on disk so that it can go on |
//! | `folder` | what the directory of a run holds |
//! | `session` | a run under way: what its chains share |
//! | `schedule` | tasks that wait for one another, some side by side |
//! | `run` | runs carried out, their chains side by side |
//! | `grid` | a study: arms × protocols × seeds as a list of runs, and its contrasts |
//! | `record` | one line of `metrics.jsonl` |

pub mod arm;
mod chain;
mod corpus;
mod folder;
pub mod forecast;
pub mod grid;
mod measure;
pub mod protocol;
pub mod record;
mod run;
mod saved;
mod schedule;
mod session;
mod stream;
mod treat;
mod write;

pub use arm::Arm;
pub use chain::Stage;
pub use corpus::Corpus;
pub use folder::{Summary, chain_name, chains, load_weights, saved_config, view};
pub use protocol::Protocol;
pub use run::{Observer, Prepared, RunOptions, open, run};
