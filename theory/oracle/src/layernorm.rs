//! Layer normalisation of one row.

use crate::Scalar;

/// Added to the variance, as in GPT-2.
pub const EPSILON: f64 = 1e-5;

/// `y = (x − μ)/√(σ² + ε) ⊙ weight + bias` with `μ = mean(x)` and the biased variance
/// `σ² = mean((x − μ)²)`.
///
/// Source: Ba, Kiros, Hinton 2016, arXiv 1607.06450, section 3.
///
/// # Panics
/// If the three lengths differ.
pub fn forward<S: Scalar>(x: &[S], weight: &[S], bias: &[S]) -> Vec<S> {
    assert_eq!(weight.len(), x.len(), "layernorm: length of weight");
    assert_eq!(bias.len(), x.len(), "layernorm: length of bias");
    let (mean, rstd) = statistics(x);
    (0..x.len()).map(|i| (x[i] - mean) * rstd * weight[i] + bias[i]).collect()
}

/// The row's mean and the reciprocal `1/√(σ² + ε)` of its standard deviation.
pub fn statistics<S: Scalar>(x: &[S]) -> (S, S) {
    let c = S::from_f64(x.len() as f64);
    let mean = S::sum(x.iter().copied()) / c;
    let variance = S::sum(x.iter().map(|&x| (x - mean) * (x - mean))) / c;
    (mean, S::one() / (variance + S::from_f64(EPSILON)).sqrt())
}

#[cfg(test)]
mod tests {
    use crate::testing::{close, differentiates, numbers};

    #[test]
    fn two_values_become_plus_and_minus_one() {
        // x = (1, 3): μ = 2, σ² = 1, so x̂ = ∓1/√(1 + 1e-5); then times (2, 3) plus (10, 20).
        let r = 1.0 / (1.0f64 + 1e-5).sqrt();
        let y = super::forward(&[1.0, 3.0], &[2.0, 3.0], &[10.0, 20.0]);
        close(&y, &[10.0 - 2.0 * r, 20.0 + 3.0 * r], 1e-15);
    }

    #[test]
    fn shift_leaves_the_result_and_one_channel_gives_the_bias() {
        let (x, w, b) = (numbers(7, 1), numbers(7, 2), numbers(7, 3));
        let shifted: Vec<f64> = x.iter().map(|x| x + 0.5).collect();
        close(&super::forward(&x, &w, &b), &super::forward(&shifted, &w, &b), 1e-14);
        assert_eq!(super::forward(&[4.0], &[3.0], &[0.25]), [0.25]);
    }

    #[test]
    fn duals_differentiate_all_three_arguments() {
        let f = |p: &[f64]| super::forward(&p[..5], &p[5..10], &p[10..]);
        let d = |p: &[crate::Dual64]| super::forward(&p[..5], &p[5..10], &p[10..]);
        differentiates(&numbers(15, 4), 5, f, d);
    }
}
