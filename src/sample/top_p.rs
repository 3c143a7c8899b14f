//! Nucleus sampling: keep the smallest set of tokens whose mass reaches `top_p`.

use crate::cpu::Real;

/// Sets to zero the weights of all tokens outside the nucleus.
///
/// In ascending order of weight (equal weights: lower index first), tokens are removed while the
/// mass removed is at most `1 − top_p`; the last one always stays.
/// Source: Holtzman et al. 2020, section 3.1, arXiv 1904.09751.
///
/// Departure: before sorting, tokens of weight at most `budget/count` are removed together for as
/// long as there are any below the largest. Their mass fits the budget, so the sort would have
/// removed them too; for peaked rows little is left to sort. Sums are in f64, first in index, then in ascending order.
pub(super) fn keep_nucleus<N: Real>(weights: &mut [N], left: &mut Vec<(N, u32)>, top_p: f64) {
    let total = weights.iter().fold(0.0, |total, weight| total + weight.wide());
    let max = weights.iter().fold(N::zero(), |max, weight| max.max(*weight));
    let mut budget = (1.0 - top_p) * total;
    let mut light = budget / weights.len() as f64;
    left.clear();
    for (index, weight) in weights.iter_mut().enumerate() {
        if weight.wide() > light || *weight >= max {
            left.push((*weight, index as u32));
        } else {
            budget -= weight.wide();
            *weight = N::zero();
        }
    }
    let mut before = weights.len();
    while left.len() < before {
        before = left.len();
        light = budget / before as f64;
        left.retain(|&(weight, index)| {
            let keep = weight.wide() > light || weight >= max;
            if !keep {
                budget -= weight.wide();
                weights[index as usize] = N::zero();
            }
            keep
        });
    }
    left.sort_unstable_by(|a, b| a.0.wide().total_cmp(&b.0.wide()).then(a.1.cmp(&b.1)));
    let removable = left.len().saturating_sub(1);
    for &(weight, index) in &left[..removable] {
        budget -= weight.wide();
        if budget < 0.0 {
            break;
        }
        weights[index as usize] = N::zero();
    }
}

#[cfg(test)]
mod tests {
    use super::keep_nucleus;
    use crate::Stream;

    /// The definition: sort down, stop as soon as the mass is reached.
    fn by_definition(weights: &[f64], top_p: f64) -> Vec<bool> {
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(b.cmp(&a)));
        let total: f64 = weights.iter().sum();
        let (mut kept, mut mass) = (vec![false; weights.len()], 0.0);
        for index in order {
            kept[index] = true;
            mass += weights[index];
            if mass >= top_p * total {
                break;
            }
        }
        kept
    }

    #[test]
    fn random_rows_keep_the_smallest_set_that_reaches_the_mass() {
        let mut stream = Stream::new(1, "top-p", 0, 0);
        let mut sizes = [false; 40];
        for _ in 0..2_000 {
            let spread = 4.0 * stream.uniform();
            let length = 1 + stream.below(37);
            let weights: Vec<f64> = (0..length).map(|_| (spread * stream.normal()).exp()).collect();
            let top_p = 1.0 - 0.999 * stream.uniform();
            let mut kept = weights.clone();
            keep_nucleus(&mut kept, &mut Vec::new(), top_p);
            let expected = by_definition(&weights, top_p);
            for (index, &keep) in expected.iter().enumerate() {
                assert_eq!(kept[index], if keep { weights[index] } else { 0.0 });
            }
            sizes[expected.iter().filter(|&&keep| keep).count()] = true;
        }
        assert!(sizes[1] && sizes[2] && sizes[20], "rows were too much alike");
    }

    #[test]
    fn exact_masses_ties_and_single_tokens() {
        let cut = |weights: &[f64], top_p| {
            let mut kept = weights.to_vec();
            keep_nucleus(&mut kept, &mut Vec::new(), top_p);
            kept
        };
        assert_eq!(cut(&[1.0, 4.0, 2.0, 1.0], 0.75), [0.0, 4.0, 2.0, 0.0]);
        assert_eq!(cut(&[1.0, 4.0, 2.0, 1.0], 0.5), [0.0, 4.0, 0.0, 0.0]);
        assert_eq!(cut(&[1.0, 4.0, 2.0, 1.0], 0.875), [0.0, 4.0, 2.0, 1.0]);
        assert_eq!(cut(&[1.0, 1.0, 1.0, 1.0], 1e-300), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(cut(&[0.0, 3.0, 0.0], 0.3), [0.0, 3.0, 0.0]);
        assert_eq!(cut(&[1.0, 0.0, 3.0], 1.0), [1.0, 0.0, 3.0]);
    }
}
