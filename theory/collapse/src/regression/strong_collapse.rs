//! Real rows mixed with synthetic ones: strong model collapse, R7 (least squares) and R8 (ridge).
//!
//! Of `n = n_1 + n_2` rows, `n_1` have labels of `w_0` and `n_2` labels of `w_0 + δ`, both with noise
//! `σ`; `p_2 = n_2/n` is the synthetic share.

use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::regression::marchenko_pastur::{Resolvent, resolvent_of};
use crate::regression::ols::one_generation;
use crate::regression::{
    DIMENSION, GENERATIONS, NOISE, PENALTY, RATIO, SIGNAL, noise_of, signal_of,
};

/// R7, the factor of `|δ|²_Σ` in the risk of least squares on mixed rows:
/// `K = e_2 + e_3 ((n − 1)(d + 1) − 2)/(n − d − 1)` with
/// `e_2 = n_2((n + 1)n_2 − 2)/(n(n + 2)(n − 1))` and `e_3 = n_1n_2/(n(n + 2)(n − 1))`.
///
/// *Derivation.* `X_2′X_2 = S^½BS^½` with `S = X′X` independent of `B ~ MatrixBeta(n_2/2, n_1/2)`,
/// whose law is invariant under rotations: `E BMB = (e_2 + e_3)M + e_3 tr(M) I`. With
/// `M = S⁻¹`, `E tr S tr S⁻¹ = d(nd − 2)/(n − d − 1)` gives `K = e_2 + e_3 + e_3(nd − 2)/(n − d − 1)`.
/// The moments `x = E tr B²`, `y = E (tr B)²` follow from those of the Wishart matrix `X_2′X_2`:
/// `n(n + 1)x + ny = n_2d(n_2 + d + 1)`, `2nx + n²y = n_2²d² + 2n_2d`; with
/// `x = d e_2 + d(d + 1)e_3`, `y = d²e_2 + 2d e_3` everything divides out and `d` leaves `e_2`, `e_3`.
///
/// *Domain.* `d ≥ 1`, `n_1 + n_2 ≥ d + 2`. *Source.* Derived here; setting of Dohmatob, Feng,
/// Subramonian, Kempe 2024, arXiv 2410.04840. *Guard.* `regression-strong-collapse`.
///
/// ```
/// let factor = fortifai_collapse::regression::strong_collapse_factor(9, 6, 4)?;
/// assert!((factor - 0.260_840_336_134_453_8).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn strong_collapse_factor(real: usize, fake: usize, d: usize) -> Result<f64, Refusal> {
    let n = rows(real, fake, d)?;
    let (real, fake, d) = (real as f64, fake as f64, d as f64);
    let bracket = (n + 1.0) * fake - 2.0 + real * cross(n, d);
    Ok(if fake == 0.0 { 0.0 } else { fake / n * bracket / ((n + 2.0) * (n - 1.0)) })
}

/// R7, the risk: `|δ|²_Σ K(n_1, n_2, d) + σ² d/(n − d − 1)`.
///
/// *Derivation, domain, source, guard.* As [`strong_collapse_factor`].
///
/// ```
/// use fortifai_collapse::regression::{replace_risk, strong_collapse_risk};
/// // No synthetic row: least squares.
/// assert_eq!(strong_collapse_risk(20, 0, 3, 0.7, 5.0)?, replace_risk(20, 3, 1, 0.7)?);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn strong_collapse_risk(
    real: usize,
    fake: usize,
    d: usize,
    noise: f64,
    distance: f64,
) -> Result<f64, Refusal> {
    let factor = strong_collapse_factor(real, fake, d)?;
    Ok(distance * factor + one_generation(real + fake, d, noise)?)
}

