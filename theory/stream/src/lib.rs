//! Named, counter-based random streams.
//!
//! A stream is named by `(seed, purpose, generation, item)`. The four words are the key of a
//! ChaCha8 generator, so two streams with different names are independent and a result never
//! depends on the order in which work is done. One newtype implements both versions of the
//! `rand_core` traits that the project's packages ask for.

mod bulk;
mod chacha;

use rand_chacha::ChaCha8Rng;
use rand_core_09::{RngCore, SeedableRng};

/// A reproducible source of random numbers with a name.
#[derive(Clone, Debug)]
pub struct Stream {
    engine: ChaCha8Rng,
}

impl Stream {
    /// The stream of the given name. `purpose` is a short fixed word such as `"weights"`.
    pub fn new(seed: u64, purpose: &str, generation: u64, item: u64) -> Self {
        let mut key = [0u8; 32];
        let words = [seed, hash_name(purpose), generation, item];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self { engine: ChaCha8Rng::from_seed(key) }
    }

    /// A uniform integer of 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.engine.next_u64()
    }

    /// A uniform number in `[0, 1)` with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.engine.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A uniform integer in `0..bound` without bias (rejection of the short last interval).
    ///
    /// # Panics
    /// If `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "Stream::below: the bound must be positive");
        let bound = bound as u64;
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let draw = self.engine.next_u64();
            if draw < limit {
                return (draw % bound) as usize;
            }
        }
    }

    /// A standard normal number (Box–Muller, the cosine branch; `u` is kept off zero).
    pub fn normal(&mut self) -> f64 {
        let u = 1.0 - self.uniform();
        let v = self.uniform();
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// An index drawn with the given non-negative weights.
    ///
    /// # Panics
    /// If the weights do not have a positive finite sum.
    pub fn categorical(&mut self, weights: &[f64]) -> usize {
        let total: f64 = weights.iter().sum();
        assert!(total > 0.0 && total.is_finite(), "Stream::categorical: weights sum to {total}");
        let mut left = self.uniform() * total;
        let mut last = 0;
        for (index, &weight) in weights.iter().enumerate() {
            if weight > 0.0 {
                last = index;
                if left < weight {
                    return index;
                }
                left -= weight;
            }
        }
        last
    }

    /// Shuffles in place (Fisher–Yates), every order equally likely.
    ///
    /// Proved: `swap_keeps_a_permutation` in `theory/proofs/mix.smt2`.
    /// Proved: `swap_keeps_every_unit` in `theory/proofs/mix.smt2`.
    pub fn shuffle<X>(&mut self, items: &mut [X]) {
        for end in (1..items.len()).rev() {
            let other = self.below(end + 1);
            items.swap(end, other);
        }
    }
}

/// FNV-1a of the name: a fixed 64-bit word that never changes between versions.
const fn hash_name(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    hash
}

impl RngCore for Stream {
    fn next_u32(&mut self) -> u32 {
        self.engine.next_u32()
    }
    fn next_u64(&mut self) -> u64 {
        self.engine.next_u64()
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.engine.fill_bytes(bytes)
    }
}

impl rand_core_10::TryRng for Stream {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.engine.next_u32())
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.engine.next_u64())
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.engine.fill_bytes(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Stream;

    #[test]
    fn names_separate_streams_and_repeat() {
        let draw = |seed, purpose: &str, generation, item| {
            Stream::new(seed, purpose, generation, item).next_u64()
        };
        let base = draw(1, "a", 0, 0);
        assert_eq!(base, draw(1, "a", 0, 0));
        for other in
            [draw(2, "a", 0, 0), draw(1, "b", 0, 0), draw(1, "a", 1, 0), draw(1, "a", 0, 1)]
        {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn bounded_draws_and_weights_stay_in_range() {
        let mut stream = Stream::new(3, "test", 0, 0);
        for bound in 1..50 {
            assert!(stream.below(bound) < bound);
        }
        assert_eq!(stream.categorical(&[0.0, 2.0, 0.0]), 1);
        let mean = (0..20_000).map(|_| stream.normal()).sum::<f64>() / 20_000.0;
        // |z| <= 6.5 at known variance: false alarm 8e-11.
        assert!(mean.abs() * 20_000f64.sqrt() <= 6.5, "mean {mean}");
    }
}
