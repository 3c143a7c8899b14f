//! T1-7 and T1-8: what Truncated Cross Entropy does not fix. A collapsed model stays collapsed
//! where every sample is masked; the mean drifts without bound; and in several dimensions only the
//! determinant of the covariance is held.

use super::mask::masked_share;
use super::{GAMMA, OWN, RATIO, SAMPLES, require_count, require_positive, small_count};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::Refusal;
use crate::special::hazard::{hazard, upper_tail};
use statrs::function::gamma::digamma;

/// T1-7: the probability `(1 − 2Q(c))^n` that `n` samples of a model below its floor are all
/// masked: no loss, no gradient, and the collapsed model stays.
///
/// ```
/// let frozen = fortifai_collapse::tce::limits::frozen(10, 0.05)?;
/// assert!((frozen - 0.985_624_737_575_356_3f64.powi(10)).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-frozen`.
///
/// # Errors
/// If `n` is 0 or `ratio = σ/σ_γ` is not positive.
pub fn frozen(n: usize, ratio: f64) -> Result<f64, Refusal> {
    require_count("n", n, 1)?;
    let c = super::mask::threshold(ratio)?;
    let ln_share = if c > 1.0 { (-2.0 * upper_tail(c)).ln_1p() } else { masked_share(ratio)?.ln() };
    Ok((n as f64 * ln_share).exp())
}

/// T1-8: the least mean squared drift `t σ_γ²/n` of a mean that is fitted to all `n` samples of each
/// of `t` generations, in units of the data: unbounded, where plain maximum likelihood stays below
/// `σ_0²`. Needs `σ_0 ≥ σ_γ`.
///
/// *Derivation.* `E(μ_t − μ_0)² = (1/n) Σ_{k<t} E σ_k²`, and every `σ_k ≥ σ_γ`.
///
/// ```
/// let least = fortifai_collapse::tce::limits::least_drift(20, 100, 1.0)?;
/// assert!((least - 5.0 / std::f64::consts::TAU).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-mean-drift`.
///
/// # Errors
/// If `n` is 0 or `gamma` outside `(0, 1]`.
pub fn least_drift(n: usize, generations: usize, gamma: f64) -> Result<f64, Refusal> {
    require_count("n", n, 1)?;
    Ok(generations as f64 / n as f64 * super::mask::floor(gamma)?.powi(2))
}

/// T1-8, `d` dimensions: the factor `sf_{χ²_{d+2}}(c²)/sf_{χ²_d}(c²)` of the refit of a covariance
/// whose `c² = 2d ln(σ_γ/σ)`, with `(σ/σ_γ)^{2d} = det Σ/det_γ`.
///
/// *Derivation.* The mask is a Mahalanobis ball, so the fit of the kept samples is `Σ` times
/// `E[|z|²/d; |z| > c]/P(|z| > c)`. With `y = c²/2` and `B(a) = a e^y y^{−a} Γ(a, y)` the factor is
/// `1 + 1/B(d/2)`, and `B(a + 1) = (a + 1)(B(a) + 1)/y` starts from `B(½) = 1/(c h(c))` or
/// `B(1) = 1/y`: only positive terms.
///
/// ```
/// let factor = fortifai_collapse::tce::limits::ball_factor(5, 0.9)?;
/// assert!((factor - 1.037_353_633_079_894_7).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-dimensions`.
///
/// # Errors
/// If `d` is outside `1..=1000000` or `ratio` is not positive.
pub fn ball_factor(d: usize, ratio: f64) -> Result<f64, Refusal> {
    require_count("d", d, 1)?;
    super::require_size("d", d, 1_000_000)?;
    require_positive("sigma/sigma_gamma", ratio)?;
    if ratio >= 1.0 {
        return Ok(1.0);
    }
    let y = -(d as f64) * ratio.ln();
    let c = (2.0 * y).sqrt();
    let (mut a, mut b) = if d % 2 == 1 { (0.5, 1.0 / (c * hazard(c))) } else { (1.0, 1.0 / y) };
    while a < 0.5 * d as f64 {
        a += 1.0;
        b = a * (b + 1.0) / y;
    }
    Ok(1.0 + 1.0 / b)
}

/// T1-8, `d` dimensions: the rates `Λ_i − mean Λ`, `Λ_i = ψ((n − i)/2)`, at which the logarithms of
/// the covariance's eigenvalues grow or fall per generation when only the determinant is held.
///
/// *Derivation.* The floor `Σ' = S max(1, (det_γ/det S)^{1/d})` rescales all eigenvalues alike, so
/// their ratios move as without it (Bartlett: independent `χ²_{n−i}` on the Cholesky diagonal),
/// while the determinant is a reflected walk and stays.
///
/// ```
/// let rates = fortifai_collapse::tce::limits::eigenvalue_rates(2, 15)?;
/// assert!((rates[0] - 0.039_936_502_349_267_1).abs() <= 1e-14);
/// assert_eq!(rates[0], -rates[1]);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-dimensions`.
///
/// # Errors
/// If `d < 2`, `d > 1000000` or `n ≤ d`.
pub fn eigenvalue_rates(d: usize, n: usize) -> Result<Vec<f64>, Refusal> {
    require_count("d", d, 2)?;
    super::require_size("d", d, 1_000_000)?;
    crate::refusal::require(n > d, "n", n, "n > d (the covariance must have full rank)")?;
    let psi: Vec<f64> = (1..=d).map(|i| digamma(0.5 * (n - i) as f64)).collect();
    // Differences to the first: the mean of the rest does not cancel.
    let below: Vec<f64> = psi.iter().map(|p| psi[0] - p).collect();
    let mean = below.iter().sum::<f64>() / d as f64;
    Ok(below.iter().map(|b| mean - b).collect())
}

const DIMENSIONS: Input = Input { name: "d", meaning: "dimensions", example: "2" };

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "probability that every sample is masked",
        formula: "(1-2Q(c))^n",
        domain: "n ≥ 1, sigma/sigma_gamma > 0",
        inputs: &[SAMPLES, RATIO],
        value: |inputs| frozen(inputs.count("n")?, inputs.number(RATIO.name)?),
        ..OWN
    },
    Entry {
        name: "least mean squared drift of the mean",
        formula: "E(mu_t-mu_0)^2 >= t sigma_gamma^2/n",
        kind: Kind::Bound,
        domain: "0 < gamma ≤ 1, sigma_0 ≥ sigma_gamma",
        digits: Digits::Elementary,
        inputs: &[SAMPLES, Input { name: "t", meaning: "generations", example: "10" }, GAMMA],
        value: |inputs| {
            least_drift(inputs.count("n")?, small_count(inputs, "t")?, inputs.number("gamma")?)
        },
        ..OWN
    },
    Entry {
        name: "factor of the refit of a covariance in d dimensions",
        formula: "d-dim refit factor",
        domain: "d ≥ 1, sigma/sigma_gamma = (det Sigma/det_gamma)^(1/(2d)) > 0",
        inputs: &[DIMENSIONS, RATIO],
        value: |inputs| ball_factor(inputs.count("d")?, inputs.number(RATIO.name)?),
        ..OWN
    },
    Entry {
        name: "growth rate of the largest eigenvalue when the determinant is held",
        formula: "d=2 growth rate of ln lambda_max",
        domain: "2 ≤ d < n (for d > 2 the first rate less the mean of all)",
        inputs: &[
            DIMENSIONS,
            Input { name: "n", meaning: "samples per generation, more than d", example: "15" },
        ],
        value: |inputs| Ok(eigenvalue_rates(inputs.count("d")?, inputs.count("n")?)?[0]),
        ..OWN
    },
];
