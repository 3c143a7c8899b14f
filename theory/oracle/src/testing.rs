//! What the unit tests share: a fixed pseudo-random sequence and two checkers.

use crate::{Dual64, directional, tangents};

/// Numbers in `[−1, 1)` from a 64-bit linear congruential generator (Knuth's MMIX constants).
pub fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    next();
    (0..count).map(|_| next()).collect()
}

/// Fails unless the two agree to `tolerance` relative to the larger of one and the truth.
#[track_caller]
pub fn close(got: &[f64], truth: &[f64], tolerance: f64) {
    assert_eq!(got.len(), truth.len(), "length");
    for (index, (&got, &truth)) in got.iter().zip(truth).enumerate() {
        let error = (got - truth).abs();
        assert!(error <= tolerance * truth.abs().max(1.0), "at {index}: {got} against {truth}");
    }
}

/// Fails unless the dual derivative along a direction agrees with a Richardson difference:
/// `D = (64·D₁ − 20·D₂ + D₄)/45` of central differences `D_k` of step `k·h` has an error of
/// `O(h⁶)`; with `h = 2^−8` truncation and rounding both stay below 1e-12 for the smooth
/// functions here, and 1e-9 leaves room for their constants.
#[track_caller]
pub fn differentiates(
    point: &[f64],
    seed: u64,
    value: impl Fn(&[f64]) -> Vec<f64>,
    dual: impl Fn(&[Dual64]) -> Vec<Dual64>,
) {
    let direction = numbers(point.len(), seed);
    let along = |step: f64| {
        let moved: Vec<f64> = point.iter().zip(&direction).map(|(x, u)| x + step * u).collect();
        value(&moved)
    };
    let h = 1.0 / 256.0;
    let central = |step: f64| -> Vec<f64> {
        along(step).iter().zip(along(-step)).map(|(a, b)| (a - b) / (2.0 * step)).collect()
    };
    let (one, two, four) = (central(h), central(2.0 * h), central(4.0 * h));
    let truth: Vec<f64> =
        (0..one.len()).map(|i| (64.0 * one[i] - 20.0 * two[i] + four[i]) / 45.0).collect();
    close(&tangents(&dual(&directional(point, &direction))), &truth, 1e-9);
}
