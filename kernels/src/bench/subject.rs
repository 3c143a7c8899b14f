//! What is measured: buffers, launches, and outputs that can be compared.

use crate::{Device, Precision, Result, Storage, ViewMut};
use half::bf16;

/// One kernel at one shape, with its buffers.
pub(super) trait Subject {
    /// Launches rung number `rung`.
    fn run(&mut self, device: &Device, rung: usize) -> Result<()>;

    /// What it writes.
    fn outputs(&mut self) -> Vec<Output<'_>>;

    /// Before a run whose answer is compared: zeros, so that nothing is left of the last one.
    fn reset(&mut self, device: &Device) -> Result<()> {
        self.outputs().into_iter().try_for_each(|output| output.zero(device))
    }
}

/// Numbers on a device that a kernel has written.
pub(super) enum Output<'a> {
    Single(ViewMut<'a, f32>),
    Double(ViewMut<'a, f64>),
    Narrow(ViewMut<'a, bf16>),
    Tokens(ViewMut<'a, u32>),
}

/// Stretches of a long output that are compared, and numbers in each.
const STRETCHES: usize = 16;
const STRETCH: usize = 1 << 18;

impl<'a> Output<'a> {
    /// In the storage.
    pub fn of<A: Storage>(view: ViewMut<'a, A>) -> Self {
        match A::PRECISION {
            Precision::F32 => Self::Single(view.cast()),
            Precision::Bf16 => Self::Narrow(view.cast()),
        }
    }

    fn zero(mut self, device: &Device) -> Result<()> {
        match &mut self {
            Self::Single(view) => view.zero(device),
            Self::Double(view) => view.zero(device),
            Self::Narrow(view) => view.zero(device),
            Self::Tokens(view) => view.zero(device),
        }
    }

    /// Its numbers; of more than four million, sixteen stretches from the first to the last.
    pub fn sample(self, device: &Device) -> Result<Vec<f64>> {
        let mut numbers = Vec::new();
        let len = match &self {
            Self::Single(view) => view.len(),
            Self::Double(view) => view.len(),
            Self::Narrow(view) => view.len(),
            Self::Tokens(view) => view.len(),
        };
        for range in stretches(len) {
            match &self {
                Self::Single(view) => numbers
                    .extend(view.view().slice(range).download(device)?.into_iter().map(f64::from)),
                Self::Double(view) => numbers.extend(view.view().slice(range).download(device)?),
                Self::Narrow(view) => numbers
                    .extend(view.view().slice(range).download(device)?.into_iter().map(f64::from)),
                Self::Tokens(view) => numbers
                    .extend(view.view().slice(range).download(device)?.into_iter().map(f64::from)),
            }
        }
        Ok(numbers)
    }
}

fn stretches(len: usize) -> Vec<std::ops::Range<usize>> {
    if len <= STRETCHES * STRETCH {
        return std::iter::once(0..len).collect();
    }
    let place = |i: usize| (len - STRETCH) / (STRETCHES - 1) * i;
    let mut ranges: Vec<_> = (0..STRETCHES).map(|i| place(i)..place(i) + STRETCH).collect();
    ranges[STRETCHES - 1] = len - STRETCH..len;
    ranges
}

/// The largest `|ours − truth|` relative to the largest `|truth|` of each output; NaN counts as
/// infinite.
pub(super) fn error(ours: &[Vec<f64>], truth: &[Vec<f64>]) -> f64 {
    let one = |(ours, truth): (&Vec<f64>, &Vec<f64>)| {
        let largest = truth.iter().fold(f64::MIN_POSITIVE, |most, x| most.max(x.abs()));
        let errors = ours.iter().zip(truth).map(|(a, b)| (a - b).abs());
        let worst =
            errors.fold(0.0, |most: f64, e| if e.is_nan() { f64::INFINITY } else { most.max(e) });
        if worst.is_finite() { worst / largest } else { f64::INFINITY }
    };
    ours.iter().zip(truth).map(one).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::{STRETCH, STRETCHES, error, stretches};

    #[test]
    fn a_long_output_is_seen_at_its_ends() {
        assert!(stretches(5).into_iter().eq(std::iter::once(0..5)));
        let len = 1_000_000_007;
        let ranges = stretches(len);
        assert_eq!((ranges[0].start, ranges[STRETCHES - 1].end), (0, len));
        assert!(ranges.iter().all(|range| range.len() == STRETCH && range.end <= len));
    }

    #[test]
    fn errors_are_relative_to_each_output_and_see_nan() {
        assert_eq!(error(&[vec![1.0, 2.5]], &[vec![1.0, 2.0]]), 0.25);
        assert_eq!(error(&[vec![0.0], vec![4.0]], &[vec![0.0], vec![5.0]]), 0.2);
        for (ours, truth) in [(f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, f64::INFINITY)] {
            assert_eq!(error(&[vec![ours, 1.0]], &[vec![truth, 1.0]]), f64::INFINITY);
        }
    }
}
