//! Token histograms: counts, entropy, Kullback–Leibler divergence.

use crate::{Error, Result};

/// The least probability that a token is given in a divergence.
pub const FLOOR: f64 = 1e-10;

/// How often each token of a vocabulary occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// An empty histogram over `vocab` tokens.
    pub fn new(vocab: usize) -> Self {
        Self { counts: vec![0; vocab], total: 0 }
    }

    /// The histogram of one piece of text.
    ///
    /// # Errors
    /// As [`Histogram::add`].
    pub fn from_tokens(vocab: usize, tokens: &[u32]) -> Result<Self> {
        let mut histogram = Self::new(vocab);
        histogram.add(tokens)?;
        Ok(histogram)
    }

    /// Counts the tokens of one more piece of text.
    ///
    /// # Errors
    /// A token outside the vocabulary; nothing is counted then.
    pub fn add(&mut self, tokens: &[u32]) -> Result<()> {
        let vocab = self.counts.len();
        if let Some((place, token)) = tokens.iter().enumerate().find(|(_, t)| **t as usize >= vocab)
        {
            return Err(Error::input(format!(
                "Token {token} at position {place} lies outside the vocabulary of {vocab} tokens; \
                 encode the text with the tokenizer of this model."
            )));
        }
        for &token in tokens {
            self.counts[token as usize] += 1;
        }
        self.total += tokens.len() as u64;
        Ok(())
    }

    /// Occurrences by token.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Tokens counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Tokens of the vocabulary that occur at least once.
    pub fn types(&self) -> usize {
        self.counts.iter().filter(|&&count| count > 0).count()
    }

    /// The entropy `−Σ p ln p` in nats; `None` without tokens. Summed in token order in `f64`.
    pub fn entropy_nats(&self) -> Option<f64> {
        let total = self.total as f64;
        (self.total > 0).then(|| {
            let mut sum = 0.0;
            for &count in self.counts.iter().filter(|&&count| count > 0) {
                let p = count as f64 / total;
                sum -= p * p.ln();
            }
            sum
        })
    }

    /// `KL(self || other) = Σ_{p>0} p ln(p / max(q, 1e-10))` in nats, with the natural logarithm.
    ///
    /// `q` is floored at [`FLOOR`] and not renormalised, so that a token that `other` has lost
    /// costs `p·(ln p + 23.03)` and not infinity. `None` where either side holds no token or the
    /// vocabularies differ.
    ///
    /// Deviation: the paper floors both sides; a term with `p = 0` differs by at most `2.4e-9`.
    pub fn kl_nats(&self, other: &Self) -> Option<f64> {
        if self.total == 0 || other.total == 0 || self.counts.len() != other.counts.len() {
            return None;
        }
        let (n, m) = (self.total as f64, other.total as f64);
        let mut sum = 0.0;
        for (&a, &b) in self.counts.iter().zip(&other.counts).filter(|(a, _)| **a > 0) {
            let (p, q) = (a as f64 / n, (b as f64 / m).max(FLOOR));
            sum += p * (p / q).ln();
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tokens: &[u32]) -> Histogram {
        Histogram::from_tokens(4, tokens).unwrap()
    }

    #[test]
    fn divergences_equal_the_values_worked_out_by_hand() {
        let (a, b) = (of(&[0, 1]), of(&[0, 0, 0, 1]));
        // ½ ln(½/¾) + ½ ln(½/¼) = ½ ln(4/3); ¾ ln(3/2) + ¼ ln(1/2).
        assert!((a.kl_nats(&b).unwrap() - 0.5 * (4.0f64 / 3.0).ln()).abs() <= 1e-15);
        let back = 0.75 * 1.5f64.ln() - 0.25 * 2f64.ln();
        assert!((b.kl_nats(&a).unwrap() - back).abs() <= 1e-15);
        assert_eq!(a.kl_nats(&a), Some(0.0));
    }

    #[test]
    fn a_lost_token_costs_the_floor_and_not_infinity() {
        // ½ ln(½/1) + ½ ln(½ / 1e-10) = −ln 2 + 5 ln 10.
        let kl = of(&[0, 1]).kl_nats(&of(&[0])).unwrap();
        assert!((kl - (5.0 * 10f64.ln() - 2f64.ln())).abs() <= 1e-12);
        let back = of(&[0]).kl_nats(&of(&[0, 1])).unwrap();
        assert!((back - 2f64.ln()).abs() <= 1e-15);
    }

    #[test]
    fn entropy_of_an_even_histogram_is_the_log_of_its_types() {
        assert!((of(&[0, 1, 2, 3]).entropy_nats().unwrap() - 4f64.ln()).abs() <= 1e-15);
        assert_eq!(of(&[2, 2]).entropy_nats(), Some(0.0));
        assert_eq!(of(&[2, 2, 1]).types(), 2);
    }

    #[test]
    fn nothing_is_undefined_and_strangers_are_refused() {
        assert_eq!(of(&[]).entropy_nats(), None);
        assert_eq!(of(&[]).kl_nats(&of(&[1])), None);
        assert_eq!(of(&[1]).kl_nats(&of(&[])), None);
        assert_eq!(of(&[1]).kl_nats(&Histogram::from_tokens(5, &[1]).unwrap()), None);
        let mut histogram = of(&[1]);
        let message = histogram.add(&[1, 4]).unwrap_err().to_string();
        assert!(message.contains("Token 4 at position 1"), "{message}");
        assert_eq!(histogram, of(&[1]));
    }
}
