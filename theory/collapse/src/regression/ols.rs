//! Least squares on labels of the model before: R1 and R2.
//!
//! Generation `k` sees `T` fresh Gaussian inputs `X_k` of any covariance `Σ` and the labels
//! `y_k = X_k w_{k−1} + σ ε_k`. The risk is `E |w − w_0|²_Σ`; the error of a prediction of noisy
//! labels is larger by `σ²`.

use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::regression::{DIMENSION, GENERATIONS, NOISE, ROWS, size_of};

/// R1, data replaced: `E |w_n − w_0|²_Σ = n σ² d/(T − d − 1)`.
///
/// *Derivation.* `w_k − w_{k−1} = σ (X′X)⁻¹X′ε` is independent of the past and
/// `E (X′X)⁻¹ = Σ⁻¹/(T − d − 1)`, so every generation adds `σ² d/(T − d − 1)`.
///
/// *Domain.* `d ≥ 1`, `T ≥ d + 2` rows per generation (fewer have no finite risk), any `Σ`.
/// *Source.* Dohmatob, Feng, Kempe 2024, arXiv 2402.07712; Gerstgrasser et al. 2024, arXiv
/// 2404.01413. *Guard.* `regression-replace`.
///
/// ```
/// let risk = fortifai_collapse::regression::replace_risk(9, 3, 4, 0.7)?;
/// assert!((risk - 1.176).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn replace_risk(rows: usize, d: usize, generations: usize, noise: f64) -> Result<f64, Refusal> {
    Ok(generations as f64 * one_generation(rows, d, noise)?)
}

/// R1, data replaced, with `T_k` rows and noise `σ_k` in generation `k`: `Σ_k σ_k² d/(T_k − d − 1)`.
///
/// *Derivation, domain, source, guard.* As [`replace_risk`].
///
/// ```
/// let risk = fortifai_collapse::regression::replace_risk_of_blocks(&[9, 14], 3, &[0.7, 0.5])?;
/// assert!((risk - (0.49 * 3.0 / 5.0 + 0.25 * 3.0 / 10.0)).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain, or if the lists differ in length.
pub fn replace_risk_of_blocks(rows: &[usize], d: usize, noise: &[f64]) -> Result<f64, Refusal> {
    let lengths = format!("one noise for each of the {} blocks", rows.len());
    require(rows.len() == noise.len(), "the number of noises", noise.len(), &lengths)?;
    rows.iter().zip(noise).map(|(&rows, &noise)| one_generation(rows, d, noise)).sum()
}

/// R2, data accumulated: `E |w_n − w_0|²_Σ = σ² Σ_{k=1..n} d/(k(kT − d − 1))`.
///
/// *Derivation.* `w_k = w_{k−1} + σ S_k⁻¹X_k′ε_k` with `S_k = Σ_{i≤k} X_i′X_i`; the blocks are
/// exchangeable, so `E tr Σ S_k⁻¹X_k′X_kS_k⁻¹ = E tr ΣS_k⁻¹/k = d/(k(kT − d − 1))`. The sum is taken
/// term by term up to 16, and beyond by `1/(k(kT − d − 1)) = (1/(d + 1))·(1/(k − x) − 1/k)`,
/// `x = (d + 1)/T`, as a difference of digammas whose small differences are never subtracted.
///
/// *Domain.* `d ≥ 1`, `T ≥ d + 2`. *Source.* Derived here; sharpens the bound of Gerstgrasser et
/// al. 2024, arXiv 2404.01413 ([`accumulate_bound`]). *Guard.* `regression-accumulate`.
///
/// ```
/// let risk = fortifai_collapse::regression::accumulate_risk(9, 3, 6, 0.7)?;
/// assert!((risk - 0.391_359_454_533_404).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn accumulate_risk(
    rows: usize,
    d: usize,
    generations: usize,
    noise: f64,
) -> Result<f64, Refusal> {
    one_generation(rows, d, noise)?;
    let sum = first_terms(rows, d, generations) + tail(rows, d) - tail_after(rows, d, generations);
    Ok(noise * noise * sum)
}

/// R2, the limit of [`accumulate_risk`] for many generations, over `σ²`:
/// `(d/(d + 1)) [−γ_E − ψ(1 − (d + 1)/T)]`, about `(π²/6) d/T` for `T ≫ d`.
///
/// *Derivation, domain, source, guard.* As [`accumulate_risk`].
///
/// ```
/// let limit = fortifai_collapse::regression::accumulate_limit(9, 3)?;
/// assert!((limit - 0.851_700_731_578_487_4).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn accumulate_limit(rows: usize, d: usize) -> Result<f64, Refusal> {
    one_generation(rows, d, 1.0)?;
    Ok(first_terms(rows, d, SUMMED) + tail(rows, d))
}

