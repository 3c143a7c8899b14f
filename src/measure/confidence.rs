//! How sure a model is of the tokens it is shown: the histogram of `p_t` and the kept fraction.

/// Bins of the histogram.
pub const BINS: usize = 20;

/// A histogram of probabilities in [`BINS`] equal bins of `[0, 1]`.
///
/// Bin `i` holds `i/20 ≤ p < (i+1)/20`; the last one holds `p = 1` too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confidence {
    bins: [u64; BINS],
    invalid: u64,
}

impl Confidence {
    /// Counts one probability. A value that is no probability (NaN, negative, above 1) is counted
    /// as [`Confidence::invalid`] and takes no part in the shares.
    pub fn push(&mut self, p: f64) {
        if (0.0..=1.0).contains(&p) {
            let bin = (p * BINS as f64) as usize;
            self.bins[bin.min(BINS - 1)] += 1;
        } else {
            self.invalid += 1;
        }
    }

    /// Probabilities counted.
    pub fn total(&self) -> u64 {
        self.bins.iter().sum()
    }

    /// Values that were no probabilities.
    pub fn invalid(&self) -> u64 {
        self.invalid
    }

    /// The share of each bin; they sum to 1. Empty where nothing was counted.
    pub fn shares(&self) -> Vec<f64> {
        let total = self.total() as f64;
        if total == 0.0 {
            return Vec::new();
        }
        self.bins.iter().map(|&count| count as f64 / total).collect()
    }
}

impl Extend<f64> for Confidence {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, probabilities: I) {
        probabilities.into_iter().for_each(|p| self.push(p));
    }
}

/// The share of probabilities for which `keep` is true, for example `|p| p <= gamma`.
///
/// A NaN is a token like any other and is handed to `keep`, whose comparison drops it. `None`
/// without tokens.
pub fn kept_fraction(probabilities: &[f64], keep: impl Fn(f64) -> bool) -> Option<f64> {
    let kept = probabilities.iter().filter(|p| keep(**p)).count();
    (!probabilities.is_empty()).then(|| kept as f64 / probabilities.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_unit_interval_have_bins() {
        let mut histogram = Confidence::default();
        histogram.extend([0.0, 0.049, 0.05, 0.5, 0.999, 1.0]);
        let mut expected = vec![0.0; BINS];
        (expected[0], expected[1], expected[10], expected[19]) =
            (2.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0, 2.0 / 6.0);
        assert_eq!(histogram.shares(), expected);
    }

    #[test]
    fn what_is_no_probability_is_set_aside() {
        let mut histogram = Confidence::default();
        histogram.extend([f64::NAN, -0.1, 1.1, f64::INFINITY]);
        assert_eq!((histogram.total(), histogram.invalid()), (0, 4));
        assert!(histogram.shares().is_empty());
    }

    #[test]
    fn equality_keeps_the_token_and_nan_does_not() {
        let p = [0.5, 0.75, 0.875, f64::NAN];
        assert_eq!(kept_fraction(&p, |p| p <= 0.75), Some(0.5));
        assert_eq!(kept_fraction(&[], |_| true), None);
    }
}
