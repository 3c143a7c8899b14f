//! Training: blocks of tokens, the learning rate, the optimiser, the loop.

mod blocks;
mod evaluate;
mod fit;
mod optimiser;
mod schedule;

pub use blocks::Blocks;
pub use evaluate::{score_blocks, score_rows};
pub use fit::{Control, Fit, FitRequest, Marks, Progress, Weight, check_settings, fit};
pub use optimiser::Optimiser;
pub use schedule::learning_rate;