/// R2, data accumulated in blocks of `T_k` rows that bring the pool to `N_k`:
/// `σ² Σ_k (T_k/N_k) d/(N_k − d − 1)`.
///
/// *Derivation.* As [`accumulate_risk`]; the rows of the pool are exchangeable.
/// *Domain.* `d ≥ 1`, `T_1 ≥ d + 2`, no block empty. *Source.* Derived here.
/// *Guard.* `regression-accumulate`.
///
/// ```
/// use fortifai_collapse::regression::{accumulate_risk, accumulate_risk_of_blocks};
/// let (blocks, equal) = (accumulate_risk_of_blocks(&[9; 6], 3, 0.7)?, accumulate_risk(9, 3, 6, 0.7)?);
/// assert!((blocks - equal).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn accumulate_risk_of_blocks(rows: &[usize], d: usize, noise: f64) -> Result<f64, Refusal> {
    let mut pool = 0;
    rows.iter().try_fold(0.0, |risk, &rows| {
        require(rows > 0, "T", rows, "at least one row in every block")?;
        pool += rows;
        Ok(risk + one_generation(pool, d, noise)? * rows as f64 / pool as f64)
    })
}

/// R2, the published bound on [`accumulate_risk`] for every number of generations:
/// `(π²/6) σ² d/(T − d − 1)`.
///
/// *Derivation.* `k(kT − d − 1) ≥ k²(T − d − 1)` and `Σ 1/k² = π²/6`.
/// *Domain.* As [`accumulate_risk`]. *Source.* Gerstgrasser et al. 2024, arXiv 2404.01413.
/// *Guard.* None: the tests put it above [`accumulate_limit`] over a grid of sizes.
///
/// ```
/// use fortifai_collapse::regression::{accumulate_bound, accumulate_limit};
/// assert!(accumulate_limit(9, 3)? < accumulate_bound(9, 3, 1.0)?);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn accumulate_bound(rows: usize, d: usize, noise: f64) -> Result<f64, Refusal> {
    Ok(std::f64::consts::PI.powi(2) / 6.0 * one_generation(rows, d, noise)?)
}

/// `σ² d/(T − d − 1)`, what one generation of least squares adds to the risk.
pub(super) fn one_generation(rows: usize, d: usize, noise: f64) -> Result<f64, Refusal> {
    require(d >= 1, "d", d, "d ≥ 1")?;
    let enough = rows >= d.saturating_add(2);
    require(enough, "T", rows, &format!("T ≥ d + 2 = {}", d.saturating_add(2)))?;
    require(noise >= 0.0 && noise.is_finite(), "sigma", noise, "a finite sigma ≥ 0")?;
    Ok(noise * noise * d as f64 / (rows - d - 1) as f64)
}

/// How many terms of the sum are taken one by one.
const SUMMED: usize = 16;

/// `Σ_{k ≤ min(n, 16)} d/(k(kT − d − 1))`.
fn first_terms(rows: usize, d: usize, generations: usize) -> f64 {
    let (rows, d) = (rows as f64, d as f64);
    let term = |k: usize| d / (k as f64 * (k as f64 * rows - d - 1.0));
    (1..=generations.min(SUMMED)).map(term).sum()
}

/// `Σ_{k > 16}` of the same terms.
fn tail(rows: usize, d: usize) -> f64 {
    digamma_step((SUMMED + 1) as f64, (d + 1) as f64 / rows as f64) * d as f64 / (d + 1) as f64
}

/// `Σ_{k > max(n, 16)}` of the same terms.
fn tail_after(rows: usize, d: usize, generations: usize) -> f64 {
    let first = generations.max(SUMMED) as f64 + 1.0;
    digamma_step(first, (d + 1) as f64 / rows as f64) * d as f64 / (d + 1) as f64
}

/// `ψ(z) − ψ(z − x)` for `z ≥ 17` and `0 < x < 1`, from
/// `ψ(z) = ln z − 1/2z − Σ B_2k/(2k z^2k)` with every difference taken in closed form.
fn digamma_step(z: f64, x: f64) -> f64 {
    let log = (-x / z).ln_1p();
    // B_2k/2k for k = 1 … 5; the first omitted term is below 1e-17 at z = 16.
    let bernoulli = [1.0 / 12.0, -1.0 / 120.0, 1.0 / 252.0, -1.0 / 240.0, 1.0 / 132.0];
    let series = bernoulli.iter().enumerate().map(|(index, b)| {
        let power = -2.0 * (index as f64 + 1.0);
        b * z.powf(power) * (power * log).exp_m1()
    });
    -log + x / (2.0 * z * (z - x)) + series.sum::<f64>()
}

