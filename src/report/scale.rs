//! From values to pixels: linear and logarithmic scales with readable ticks.

use super::number::short;

/// A map from values to pixels.
#[derive(Clone, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    /// Whether equal distances are equal ratios.
    pub log: bool,
}

impl Scale {
    /// A linear scale that covers the finite ones of `values` with a little room, mapped to the
    /// pixels `from..to`. `None` where no value is finite.
    pub fn linear(values: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Option<Self> {
        // Pixels are differences of values, which must not overflow.
        let (low, high) = range(values.into_iter().filter(|v| v.abs() <= 1e300))?;
        let room = match high - low {
            0.0 if low == 0.0 => 1.0,
            width if width <= 1e-9 * low.abs().max(high.abs()) => 0.1 * low.abs(),
            width => 0.06 * width,
        };
        Some(Self { low: low - room, high: high + room, from, to, log: false })
    }

    /// A linear scale with exactly these ends.
    pub fn exact(low: f64, high: f64, from: f64, to: f64) -> Self {
        Self { low, high, from, to, log: false }
    }

    /// A logarithmic scale over the positive ones of `values`; `None` where there is none.
    pub fn logarithmic(values: &[f64], from: f64, to: f64) -> Option<Self> {
        let (low, high) = range(values.iter().copied().filter(|v| *v > 0.0))?;
        let room = (high / low).powf(0.06).clamp(1.05, f64::MAX);
        let (low, high) = ((low / room).max(f64::MIN_POSITIVE), (high * room).min(f64::MAX));
        Some(Self { low, high, from, to, log: true })
    }

    /// A logarithmic scale where all values are positive and span a factor of at least 50, else a
    /// linear one.
    pub fn fitting(values: &[f64], from: f64, to: f64) -> Option<Self> {
        let (low, high) = range(values.iter().copied())?;
        if low <= 0.0 || high / low < 50.0 {
            return Self::linear(values.iter().copied(), from, to);
        }
        let room = (high / low).powf(0.06);
        let (low, high) = ((low / room).max(f64::MIN_POSITIVE), (high * room).min(f64::MAX));
        Some(Self { low, high, from, to, log: true })
    }

    /// The pixel of a value; values outside are drawn at the edge, NaN at the lower one.
    pub fn at(&self, value: f64) -> f64 {
        let share = match self.log {
            false => (value - self.low) / (self.high - self.low),
            true => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        self.from + share * (self.to - self.from)
    }

    /// Round values inside the scale with their labels, about `wanted` of them.
    pub fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        match self.log {
            false => self.linear_ticks(wanted),
            true => self.log_ticks(wanted),
        }
    }

    fn linear_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let step = nice((self.high - self.low) / wanted.max(1) as f64);
        let first = (self.low / step).ceil();
        let last = (self.high / step).floor();
        let places = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let plain = step >= 1e-6 && self.high.abs().max(self.low.abs()) < 1e6;
        (0..=(last - first).clamp(0.0, 40.0) as usize)
            .map(|i| (first + i as f64) * step)
            .filter(|v| (self.low..=self.high).contains(v))
            .map(|v| match plain {
                true if step >= 1000.0 && self.high.abs().max(self.low.abs()) >= 1e4 => {
                    (v, format!("{}k", v / 1000.0).replace('-', "−"))
                }
                true => (v, format!("{:.places$}", v + 0.0).replace('-', "−")),
                false => (v, short(v)),
            })
            .collect()
    }

    /// Powers of ten; where few are inside, also their triples, else their halves and doubles, else
    /// the ticks of a linear scale.
    fn log_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        if (self.high / self.low).log10() > 3.5 {
            return self.decade_ticks(wanted, &[1.0]);
        }
        let few = wanted.min(3);
        let parts: [&[f64]; 2] = [&[1.0, 3.0], &[1.0, 2.0, 5.0]];
        let mut tries = parts.into_iter().map(|parts| self.decade_ticks(wanted, parts));
        tries.find(|ticks| ticks.len() >= few).unwrap_or_else(|| self.linear_ticks(wanted))
    }

    fn decade_ticks(&self, wanted: usize, parts: &[f64]) -> Vec<(f64, String)> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let stride = (((last - first) as usize).div_ceil(wanted.max(1))).max(1);
        (first..=last)
            .step_by(stride)
            .flat_map(|decade| parts.iter().map(move |part| part * 10f64.powi(decade)))
            .filter(|v| (self.low..=self.high).contains(v))
            .map(|v| match (1e-3..1e5).contains(&v) {
                true => (v, format!("{}", (v * 1e6).round() / 1e6)),
                false => (v, format!("{v:.0e}").replace('-', "−")),
            })
            .collect()
    }
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

/// The least of 1, 2, 5 × 10ⁿ that is not below `step`.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let part = [1.0, 2.0, 5.0].into_iter().find(|part| part * power >= step * (1.0 - 1e-9));
    (part.unwrap_or(10.0) * power).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(scale: &Scale, wanted: usize) -> Vec<String> {
        scale.ticks(wanted).into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            labels(&Scale::exact(0.0, 1.0, 0.0, 1.0), 5),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(&Scale::exact(-1.0, 1.0, 0.0, 1.0), 2), ["−1", "0", "1"]);
        assert_eq!(labels(&Scale::exact(0.0, 2e4, 0.0, 1.0), 2), ["0k", "10k", "20k"]);
        let log = Scale::fitting(&[0.01, 9.0], 0.0, 1.0).unwrap();
        assert!(log.log);
        assert_eq!(labels(&log, 5), ["0.01", "0.03", "0.1", "0.3", "1", "3", "10"]);
        let narrow = |values| labels(&Scale::logarithmic(values, 0.0, 1.0).unwrap(), 5);
        assert_eq!(narrow(&[0.2, 1.0]), ["0.2", "0.5", "1"]);
        assert_eq!(narrow(&[0.43, 0.58]), ["0.45", "0.50", "0.55", "0.60"]);
    }

    #[test]
    fn values_land_where_they_belong() {
        let scale = Scale::exact(0.0, 10.0, 100.0, 0.0);
        assert_eq!((scale.at(0.0), scale.at(5.0), scale.at(99.0)), (100.0, 50.0, 0.0));
        assert_eq!(scale.at(f64::NAN), 100.0);
        assert!(Scale::linear([f64::NAN, f64::INFINITY], 0.0, 1.0).is_none());
    }

    proptest! {
        #[test]
        fn every_scale_is_finite_with_few_ticks(values in proptest::collection::vec(any::<f64>(), 1..5)) {
            for scale in [Scale::linear(values.clone(), 0.0, 300.0), Scale::fitting(&values, 0.0, 300.0)] {
                let Some(scale) = scale else { continue };
                for value in &values {
                    prop_assert!((0.0..=300.0).contains(&scale.at(*value)));
                }
                let ticks = scale.ticks(5);
                prop_assert!(ticks.len() <= 41 && ticks.iter().all(|tick| tick.0.is_finite()));
            }
        }
    }
}
