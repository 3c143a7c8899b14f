//! Power-law spectra and the ridge that suits them: R6.
//!
//! The covariance has the eigenvalues `i^(−b)`, the truth has `λ_i w_{0,i}² = i^(−1−2rb)`. Inserted
//! into the deterministic equivalents of R5 for `κ → 0`, `κ^(−1/b) ≪ T` and `d ≪ T, T_0`, sums
//! become integrals: `bias ≈ B κ^(2r)`, and variance plus fake labels `≈ D κ^(−1/b)/N_eff`.

use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use std::f64::consts::PI;

/// R6, the degrees of freedom: `df₂ ≈ κ^(−1/b) (π/b)(1 − 1/b)/sin(π/b)`.
///
/// *Derivation.* `Σ_i (1 + κi^b)⁻² ≈ κ^(−1/b) ∫ (1 + u^b)⁻² du`; the integral is
/// `(1 − 1/b)·(π/b)/sin(π/b)`. The next term is `−1/2`.
///
/// *Domain.* `b > 1`, `0 < κ ≪ 1`. *Source.* Derived here. *Guard.* `regression-power-law`.
///
/// ```
/// let df2 = fortifai_collapse::regression::power_law_df2(2.0, 1e-6)?;
/// assert!((df2 - 1e3 * std::f64::consts::PI / 4.0).abs() < 1e-10);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn power_law_df2(b: f64, kappa: f64) -> Result<f64, Refusal> {
    require(kappa > 0.0 && kappa < 1.0, "kappa", kappa, "0 < kappa < 1")?;
    Ok(spread(b)? * kappa.powf(-1.0 / b))
}

/// R6, the bias: `κ²Σ_i λ_i w_i²/(λ_i + κ)² ≈ (κ^(2r)/b) Γ(2r)Γ(2 − 2r)
/// = (κ^(2r)/b)·π(1 − 2r)/sin(2πr)`, and `κ/b` at `r = 1/2`.
///
/// *Derivation.* `∫ u^(2b(1−r)−1) (1 + u^b)⁻² du = B(2r, 2 − 2r)/b`. The sum begins at 1 where the
/// integral begins at 0, so the relative error is of order `κ^(2−2r)`.
///
/// *Domain.* `b > 1`, `0 < r < 1` (at `r ≥ 1` the first eigenvalues dominate and the bias is of
/// order `κ²`), `0 < κ ≪ 1`. *Source.* Derived here. *Guard.* `regression-power-law`.
///
/// ```
/// let bias = fortifai_collapse::regression::power_law_bias(2.0, 0.5, 1e-4)?;
/// assert!((bias - 0.5e-4).abs() < 1e-18);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn power_law_bias(b: f64, r: f64, kappa: f64) -> Result<f64, Refusal> {
    require(kappa > 0.0 && kappa < 1.0, "kappa", kappa, "0 < kappa < 1")?;
    Ok(source(b, r)? * kappa.powf(2.0 * r))
}

/// R6, the effective number of real rows: `1/N_eff = σ²/T + n σ_0²/T_0`. However large `T`, it stays
/// below `T_0/(n σ_0²)`: a plateau that only better labels lift.
///
/// *Derivation.* Variance and fake labels are `df₂` times `σ²/T` and `nσ_0²/T_0` for
/// `d ≪ T, T_0` (R5). *Domain.* `T, T_0 ≥ 1`, `σ² + nσ_0² > 0`. *Source.* Derived here.
/// *Guard.* `regression-power-law`.
///
/// ```
/// let rows = fortifai_collapse::regression::effective_rows(1000, 500, 4, 1.0, 0.5)?;
/// assert!((rows - 1.0 / (0.001 + 0.002)).abs() < 1e-10);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn effective_rows(
    rows: usize,
    label_rows: usize,
    generations: usize,
    noise: f64,
    label_noise: f64,
) -> Result<f64, Refusal> {
    require(rows >= 1, "T", rows, "T ≥ 1")?;
    require(label_rows >= 1, "T0", label_rows, "T0 ≥ 1")?;
    let inverse = noise * noise / rows as f64
        + generations as f64 * label_noise * label_noise / label_rows as f64;
    require(inverse > 0.0, "sigma² + n·sigma0²", inverse, "a positive number")?;
    Ok(1.0 / inverse)
}

/// R6, the best effective ridge: `κ = (D/(2rbB N_eff))^(b/(2rb+1))`. It **grows** with the number
/// of fake generations, since `N_eff` falls.
///
/// *Derivation.* `d/dκ [B κ^(2r) + D κ^(−1/b)/N_eff] = 0`. *Domain.* `b > 1`, `0 < r < 1`,
/// `N_eff ≫ 1`. *Source.* Derived here; the exponents are those of Dohmatob, Feng, Kempe 2024,
/// arXiv 2402.07712. *Guard.* `regression-power-law`.
///
/// ```
/// use fortifai_collapse::regression::best_ridge;
/// // The exponent −b/(2rb + 1) is −2/3 at b = 2, r = 1/2.
/// let ratio = best_ridge(2.0, 0.5, 8e6)? / best_ridge(2.0, 0.5, 1e6)?;
/// assert!((ratio - 0.25).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn best_ridge(b: f64, r: f64, effective_rows: f64) -> Result<f64, Refusal> {
    let inside = effective_rows >= 1.0 && effective_rows.is_finite();
    require(inside, "N_eff", effective_rows, "a finite N_eff ≥ 1")?;
    let ratio = spread(b)? / (2.0 * r * b * source(b, r)? * effective_rows);
    Ok(ratio.powf(b / (2.0 * r * b + 1.0)))
}

