//! B3: the Poisson chain `Λ_k = Poisson(n Λ_{k−1})/n`.
//!
//! `n Λ_k` is a critical Poisson branching process that starts from `m = n λ_0`.

use super::branching::{K, check, iterate, survival};
use crate::gaussian::{entry, finite, input};
use crate::inputs::Inputs;
use crate::prediction::{Entry, Input, Kind};
use crate::refusal::{Refusal, require};

/// `P(Λ_k = 0) = exp(−n λ_0 g_k)`.
///
/// *Derivation.* `E exp(−θ Poisson(x)) = exp(−x(1 − e^{−θ}))`, iterated, at `θ = ∞`. *Domain:* `n ≥ 1`,
/// `λ_0 ≥ 0`, `1 ≤ k ≤ 10⁷`. *Source:* Suresh et al. (2024, arXiv 2412.17646). *Guard:*
/// `poisson-chain`.
///
/// ```
/// let p = fortifai_collapse::rates::extinct(10, 0.1, 1).expect("k = 1");
/// assert!((p - (-1.0f64).exp()).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn extinct(n: usize, lambda0: f64, k: usize) -> Result<f64, Refusal> {
    Ok((-start(n, lambda0)? * survival(k)?).exp())
}

/// `E exp(−θ n Λ_k) = exp(−n λ_0 h_k)` with `h_1 = 1 − e^{−θ}`, `h_{k+1} = 1 − exp(−h_k)`.
///
/// *Derivation, source, guard:* as [`extinct`]. *Domain:* also `θ ≥ 0`.
///
/// ```
/// assert_eq!(fortifai_collapse::rates::laplace(10, 0.8, 5, 0.0), Ok(1.0));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn laplace(n: usize, lambda0: f64, k: usize, theta: f64) -> Result<f64, Refusal> {
    let start = start(n, lambda0)?;
    check(k)?;
    require(theta >= 0.0, "theta", theta, "theta ≥ 0")?;
    Ok((-start * iterate(theta, k)).exp())
}

/// `Var Λ_k = k λ_0/n`, and `Cov(Λ_j, Λ_k)` is the variance at the earlier of the two; `E Λ_k = λ_0`.
///
/// *Derivation.* A martingale that gains `E Λ_{k−1}/n` per generation. *Domain:* `n ≥ 1`, `λ_0 ≥ 0`.
/// *Source:* derived here. *Guard:* `poisson-chain`.
///
/// ```
/// assert_eq!(fortifai_collapse::rates::rate_variance(10, 2.0, 5), Ok(1.0));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn rate_variance(n: usize, lambda0: f64, k: usize) -> Result<f64, Refusal> {
    start(n, lambda0)?;
    finite(k as f64 * lambda0 / n as f64)
}

/// The third cumulant of `n Λ_k`: `m(k + 3k(k−1)/2)` with `m = n λ_0`.
///
/// *Derivation.* `κ₃' = κ₃ + 3κ₂ + m` with `κ₂ = km`. *Domain, source, guard:* as
/// [`rate_variance`].
///
/// ```
/// // Of a Poisson law it is the mean.
/// assert_eq!(fortifai_collapse::rates::third_cumulant(10, 0.5, 1), Ok(5.0));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn third_cumulant(n: usize, lambda0: f64, k: usize) -> Result<f64, Refusal> {
    let k = k as f64;
    finite(start(n, lambda0)? * (k + 1.5 * k * (k - 1.0)))
}

/// `E(Λ_k | Λ_k > 0) = λ_0/(1 − exp(−n λ_0 g_k))`: those rates that survive grow like `k/(2n)`.
///
/// *Derivation.* `E Λ_k = λ_0`. *Domain:* `n ≥ 1`, `λ_0 > 0`, `1 ≤ k ≤ 10⁷`. *Source:* derived here.
/// *Guard:* `poisson-chain`.
///
/// ```
/// let mean = fortifai_collapse::rates::mean_given_survival(10, 0.1, 1).expect("k = 1");
/// assert!((mean - 0.1 / (1.0 - (-1.0f64).exp())).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn mean_given_survival(n: usize, lambda0: f64, k: usize) -> Result<f64, Refusal> {
    let start = start(n, lambda0)?;
    require(lambda0 > 0.0, "lambda0", lambda0, "lambda0 > 0")?;
    Ok(lambda0 / -(-start * survival(k)?).exp_m1())
}

