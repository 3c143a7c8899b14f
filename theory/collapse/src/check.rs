//! Simulated checks of the closed forms.
//!
//! A [`Guard`] simulates a chain, compares it with its predictions at a stated false-alarm rate,
//! and shows its power: predictions with planted mistakes must be rejected by the same statistic.

mod outcome;
mod run;
mod sequential;

pub use outcome::{LEVEL, Mistake, Outcome, Statistic};
pub use run::{Checked, FAMILY_LEVEL, Report, room_for_tests, run};
pub use sequential::{Evidence, Soak};

/// How large a simulation is and which random numbers it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Independent repetitions.
    pub replicates: u64,
}

/// A check of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// Its name on the command line, such as `"gaussian-replace"`.
    pub name: &'static str,
    /// The sections it guards, such as `["G1", "G2"]`.
    pub covers: &'static [&'static str],
    /// What is simulated and compared, in one sentence.
    pub about: &'static str,
    /// Replicates at default size.
    pub replicates: u64,
    /// Runs it.
    pub run: fn(&Plan) -> Vec<Outcome>,
}
