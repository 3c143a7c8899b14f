//! Ridge regression on synthetic labels, isotropic inputs: R3 and R4.

use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::regression::marchenko_pastur::{Resolvent, resolvent_of};
use crate::regression::ols::one_generation;
use crate::regression::{
    DIMENSION, GENERATIONS, NOISE, PENALTY, RATIO, ROWS, SIGNAL, noise_of, signal_of,
};

/// R3, one ridge fit on labels that were passed through `n` generations of least squares:
/// `λ²q|w_0|² + σ²φ(m − λq) + n σ_0² d/(T_0 − d − 1) (1 − 2λm + λ²q)` with `φ = d/T`.
///
/// *Derivation.* The error is `−λRw_0 + RG Δ + σRX′ε/T` with the accumulated error `Δ` of the
/// labels, isotropic, centred, independent, `E |Δ|²` as in [`super::replace_risk`]; and
/// `(1/d) tr (RG)² = 1 − 2λm + λ²q`, `(1/d) tr R²G = m − λq`.
///
/// *Domain.* `d, T → ∞` with `d/T = φ`; `T_0 ≥ d + 2`; `λ > 0`, or `λ = 0` and `d < T`.
/// *Source.* Derived here, setting and first form Dohmatob, Feng, Kempe 2024, arXiv 2402.07712.
/// *Guards.* `regression-ridge` (its factors), `regression-resolvent` (its moments).
///
/// ```
/// use fortifai_collapse::regression::{IteratedLabels, ridge_on_iterated_labels};
/// let labels = IteratedLabels { rows: 240, generations: 3, noise: 0.4 };
/// let risk = ridge_on_iterated_labels(60, 120, labels, 0.5, 0.3, 1.0)?;
/// assert!((risk - 0.286_364_851_396_163_85).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn ridge_on_iterated_labels(
    d: usize,
    rows: usize,
    labels: IteratedLabels,
    noise: f64,
    penalty: f64,
    signal: f64,
) -> Result<f64, Refusal> {
    let fake = one_generation(labels.rows, d, labels.noise)
        .map_err(|refusal| refusal.about("the generations of least squares (T0, sigma0)"))?;
    require(rows >= 1, "T", rows, "T ≥ 1")?;
    let moments = Resolvent::new(d as f64 / rows as f64, penalty)?;
    Ok(moments.lost_square() * signal
        + noise * noise * moments.phi() * moments.leak()
        + labels.generations as f64 * fake * moments.kept_square())
}

/// The generations of least squares through which labels were passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IteratedLabels {
    /// Rows per generation.
    pub rows: usize,
    /// How many generations.
    pub generations: usize,
    /// Their label noise.
    pub noise: f64,
}

/// R4, ridge at every generation, exact in the resolvent's moments at the size at hand:
/// with `a_k = a_{k−1}(1 − 2λm + λ²q) + σ²φ(m − λq)` and `a_0 = |w_0|²`,
/// `risk_n = a_n − 2(1 − λm)^n |w_0|² + |w_0|²`.
///
/// *Derivation.* `w_k = R_kG_k w_{k−1} + σR_kX_k′ε_k/T` with independent blocks whose law is invariant
/// under rotations, so `E R_kG_k = (1 − λm) I` and `E (R_kG_k)² = (1 − 2λm + λ²q) I`.
///
/// *Domain.* `m = E (1/d) tr R` and `q = E (1/d) tr R²` at the given `φ = d/T`, so `m² ≤ q` and
/// `λm ≤ 1`. *Source.* Derived here. *Guard.* `regression-ridge`.
///
/// ```
/// use fortifai_collapse::regression::{Resolvent, iterated_ridge, iterated_ridge_at};
/// let moments = Resolvent::new(0.5, 0.3)?;
/// let exact = iterated_ridge_at(moments.m(), moments.q(), 0.5, 0.3, 0.5, 3, 1.0)?;
/// assert!((exact - iterated_ridge(0.5, 0.3, 0.5, 3, 1.0)?).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn iterated_ridge_at(
    m: f64,
    q: f64,
    phi: f64,
    penalty: f64,
    noise: f64,
    generations: usize,
    signal: f64,
) -> Result<f64, Refusal> {
    require(penalty >= 0.0, "lambda", penalty, "lambda ≥ 0")?;
    require(m > 0.0 && penalty * m <= 1.0, "m", m, "m > 0 and lambda·m ≤ 1")?;
    require(q * (1.0 + 1e-12) >= m * m, "q", q, "q ≥ m²")?;
    require(penalty * q <= m, "lambda·q", penalty * q, "lambda·q ≤ m")?;
    require(phi > 0.0, "phi", phi, "phi > 0")?;
    let factors = Factors {
        lost: penalty * m,
        kept: 1.0 - penalty * m,
        leak: m - penalty * q,
        spread: penalty * penalty * (q - m * m).max(0.0),
        penalty,
    };
    Ok(factors.risk(phi * noise * noise, generations, signal))
}

