//! N8: a share of real data in every generation.
//!
//! The stationary displacement is `E|p − p_0|² = D* H_0` and the heterozygosity `(1 − D*) H_0`,
//! with the `D*` of a Gaussian whose mean is estimated (G10): the algebra is that of the variance.

use super::given::{ALPHA, LAW, N, T, check_law, check_samples, input};
use super::heterozygosity;
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

/// How the real share of a generation comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Exactly `alpha n` fresh real samples per generation.
    Stratified,
    /// Each sample is fresh and real with probability `alpha`.
    PerSample,
    /// The same `alpha n` real samples in every generation; displacements are from their law.
    FixedSet,
}

/// The stationary share `D*` of the true (for a fixed set: of the set's) heterozygosity that is
/// displacement.
///
/// *Derivation.* With `D + E H = H_0` and `b = 1 − α` the displacement obeys
/// `D' = b² D + (H_0 − b D)/n` (stratified), `D' = b² D + (H_0 − b² D)/n` (per sample: the mixture
/// itself is sampled) and, with `H_r` for `H_0`, `D' = b² D + b (H_r − D)/n` (fixed set: only the
/// synthetic part is drawn). Fixed points: `1/(nα(2−α) + 1 − α)`, `1/(n − (n−1)(1−α)²)`,
/// `(1−α)/(nα(2−α) + 1 − α)`.
///
/// Domain: `n ≥ 1`, `0 < α ≤ 1` (exact for whole `αn` where there are exactly `αn` of them).
/// Source: derived here; settings of arXiv 2307.01850, 2310.00429, 2502.18865; the per-sample form
/// is Wright's island model. Guard: `categorical-mixing`.
///
/// ```
/// use fortifai_collapse::categorical::mixing::{Mix, displaced};
/// // A fixed real set costs at most 1/(2 n_r + 1) of its heterozygosity: here n_r = 3.
/// assert!(displaced(300, 0.01, Mix::FixedSet)? <= 1.0 / 7.0);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `n` is zero or `alpha` outside `(0, 1]`.
pub fn displaced(n: usize, alpha: f64, mix: Mix) -> Result<f64, Refusal> {
    check_samples(n)?;
    require(alpha > 0.0 && alpha <= 1.0, "alpha", alpha, "0 < alpha ≤ 1")?;
    let size = n as f64;
    // 1 − (1−α)² = α(2 − α), without cancellation.
    let fresh = alpha * (2.0 - alpha);
    Ok(match mix {
        Mix::Stratified => 1.0 / (size * fresh + 1.0 - alpha),
        Mix::PerSample => 1.0 / (size * fresh + (1.0 - alpha) * (1.0 - alpha)),
        Mix::FixedSet => (1.0 - alpha) / (size * fresh + 1.0 - alpha),
    })
}

/// The share of the heterozygosity that is kept, `1 − D*`, without cancellation.
///
/// Derivation, domain, source, guard: as [`displaced`].
///
/// ```
/// use fortifai_collapse::categorical::mixing::{Mix, kept};
/// // (0.2 · (15 · 1.8 − 1))/(15 · 0.36 + 0.8).
/// assert!((kept(15, 0.2, Mix::Stratified)? - 26.0 / 31.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`displaced`].
pub fn kept(n: usize, alpha: f64, mix: Mix) -> Result<f64, Refusal> {
    displaced(n, alpha, mix)?;
    let size = n as f64;
    let fresh = alpha * (2.0 - alpha);
    Ok(match mix {
        Mix::Stratified => alpha * (size * (2.0 - alpha) - 1.0) / (size * fresh + 1.0 - alpha),
        Mix::PerSample => (size - 1.0) * fresh / (1.0 + (size - 1.0) * fresh),
        Mix::FixedSet => size * fresh / (size * fresh + 1.0 - alpha),
    })
}

