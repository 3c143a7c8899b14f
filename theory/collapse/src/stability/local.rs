//! Any model near its fixed point: S2.

use super::{RATIO, ratio};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::special::legendre::normal_expectation;

/// S2, an eigenvalue of the retraining map at its fixed point: `λm/(1 + λm)`, `m` a generalised
/// eigenvalue of `(B, A)`, with the Hessians `A` of `E_data log p` and `B` of `E_model log p`.
///
/// *Derivation.* The fit `θ′` of a round solves `E_data s(θ′) + λ E_θ s(θ′) = 0` with the score `s`.
/// Differentiating at the fixed point, where `∂_θ E_θ s(θ′) = −B`, gives
/// `J = (A + λB)⁻¹ λB`. Both Hessians are negative definite at an interior maximum, so `m > 0` and the
/// eigenvalues lie in `(0, 1)`: without sampling noise retraining is locally stable for **every** `λ`.
/// *Domain.* `λ ≥ 0`, `m > 0`. *Source.* Derived here; setting of Bertrand et al. 2023, arXiv
/// 2310.00429. *Guards.* `stability-local`, `stability-mixture` (`m = 1`, data of the model's family).
///
/// ```
/// assert_eq!(fortifai_collapse::stability::eigenvalue(3.0, 1.0)?, 0.75);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn eigenvalue(lambda: f64, m: f64) -> Result<f64, Refusal> {
    require(m > 0.0 && m <= 1e15, "m", m, "0 < m ≤ 1e15")?;
    let product = ratio(lambda)? * m;
    Ok(product / (1.0 + product))
}

/// S2, the logistic location family fitted to `N(0, 1)` data: `λB/(A + λB)` with `−B = 1/3`, the
/// family's Fisher information, and `−A = E_{N(0,1)} ½ sech²(x/2)`.
///
/// *Derivation.* `log p = −(x − θ) − 2 ln(1 + e^(−(x − θ)))`, so `−∂² log p = ½ sech²((x − θ)/2)`. The
/// expectation is that of the trapezium rule, exact to rounding. *Domain.* `λ ≥ 0`.
/// *Source.* Derived here. *Guard.* `stability-local`.
///
/// ```
/// let jacobian = fortifai_collapse::stability::logistic_jacobian(1.0)?;
/// assert!((jacobian - 0.446_483_228_778_976_77).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn logistic_jacobian(lambda: f64) -> Result<f64, Refusal> {
    eigenvalue(lambda, 1.0 / (3.0 * logistic_hessian()))
}

/// `E ½ sech²(X/2)` for `X ~ N(0, 1)`: minus the Hessian `A` of [`logistic_jacobian`].
///
/// ```
/// let hessian = fortifai_collapse::stability::logistic_hessian();
/// assert!((hessian - 0.413_241_928_283_814_07).abs() < 1e-15);
/// ```
pub fn logistic_hessian() -> f64 {
    normal_expectation(|x| 0.5 / (0.5 * x).cosh().powi(2))
}

/// S2, the published bound on the norm of the Jacobian: `λr/(1 − λr)`, `r = 1 + Lε/α`, below 1 if
/// `λ(1 + Lε/α) < 1/2`. Sufficient for stability, not necessary: [`eigenvalue`].
///
/// *Derivation.* `‖A⁻¹B‖ ≤ r` for a model within `ε` of the data, an `L`-smooth Hessian and a Hessian
/// of at least `α`; a Neumann series for `(I + λA⁻¹B)⁻¹`. Since `m ≤ r`, it exceeds `λm/(1 + λm)`.
/// *Domain.* `λr < 1`, `L, ε ≥ 0`, `α > 0`. *Source.* Bertrand et al. 2023, arXiv 2310.00429.
/// *Guard.* None: the tests put it above [`eigenvalue`] over a grid.
///
/// ```
/// let bound = fortifai_collapse::stability::sufficient_norm(0.25, 1.0, 0.1, 0.5)?;
/// assert!((bound - 0.3 / 0.7).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn sufficient_norm(
    lambda: f64,
    smoothness: f64,
    epsilon: f64,
    alpha: f64,
) -> Result<f64, Refusal> {
    let product = ratio(lambda)? * norm(smoothness, epsilon, alpha)?;
    require(product < 1.0, "lambda(1 + L·epsilon/alpha)", product, "a value below 1")?;
    Ok(product / (1.0 - product))
}

