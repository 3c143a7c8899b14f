//! The learning rate over the steps.

use crate::config::{Schedule, TrainConfig};

/// Learning rate of step `step` (from 0) of `total`: linear warm-up, then the schedule.
pub fn learning_rate(config: &TrainConfig, step: usize, total: usize) -> f64 {
    let peak = config.learning_rate;
    let warmup = config.warmup.min(total / 2);
    if step < warmup {
        return peak * (step + 1) as f64 / warmup as f64;
    }
    let done = (step - warmup) as f64 / (total - warmup).max(1) as f64;
    match config.schedule {
        Schedule::Constant => peak,
        Schedule::Linear => peak * (1.0 - done),
        Schedule::Cosine => peak * (0.1 + 0.45 * (1.0 + libm::cos(std::f64::consts::PI * done))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_middle() {
        let config = |schedule| TrainConfig {
            learning_rate: 1.0,
            warmup: 10,
            schedule,
            ..TrainConfig::default()
        };
        for schedule in [Schedule::Constant, Schedule::Cosine, Schedule::Linear] {
            let config = config(schedule);
            assert_eq!(learning_rate(&config, 0, 110), 0.1);
            assert_eq!(learning_rate(&config, 9, 110), 1.0);
            assert_eq!(learning_rate(&config, 10, 110), 1.0);
        }
        let middle = learning_rate(&config(Schedule::Cosine), 60, 110);
        assert!((middle - 0.55).abs() <= 1e-15);
        assert_eq!(learning_rate(&config(Schedule::Linear), 60, 110), 0.5);
        // A warm-up longer than half the run is cut to half.
        assert_eq!(learning_rate(&config(Schedule::Constant), 1, 4), 1.0);
    }
}