/// R7, `t` generations, each on `n_1` fresh real rows and `n_2` rows labelled by the model before:
/// `E_t = K E_{t−1} + σ² d/(n − d − 1)`, `E_0 = 0`, so `E_t = σ²d/(n − d − 1)·(1 − K^t)/(1 − K)`.
///
/// *Derivation.* `δ = w_{t−1} − w_0` is independent of the rows. `1 − K` is computed from
/// `n_1[(n + 1)(n + n_2) − 2 − n_2((n − 1)(d + 1) − 2)/(n − d − 1)]/(n(n + 2)(n − 1))`.
/// *Domain, source, guard.* As [`strong_collapse_factor`].
///
/// ```
/// use fortifai_collapse::regression::{mixed_risk, replace_risk};
/// // Nothing real: R1.
/// assert!((mixed_risk(0, 9, 3, 0.7, 4)? - replace_risk(9, 3, 4, 0.7)?).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain, or if `K > 1` and the risk outgrows every number.
pub fn mixed_risk(
    real: usize,
    fake: usize,
    d: usize,
    noise: f64,
    generations: usize,
) -> Result<f64, Refusal> {
    let rest = complement(real, fake, d)?;
    let t = generations as f64;
    let sum = match generations {
        0 => 0.0,
        _ if rest == 0.0 => t,
        _ if rest < 0.5 => -(t * (-rest).ln_1p()).exp_m1() / rest,
        _ => (1.0 - strong_collapse_factor(real, fake, d)?.powf(t)) / rest,
    };
    let risk = one_generation(real + fake, d, noise)? * sum;
    require(
        risk.is_finite(),
        "the risk",
        risk,
        "fewer generations or K ≤ 1, so that a finite one",
    )?;
    Ok(risk)
}

/// R7, the limit of [`mixed_risk`] for many generations: `σ² d/((n − d − 1)(1 − K))`.
///
/// *Derivation, source, guard.* As [`mixed_risk`]. *Domain.* `K < 1`.
///
/// ```
/// use fortifai_collapse::regression::{mixed_limit, mixed_risk};
/// assert!((mixed_limit(9, 6, 4, 0.7)? - mixed_risk(9, 6, 4, 0.7, 60)?).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn mixed_limit(real: usize, fake: usize, d: usize, noise: f64) -> Result<f64, Refusal> {
    let rest = complement(real, fake, d)?;
    require(rest > 0.0, "K", 1.0 - rest, "K < 1, more real rows or a smaller d,")?;
    Ok(one_generation(real + fake, d, noise)? / rest)
}

/// R7, the limit of `K` for `n → ∞` with `d/n = φ` and synthetic share `p_2`:
/// `p_2² + p_1p_2 φ/(1 − φ)`; at fixed `d` the plateau `p_2²`, which no amount of data lowers.
///
/// *Derivation.* `e_2 → p_2²`, `n e_3 → p_1p_2` in [`strong_collapse_factor`].
/// *Domain.* `0 ≤ φ < 1`, `0 ≤ p_2 ≤ 1`. *Source.* Derived here; setting of arXiv 2410.04840.
/// *Guard.* `regression-strong-collapse` shows the convergence.
///
/// ```
/// assert_eq!(fortifai_collapse::regression::strong_collapse_plateau(0.25, 0.0)?, 0.0625);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn strong_collapse_plateau(fake_share: f64, phi: f64) -> Result<f64, Refusal> {
    share(fake_share)?;
    require((0.0..1.0).contains(&phi), "phi", phi, "0 ≤ phi < 1")?;
    Ok(fake_share * fake_share + (1.0 - fake_share) * fake_share * phi / (1.0 - phi))
}

/// R8, the factor of `|δ|²` for ridge and isotropic inputs:
/// `p_2²(1 − 2λm + λ²q) + p_1p_2 φq/(1 + φm)²`, which is `p_2²(1 − 2λm + λ²q) + p_1p_2 φ(m − λq)`.
///
/// *Derivation.* `(1/d) tr G_2R²G_2` over the synthetic rows, `G_2 = X_2′X_2/n`: pairs of different
/// rows give `p_2²` times the value for all rows, the diagonal
/// `(1/n²) Σ_i x_i′R²x_i x_i′x_i/d ≈ φ·(1/d) tr R²G` gives the rest, since `x_i′x_i ≈ d`. By
/// `m = p(1 + φm)`, `p = 1 − λm`, both forms agree; the second is computed, a sum of positive terms.
///
/// *Domain.* `d, n → ∞` with `d/n = φ`; `λ > 0`, or `λ = 0` and `φ < 1`. *Source.* Derived here;
/// setting of Dohmatob, Feng, Subramonian, Kempe 2024, arXiv 2410.04840.
/// *Guard.* `regression-strong-collapse-ridge`.
///
/// ```
/// let factor = fortifai_collapse::regression::strong_collapse_ridge_factor(0.5, 0.2, 0.25)?;
/// assert!((factor - 0.112_449_825_100_524_7).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn strong_collapse_ridge_factor(
    phi: f64,
    penalty: f64,
    fake_share: f64,
) -> Result<f64, Refusal> {
    share(fake_share)?;
    Ok(ridge_factor(&Resolvent::new(phi, penalty)?, fake_share))
}