/// R6, the risk at the best ridge: `B κ^(2r) (1 + 2rb)`, of order `N_eff^(−2rb/(2rb+1))`.
///
/// *Derivation.* At [`best_ridge`] the second term is `2rb` times the first.
/// *Domain, source, guard.* As [`best_ridge`].
///
/// ```
/// use fortifai_collapse::regression::best_risk;
/// let ratio = best_risk(2.0, 0.5, 8e6)? / best_risk(2.0, 0.5, 1e6)?;
/// assert!((ratio - 0.25).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn best_risk(b: f64, r: f64, effective_rows: f64) -> Result<f64, Refusal> {
    let kappa = best_ridge(b, r, effective_rows)?;
    Ok(source(b, r)? * kappa.powf(2.0 * r) * (1.0 + 2.0 * r * b))
}

/// `D = (1 − 1/b)(π/b)/sin(π/b)`; `sin(π/b) = sin(π(1 − 1/b))` near `b = 1`.
fn spread(b: f64) -> Result<f64, Refusal> {
    require(b > 1.0 && b.is_finite(), "b", b, "b > 1")?;
    let rest = (b - 1.0) / b;
    Ok(rest * (PI / b) / if rest < 0.5 { (PI * rest).sin() } else { (PI / b).sin() })
}

/// `B = Γ(2r)Γ(2 − 2r)/b = π(1 − 2r)/(b sin 2πr)`, by `sin 2πr = sin π(1 − 2r)` without cancellation
/// at `r = 1/2`.
fn source(b: f64, r: f64) -> Result<f64, Refusal> {
    require(b > 1.0 && b.is_finite(), "b", b, "b > 1")?;
    require(r > 0.0 && r < 1.0, "r", r, "0 < r < 1")?;
    let rest = (1.0 - 2.0 * r).abs();
    if rest == 0.0 {
        return Ok(1.0 / b);
    }
    // Beyond 1/2 the sine is that of the distance to 1.
    let sine = match rest > 0.5 {
        true if r < 0.5 => (2.0 * PI * r).sin(),
        true => (2.0 * PI * (1.0 - r)).sin(),
        false => (PI * rest).sin(),
    };
    Ok(PI * rest / (b * sine))
}

const SPECTRUM: Input =
    Input { name: "b", meaning: "the i-th eigenvalue is i^(−b)", example: "1.5" };
const SOURCE: Input =
    Input { name: "r", meaning: "source exponent: λ_i w_i² = i^(−1−2rb)", example: "0.4" };
const KAPPA: Input = Input { name: "kappa", meaning: "effective ridge", example: "0.001" };
const EFFECTIVE: Input = Input { name: "N_eff", meaning: "effective real rows", example: "10000" };

/// An entry of R6.
const fn entry(
    name: &'static str,
    formula: &'static str,
    domain: &'static str,
    inputs: &'static [Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    Entry {
        id: "R6",
        name,
        formula,
        kind: Kind::Asymptotic,
        source: "derived here; exponents as in Dohmatob et al. 2024, arXiv 2402.07712",
        domain,
        digits: Digits::Elementary,
        inputs,
        value,
    }
}

/// The closed forms of R6.
pub const ENTRIES: &[Entry] = &[
    entry(
        "degrees of freedom of a power-law spectrum",
        "df2 ~ κ^(−1/b) (π/b)(1−1/b)/sin(π/b)",
        "b > 1, 0 < kappa → 0",
        &[SPECTRUM, KAPPA],
        |inputs| power_law_df2(inputs.number("b")?, inputs.number("kappa")?),
    ),
    entry(
        "bias of ridge for a power-law truth",
        "bias ~ (κ^2r/b) Γ(2r) Γ(2−2r)",
        "b > 1, 0 < r < 1, 0 < kappa → 0",
        &[SPECTRUM, SOURCE, KAPPA],
        |inputs| power_law_bias(inputs.number("b")?, inputs.number("r")?, inputs.number("kappa")?),
    ),
    entry(
        "effective number of real rows",
        "1/N_eff = σ²/T + n σ0²/T0",
        "T, T0 ≥ 1, sigma² + n·sigma0² > 0, d ≪ T, T0",
        &[
            Input { name: "T", meaning: "rows of the last fit", example: "1000" },
            Input { name: "T0", meaning: "rows of each generation of labels", example: "500" },
            crate::regression::GENERATIONS,
            crate::regression::NOISE,
            Input { name: "sigma0", meaning: "noise of the synthetic labels", example: "0.4" },
        ],
        |inputs| {
            let (rows, label_rows) = (inputs.count("T")?, inputs.count("T0")?);
            let (noise, label_noise) = (inputs.number("sigma")?, inputs.number("sigma0")?);
            effective_rows(rows, label_rows, inputs.count("n")?, noise, label_noise)
        },
    ),
    entry(
        "best effective ridge for a power law",
        "κ_opt = (D/(2rbB N_eff))^(b/(2rb+1))",
        "b > 1, 0 < r < 1, N_eff → ∞",
        &[SPECTRUM, SOURCE, EFFECTIVE],
        |inputs| best_ridge(inputs.number("b")?, inputs.number("r")?, inputs.number("N_eff")?),
    ),
    entry(
        "risk at the best ridge for a power law",
        "risk_opt = (1+2rb) B κ_opt^2r",
        "b > 1, 0 < r < 1, N_eff → ∞",
        &[SPECTRUM, SOURCE, EFFECTIVE],
        |inputs| best_risk(inputs.number("b")?, inputs.number("r")?, inputs.number("N_eff")?),
    ),
];
