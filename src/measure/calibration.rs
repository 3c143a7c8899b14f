//! Calibration: whether a model that is sure is right as often as it says.

/// Bins of confidence.
const BINS: usize = 20;

/// Expected calibration error, from pairs (largest probability of a prediction, whether that token came).
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    sums: [(f64, u64, u64); BINS],
}

impl Calibration {
    /// Counts one prediction.
    pub fn push(&mut self, confidence: f64, right: bool) {
        if !(0.0..=1.0).contains(&confidence) {
            return;
        }
        let bin = &mut self.sums[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += confidence;
        bin.1 += u64::from(right);
        bin.2 += 1;
    }

    /// `Σ_b (n_b / n) |accuracy_b − confidence_b|` over 20 equal bins of the top probability. `None`
    /// without predictions.
    ///
    /// Source: Guo, Pleiss, Sun & Weinberger 2017, equation 3, arXiv 1706.04599.
    pub fn error(&self) -> Option<f64> {
        let n: u64 = self.sums.iter().map(|bin| bin.2).sum();
        // n_b |right/n_b − sum/n_b| = |right − sum|.
        let gap = |bin: &(f64, u64, u64)| (bin.1 as f64 - bin.0).abs();
        (n > 0).then(|| self.sums.iter().map(gap).sum::<f64>() / n as f64)
    }

    /// The mean largest probability. `None` without predictions.
    pub fn confidence(&self) -> Option<f64> {
        let n: u64 = self.sums.iter().map(|bin| bin.2).sum();
        (n > 0).then(|| self.sums.iter().map(|bin| bin.0).sum::<f64>() / n as f64)
    }

    /// How often the likeliest token came. `None` without predictions.
    pub fn accuracy(&self) -> Option<f64> {
        let n: u64 = self.sums.iter().map(|bin| bin.2).sum();
        (n > 0).then(|| self.sums.iter().map(|bin| bin.1).sum::<u64>() as f64 / n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_equals_the_one_worked_out_by_hand() {
        let mut calibration = Calibration::default();
        // 0.9 and right twice of four: gap ½·… (3.6 − 2)/5; 0.3 and right: 0.7/5.
        for right in [true, true, false, false] {
            calibration.push(0.9, right);
        }
        calibration.push(0.3, true);
        assert!((calibration.error().unwrap() - (1.6 + 0.7) / 5.0).abs() < 1e-15);
        assert!((calibration.confidence().unwrap() - 3.9 / 5.0).abs() < 1e-15);
        assert_eq!(calibration.accuracy(), Some(0.6));
        calibration.push(f64::NAN, true);
        assert_eq!(calibration.accuracy(), Some(0.6));
        assert_eq!(Calibration::default().error(), None);
    }
}
