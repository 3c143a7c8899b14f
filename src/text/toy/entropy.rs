//! Exact expectations over documents, by recursion over the states.
//!
//! Without the arcs back to the start (the end token), the states form an acyclic graph. Backward,
//! `E(s) = Σ q (x + E(s'))` gives the expected sum of any per-token quantity `x` over the rest of
//! the document; forward, `V(s') = Σ V(s) q` gives the expected number of visits.

use super::law::Site;

/// Exact figures of the world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Expected tokens of a document, the end token included.
    pub document_tokens: f64,
    /// Variance of that.
    pub document_tokens_variance: f64,
    /// Entropy of a document in nats.
    pub document_nats: f64,
    /// Entropy rate of the stream in nats per token: `document_nats / document_tokens`.
    pub entropy_nats: f64,
    /// Variance over documents of `D = Σ (−ln q − entropy_nats)`, which has mean 0: the sample mean
    /// nats per token of `n` documents has standard error `√(variance / n) / document_tokens`.
    pub deviation_variance: f64,
}

/// The figures of the compiled world.
pub(super) fn figures(sites: &[Site]) -> Figures {
    let order = order(sites);
    let (document_tokens, tokens_square) = moments(sites, &order, |_| 1.0);
    let (document_nats, _) = moments(sites, &order, |q| -q.ln());
    let entropy_nats = document_nats / document_tokens;
    let (_, deviation_variance) = moments(sites, &order, |q| -q.ln() - entropy_nats);
    Figures {
        document_tokens,
        document_tokens_variance: tokens_square - document_tokens * document_tokens,
        document_nats,
        entropy_nats,
        deviation_variance,
    }
}

/// Mean and mean square of `Σ x(q)` over a document.
fn moments(sites: &[Site], order: &[u32], x: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut moments = vec![(0.0, 0.0); sites.len()];
    for &number in order {
        let site = &sites[number as usize];
        let mut sums = (0.0, 0.0);
        for (&(_, q), &(target, _)) in site.law.iter().zip(&site.targets) {
            // An arc to the start ends the document.
            let (mean, square) = if target == 0 { (0.0, 0.0) } else { moments[target as usize] };
            let x = x(q);
            sums.0 += q * (x + mean);
            sums.1 += q * (x * x + 2.0 * x * mean + square);
        }
        moments[number as usize] = sums;
    }
    moments[0]
}

/// Expected visits of each state in one document.
pub(super) fn visits(sites: &[Site]) -> Vec<f64> {
    let mut visits = vec![0.0; sites.len()];
    visits[0] = 1.0;
    for &number in order(sites).iter().rev() {
        let site = &sites[number as usize];
        let here = visits[number as usize];
        for (&(_, q), &(target, _)) in site.law.iter().zip(&site.targets) {
            if target != 0 {
                visits[target as usize] += here * q;
            }
        }
    }
    visits
}

/// The states such that each comes after all that it leads to; the start is last.
fn order(sites: &[Site]) -> Vec<u32> {
    let mut order = Vec::with_capacity(sites.len());
    let mut seen = vec![false; sites.len()];
    let mut stack = vec![(0u32, 0usize)];
    seen[0] = true;
    while let Some((number, next)) = stack.pop() {
        match sites[number as usize].targets.get(next) {
            None => order.push(number),
            Some(&(target, _)) => {
                stack.push((number, next + 1));
                if !std::mem::replace(&mut seen[target as usize], true) {
                    stack.push((target, 0));
                }
            }
        }
    }
    order
}