/// R4, [`iterated_ridge_at`] with Marchenko and Pastur's moments.
///
/// *Derivation.* With `p = 1 − λm` the signal's part is `(1 − p^n)² + E_n`, where
/// `E_n = (1 − 2λm + λ²q)^n − p^{2n}` and `λ²(q − m²) = pφ(λm)²/s`; nothing is subtracted that
/// is nearly equal. `λ → 0` gives R1: `n σ² φ/(1 − φ)`.
///
/// *Domain.* `d, T → ∞` with `d/T = φ`; `λ > 0`, or `λ = 0` and `φ < 1`. *Source.* Derived here,
/// setting of Dohmatob, Feng, Kempe 2024, arXiv 2402.07712.
/// *Guards.* `regression-ridge`, `regression-resolvent`.
///
/// ```
/// let risk = fortifai_collapse::regression::iterated_ridge(0.5, 0.3, 0.5, 3, 1.0)?;
/// assert!((risk - 0.614_298_269_066_338_8).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn iterated_ridge(
    phi: f64,
    penalty: f64,
    noise: f64,
    generations: usize,
    signal: f64,
) -> Result<f64, Refusal> {
    let moments = Resolvent::new(phi, penalty)?;
    let lost = penalty * moments.m();
    let factors = Factors {
        lost,
        kept: moments.kept(),
        leak: moments.leak(),
        spread: moments.kept() * phi * lost * lost / moments.root(),
        penalty,
    };
    Ok(factors.risk(phi * noise * noise, generations, signal))
}

/// The share of the signal that `n` generations of ridge keep: `(1 − λm)^n`.
///
/// *Derivation, domain, source, guards.* As [`iterated_ridge`].
///
/// ```
/// let kept = fortifai_collapse::regression::signal_kept(0.5, 0.3, 2)?;
/// assert!((kept - (1.0 - 0.3 * 1.045_176_241_886_681_3f64).powi(2)).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// Outside the domain.
pub fn signal_kept(phi: f64, penalty: f64, generations: usize) -> Result<f64, Refusal> {
    Ok(Resolvent::new(phi, penalty)?.kept().powf(generations as f64))
}

/// What one generation of ridge does to a vector: `λm`, `1 − λm`, `m − λq`, `λ²(q − m²)` and `λ`.
struct Factors {
    lost: f64,
    kept: f64,
    leak: f64,
    spread: f64,
    penalty: f64,
}

impl Factors {
    /// The risk after `n` generations, `unit = σ²φ`.
    fn risk(&self, unit: f64, generations: usize, signal: f64) -> f64 {
        if generations == 0 {
            return 0.0;
        }
        let n = generations as f64;
        // 1 − (1 − 2λm + λ²q) = λm + λ(m − λq).
        let lost_square = self.lost + self.penalty * self.leak;
        let kept_square = self.kept * self.kept + self.spread;
        let ln_square = ln_of(kept_square, lost_square);
        let bias = (n * ln_of(self.kept, self.lost)).exp_m1().powi(2);
        // Eⁿ = kept_squareⁿ·(1 − (p²/kept_square)ⁿ) with p²/kept_square = 1 − spread/kept_square.
        let ratio = if self.spread > 0.0 { self.spread / kept_square } else { 0.0 };
        let excess = -(n * ln_square).exp() * (n * (-ratio).ln_1p()).exp_m1();
        let noise = if lost_square == 0.0 { n } else { -(n * ln_square).exp_m1() / lost_square };
        signal * (bias + excess) + unit * self.leak * noise
    }
}

