//! What is measured of a model and of the text it writes, and how sure one may be of it.
//!
//! Every measure returns `None` where it is not defined (no tokens, no pairs) instead of a NaN.

pub mod calibration;
pub mod confidence;
pub mod diversity;
pub mod evenness;
pub mod histogram;
pub mod interval;
pub mod items;
pub mod ngram;
pub mod onset;
pub mod retention;
