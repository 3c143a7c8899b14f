//! Which of two kernels.

/// The plain kernel or the fast one, where an operator has no more than these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rung {
    /// Says the formula, one thread per output where possible.
    Naive,
    /// Tested against it.
    #[default]
    Fast,
}
