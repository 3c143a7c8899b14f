//! The Gaussian error linear unit in its tanh form.

use crate::Scalar;

/// `y = x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`, for each element.
///
/// Source: Hendrycks and Gimpel 2016, arXiv 1606.08415, section 2 (`gelu_new` in GPT-2's code).
pub fn forward<S: Scalar>(x: &[S]) -> Vec<S> {
    x.iter().map(|&x| one(x)).collect()
}

fn one<S: Scalar>(x: S) -> S {
    let scale = S::from_f64(std::f64::consts::FRAC_2_PI.sqrt());
    let inner = scale * (x + S::from_f64(0.044715) * x * x * x);
    S::from_f64(0.5) * x * (S::one() + inner.tanh())
}

#[cfg(test)]
mod tests {
    use crate::testing::{close, differentiates};

    #[test]
    fn odd_part_is_half_of_x() {
        // tanh is odd, so gelu(x) − gelu(−x) = x for every x; gelu(0) = 0; gelu(±large) = x or 0.
        for x in [0.3, 1.0, 2.5, 7.0] {
            let y = super::forward(&[x, -x]);
            close(&[y[0] - y[1]], &[x], 1e-15);
        }
        assert_eq!(super::forward(&[0.0, 30.0, -30.0]), [0.0, 30.0, 0.0]);
    }

    #[test]
    fn value_at_one() {
        // √(2/π)·1.044715 = 0.83356...; written with the exponential form tanh u = 1 − 2/(e^{2u}+1).
        let u = (2.0 / std::f64::consts::PI).sqrt() * 1.044715;
        close(&super::forward(&[1.0]), &[1.0 - 1.0 / ((2.0 * u).exp() + 1.0)], 1e-15);
    }

    #[test]
    fn duals_differentiate() {
        differentiates(&[-3.0, -0.5, 0.0, 0.4, 2.0], 6, super::forward, super::forward);
    }
}
