//! An interpolated n-gram model with Kneser–Ney's lower orders: what counting alone makes of a text.
//!
//! With `c(h w)` the count of a token `w` behind a history `h`, `N₁₊(h •)` the number of different
//! tokens behind it and `N₁₊(• h w)` the number of different tokens before `h w`,
//!
//! ```text
//! P(w | h) = max(c(h w) − D, 0)/c(h) + D·N₁₊(h •)/c(h) · P(w | h without its first token),
//! ```
//!
//! where every order but the highest counts `N₁₊(• h w)` in the place of `c(h w)`, the shortest history
//! falls back on the uniform law, and `D = n₁/(n₁ + 2n₂)` of each order comes from how many n-grams
//! were counted once and twice. (Kneser and Ney 1995; Chen and Goodman 1999.)

use crate::{Error, Result};
use std::collections::HashMap;

/// The highest order, so that an n-gram fits into 128 bits.
pub const MOST: usize = 5;

/// Bits of a token.
const BITS: usize = 24;

/// What one order has counted.
#[derive(Debug, Default)]
struct Order {
    /// Counts of n-grams.
    counts: HashMap<u128, u32>,
    /// Sum of counts and number of different tokens behind each history.
    histories: HashMap<u128, (u32, u32)>,
    discount: f64,
}

/// The model.
#[derive(Debug)]
pub struct Ngram {
    /// From the unigrams up.
    orders: Vec<Order>,
    vocab: usize,
}

fn packed(tokens: &[u32]) -> u128 {
    tokens.iter().fold(0, |key, &token| key << BITS | u128::from(token))
}

impl Ngram {
    /// Counts a text of tokens below `vocab`.
    ///
    /// # Errors
    /// An order of 0 or above [`MOST`], a vocabulary that does not fit, a text shorter than the order.
    pub fn fit(text: &[u32], vocab: usize, order: usize) -> Result<Self> {
        if order == 0 || order > MOST || vocab == 0 || vocab > 1 << BITS || text.len() < order {
            return Err(Error::input(format!(
                "An n-gram model of order {order} cannot be counted from {} tokens of a vocabulary of \
                 {vocab}; use an order from 1 to {MOST} and a longer text.",
                text.len()
            )));
        }
        let mut highest: HashMap<u128, u32> = HashMap::new();
        for ngram in text.windows(order) {
            *highest.entry(packed(ngram)).or_default() += 1;
        }
        let mut orders = Vec::new();
        let mut counts = highest;
        for n in (1..=order).rev() {
            // Every different n-gram continues one history of the order below.
            let mut lower: HashMap<u128, u32> = HashMap::new();
            let mut histories: HashMap<u128, (u32, u32)> = HashMap::new();
            let (mut once, mut twice) = (0u32, 0u32);
            let tail = (1u128 << (BITS * (n - 1))) - 1;
            for (&key, &count) in &counts {
                if n > 1 {
                    *lower.entry(key & tail).or_default() += 1;
                }
                let history = histories.entry(key >> BITS).or_default();
                history.0 += count;
                history.1 += 1;
                once += u32::from(count == 1);
                twice += u32::from(count == 2);
            }
            let discount = match once {
                // Without any n-gram seen once there is nothing to estimate from.
                0 => 0.5,
                once => f64::from(once) / (f64::from(once) + 2.0 * f64::from(twice)),
            };
            // Nothing that was counted may lose all of it.
            let discount = discount.min(0.99);
            orders.push(Order { counts, histories, discount });
            counts = lower;
        }
        orders.reverse();
        Ok(Self { orders, vocab })
    }

    /// The probability of a token behind a history, of which the last tokens count.
    pub fn probability(&self, history: &[u32], token: u32) -> f64 {
        let mut p = 1.0 / self.vocab as f64;
        for (n, order) in self.orders.iter().enumerate() {
            let Some(start) = history.len().checked_sub(n) else { break };
            let history = packed(&history[start..]);
            let Some(&(total, different)) = order.histories.get(&history) else { break };
            let count = order.counts.get(&(history << BITS | u128::from(token)));
            let (count, total) = (f64::from(*count.unwrap_or(&0)), f64::from(total));
            let kept = (count - order.discount).max(0.0) / total;
            p = kept + order.discount * f64::from(different) / total * p;
        }
        p
    }

    /// Mean `−ln P` in nats over every token of a text but the first, each behind all that precede it;
    /// `None` for a text that has none.
    pub fn nats(&self, text: &[u32]) -> Option<f64> {
        let reach = self.orders.len() - 1;
        let count = text.len().checked_sub(1).filter(|count| *count > 0)?;
        let surprise = |i: usize| -> f64 {
            -libm::log(self.probability(&text[i.saturating_sub(reach)..i], text[i]))
        };
        Some((1..text.len()).map(surprise).sum::<f64>() / count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    #[test]
    fn a_case_by_hand() {
        // a b a b a c: pairs ab 2, ba 2, ac 1; n₁ = 1, n₂ = 2, D = 1/5. Before a stands only b, before
        // b only a, before c only a: N₁₊(• w) is 1 for each, so n₁ = 3, n₂ = 0 and D = 1, held at 0.99.
        let model = Ngram::fit(&[0, 1, 0, 1, 0, 2], 4, 2).unwrap();
        let low = |seen: bool| (if seen { 0.01 / 3.0 } else { 0.0 }) + 0.99 / 4.0;
        let behind_a =
            |count: f64, seen| (count - 0.2f64).max(0.0) / 3.0 + 0.2 * 2.0 / 3.0 * low(seen);
        for (token, count, seen) in
            [(0, 0.0, true), (1, 2.0, true), (2, 1.0, true), (3, 0.0, false)]
        {
            let p = model.probability(&[9, 0], token);
            assert!((p - behind_a(count, seen)).abs() < 1e-15, "{token}: {p}");
        }
        // Behind what was never seen the lower order speaks, without a history it alone.
        assert!((model.probability(&[3], 1) - low(true)).abs() < 1e-15);
        assert!((model.probability(&[], 3) - low(false)).abs() < 1e-15);
    }

    #[test]
    fn it_is_a_law_behind_every_history_and_beats_the_uniform_one() {
        let mut stream = Stream::new(1, "ngram", 0, 0);
        let mut text = vec![0u32];
        while text.len() < 3000 {
            let last = text[text.len() - 1];
            text.push(if stream.uniform() < 0.7 {
                (last + 1) % 11
            } else {
                stream.below(11) as u32
            });
        }
        for order in 1..=MOST {
            let model = Ngram::fit(&text, 11, order).unwrap();
            for _ in 0..50 {
                let start = stream.below(2990);
                let history = &text[start..start + stream.below(7)];
                let sum: f64 = (0..11).map(|token| model.probability(history, token)).sum();
                assert!((sum - 1.0).abs() < 1e-12, "order {order}: {sum}");
            }
            let nats = model.nats(&text[..500]).unwrap();
            assert!(order == 1 || nats < 1.6, "order {order}: {nats}");
            assert!(nats < 11f64.ln() + 1e-3, "order {order}: {nats}");
        }
        let two = Ngram::fit(&text, 11, 2).unwrap();
        assert_eq!(two.nats(&text[..1]), None);
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        for (len, vocab, order) in [(10, 5, 0), (10, 5, 6), (3, 5, 4), (10, 0, 2), (10, 1 << 25, 2)]
        {
            let sentence = Ngram::fit(&vec![0; len], vocab, order).unwrap_err().to_string();
            assert!(sentence.contains("use an order from 1 to 5"), "{sentence}");
        }
    }
}
