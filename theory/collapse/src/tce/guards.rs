//! Guards of the family: every exact statement is simulated, or solved a second way.

mod categorical;
mod chains;
mod gaussian;
mod gradient;
mod walk;

pub use categorical::CATEGORICAL;
pub use chains::CHAINS;
pub use gaussian::GAUSSIAN;
pub use gradient::GRADIENT;
pub use walk::WALK;

use crate::check::Outcome;
use crate::special::deviance::poisson;
use fortifai_stream::Stream;

/// A value that an entry gives inside its domain.
fn known<X>(value: Result<X, crate::Refusal>) -> X {
    value.unwrap_or_else(|said| panic!("a guard of Truncated Cross Entropy: {said}"))
}

/// The sum of squares of `nu` standard normal numbers for an even `nu`: `−2 ln Π U`.
fn even_chi_square(nu: usize, stream: &mut Stream) -> f64 {
    let product: f64 = (0..nu / 2).map(|_| 1.0 - stream.uniform()).product();
    -2.0 * product.ln()
}

/// `Gamma(shape, 1)` for `shape ≥ 1` by rejection (Marsaglia, Tsang 2000).
fn gamma(shape: f64, stream: &mut Stream) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let z = stream.normal();
        let v = (1.0 + c * z).powi(3);
        let u = 1.0 - stream.uniform();
        if v > 0.0 && u.ln() < 0.5 * z * z + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// The index at which a uniform number falls into cumulated probabilities.
fn pick(cumulated: &[f64], uniform: f64) -> usize {
    cumulated.partition_point(|sum| *sum <= uniform).min(cumulated.len() - 1)
}

/// Cumulated probabilities.
fn cumulate(law: &[f64]) -> Vec<f64> {
    let sum = |total: &mut f64, p: &f64| {
        *total += p;
        Some(*total)
    };
    law.iter().scan(0.0, sum).collect()
}

/// The cumulated Poisson law, far enough that less than 1e-18 is left out.
fn poisson_table(mean: f64) -> Vec<f64> {
    let last = (mean + 12.0 * mean.sqrt() + 40.0) as u32;
    cumulate(&(0..=last).map(|x| poisson(f64::from(x), mean)).collect::<Vec<_>>())
}

/// The largest difference of two lists, expected to be zero within the tolerance.
fn distance(name: &str, found: &[f64], predicted: &[f64], tolerance: f64) -> Outcome {
    Outcome::deterministic(name, furthest(found, predicted), 0.0, tolerance)
}

fn furthest(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()))
}

/// [`distance`] with planted mistakes: other predictions of the same list.
fn compare(
    name: &str,
    found: &[f64],
    predicted: &[f64],
    tolerance: f64,
    wrong: &[(&str, Vec<f64>)],
) -> Outcome {
    let outcome = distance(name, found, predicted, tolerance);
    // The statistic is (measured − prediction)/tolerance: a wrong list moves the zero.
    let off = outcome.measured;
    wrong.iter().fold(outcome, |outcome, (name, wrong)| {
        let moved = furthest(found, wrong);
        outcome.mistake(name, off - moved)
    })
}