/// S2, the largest `λ` that the published condition admits: `1/(2(1 + Lε/α))`.
///
/// *Derivation, source.* As [`sufficient_norm`]. *Domain.* `L, ε ≥ 0`, `α > 0`.
/// *Guard.* None: it is where [`sufficient_norm`] is 1, which the tests verify.
///
/// ```
/// assert_eq!(fortifai_collapse::stability::sufficient_share(1.0, 0.0, 0.5)?, 0.5);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn sufficient_share(smoothness: f64, epsilon: f64, alpha: f64) -> Result<f64, Refusal> {
    Ok(0.5 / norm(smoothness, epsilon, alpha)?)
}

/// `1 + Lε/α`.
fn norm(smoothness: f64, epsilon: f64, alpha: f64) -> Result<f64, Refusal> {
    require((0.0..=1e100).contains(&smoothness), "L", smoothness, "0 ≤ L ≤ 1e100")?;
    require((0.0..=1e100).contains(&epsilon), "epsilon", epsilon, "0 ≤ epsilon ≤ 1e100")?;
    require((1e-100..=1e100).contains(&alpha), "alpha", alpha, "1e-100 ≤ alpha ≤ 1e100")?;
    let norm = 1.0 + smoothness * epsilon / alpha;
    require(norm.is_finite(), "1 + L·epsilon/alpha", norm, "a finite value")?;
    Ok(norm)
}

const SMOOTHNESS: Input =
    Input { name: "L", meaning: "Lipschitz constant of the Hessian", example: "1" };
const EPSILON: Input =
    Input { name: "epsilon", meaning: "distance of the model from the data", example: "0.1" };
const ALPHA: Input = Input { name: "alpha", meaning: "least curvature", example: "0.5" };

/// The closed forms of S2.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "S2",
        name: "Jacobian of retraining, logistic location family on normal data",
        formula: "Jacobian lam B/(A+lam B) logistic on N(0,1) data",
        kind: Kind::Exact,
        source: "derived here; setting of Bertrand et al. 2023, arXiv 2310.00429",
        domain: "lambda ≥ 0",
        digits: Digits::Special,
        inputs: &[RATIO],
        value: |inputs| logistic_jacobian(inputs.number("lambda")?),
    },
    Entry {
        id: "S2",
        name: "eigenvalue of the Jacobian of retraining",
        formula: "λm/(1+λm), m an eigenvalue of A⁻¹B",
        kind: Kind::Exact,
        source: "derived here; setting of Bertrand et al. 2023, arXiv 2310.00429",
        domain: "lambda ≥ 0, m > 0; interior maximum, infinite data",
        digits: Digits::Elementary,
        inputs: &[
            RATIO,
            Input { name: "m", meaning: "generalised eigenvalue of (B, A)", example: "0.8" },
        ],
        value: |inputs| eigenvalue(inputs.number("lambda")?, inputs.number("m")?),
    },
    Entry {
        id: "S2",
        name: "published bound on the norm of the Jacobian of retraining",
        formula: "λr/(1−λr), r = 1+Lε/α",
        kind: Kind::Bound,
        source: "Bertrand et al. 2023, arXiv 2310.00429",
        domain: "lambda·r < 1, L, epsilon ≥ 0, alpha > 0",
        digits: Digits::Elementary,
        inputs: &[
            Input { name: "lambda", meaning: RATIO.meaning, example: "0.25" },
            SMOOTHNESS,
            EPSILON,
            ALPHA,
        ],
        value: |inputs| {
            let (smoothness, epsilon) = (inputs.number("L")?, inputs.number("epsilon")?);
            sufficient_norm(inputs.number("lambda")?, smoothness, epsilon, inputs.number("alpha")?)
        },
    },
    Entry {
        id: "S2",
        name: "largest share of synthetic data that the published condition admits",
        formula: "λ < 1/(2(1+Lε/α))",
        kind: Kind::Bound,
        source: "Bertrand et al. 2023, arXiv 2310.00429",
        domain: "L, epsilon ≥ 0, alpha > 0",
        digits: Digits::Elementary,
        inputs: &[SMOOTHNESS, EPSILON, ALPHA],
        value: |inputs| {
            let (smoothness, epsilon) = (inputs.number("L")?, inputs.number("epsilon")?);
            sufficient_share(smoothness, epsilon, inputs.number("alpha")?)
        },
    },
];