/// R8, the risk: `λ²q|w_0|² − 2λp_2(m − λq) w_0′δ + σ²φ(m − λq) + |δ|²·factor`, the factor that of
/// [`strong_collapse_ridge_factor`].
///
/// *Derivation.* The error is `−λRw_0 + RG_2δ + σRX′ε/n`. `E R²G_2 = p_2 (m − λq) I`, so the first two
/// terms are correlated unless `w_0′δ = 0`, as for labels whose error is centred.
/// *Domain, source, guard.* As [`strong_collapse_ridge_factor`]; `|w_0′δ| ≤ |w_0||δ|`.
///
/// ```
/// use fortifai_collapse::regression::strong_collapse_ridge_risk;
/// // λ = 0: R7's limit.
/// let risk = strong_collapse_ridge_risk(0.5, 0.0, 0.25, 0.0, 1.0, 2.0, 0.0)?;
/// assert!((risk - 2.0 * (0.0625 + 0.1875)).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn strong_collapse_ridge_risk(
    phi: f64,
    penalty: f64,
    fake_share: f64,
    noise: f64,
    signal: f64,
    distance: f64,
    overlap: f64,
) -> Result<f64, Refusal> {
    share(fake_share)?;
    let inside = overlap * overlap <= signal * distance * (1.0 + 1e-9);
    require(inside, "w0'delta", overlap, "|w0'delta| ≤ |w0||delta|")?;
    let moments = Resolvent::new(phi, penalty)?;
    let leak = moments.leak();
    Ok(moments.lost_square() * signal - 2.0 * penalty * fake_share * leak * overlap
        + noise * noise * phi * leak
        + distance * ridge_factor(&moments, fake_share))
}

fn ridge_factor(moments: &Resolvent, fake_share: f64) -> f64 {
    let mixed = (1.0 - fake_share) * fake_share * moments.phi() * moments.leak();
    fake_share * fake_share * moments.kept_square() + mixed
}

/// `n`, if there are enough rows.
fn rows(real: usize, fake: usize, d: usize) -> Result<f64, Refusal> {
    require(d >= 1, "d", d, "d ≥ 1")?;
    let n = real.saturating_add(fake);
    let least = d.saturating_add(2);
    require(n >= least, "n1 + n2", n, &format!("n1 + n2 ≥ d + 2 = {least}"))?;
    Ok(n as f64)
}

/// `((n − 1)(d + 1) − 2)/(n − d − 1)`.
fn cross(n: f64, d: f64) -> f64 {
    ((n - 1.0) * (d + 1.0) - 2.0) / (n - d - 1.0)
}

/// `1 − K`.
fn complement(real: usize, fake: usize, d: usize) -> Result<f64, Refusal> {
    let n = rows(real, fake, d)?;
    let (real, fake, d) = (real as f64, fake as f64, d as f64);
    let bracket = (n + 1.0) * (n + fake) - 2.0 - fake * cross(n, d);
    Ok(real / n * bracket / ((n + 2.0) * (n - 1.0)))
}

fn share(fake_share: f64) -> Result<(), Refusal> {
    require((0.0..=1.0).contains(&fake_share), "p2", fake_share, "0 ≤ p2 ≤ 1")
}

const REAL: Input = Input { name: "n1", meaning: "real rows per generation", example: "9" };
const FAKE: Input = Input { name: "n2", meaning: "synthetic rows per generation", example: "6" };
const FAKE_SHARE: Input = Input { name: "p2", meaning: "synthetic share of rows", example: "0.25" };
const DISTANCE: Input =
    Input { name: "|delta|^2", meaning: "squared error of the synthetic labels", example: "0.5" };
const ROWS_DOMAIN: &str = "d ≥ 1, n1 + n2 ≥ d + 2, any covariance";
const LIMIT_DOMAIN: &str =
    "d, n → ∞ with d/n = phi; lambda > 0 (or 0 if phi < 1), 0 ≤ p2 ≤ 1, isotropic inputs";

/// An entry of R7 or R8.
const fn entry(
    (id, kind, domain): (&'static str, Kind, &'static str),
    name: &'static str,
    formula: &'static str,
    inputs: &'static [Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    let source = "derived here; setting of Dohmatob et al. 2024, arXiv 2410.04840";
    Entry { id, name, formula, kind, source, domain, digits: Digits::Elementary, inputs, value }
}