/// `ln kept`, where `lost = 1 − kept` has no cancellation either.
fn ln_of(kept: f64, lost: f64) -> f64 {
    if lost < 0.5 { (-lost).ln_1p() } else { kept.ln() }
}

/// The closed forms of R3 and R4.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "R3",
        name: "risk of one ridge fit on labels of n generations of least squares",
        formula: "ridge on n-fold OLS labels",
        kind: Kind::Asymptotic,
        source: "derived here; setting of Dohmatob et al. 2024, arXiv 2402.07712",
        domain: "d, T → ∞ with d/T fixed, T0 ≥ d + 2, lambda > 0 (or 0 if d < T), isotropic inputs",
        digits: Digits::Elementary,
        inputs: &[
            DIMENSION,
            ROWS,
            Input { name: "T0", meaning: "rows of each generation of labels", example: "240" },
            GENERATIONS,
            NOISE,
            Input { name: "sigma0", meaning: "noise of the synthetic labels", example: "0.4" },
            PENALTY,
            SIGNAL,
        ],
        value: |inputs| {
            let labels = IteratedLabels {
                rows: inputs.count("T0")?,
                generations: inputs.count("n")?,
                noise: inputs.number("sigma0")?,
            };
            let (d, rows) = (inputs.count("d")?, inputs.count("T")?);
            let (noise, signal) = (noise_of(inputs)?, signal_of(inputs)?);
            ridge_on_iterated_labels(d, rows, labels, noise, inputs.number("lambda")?, signal)
        },
    },
    Entry {
        id: "R4",
        name: "risk of ridge at every generation",
        formula: "iterated ridge (MP)",
        kind: Kind::Asymptotic,
        source: "derived here; setting of Dohmatob et al. 2024, arXiv 2402.07712",
        domain: "d, T → ∞ with d/T = phi; lambda > 0 (or 0 if phi < 1), isotropic inputs",
        digits: Digits::Elementary,
        inputs: &[RATIO, PENALTY, NOISE, GENERATIONS, SIGNAL],
        value: |inputs| {
            let (phi, penalty) = (inputs.number("phi")?, inputs.number("lambda")?);
            let (noise, signal) = (noise_of(inputs)?, signal_of(inputs)?);
            iterated_ridge(phi, penalty, noise, inputs.count("n")?, signal)
        },
    },
    Entry {
        id: "R4",
        name: "risk of ridge at every generation, given the resolvent's moments at the size at hand",
        formula: "iterated ridge given m = E (1/d) tr R, q = E (1/d) tr R²",
        kind: Kind::Exact,
        source: "derived here",
        domain: "m, q the moments at phi = d/T and lambda: m² ≤ q, lambda·q ≤ m; isotropic inputs",
        digits: Digits::Elementary,
        inputs: &[
            Input { name: "m", meaning: "E (1/d) tr R", example: "1.045" },
            Input { name: "q", meaning: "E (1/d) tr R²", example: "1.43" },
            RATIO,
            PENALTY,
            NOISE,
            GENERATIONS,
            SIGNAL,
        ],
        value: |inputs| {
            let (m, q) = (inputs.number("m")?, inputs.number("q")?);
            let (phi, penalty) = (inputs.number("phi")?, inputs.number("lambda")?);
            let (noise, signal) = (noise_of(inputs)?, signal_of(inputs)?);
            iterated_ridge_at(m, q, phi, penalty, noise, inputs.count("n")?, signal)
        },
    },
    Entry {
        id: "R4",
        name: "share of the signal kept by ridge at every generation",
        formula: "(1 − λm)^n",
        kind: Kind::Asymptotic,
        source: "derived here",
        domain: "d, T → ∞ with d/T = phi; lambda > 0 (or 0 if phi < 1), isotropic inputs",
        digits: Digits::Elementary,
        inputs: &[RATIO, PENALTY, GENERATIONS],
        value: |inputs| {
            let moments = resolvent_of(inputs)?;
            signal_kept(moments.phi(), moments.lambda(), inputs.count("n")?)
        },
    },
];
