//! Knowledge retention: how often the true continuation outscores the false one.

/// How a continuation is scored from the log-probabilities of its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scoring {
    /// The mean over the first `min(true, false)` tokens, as in the authors' code: both answers
    /// are cut to the length of the shorter one.
    #[default]
    MeanToShorter,
    /// The sum over the whole answer, as in the paper: the log-probability of the sequence.
    FullSum,
}

/// The scores of a true and a false answer, in nats.
///
/// An answer without tokens scores 0 in total, and makes both means NaN, which
/// [`accuracy`] counts as wrong.
pub fn scores(true_answer: &[f64], false_answer: &[f64], scoring: Scoring) -> (f64, f64) {
    match scoring {
        Scoring::MeanToShorter => {
            let shorter = true_answer.len().min(false_answer.len());
            let mean = |answer: &[f64]| answer[..shorter].iter().sum::<f64>() / shorter as f64;
            (mean(true_answer), mean(false_answer))
        }
        Scoring::FullSum => (true_answer.iter().sum(), false_answer.iter().sum()),
    }
}

/// The share of pairs `(true, false)` in which the true answer scores strictly higher.
///
/// Ties are wrong, and so is every pair with a NaN. `None` without pairs.
pub fn accuracy(pairs: &[(f64, f64)]) -> Option<f64> {
    let right = pairs.iter().filter(|(yes, no)| yes > no).count();
    (!pairs.is_empty()).then(|| right as f64 / pairs.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_scorings_can_disagree() {
        // Cut to one token −1 beats −2; in full −1 − 4 loses against −2.
        let (yes, no) = ([-1.0, -4.0], [-2.0]);
        assert_eq!(scores(&yes, &no, Scoring::MeanToShorter), (-1.0, -2.0));
        assert_eq!(scores(&yes, &no, Scoring::FullSum), (-5.0, -2.0));
        let (yes, no) = ([-1.0, -2.0, -6.0], [-2.0, -3.0, -0.5]);
        assert_eq!(scores(&yes, &no, Scoring::MeanToShorter), (-3.0, -5.5 / 3.0));
    }

    #[test]
    fn ties_and_nan_are_wrong() {
        let nan = f64::NAN;
        let pairs =
            [(-1.0, -2.0), (-1.0, -1.0), (nan, -1.0), (-1.0, nan), (-1.0, f64::NEG_INFINITY)];
        assert_eq!(accuracy(&pairs), Some(0.4));
        assert_eq!(accuracy(&[]), None);
        assert_eq!(accuracy(&[scores(&[], &[-1.0], Scoring::MeanToShorter)]), Some(0.0));
    }
}
