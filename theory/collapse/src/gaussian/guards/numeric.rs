//! Distances of two Gaussians by integration of their definitions.

use super::super::{Pair, bures_squared, entropy};
use super::sure;
use crate::check::{Outcome, Plan};
use nalgebra::DMatrix;
use std::f64::consts::TAU;

/// The midpoint rule errs by at most `step²/8` times the change of slope at a kink: 1e-6.
const TOLERANCE: f64 = 1e-6;

pub(super) fn metrics(_: &Plan) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (m, s1, s2) in [(0.7, 1.0, 0.4), (0.0, 1.0, 0.4), (-1.2, 0.5, 2.0), (0.3, 1.0, 1.0)] {
        let pair = sure(Pair::new(m, s1, s2));
        let swapped = sure(Pair::new(m, s2, s1));
        let same = |s1: f64, s2: f64| sure(Pair::new(m + 0.5, s1, s2));
        let (p, q) = (|x: f64| density((x - m) / s2) / s2, |x: f64| density(x / s1) / s1);
        let ln_p = |x: f64| -0.5 * ((x - m) / s2).powi(2) - (s2 * TAU.sqrt()).ln();
        let ln_ratio =
            |x: f64| (s1 / s2).ln() + 0.5 * (x / s1).powi(2) - 0.5 * ((x - m) / s2).powi(2);
        let quantiles =
            |power: i32| integral(|z| (m + (s2 - s1) * z).abs().powi(power) * density(z));
        let at = format!("m = {m}, s1 = {s1}, s2 = {s2}");
        let mut compare = |name: &str, measured: f64, predicted: f64, wrong: [f64; 2]| {
            let tolerance = TOLERANCE * (1.0 + predicted.abs());
            let outcome =
                Outcome::deterministic(format!("{name}, {at}"), measured, predicted, tolerance)
                    .mistake("another mean", wrong[0])
                    .mistake("a wrong form", wrong[1]);
            outcomes.push(outcome);
        };
        let other = same(s1, s2);
        compare("KL", integral(|x| p(x) * ln_ratio(x)), pair.kl(), [other.kl(), 2.0 * pair.kl()]);
        let hellinger = pair.hellinger_squared();
        compare(
            "Hellinger²",
            1.0 - integral(|x| (p(x) * q(x)).sqrt()),
            hellinger,
            [other.hellinger_squared(), 2.0 * hellinger],
        );
        let tv = pair.total_variation();
        compare(
            "TV",
            0.5 * integral(|x| (p(x) - q(x)).abs()),
            tv,
            [other.total_variation(), 2.0 * tv],
        );
        compare(
            "TV is symmetric",
            swapped.total_variation(),
            tv,
            [other.total_variation(), 2.0 * tv],
        );
        compare("W₁", quantiles(1), pair.w1(), [other.w1() + 1e-3, 2.0 * pair.w1()]);
        compare(
            "W₂²",
            quantiles(2),
            pair.w2_squared(),
            [other.w2_squared(), pair.w2_squared().sqrt() + 1e-3],
        );
        let own = sure(entropy(s2));
        compare(
            "entropy",
            integral(|x| -p(x) * ln_p(x)),
            own,
            [own + std::f64::consts::LN_2, own + 0.5],
        );
    }
    outcomes.push(bures());
    outcomes
}

/// Commuting matrices `R diag R'` with a rotation `R`: `Σ (√a − √b)²`.
fn bures() -> Outcome {
    let (sin, cos) = 0.6f64.sin_cos();
    let rotation = DMatrix::from_row_slice(2, 2, &[cos, -sin, sin, cos]);
    let turned = |a: f64, b: f64| {
        let spectrum = DMatrix::from_row_slice(2, 2, &[a, 0.0, 0.0, b]);
        let turned = &rotation * spectrum * rotation.transpose();
        0.5 * (&turned + turned.transpose())
    };
    let squared = sure(bures_squared(&turned(4.0, 0.25), &turned(1.0, 2.25)));
    Outcome::deterministic("Bures, (2 − 1)² + (½ − 3/2)²", squared, 2.0, 1e-13)
        .mistake("distance of the matrices", 3.0f64.hypot(2.0).powi(2))
        .mistake("its root", 2f64.sqrt())
}

fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / TAU.sqrt()
}

/// The integral over `[−40, 40]` by the midpoint rule with steps of 0.002: exponentially good for
/// analytic integrands, `O(step²)` at the kinks of a modulus.
fn integral(f: impl Fn(f64) -> f64) -> f64 {
    let (steps, reach) = (40_000, 40.0);
    let step = 2.0 * reach / f64::from(steps);
    let at = |j: i32| f(step * (f64::from(j) + 0.5) - reach);
    (0..steps).map(at).sum::<f64>() * step
}