const R7: (&str, Kind, &str) = ("R7", Kind::Exact, ROWS_DOMAIN);
const R8: (&str, Kind, &str) = ("R8", Kind::Asymptotic, LIMIT_DOMAIN);

/// The closed forms of R7 and R8.
pub const ENTRIES: &[Entry] = &[
    entry(
        R7,
        "factor of the synthetic labels' error, least squares on mixed rows",
        "strong-collapse K(n1,n2,d)",
        &[REAL, FAKE, DIMENSION],
        |inputs| {
            let (real, fake, d) = mixture_of(inputs)?;
            strong_collapse_factor(real, fake, d)
        },
    ),
    entry(
        R7,
        "risk of least squares on mixed rows",
        "|δ|² K(n1,n2,d) + σ² d/(n−d−1)",
        &[REAL, FAKE, DIMENSION, NOISE, DISTANCE],
        |inputs| {
            let (real, fake, d) = mixture_of(inputs)?;
            let distance = square_of(inputs, "|delta|^2")?;
            strong_collapse_risk(real, fake, d, noise_of(inputs)?, distance)
        },
    ),
    entry(
        R7,
        "risk after t generations with fresh real rows in each",
        "E_t = σ² d/(n−d−1) (1−K^t)/(1−K)",
        &[REAL, FAKE, DIMENSION, NOISE, Input { name: "t", ..GENERATIONS }],
        |inputs| {
            let (real, fake, d) = mixture_of(inputs)?;
            mixed_risk(real, fake, d, noise_of(inputs)?, inputs.count("t")?)
        },
    ),
    entry(
        ("R7", Kind::Exact, "d ≥ 1, n1 + n2 ≥ d + 2, K < 1, any covariance"),
        "limit of the risk with fresh real rows in each generation",
        "E* = σ² d/((n−d−1)(1−K))",
        &[REAL, FAKE, DIMENSION, NOISE],
        |inputs| {
            let (real, fake, d) = mixture_of(inputs)?;
            mixed_limit(real, fake, d, noise_of(inputs)?)
        },
    ),
    entry(
        ("R7", Kind::Asymptotic, "0 ≤ p2 ≤ 1, 0 ≤ phi < 1; n → ∞ with d/n = phi (0: fixed d)"),
        "plateau of the factor for many rows",
        "K → p2² + p1 p2 φ/(1−φ)",
        &[FAKE_SHARE, RATIO],
        |inputs| strong_collapse_plateau(inputs.number("p2")?, inputs.number("phi")?),
    ),
    entry(
        R8,
        "factor of the synthetic labels' error, ridge on mixed rows",
        "strong-collapse ridge fake factor p2^2(1-2lm+l^2q)+p1p2 phi q/(1+phi m)^2",
        &[RATIO, PENALTY, FAKE_SHARE],
        |inputs| {
            let moments = resolvent_of(inputs)?;
            let fake_share = inputs.number("p2")?;
            strong_collapse_ridge_factor(moments.phi(), moments.lambda(), fake_share)
        },
    ),
    entry(
        R8,
        "risk of ridge on mixed rows",
        "λ²q|w0|² − 2λ p2 (m−λq) w0'δ + σ²φ(m−λq) + |δ|² [p2²(1−2λm+λ²q) + p1p2 φ(m−λq)]",
        &[
            RATIO,
            PENALTY,
            FAKE_SHARE,
            NOISE,
            SIGNAL,
            DISTANCE,
            Input { name: "w0'delta", meaning: "inner product of truth and error", example: "0" },
        ],
        |inputs| {
            let moments = resolvent_of(inputs)?;
            let (noise, signal) = (noise_of(inputs)?, signal_of(inputs)?);
            let distance = square_of(inputs, "|delta|^2")?;
            strong_collapse_ridge_risk(
                moments.phi(),
                moments.lambda(),
                inputs.number("p2")?,
                noise,
                signal,
                distance,
                inputs.number("w0'delta")?,
            )
        },
    ),
];

fn mixture_of(inputs: &Inputs) -> Result<(usize, usize, usize), Refusal> {
    Ok((inputs.count("n1")?, inputs.count("n2")?, inputs.count("d")?))
}

fn square_of(inputs: &Inputs, name: &str) -> Result<f64, Refusal> {
    let square = inputs.number(name)?;
    require(square >= 0.0, name, square, "a number that is not negative")?;
    Ok(square)
}
