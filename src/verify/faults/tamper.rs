//! Ways to spoil a gradient that was added to a buffer.

use crate::cpu::Real;

/// A way to spoil it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tamper {
    /// Multiplied by this.
    Factor(f64),
    /// Replaces what was there.
    Overwrite,
    /// Added twice.
    Twice,
    /// Not added.
    Forget,
    /// Its last entry is not added.
    ForgetLast,
    /// Added with the other sign.
    Negate,
    /// Every entry stands one place further, the last one first.
    Rotate,
    /// A number is added behind it.
    Spill,
}

impl Tamper {
    /// Spoils `after[..len]`, which was `before` when the gradient was added.
    pub(super) fn apply<R: Real>(self, before: &[R], after: &mut [R], len: usize) {
        let added: Vec<R> = after[..len].iter().zip(before).map(|(&a, &b)| a - b).collect();
        let set = |after: &mut [R], of: &dyn Fn(usize) -> R| {
            for (index, (after, &before)) in after[..len].iter_mut().zip(before).enumerate() {
                *after = before + of(index);
            }
        };
        match self {
            Self::Factor(factor) => set(after, &|i| R::of(factor) * added[i]),
            Self::Overwrite => after[..len].copy_from_slice(&added),
            Self::Twice => set(after, &|i| added[i] + added[i]),
            Self::Forget => set(after, &|_| R::zero()),
            Self::ForgetLast => after[len - 1] = before[len - 1],
            Self::Negate => set(after, &|i| -added[i]),
            Self::Rotate => set(after, &|i| added[(i + len - 1) % len]),
            Self::Spill => after[len] += R::one(),
        }
    }
}
