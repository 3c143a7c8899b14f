//! Recursive training without autograd: a transformer with analytic gradients, Truncated Cross
//! Entropy and its rivals, and a benchmark of model collapse.
//!
//! Rooms: [`cpu`] and [`cuda`] operators, [`tier`] the seam between machines, [`model`] GPT-2, [`mod@loss`] the
//! confidence-weighted loss family, [`text`] corpora and the toy world, [`mod@train`],
//! [`sample`] decoding, [`collapse`] recursive runs, [`measure`], [`store`], [`report`],
//! [`verify`].

pub mod cli;
pub mod collapse;
pub mod config;
pub mod cpu;
pub mod cuda;
pub mod error;
pub mod loss;
pub mod measure;
pub mod model;
pub mod report;
pub mod sample;
pub mod store;
pub mod text;
pub mod tier;
pub mod train;
pub mod verify;

pub use error::{Error, Result};
pub use fortifai_stream::Stream;
