//! What Truncated Cross Entropy learns from a categorical law.

use super::Categorical;

/// What Truncated Cross Entropy learns from a categorical law.
#[derive(Clone, Debug, PartialEq)]
pub struct CappedFit {
    /// The learnt law `q_j = min(γ, p_j/M)`.
    pub law: Categorical,
    /// The share `M` of tokens that are kept at the end of training.
    pub kept: f64,
}

/// The law that gradient flow on TCE reaches from data with law `data`: the minimiser of the cross
/// entropy under `max q ≤ γ`, by water-filling. With the capped set `S` of mass `P_S`,
/// `q_j = γ` on `S`, `q_j = p_j/M` elsewhere, and `M = (1 − P_S)/(1 − |S|γ)`.
///
/// `None` where the support is too small to hold the mass, `K_supp·γ < 1`: training then freezes
/// with mass left on unseen tokens, and the end depends on the start.
///
/// Derived from arXiv 2509.08972; the mask carries no derivative, and masked tokens are
/// pushed down by the others.
///
/// # Panics
/// If `gamma` is outside `(0, 1]`.
pub fn capped_fit(data: &Categorical, gamma: f64) -> Option<CappedFit> {
    assert!(gamma > 0.0 && gamma <= 1.0, "capped_fit: the threshold {gamma} is outside (0, 1]");
    let p = &data.probabilities;
    let support = data.alive();
    // A support of exactly 1/γ tokens must not fail by a rounding.
    if support as f64 * gamma < 1.0 - 4.0 * f64::EPSILON {
        return None;
    }
    let mut order: Vec<usize> = (0..p.len()).filter(|&i| p[i] > 0.0).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    // Cap the largest until the rest, scaled to the mass that is left, stays below γ.
    let mut capped = 0;
    let mut rest: f64 = order.iter().map(|&i| p[i]).sum();
    let mut room = 1.0;
    while capped < support && p[order[capped]] * room > gamma * rest {
        capped += 1;
        rest = order[capped..].iter().map(|&i| p[i]).sum();
        room = 1.0 - capped as f64 * gamma;
    }
    let mut q = vec![0.0; p.len()];
    order[..capped].iter().for_each(|&i| q[i] = gamma);
    order[capped..].iter().for_each(|&i| q[i] = p[i] * room / rest);
    let kept = if capped == support { 0.0 } else { rest / room };
    Some(CappedFit { law: Categorical::new(&q), kept })
}

#[cfg(test)]
mod tests;
