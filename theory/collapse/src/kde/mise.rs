//! The estimate's mean and its integrated squared error: K2.

use super::{BANDWIDTH, GENERATION, SAMPLES, SIGMA0, length, samples, size_of};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use std::f64::consts::{PI, TAU};

/// The largest generation of [`mise`], whose sum takes time proportional to it.
const LARGEST: usize = 10_000_000;

/// K2, the mean of the estimate for a normal truth: `E f̂_t(x) = φ(x; 0, σ_0² + (t + 1)h²)`.
///
/// *Derivation.* A sample of generation `t` is a real one plus `t` kernels, and the estimate adds one
/// more: `E f̂_t = f_0 * K_h^{*(t+1)}` for every `f_0`.
/// *Domain.* `h > 0`, `σ_0 > 0`. *Source.* Derived here. *Guard.* `kde-mise`.
///
/// ```
/// let density = fortifai_collapse::kde::expected_density(0.0, 0.5, 3, 1.0)?;
/// assert!((density - 1.0 / (2.0 * std::f64::consts::TAU).sqrt()).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn expected_density(x: f64, h: f64, t: usize, sigma0: f64) -> Result<f64, Refusal> {
    let (h, sigma0) = (length("h", h, true)?, length("sigma0", sigma0, false)?);
    let variance = sigma0 * sigma0 + (t as f64 + 1.0) * h * h;
    Ok((-0.5 * x * x / variance).exp() / (TAU * variance).sqrt())
}

/// K2, the mean integrated squared error `E ∫ (f̂_t − f_0)²` for `f_0 = N(0, σ_0²)`:
/// `1/(2nh√π) + a[Σ_{j=1..t} (1/n)a^(j−1) g(2h² + 2jh²) + a^t g(2h² + 2σ_0² + 2th²)]
/// − 2g(2σ_0² + (t + 1)h²) + 1/(2σ_0√π)` with `a = 1 − 1/n` and `g(v) = 1/√(2πv)`.
///
/// *Derivation.* `∫ f̂²` averages `φ_{2h²}(X_i − X_j)` over pairs. Two different samples descend from
/// one parent with probability `1/n` per generation; if that happens first `j` generations back their
/// difference is `N(0, 2jh²)`, if never `N(0, 2σ_0² + 2th²)`. `∫ f̂ f_0` uses [`expected_density`].
///
/// It is computed as a sum of positive terms: with `w = 2σ_0² + 2(t + 1)h²`,
/// `Σ_{j=0..t} (1/n)a^j [g(2(j + 1)h²) − g(w)] + g(2σ_0²)[1 + 1/A − 2/B]`, `A = √(1 + 2y)`,
/// `B = √(1 + y)`, `y = (t + 1)h²/(2σ_0²)`, and the last bracket is
/// `(A − 1)²(A² + 4A + 1)/(2AB((A + 1)B + 2A))`.
///
/// *Domain.* `n ≥ 1`, `h > 0`, `σ_0 > 0`, `t ≤ 10⁷`. *Source.* Derived here. *Guard.* `kde-mise`.
///
/// ```
/// let error = fortifai_collapse::kde::mise(12, 0.4, 6, 1.0)?;
/// assert!((error - 0.131_022_237_135_122_14).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn mise(n: usize, h: f64, t: usize, sigma0: f64) -> Result<f64, Refusal> {
    let (n, h, sigma0) = (samples(n)?, length("h", h, false)?, length("sigma0", sigma0, false)?);
    require(t <= LARGEST, "t", t, "t ≤ 10000000")?;
    let steps = t as f64 + 1.0;
    // In units of σ_0: every g scales with 1/σ_0.
    let square = (h / sigma0).powi(2);
    let (far, root_far) = (2.0 + 2.0 * steps * square, (2.0 + 2.0 * steps * square).sqrt());
    let mut weight = 1.0 / n;
    let mut pairs = 0.0;
    for j in 1..=t + 1 {
        let near = 2.0 * j as f64 * square;
        // g(v) − g(w) = (w − v)/(√(2πvw)(√v + √w)).
        let gap = 2.0 + 2.0 * (steps - j as f64) * square;
        pairs += weight * gap / ((near * far).sqrt() * (near.sqrt() + root_far));
        weight *= 1.0 - 1.0 / n;
        if weight == 0.0 {
            break;
        }
    }
    let y = 0.5 * steps * square;
    let (a, b) = ((1.0 + 2.0 * y).sqrt(), (1.0 + y).sqrt());
    // (A − 1)²(A² + 4A + 1)/(2AB((A + 1)B + 2A)), A − 1 = 2y/(A + 1), as bounded factors.
    let shrink = 2.0 * y / (a + 1.0);
    let bias =
        shrink / a * (shrink / b) * ((a * a + 4.0 * a + 1.0) / ((a + 1.0) * b + 2.0 * a)) / 2.0;
    Ok((pairs / TAU.sqrt() + bias / (2.0 * PI.sqrt())) / sigma0)
}

/// The closed forms of K2.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "K2",
        name: "mean integrated squared error, standard normal truth",
        formula: "MISE of KDE_t, N(0,1)",
        kind: Kind::Exact,
        source: "derived here",
        domain: "n ≥ 1, h > 0, t ≤ 10000000",
        digits: Digits::Elementary,
        inputs: &[SAMPLES, BANDWIDTH, GENERATION],
        value: |inputs| {
            let (n, h, t) = size_of(inputs)?;
            mise(n, h, t, 1.0)
        },
    },
    Entry {
        id: "K2",
        name: "mean integrated squared error, normal truth",
        formula: "MISE of KDE_t, N(0,σ0²)",
        kind: Kind::Exact,
        source: "derived here",
        domain: "n ≥ 1, h > 0, sigma0 > 0, t ≤ 10000000",
        digits: Digits::Elementary,
        inputs: &[SAMPLES, BANDWIDTH, GENERATION, SIGMA0],
        value: |inputs| {
            let (n, h, t) = size_of(inputs)?;
            mise(n, h, t, inputs.number("sigma0")?)
        },
    },
    Entry {
        id: "K2",
        name: "mean of the estimated density, normal truth",
        formula: "E f̂_t(x) = φ(x; 0, σ0² + (t+1)h²)",
        kind: Kind::Exact,
        source: "derived here",
        domain: "h ≥ 0, sigma0 > 0",
        digits: Digits::Elementary,
        inputs: &[
            Input { name: "x", meaning: "where, from the true mean, data unit", example: "0.5" },
            BANDWIDTH,
            GENERATION,
            SIGMA0,
        ],
        value: |inputs| {
            let (x, sigma0) = (inputs.number("x")?, inputs.number("sigma0")?);
            expected_density(x, inputs.number("h")?, inputs.count("t")?, sigma0)
        },
    },
];
