//! One AdamW step of one number.

use crate::Scalar;

/// The settings of the optimiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// The learning rate `η`.
    pub lr: f64,
    /// The decay of the first moment `β₁`.
    pub beta1: f64,
    /// The decay of the second moment `β₂`.
    pub beta2: f64,
    /// Added to `√v̂`.
    pub eps: f64,
    /// The decoupled decay `λ`.
    pub weight_decay: f64,
}

/// One parameter with its two moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments<S> {
    /// The parameter.
    pub param: S,
    /// The decayed mean of the gradient.
    pub m: S,
    /// The decayed mean of the squared gradient.
    pub v: S,
}

/// The state after step number `step` (from 1):
/// `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `m̂ = m/(1−β₁^step)`, `v̂ = v/(1−β₂^step)`,
/// `θ ← θ(1 − ηλ) − η m̂/(√v̂ + ε)`.
///
/// Source: Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2; the decay is multiplied by
/// the learning rate, as in PyTorch.
///
/// # Panics
/// If `step` is zero.
pub fn step<S: Scalar>(state: Moments<S>, grad: S, step: u32, adamw: &AdamW) -> Moments<S> {
    assert!(step > 0, "adamw: steps are counted from 1");
    let blend = |old: S, new: S, beta: f64| S::from_f64(beta) * old + S::from_f64(1.0 - beta) * new;
    let corrected = |moment: S, beta: f64| moment / S::from_f64(1.0 - beta.powf(f64::from(step)));
    let m = blend(state.m, grad, adamw.beta1);
    let v = blend(state.v, grad * grad, adamw.beta2);
    let (m_hat, v_hat) = (corrected(m, adamw.beta1), corrected(v, adamw.beta2));
    let decayed = state.param * S::from_f64(1.0 - adamw.lr * adamw.weight_decay);
    let param = decayed - S::from_f64(adamw.lr) * m_hat / (v_hat.sqrt() + S::from_f64(adamw.eps));
    Moments { param, m, v }
}

#[cfg(test)]
mod tests {
    use super::{AdamW, Moments, step};
    use crate::testing::close;

    const SETTINGS: AdamW = AdamW { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 0.0, weight_decay: 0.0 };
    const START: Moments<f64> = Moments { param: 1.0, m: 0.0, v: 0.0 };

    #[test]
    fn the_first_step_moves_by_the_rate() {
        // m̂ = g and v̂ = g², so θ moves by −η·sign(g) whatever |g|.
        for grad in [-3.0, 1e-6, 5.0f64] {
            close(&[step(START, grad, 1, &SETTINGS).param], &[1.0 - 0.1 * grad.signum()], 1e-15);
        }
    }

    #[test]
    fn a_constant_gradient_keeps_moving_by_the_rate() {
        // With g constant m̂ = g and v̂ = g² at every step (geometric sums).
        let mut state = START;
        for index in 1..=5 {
            state = step(state, 2.0, index, &SETTINGS);
        }
        close(&[state.param], &[0.5], 1e-14);
    }

    #[test]
    fn decay_is_decoupled_and_eps_stands_outside_the_root() {
        // No gradient: only θ(1 − ηλ) = 1 − 0.1·0.5 is left.
        let decaying = AdamW { weight_decay: 0.5, eps: 1e-8, ..SETTINGS };
        assert_eq!(step(START, 0.0, 1, &decaying).param, 0.95);
        // g = 1, ε = 1: η·1/(√1 + 1) = 0.05.
        close(&[step(START, 1.0, 1, &AdamW { eps: 1.0, ..SETTINGS }).param], &[0.95], 1e-15);
    }
}
