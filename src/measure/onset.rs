//! The onset of collapse, "time to failure": where a curve first, and where it last, passes a
//! threshold.
//!
//! Source of the measure: arXiv 2509.08972, section 5 (first crossing of 75 % retention, linear
//! interpolation between stages).

mod table;

pub use table::{Axis, Curve, read};

use serde::Serialize;

/// On which side of the threshold a curve has failed. A value equal to the threshold has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// Strictly below it: retention, diversity.
    Below,
    /// Strictly above it: perplexity, divergence.
    Above,
}

impl Failing {
    fn failed(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Below => value < threshold,
            Self::Above => value > threshold,
        }
    }
}

/// Where on the axis a curve passes the threshold, as far as its points tell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "censored", content = "at")]
pub enum Onset {
    /// Between two points, linearly interpolated.
    #[serde(rename = "no")]
    At(f64),
    /// At or before the first point, which has failed already.
    Left(f64),
    /// After the last point, if ever.
    Right(f64),
}

impl Onset {
    /// The place, or the point that bounds it.
    pub fn place(self) -> f64 {
        match self {
            Self::At(x) | Self::Left(x) | Self::Right(x) => x,
        }
    }

    /// The quotient of two onsets: a number, or the bound that is left of it where one of them is
    /// censored; `None` where nothing is known, or for a divisor at 0.
    pub fn ratio(self, to: Self) -> Option<Ratio> {
        let quotient = self.place() / to.place();
        if !quotient.is_finite() {
            return None;
        }
        match (self, to) {
            (Self::At(_), Self::At(_)) => Some(Ratio::Is(quotient)),
            (Self::Left(_), Self::At(_) | Self::Right(_)) | (Self::At(_), Self::Right(_)) => {
                Some(Ratio::AtMost(quotient))
            }
            (Self::Right(_), Self::At(_) | Self::Left(_)) | (Self::At(_), Self::Left(_)) => {
                Some(Ratio::AtLeast(quotient))
            }
            (Self::Left(_), Self::Left(_)) | (Self::Right(_), Self::Right(_)) => None,
        }
    }
}

/// What two onsets say about their quotient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ratio {
    /// This number.
    Is(f64),
    /// At least this number: the first is not reached, or the second was passed before.
    AtLeast(f64),
    /// At most this number.
    AtMost(f64),
}

/// The first and the last time that a curve passes the threshold into failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Onsets {
    /// The first time.
    pub first: Onset,
    /// The last time; the same as the first unless the curve recovers in between.
    pub last: Onset,
    /// Whether the last point has not failed although an earlier one had.
    pub recovered: bool,
}

/// The onsets of a curve `(axis, value)` with increasing, finite axis.
///
/// ```
/// use fortifai::measure::onset::{Failing, Onset, onsets};
/// let retention = [(0.0, 80.0), (1.0, 76.0), (2.0, 74.0)];
/// assert_eq!(onsets(&retention, 75.0, Failing::Below).first, Onset::At(1.5));
/// ```
///
/// # Panics
/// Without points.
pub fn onsets(points: &[(f64, f64)], threshold: f64, failing: Failing) -> Onsets {
    let (&(start, first), &(end, last)) = points.first().zip(points.last()).expect("points");
    let failed = |value| failing.failed(value, threshold);
    let mut crossings: Vec<Onset> = Vec::new();
    if failed(first) {
        crossings.push(Onset::Left(start));
    }
    for pair in points.windows(2) {
        let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
        if !failed(y0) && failed(y1) {
            // Halves, so that no difference of finite numbers overflows.
            let share = (0.5 * y0 - 0.5 * threshold) / (0.5 * y0 - 0.5 * y1);
            crossings.push(Onset::At(x0 + (x1 - x0) * share));
        }
    }
    let never = Onset::Right(end);
    Onsets {
        first: crossings.first().copied().unwrap_or(never),
        last: crossings.last().copied().unwrap_or(never),
        recovered: !crossings.is_empty() && !failed(last),
    }
}

#[cfg(test)]
mod tests;
