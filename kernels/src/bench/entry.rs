//! What a bench leaves.

use super::peak::Peak;
use crate::Precision;

/// Everything measured on one device.
#[derive(Clone, Debug)]
pub struct Report {
    /// The device's name.
    pub device: String,
    /// Whether it is the shim, whose times say nothing about a GPU.
    pub host: bool,
    /// Major and minor compute capability.
    pub compute_capability: (u32, u32),
    /// Multiprocessors; the shim's threads.
    pub multiprocessors: usize,
    /// Of the device.
    pub memory_bytes: usize,
    /// Bytes read and written by the copy kernel per second.
    pub copy_bytes_per_s: f64,
    /// What its data sheet says, if it is known here.
    pub peak: Option<Peak>,
    /// Rung by rung, naive first within a case.
    pub entries: Vec<Entry>,
    /// Rungs that this device cannot run, with the reason.
    pub refused: Vec<String>,
    /// Rungs whose answers are wrong.
    pub failed: Vec<String>,
}

/// One rung of one kernel at one shape.
#[derive(Clone, Debug)]
pub struct Entry {
    /// One of [`super::KERNELS`].
    pub kernel: &'static str,
    /// What tells cases of one kernel apart beside the shape, such as a layout; may be empty.
    pub variant: String,
    /// Which kernels of it.
    pub rung: &'static str,
    /// Of the activations.
    pub precision: Precision,
    /// Letters and sizes.
    pub shape: Vec<(&'static str, usize)>,
    /// Times of a call.
    pub times: Times,
    /// Bytes that the formula has to read and write.
    pub bytes: u64,
    /// Floating-point operations of its products, two per multiply-add; zero where memory is the
    /// limit by far.
    pub flops: u64,
    /// What limits it on a perfect device.
    pub bound: Bound,
    /// Bytes of outputs and scratch: what the call needs beside its inputs and parameters.
    pub memory_bytes: usize,
    /// The largest difference to the naive rung, relative to each tensor's largest number; zero
    /// for the naive rung itself.
    pub error: f64,
}

/// What a kernel waits for if it is perfect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Bytes to and from memory.
    Memory,
    /// Multiply-adds.
    Arithmetic,
}

/// Times of a call in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// Half of the calls were faster.
    pub median_ms: f64,
    /// One in twenty was faster.
    pub p5_ms: f64,
    /// One in twenty was slower.
    pub p95_ms: f64,
    /// Calls that were timed.
    pub runs: usize,
}

impl Times {
    /// Of some times, at least one.
    pub(super) fn of(mut times_ms: Vec<f64>) -> Self {
        times_ms.sort_by(f64::total_cmp);
        let last = times_ms.len() - 1;
        let at = |share: f64| {
            let place = share * last as f64;
            let (low, part) = (place.floor() as usize, place.fract());
            times_ms[low] + part * (times_ms[(low + 1).min(last)] - times_ms[low])
        };
        Self { median_ms: at(0.5), p5_ms: at(0.05), p95_ms: at(0.95), runs: times_ms.len() }
    }
}

impl Report {
    /// An entry's share of what bounds it: of the copy's bandwidth, or of the data sheet's peak for
    /// its storage. `None` where no peak is known.
    pub fn share(&self, entry: &Entry) -> Option<f64> {
        let seconds = entry.times.median_ms * 1e-3;
        match entry.bound {
            Bound::Memory => Some(entry.bytes as f64 / seconds / self.copy_bytes_per_s),
            Bound::Arithmetic => {
                let peak = self.peak?.flops_per_s(entry.precision);
                Some(entry.flops as f64 / seconds / peak)
            }
        }
    }

    /// Cases of one kernel, variant, precision and shape, each naive to best, with more than one
    /// rung.
    pub fn ladders(&self) -> Vec<Vec<&Entry>> {
        let mut ladders: Vec<Vec<&Entry>> = Vec::new();
        for entry in &self.entries {
            match ladders.last_mut().filter(|ladder| ladder[0].same_case(entry)) {
                Some(ladder) => ladder.push(entry),
                None => ladders.push(vec![entry]),
            }
        }
        ladders.retain(|ladder| ladder.len() > 1);
        ladders
    }
}

impl Entry {
    fn same_case(&self, other: &Self) -> bool {
        self.kernel == other.kernel
            && self.variant == other.variant
            && self.precision == other.precision
            && self.shape == other.shape
    }
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn percentiles_lie_between_the_times_around_them() {
        let times = Times::of((0..=100).rev().map(f64::from).collect());
        assert_eq!(
            (times.median_ms, times.p5_ms, times.p95_ms, times.runs),
            (50.0, 5.0, 95.0, 101)
        );
        let two = Times::of(vec![3.0, 1.0]);
        assert!((two.median_ms - 2.0).abs() < 1e-12 && (two.p95_ms - 2.9).abs() < 1e-12, "{two:?}");
        assert_eq!(Times::of(vec![7.0]).p5_ms, 7.0);
    }
}