/// The closed forms R1 and R2.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "R1",
        name: "risk of least squares, data replaced",
        formula: "OLS replace n sig^2 d/(T-d-1)",
        kind: Kind::Exact,
        source: "Dohmatob et al. 2024, arXiv 2402.07712; Gerstgrasser et al. 2024, arXiv 2404.01413",
        domain: "d ≥ 1, T ≥ d + 2, any covariance",
        digits: Digits::Elementary,
        inputs: &[DIMENSION, ROWS, GENERATIONS, NOISE],
        value: |inputs| {
            let (rows, d, noise) = size_of(inputs)?;
            replace_risk(rows, d, inputs.count("n")?, noise)
        },
    },
    Entry {
        id: "R1",
        name: "risk of least squares, data replaced, blocks of different size and noise",
        formula: "Σ_k σ_k² d/(T_k − d − 1)",
        kind: Kind::Exact,
        source: "Dohmatob et al. 2024, arXiv 2402.07712; Gerstgrasser et al. 2024, arXiv 2404.01413",
        domain: "d ≥ 1, every T_k ≥ d + 2, as many σ_k as T_k",
        digits: Digits::Elementary,
        inputs: &[
            DIMENSION,
            Input { name: "T", meaning: "rows of each generation", example: "[9, 14, 20]" },
            Input {
                name: "sigma",
                meaning: "label noise of each generation, label unit",
                example: "[0.7, 0.5, 0.6]",
            },
        ],
        value: |inputs| {
            let d = inputs.count("d")?;
            replace_risk_of_blocks(&inputs.counts("T")?, d, inputs.list("sigma")?)
        },
    },
    Entry {
        id: "R2",
        name: "risk of least squares, data accumulated",
        formula: "OLS accumulate",
        kind: Kind::Exact,
        source: "derived here; sharpens Gerstgrasser et al. 2024, arXiv 2404.01413",
        domain: "d ≥ 1, T ≥ d + 2, any covariance",
        digits: Digits::Special,
        inputs: &[DIMENSION, ROWS, GENERATIONS, NOISE],
        value: |inputs| {
            let (rows, d, noise) = size_of(inputs)?;
            accumulate_risk(rows, d, inputs.count("n")?, noise)
        },
    },
    Entry {
        id: "R2",
        name: "limit of the risk of least squares over the noise variance, data accumulated",
        formula: "OLS accumulate limit /sigma^2",
        kind: Kind::Exact,
        source: "derived here; sharpens Gerstgrasser et al. 2024, arXiv 2404.01413",
        domain: "d ≥ 1, T ≥ d + 2, any covariance",
        digits: Digits::Special,
        inputs: &[DIMENSION, ROWS],
        value: |inputs| accumulate_limit(inputs.count("T")?, inputs.count("d")?),
    },
    Entry {
        id: "R2",
        name: "risk of least squares, blocks of different size accumulated",
        formula: "σ² Σ_k (T_k/N_k) d/(N_k − d − 1), N_k = T_1 + … + T_k",
        kind: Kind::Exact,
        source: "derived here",
        domain: "d ≥ 1, T_1 ≥ d + 2, every T_k ≥ 1",
        digits: Digits::Elementary,
        inputs: &[
            DIMENSION,
            Input { name: "T", meaning: "rows of each generation", example: "[9, 4, 20, 1]" },
            NOISE,
        ],
        value: |inputs| {
            let (d, noise) = (inputs.count("d")?, inputs.number("sigma")?);
            accumulate_risk_of_blocks(&inputs.counts("T")?, d, noise)
        },
    },
    Entry {
        id: "R2",
        name: "published bound on the risk of least squares, data accumulated",
        formula: "(π²/6) σ² d/(T − d − 1)",
        kind: Kind::Bound,
        source: "Gerstgrasser et al. 2024, arXiv 2404.01413",
        domain: "d ≥ 1, T ≥ d + 2, any covariance",
        digits: Digits::Elementary,
        inputs: &[DIMENSION, ROWS, NOISE],
        value: |inputs: &Inputs| {
            let (rows, d, noise) = size_of(inputs)?;
            accumulate_bound(rows, d, noise)
        },
    },
];
