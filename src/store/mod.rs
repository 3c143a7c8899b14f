//! What a run leaves on disk, written so that a kill at any moment loses nothing that was reported
//! as saved.
//!
//! | file | idea |
//! |---|---|
//! | `atomic` | whole files and lines that are either there or not |
//! | `hash` | BLAKE3 of a file |
//! | `run_dir` | the names of a run's files |
//! | `manifest` | what a run was made from |
//! | `commit` | the version of the source |
//! | `checkpoint` | tensors and metadata with a hash |

pub mod atomic;
pub mod checkpoint;
mod commit;
mod hash;
mod manifest;
mod run_dir;

pub use checkpoint::Checkpoint;
pub use hash::blake3_file;
pub use manifest::Manifest;
pub use run_dir::RunDir;
