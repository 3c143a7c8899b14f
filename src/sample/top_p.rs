//! Nucleus sampling: keep the smallest set of tokens whose mass reaches `top_p`.

use crate::cpu::Real;

/// Sets to zero the weights of all tokens outside the nucleus.
///
/// In ascending order of weight (equal weights: lower index first), tokens are removed while the
/// mass removed is at most `1 − top_p`; the last one always stays.
/// Source: Holtzman et al. 2020, section 3.1, arXiv 1904.09751.
///
/// Departure: before sorting, tokens of weight at most `budget/count` are removed together for as
/// long as there are any. Their mass fits the budget, so the sort would have removed them too; for
/// peaked rows little is left to sort. Sums are in f64, first in index, then in ascending order.
pub(super) fn keep_nucleus<N: Real>(weights: &mut [N], order: &mut Vec<u32>, top_p: f64) {
    order.clear();
    let (mut total, mut best) = (0.0, 0);
    for (index, weight) in weights.iter().enumerate() {
        if *weight > N::zero() {
            order.push(index as u32);
            total += weight.wide();
            if *weight >= weights[best] {
                best = index;
            }
        }
    }
    let mut budget = (1.0 - top_p) * total;
    loop {
        let before = order.len();
        let light = budget / before as f64;
        order.retain(|&index| {
            let weight = &mut weights[index as usize];
            let keep = weight.wide() > light || index as usize == best;
            if !keep {
                budget -= weight.wide();
                *weight = N::zero();
            }
            keep
        });
        if order.len() == before {
            break;
        }
    }
    let by_weight = |&a: &u32, &b: &u32| {
        let (left, right) = (weights[a as usize].wide(), weights[b as usize].wide());
        left.total_cmp(&right).then(a.cmp(&b))
    };
    order.sort_unstable_by(by_weight);
    let removable = order.len().saturating_sub(1);
    for &index in &order[..removable] {
        let weight = &mut weights[index as usize];
        budget -= weight.wide();
        if budget < 0.0 {
            break;
        }
        *weight = N::zero();
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
