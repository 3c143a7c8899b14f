//! Causal attention: one head of one query position.

use crate::Scalar;

/// `y = Σ_j softmax_j(q·k_j/√hs) v_j` over the positions `j` that the query may see.
///
/// Source: Vaswani et al. 2017, arXiv 1706.03762, equation 1.
///
/// | argument | shape | meaning |
/// |---|---|---|
/// | `query` | `[hs]` | the query of one head at one position |
/// | `keys`, `values` | one slice `[hs]` per position | position 0 up to and including the query's |
///
/// # Panics
/// If there is no key, or the numbers of keys and values differ.
pub fn forward<S: Scalar>(query: &[S], keys: &[&[S]], values: &[&[S]]) -> Vec<S> {
    assert!(!keys.is_empty(), "attention: a query sees at least its own key");
    assert_eq!(keys.len(), values.len(), "attention: number of values");
    let scale = S::one() / S::from_f64(query.len() as f64).sqrt();
    let scores: Vec<S> = keys.iter().map(|key| S::dot(query, key) * scale).collect();
    let weights = softmax(&scores);
    (0..query.len())
        .map(|i| S::sum(weights.iter().zip(values).map(|(&weight, value)| weight * value[i])))
        .collect()
}

/// `e^{x_k − m} / Σ_j e^{x_j − m}` with the constant `m = max x`, which only prevents overflow.
pub fn softmax<S: Scalar>(x: &[S]) -> Vec<S> {
    let max = maximum(x);
    let exps: Vec<S> = x.iter().map(|&x| (x - max).exp()).collect();
    let total = S::sum(exps.iter().copied());
    exps.into_iter().map(|e| e / total).collect()
}

/// Every head of every position of one sequence: position `i` sees the positions `0..=i`.
///
/// Each row of `qkv` is `[q(c) | k(c) | v(c)]`; head `h` owns the slice `h·hs..(h+1)·hs` of each
/// part, with `hs = c/heads`. Returns one row of `c` values per position.
///
/// # Panics
/// If `heads` does not divide the channels.
pub fn sequence<S: Scalar>(qkv: &[Vec<S>], heads: usize) -> Vec<Vec<S>> {
    let channels = qkv.first().map_or(0, |row| row.len() / 3);
    assert_eq!(channels % heads, 0, "attention: {heads} heads do not divide {channels} channels");
    let hs = channels / heads;
    let part = |position: usize, which: usize, head: usize| -> &[S] {
        let start = which * channels + head * hs;
        &qkv[position][start..start + hs]
    };
    let output = |position: usize, head: usize| -> Vec<S> {
        let keys: Vec<&[S]> = (0..=position).map(|j| part(j, 1, head)).collect();
        let values: Vec<&[S]> = (0..=position).map(|j| part(j, 2, head)).collect();
        forward(part(position, 0, head), &keys, &values)
    };
    (0..qkv.len()).map(|i| (0..heads).flat_map(|head| output(i, head)).collect()).collect()
}

/// The largest value as a constant.
pub(crate) fn maximum<S: Scalar>(x: &[S]) -> S {
    let largest = x.iter().copied().reduce(|a, b| if b.value() > a.value() { b } else { a });
    largest.expect("softmax: an empty row").detach()
}

#[cfg(test)]
mod tests {
    use crate::testing::{close, differentiates, numbers};

    #[test]
    fn equal_scores_average_the_values() {
        // A zero query scores every key 0, so the weights are 1/3 each.
        let keys: [&[f64]; 3] = [&[1.0, 2.0], &[3.0, -1.0], &[0.5, 0.5]];
        let values: [&[f64]; 3] = [&[3.0, 0.0], &[6.0, 3.0], &[0.0, 0.0]];
        close(&super::forward(&[0.0, 0.0], &keys, &values), &[3.0, 1.0], 1e-15);
    }

    #[test]
    fn two_keys_give_the_logistic_function_of_the_scaled_difference() {
        // hs = 4, so the scale is 1/2: scores 2·3/2 = 3 and 2·1/2 = 1; weight σ(2) on the first.
        let keys: [&[f64]; 2] = [&[3.0, 0.0, 0.0, 0.0], &[1.0, 0.0, 0.0, 0.0]];
        let values: [&[f64]; 2] = [&[1.0, 0.0, 5.0, 0.0], &[0.0, 1.0, 5.0, 0.0]];
        let sigma = 1.0 / (1.0 + (-2.0f64).exp());
        let y = super::forward(&[2.0, 0.0, 0.0, 0.0], &keys, &values);
        close(&y, &[sigma, 1.0 - sigma, 5.0, 0.0], 1e-15);
    }

    #[test]
    fn softmax_survives_large_scores_and_sums_to_one() {
        let p = super::softmax(&[1e4, 1e4 - 1.0, -1e4]);
        let e = (-1.0f64).exp();
        close(&p, &[1.0 / (1.0 + e), e / (1.0 + e), 0.0], 1e-15);
    }

    #[test]
    fn the_future_is_not_seen_and_heads_are_apart() {
        let rows = |p: &[f64]| p.chunks(12).map(<[f64]>::to_vec).collect::<Vec<_>>();
        let mut point = numbers(36, 1);
        let before = super::sequence(&rows(&point), 2);
        point[24..].iter_mut().for_each(|x| *x += 1.0); // the last position
        point[12] += 1.0; // the query of head 0 at position 1
        let after = super::sequence(&rows(&point), 2);
        assert_eq!(before[0], after[0]);
        assert_eq!(before[1][2..], after[1][2..]);
        assert_ne!(before[1][..2], after[1][..2]);
        // The first position sees itself alone: its output is its value.
        assert_eq!(before[0], point[8..12]);
    }

    #[test]
    fn duals_differentiate_queries_keys_and_values() {
        fn flat<S: crate::Scalar>(p: &[S]) -> Vec<S> {
            let rows: Vec<Vec<S>> = p.chunks(12).map(<[S]>::to_vec).collect();
            super::sequence(&rows, 2).concat()
        }
        differentiates(&numbers(36, 3), 4, flat::<f64>, flat::<crate::Dual64>);
    }
}