/// The displacement after `t` generations in units of [`displaced`]'s heterozygosity, from
/// generation 0 at the truth: `D* (1 − r^t)`, `r = b² − b/n` (stratified, fixed set) or
/// `b² (1 − 1/n)` (per sample), `b = 1 − α`.
///
/// Guard: `categorical-mixing`.
///
/// ```
/// use fortifai_collapse::categorical::mixing::{Mix, displaced_by};
/// // The first generation is drawn from the truth, whatever its shares.
/// assert!((displaced_by(4, 0.5, 1, Mix::PerSample)? - 0.25).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`displaced`].
pub fn displaced_by(n: usize, alpha: f64, t: usize, mix: Mix) -> Result<f64, Refusal> {
    let (size, old) = (n as f64, 1.0 - alpha);
    let ratio = match mix {
        Mix::PerSample => old * old * (1.0 - 1.0 / size),
        Mix::Stratified | Mix::FixedSet => old * (old - 1.0 / size),
    };
    let gone = if t == 0 {
        0.0
    } else if ratio > 0.0 {
        -(t as f64 * ratio.ln()).exp_m1()
    } else {
        let size = if ratio == 0.0 { 0.0 } else { (t as f64 * (-ratio).ln()).exp() };
        if t.is_multiple_of(2) { 1.0 - size } else { 1.0 + size }
    };
    Ok(displaced(n, alpha, mix)? * gone)
}

/// `D*` of a fixed set of `n_r` real samples, from the truth rather than from the set:
/// `1/n_r + D_f (1 − 1/n_r)`, in units of `H_0`.
///
/// *Derivation.* The set's own law is `H_0/n_r` away on average and has `E H_r = H_0 (1 − 1/n_r)`.
/// Guard: `categorical-mixing`.
///
/// ```
/// use fortifai_collapse::categorical::mixing::displaced_from_truth;
/// // Three real samples: D_f = 1/8, and 1/3 + 1/8 · 2/3.
/// assert!((displaced_from_truth(12, 0.25)? - 5.0 / 12.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`displaced`], or if `alpha n < 1`.
pub fn displaced_from_truth(n: usize, alpha: f64) -> Result<f64, Refusal> {
    let from_set = displaced(n, alpha, Mix::FixedSet)?;
    let real = alpha * n as f64;
    require(real >= 1.0 - 1e-9, "alpha n", real, "at least 1 real sample")?;
    Ok(1.0 / real + from_set * (1.0 - 1.0 / real))
}

/// The largest displacement that any amount of synthetic data causes beside a fixed set of `n_r`
/// real samples: `D_f ≤ 1/(2 n_r + 1)` of the set's heterozygosity.
///
/// *Derivation.* At `α n = n_r`, `D_f = (1−α)/(n_r(2−α) + 1 − α)` falls with `α`; its limit at
/// `α → 0` is the bound. Guard: `categorical-mixing`.
///
/// ```
/// use fortifai_collapse::categorical::mixing::{Mix, displaced, fixed_set_bound};
/// // Three real samples: a million times as many synthetic ones come close.
/// let (bound, close) = (fixed_set_bound(3)?, displaced(3_000_000, 1e-6, Mix::FixedSet)?);
/// assert!((bound - 1.0 / 7.0).abs() < 1e-15);
/// assert!(close < bound && bound - close < 1e-7);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `n_r` is zero.
pub fn fixed_set_bound(n_r: usize) -> Result<f64, Refusal> {
    require(n_r >= 1, "n_r", n_r, "n_r ≥ 1")?;
    Ok(1.0 / (2.0 * n_r as f64 + 1.0))
}

/// The diffusion limit of `D*/H_0` per sample: the stationary law is `Dirichlet(2nα p_0)`, whose
/// displacement is `1/(2nα + 1)` of `H_0`.
///
/// Source: Wright 1931. Guard: `categorical-mixing`.
///
/// ```
/// use fortifai_collapse::categorical::mixing::displaced_diffusion;
/// // 2nα = 1.
/// assert!((displaced_diffusion(50, 0.01)? - 0.5).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`displaced`].
pub fn displaced_diffusion(n: usize, alpha: f64) -> Result<f64, Refusal> {
    displaced(n, alpha, Mix::PerSample)?;
    Ok(1.0 / (2.0 * n as f64 * alpha + 1.0))
}

const SIZE: Input = input("n", "samples per generation", "15");
const FIXED: &str = "n ≥ 1, 0 < alpha ≤ 1, alpha n real samples";
const OWN: &str = "derived here; settings of arXiv 2307.01850, 2310.00429, 2502.18865";