/// The median number of generations until the rate is zero, about `2 n λ_0/ln 2`; the mean is
/// infinite, since `P(T > k) ≈ 2 n λ_0/k`.
///
/// *Derivation.* `g_k ≈ 2/k` in [`extinct`]. *Domain:* `n λ_0` large. *Source:* derived here.
/// *Guard:* `branching-bounds`.
///
/// ```
/// let median = fortifai_collapse::rates::median_time(1, std::f64::consts::LN_2);
/// assert_eq!(median, Ok(2.0));
/// ```
///
/// # Errors
/// If `n = 0` or the rate is negative.
pub fn median_time(n: usize, lambda0: f64) -> Result<f64, Refusal> {
    finite(2.0 * start(n, lambda0)? / std::f64::consts::LN_2)
}

/// `n λ_0`.
fn start(n: usize, lambda0: f64) -> Result<f64, Refusal> {
    require(n > 0, "n", n, "n ≥ 1")?;
    require(lambda0 >= 0.0 && lambda0.is_finite(), "lambda0", lambda0, "lambda0 ≥ 0")?;
    finite(n as f64 * lambda0)
}

const N: Input = input("n", "samples per generation", "10");
const RATE: Input = input("lambda0", "true rate", "0.8");
const THETA: Input = input("theta", "argument of the transform", "0.5");

fn chain(inputs: &Inputs) -> Result<(usize, f64, usize), Refusal> {
    Ok((inputs.count("n")?, inputs.number("lambda0")?, inputs.count("k")?))
}

/// An entry of this section.
const fn poisson(
    formula: &'static str,
    name: &'static str,
    inputs: &'static [Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    Entry { domain: "n ≥ 1, lambda0 ≥ 0", ..entry("B3", formula, name, inputs, value) }
}

/// The entries of this section.
pub const ENTRIES: &[Entry] = &[
    Entry {
        source: "Suresh et al. (arXiv 2412.17646)",
        ..poisson(
            "P(Lambda_k=0)=exp(-n lam0 g_k)",
            "probability that the rate has died out",
            &[N, RATE, K],
            |i| chain(i).and_then(|(n, rate, k)| extinct(n, rate, k)),
        )
    },
    poisson(
        "E exp(-theta n Lambda_k)=exp(-n lam0 h_k)",
        "Laplace transform of the count",
        &[N, RATE, K, THETA],
        |i| {
            let (n, rate, k) = chain(i)?;
            laplace(n, rate, k, i.number("theta")?)
        },
    ),
    poisson("Var Lambda_k = k lam0/n", "variance of the rate", &[N, RATE, K], |i| {
        chain(i).and_then(|(n, rate, k)| rate_variance(n, rate, k))
    }),
    poisson(
        "kappa_3(n Lambda_k) = n lam0 (k + 3k(k-1)/2)",
        "third cumulant of the count",
        &[N, RATE, K],
        |i| chain(i).and_then(|(n, rate, k)| third_cumulant(n, rate, k)),
    ),
    poisson(
        "E(Lambda_k | Lambda_k>0) = lam0/(1-exp(-n lam0 g_k))",
        "mean of the rates that survive",
        &[N, RATE, K],
        |i| chain(i).and_then(|(n, rate, k)| mean_given_survival(n, rate, k)),
    ),
    Entry {
        kind: Kind::Asymptotic,
        domain: "n lambda0 large",
        ..poisson("median T ~ 2 n lam0/ln 2", "median time to extinction", &[N, RATE], |i| {
            median_time(i.count("n")?, i.number("lambda0")?)
        })
    },
];
