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
//! | `checkpoint` | a folder of checkpoints, each vouched for by a hash |
//! | `tensors` | tensors and metadata as the bytes of one file |

pub mod atomic;
pub mod checkpoint;
mod commit;
mod hash;
mod manifest;
mod run_dir;
mod tensors;

pub use checkpoint::Checkpoint;
pub use hash::blake3_file;
pub use manifest::{Manifest, machine};
pub use run_dir::{Alone, RunDir, take_turn};