/// The entries of N8.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "N8",
        name: "share of the heterozygosity kept, fresh real data, exactly alpha n",
        formula: "H*/H0 stratified",
        kind: Kind::Exact,
        source: OWN,
        domain: FIXED,
        digits: Digits::Elementary,
        inputs: &[SIZE, ALPHA],
        value: |x| kept(x.count("n")?, x.number("alpha")?, Mix::Stratified),
    },
    Entry {
        id: "N8",
        name: "share of the heterozygosity kept, each sample real with probability alpha",
        formula: "H*/H0 per-sample",
        kind: Kind::Exact,
        source: OWN,
        domain: "n ≥ 1, 0 < alpha ≤ 1",
        digits: Digits::Elementary,
        inputs: &[SIZE, ALPHA],
        value: |x| kept(x.count("n")?, x.number("alpha")?, Mix::PerSample),
    },
    Entry {
        id: "N8",
        name: "share of the real set's heterozygosity kept, the same real samples always",
        formula: "H*/H_r fixed real set",
        kind: Kind::Exact,
        source: OWN,
        domain: FIXED,
        digits: Digits::Elementary,
        inputs: &[SIZE, ALPHA],
        value: |x| kept(x.count("n")?, x.number("alpha")?, Mix::FixedSet),
    },
    Entry {
        id: "N8",
        name: "squared displacement from the truth, the same real samples always",
        formula: "D*/H_0 fixed real set=1/n_r+D_f(1-1/n_r)",
        kind: Kind::Exact,
        source: OWN,
        domain: "alpha n ≥ 1",
        digits: Digits::Elementary,
        inputs: &[SIZE, ALPHA],
        value: |x| displaced_from_truth(x.count("n")?, x.number("alpha")?),
    },
    Entry {
        id: "N8",
        name: "stationary squared displacement of the law, exactly alpha n fresh real samples",
        formula: "E|p-p_0|^2* stratified=H_0 D*",
        kind: Kind::Exact,
        source: OWN,
        domain: FIXED,
        digits: Digits::Elementary,
        inputs: &[LAW, SIZE, ALPHA],
        value: |x| {
            let law = x.law("p")?;
            check_law("p", law)?;
            Ok(heterozygosity(law) * displaced(x.count("n")?, x.number("alpha")?, Mix::Stratified)?)
        },
    },
    Entry {
        id: "N8",
        name: "squared displacement after t generations, each sample real with probability alpha",
        formula: "D_t/H_0 per-sample=D*(1-((1-alpha)^2(1-1/n))^t)",
        kind: Kind::Exact,
        source: OWN,
        domain: "n ≥ 1, 0 < alpha ≤ 1",
        digits: Digits::Elementary,
        inputs: &[N, ALPHA, T],
        value: |x| displaced_by(x.count("n")?, x.number("alpha")?, x.count("t")?, Mix::PerSample),
    },
    Entry {
        id: "N8",
        name: "squared displacement after t generations, exactly alpha n fresh real samples",
        formula: "D_t/H_0 stratified=D*(1-((1-alpha)(1-alpha-1/n))^t)",
        kind: Kind::Exact,
        source: OWN,
        domain: FIXED,
        digits: Digits::Elementary,
        inputs: &[N, ALPHA, T],
        value: |x| displaced_by(x.count("n")?, x.number("alpha")?, x.count("t")?, Mix::Stratified),
    },
    Entry {
        id: "N8",
        name: "largest cost of synthetic data beside a fixed real set",
        formula: "D_f <= 1/(2 n_r+1)",
        kind: Kind::Bound,
        source: "derived here",
        domain: "n_r ≥ 1, any amount of synthetic data",
        digits: Digits::Elementary,
        inputs: &[input("n_r", "number of real samples in the fixed set", "3")],
        value: |x| fixed_set_bound(x.count("n_r")?),
    },
    Entry {
        id: "N8",
        name: "stationary displacement in the diffusion limit, Dirichlet(2 n alpha p_0)",
        formula: "D*/H_0 per-sample ~ 1/(2 n alpha+1)",
        kind: Kind::Asymptotic,
        source: "Wright 1931",
        domain: "n ≫ 1, alpha ≪ 1",
        digits: Digits::Elementary,
        inputs: &[SIZE, ALPHA],
        value: |x| displaced_diffusion(x.count("n")?, x.number("alpha")?),
    },
];
