//! Clipping by the global norm.

use crate::Scalar;

/// `√Σ g²` over all gradients, summed from left to right.
pub fn norm<S: Scalar>(grads: &[S]) -> S {
    S::dot(grads, grads).sqrt()
}

/// `min(1, max_norm/(norm + 1e-6))`: what every gradient is multiplied by.
///
/// Source: Pascanu, Mikolov, Bengio 2013, arXiv 1211.5063; the 1e-6 as in PyTorch's
/// `clip_grad_norm_`. The factor is a constant.
pub fn factor<S: Scalar>(grads: &[S], max_norm: f64) -> S {
    let ratio = S::from_f64(max_norm) / (norm(grads).detach() + S::from_f64(1e-6));
    if ratio.value() < 1.0 { ratio } else { S::one() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn long_gradients_are_shortened_and_short_ones_left() {
        // ‖(3, 4)‖ = 5.
        assert_eq!(super::norm(&[3.0, 4.0]), 5.0);
        assert_eq!(super::factor(&[3.0, 4.0], 1.0), 1.0 / 5.000001);
        assert_eq!(super::factor(&[3.0, 4.0], 6.0), 1.0);
        assert_eq!(super::factor(&[0.0], 1.0), 1.0);
    }
}
