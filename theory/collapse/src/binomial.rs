//! The binomial law: its weights, expectations under it, and exact draws from it.
//!
//! Weights are built by the ratio recursion outwards from the mode and divided by their sum, which
//! needs no factorial, cannot underflow where it matters, and keeps a relative accuracy of about
//! the number of steps times the machine precision.

mod draw;

pub(crate) use draw::resampled;
pub use draw::{draw, draws_without_replacement, multinomial};

/// Weights below this share of the largest are left out of sums that need not reach every count.
const NEGLIGIBLE: f64 = 1e-25;

/// The probabilities of `0..=n` successes among `n` trials of probability `p`.
///
/// ```
/// let law = fortifai_collapse::binomial::law(3, 0.5);
/// assert_eq!(law, [0.125, 0.375, 0.375, 0.125]);
/// ```
///
/// # Panics
/// If `p` is outside `[0, 1]`.
pub fn law(n: usize, p: f64) -> Vec<f64> {
    let mut law = vec![0.0; n + 1];
    let mut total = 0.0;
    outwards(n, p, 0.0, |k, weight| {
        law[k] = weight;
        total += weight;
    });
    law.iter_mut().for_each(|weight| *weight /= total);
    law
}

/// `E f(N)` for the number `N` of successes, over all counts whose weight is not negligible beside
/// that of the mode (1e-25): about `20 √(n p (1−p))` of them.
///
/// # Panics
/// If `p` is outside `[0, 1]`.
pub fn expectation(n: usize, p: f64, f: impl Fn(usize) -> f64) -> f64 {
    let (mut total, mut sum) = (0.0, 0.0);
    outwards(n, p, NEGLIGIBLE, |k, weight| {
        total += weight;
        sum += weight * f(k);
    });
    sum / total
}

/// `P(N = k)` for a `k` near the mode, by the same sum.
///
/// # Panics
/// If `p` is outside `[0, 1]`.
pub fn mass_near_the_mode(n: usize, p: f64, k: usize) -> f64 {
    expectation(n, p, |count| f64::from(u8::from(count == k)))
}

/// Calls `visit` with every count and its weight relative to the mode's, down to `least`.
fn outwards(n: usize, p: f64, least: f64, mut visit: impl FnMut(usize, f64)) {
    assert!((0.0..=1.0).contains(&p), "binomial: the probability {p} is outside [0, 1]");
    let q = 1.0 - p;
    let mode = (((n + 1) as f64 * p) as usize).min(n);
    visit(mode, 1.0);
    let mut weight = 1.0;
    for k in mode..n {
        weight *= (n - k) as f64 / (k + 1) as f64 * (p / q);
        if weight <= least {
            break;
        }
        visit(k + 1, weight);
    }
    let mut weight = 1.0;
    for k in (1..=mode).rev() {
        weight *= k as f64 / (n - k + 1) as f64 * (q / p);
        if weight <= least {
            break;
        }
        visit(k - 1, weight);
    }
}

#[cfg(test)]
mod tests;
