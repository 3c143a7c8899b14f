//! The repetition penalty: scores of tokens already present are made worse.

use crate::cpu::Real;

/// Remembers which tokens were already penalised, without clearing `v` flags each time.
pub(super) struct Penalty {
    strength: f64,
    /// `[v]`: the round in which the token was last penalised.
    seen: Vec<u32>,
    round: u32,
}

impl Penalty {
    /// The penalty of the given strength over `vocab` tokens; strength 1 changes nothing.
    pub(super) fn new(strength: f64, vocab: usize) -> Self {
        let seen = if strength == 1.0 { Vec::new() } else { vec![0; vocab] };
        Self { strength, seen, round: 0 }
    }

    /// Whether [`Penalty::apply`] changes anything.
    pub(super) fn is_on(&self) -> bool {
        !self.seen.is_empty()
    }

    /// `score·strength` if the score is negative, `score/strength` otherwise, once for each
    /// distinct token.
    ///
    /// Source: Keskar et al. 2019, section 4.1, arXiv 1909.05858, which divides always; negative
    /// scores are multiplied here, as in transformers.
    pub(super) fn apply<N: Real>(&mut self, scores: &mut [N], present: impl Iterator<Item = u32>) {
        if !self.is_on() {
            return;
        }
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.seen.fill(0);
            self.round = 1;
        }
        let strength = N::of(self.strength);
        for token in present.map(|token| token as usize) {
            if self.seen[token] != self.round {
                self.seen[token] = self.round;
                let score = scores[token];
                scores[token] = if score < N::zero() { score * strength } else { score / strength };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Penalty;

    #[test]
    fn each_distinct_token_is_penalised_once_and_by_its_sign() {
        let mut penalty = Penalty::new(2.0, 5);
        let scores = [3.0, -3.0, 0.0, 8.0, f64::NEG_INFINITY];
        for _ in 0..2 {
            let mut penalised = scores;
            penalty.apply(&mut penalised, [0, 1, 1, 0, 2, 4, 4].into_iter());
            assert_eq!(penalised, [1.5, -6.0, 0.0, 8.0, f64::NEG_INFINITY]);
        }
        penalty.round = u32::MAX;
        let mut penalised = scores;
        penalty.apply(&mut penalised, [3].into_iter());
        assert_eq!(penalised, [3.0, -3.0, 0.0, 4.0, f64::NEG_INFINITY]);
    }

    #[test]
    fn below_one_rewards_and_one_is_off() {
        let mut scores = [3.0f32, -3.0];
        Penalty::new(1.0, 2).apply(&mut scores, [0, 1].into_iter());
        assert_eq!(scores, [3.0, -3.0]);
        Penalty::new(0.5, 2).apply(&mut scores, [0, 1].into_iter());
        assert_eq!(scores, [6.0, -1.5]);
    }
}
