//! Which decoding settings are accepted.

use crate::config::DecodeConfig;
use crate::{Error, Result};

/// Below this the sharpened logits leave the range of `f32`; above it sampling is greedy long before.
const LEAST_TEMPERATURE: f64 = 1e-6;

/// The most beams.
const MOST_BEAMS: usize = 1024;

impl DecodeConfig {
    /// Checks every setting and the pairs that exclude each other.
    ///
    /// # Errors
    /// The first setting outside its range, named with its value and with what is accepted.
    pub fn validate(&self) -> Result<()> {
        let refuse = |sentence: String| Err(Error::input(sentence));
        let positive = |value: f64| value > 0.0 && value.is_finite();
        if !(positive(self.temperature) && self.temperature >= LEAST_TEMPERATURE) {
            return refuse(format!(
                "The temperature is {}; use a number from {LEAST_TEMPERATURE} up, or `sample = false` \
                 for the best token every time.",
                self.temperature
            ));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return refuse(format!(
                "The setting top_p is {}; use a number above 0 and at most 1 (1 keeps every \
                 token).",
                self.top_p
            ));
        }
        if self.beams == 0 || self.beams > MOST_BEAMS {
            return refuse(format!(
                "The setting beams is {}; use 1 for no beam search, and at most {MOST_BEAMS}.",
                self.beams
            ));
        }
        if self.beams > 1 && self.sample {
            return refuse(format!(
                "Beam search with {} beams does not sample; use `sample = false`, or `beams = 1` \
                 to sample.",
                self.beams
            ));
        }
        if !self.length_penalty.is_finite() {
            return refuse(format!(
                "The setting length_penalty is {}; use a finite number (1 divides a score by its \
                 length, 0 leaves it).",
                self.length_penalty
            ));
        }
        if !positive(self.repetition_penalty) {
            return refuse(format!(
                "The setting repetition_penalty is {}; use a number above 0 (1 is off).",
                self.repetition_penalty
            ));
        }
        if self.max_new_tokens == 0 {
            return refuse("The setting max_new_tokens is 0; use 1 or more.".into());
        }
        if self.min_new_tokens > self.max_new_tokens {
            return refuse(format!(
                "The setting min_new_tokens is {} but max_new_tokens is {}; lower the first or \
                 raise the second.",
                self.min_new_tokens, self.max_new_tokens
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::DecodeConfig;

    #[test]
    fn every_setting_out_of_range_is_refused_by_name() {
        DecodeConfig::default().validate().unwrap();
        type Spoil = fn(&mut DecodeConfig);
        let cases: [(&str, Spoil); 14] = [
            ("temperature is 0", |c| c.temperature = 0.0),
            ("temperature is NaN", |c| c.temperature = f64::NAN),
            ("temperature is inf", |c| c.temperature = f64::INFINITY),
            ("top_p is 0", |c| c.top_p = 0.0),
            ("top_p is 1.5", |c| c.top_p = 1.5),
            ("top_p is NaN", |c| c.top_p = f64::NAN),
            ("beams is 0", |c| c.beams = 0),
            ("5 beams", |c| c.beams = 5),
            ("length_penalty is inf", |c| c.length_penalty = f64::INFINITY),
            ("repetition_penalty is 0", |c| c.repetition_penalty = 0.0),
            ("repetition_penalty is NaN", |c| c.repetition_penalty = f64::NAN),
            ("max_new_tokens is 0", |c| c.max_new_tokens = 0),
            ("min_new_tokens is 129", |c| c.min_new_tokens = 129),
            ("max_new_tokens is 3", |c| (c.min_new_tokens, c.max_new_tokens) = (4, 3)),
        ];
        for (words, spoil) in cases {
            let mut config = DecodeConfig::default();
            spoil(&mut config);
            let sentence = config.validate().unwrap_err().to_string();
            assert!(sentence.contains(words), "{words:?} is not in {sentence:?}");
        }
        let beams = DecodeConfig { sample: false, beams: 5, ..DecodeConfig::default() };
        beams.validate().unwrap();
    }
}
