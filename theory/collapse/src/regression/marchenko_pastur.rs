//! What the resolvent `R = (X′X/T + λ)⁻¹` of isotropic inputs does to a vector, for `d/T → φ`.

use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Kind};
use crate::refusal::{Refusal, require};
use crate::regression::{PENALTY, RATIO};

/// The moments of Marchenko and Pastur's law of `G = X′X/T` that ridge regression needs.
///
/// With `s = √((1 − φ + λ)² + 4φλ)`, every moment is a ratio of positive terms:
///
/// | method | limit of | value |
/// |---|---|---|
/// | [`m`](Self::m) | `(1/d) tr R` | `2/(1 − φ + λ + s)` |
/// | [`q`](Self::q) | `(1/d) tr R²` | `m(1 + φm)/s` |
/// | [`kept`](Self::kept) | `(1/d) tr RG = 1 − λm` | `2/(1 + φ + λ + s)` |
/// | [`kept_square`](Self::kept_square) | `(1/d) tr (RG)² = 1 − 2λm + λ²q` | `kept·((1 − φ)² + 2λ(1 + φ))/(s(s + λ))` |
/// | [`leak`](Self::leak) | `(1/d) tr R²G = m − λq` | `kept/s` |
///
/// *Derivation.* `m` solves `φλm² + (1 − φ + λ)m = 1` (Marchenko, Pastur 1967) and `q = −dm/dλ`.
/// `kept = p` solves `1/p + φp = 1 + φ + λ`, whose root difference is `s = 1/p − φp`; the other rows
/// follow from `leak = −dp/dλ` and `s² − λ² = (1 − φ)² + 2λ(1 + φ)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resolvent {
    phi: f64,
    lambda: f64,
    root: f64,
}

impl Resolvent {
    /// The moments at the given ratio `φ = d/T` and ridge `λ`.
    ///
    /// ```
    /// let moments = fortifai_collapse::regression::Resolvent::new(0.5, 0.3)?;
    /// assert!((moments.m() - 1.045_176_241_886_681_3).abs() < 1e-15);
    /// # Ok::<(), fortifai_collapse::Refusal>(())
    /// ```
    ///
    /// # Errors
    /// Unless `φ > 0` and `λ > 0`, or `λ = 0` and `φ < 1` (both at most 1e12, and 1e-60 or more).
    pub fn new(phi: f64, lambda: f64) -> Result<Self, Refusal> {
        // Between these limits no moment overflows.
        require((1e-60..=1e12).contains(&phi), "phi", phi, "phi from 1e-60 to 1e12")?;
        let inside = lambda == 0.0 || (1e-60..=1e12).contains(&lambda);
        require(inside, "lambda", lambda, "lambda = 0 or 1e-60 to 1e12")?;
        require(lambda > 0.0 || phi < 1.0, "lambda", lambda, "lambda > 0 where phi ≥ 1")?;
        let b = 1.0 - phi + lambda;
        Ok(Self { phi, lambda, root: b.hypot(2.0 * (phi * lambda).sqrt()) })
    }

    /// `m`, the limit of `(1/d) tr R`. *Guard.* `regression-resolvent`.
    pub fn m(&self) -> f64 {
        let b = 1.0 - self.phi + self.lambda;
        if b >= 0.0 {
            return 2.0 / (b + self.root);
        }
        (self.root - b) / (2.0 * self.phi * self.lambda)
    }

    /// `q`, the limit of `(1/d) tr R²`. *Guard.* `regression-resolvent`.
    pub fn q(&self) -> f64 {
        let m = self.m();
        m * (1.0 + self.phi * m) / self.root
    }

    /// `1 − λm`, the factor by which ridge shrinks the signal.
    pub fn kept(&self) -> f64 {
        2.0 / (1.0 + self.phi + self.lambda + self.root)
    }

    /// `1 − 2λm + λ²q`, the factor by which ridge shrinks the squared signal.
    pub fn kept_square(&self) -> f64 {
        let (phi, lambda, s) = (self.phi, self.lambda, self.root);
        self.kept() * ((1.0 - phi).powi(2) + 2.0 * lambda * (1.0 + phi)) / (s * (s + lambda))
    }

    /// `m − λq`, what the label noise leaks into the weights, over `σ²φ`.
    pub fn leak(&self) -> f64 {
        self.kept() / self.root
    }

    /// `λ²q`, the share of the squared signal that one fit loses.
    pub fn lost_square(&self) -> f64 {
        self.lambda * self.lambda * self.q()
    }

    /// `φ`.
    pub fn phi(&self) -> f64 {
        self.phi
    }

    /// `λ`.
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    /// `s`.
    pub fn root(&self) -> f64 {
        self.root
    }

    /// The next term of `E (1/d) tr R` at finite `d`: `(1 + φ + λ − s)/(2 d s²)`.
    ///
    /// *Derivation.* The correction of order 1 to `E tr h(G)` for real Gaussian inputs is
    /// `(h(a) + h(b))/4 − (1/2π)∫ h(x)/√((b − x)(x − a)) dx` over the support `[a, b]`
    /// (Bai, Silverstein 2004); `h = 1/(x + λ)` gives `(a + b + 2λ)/(4s²) − 1/(2s)`, because
    /// `(a + λ)(b + λ) = s²`. The error that remains is of order `1/d²`.
    /// *Guard.* `regression-resolvent`.
    pub fn m_correction(&self, d: usize) -> f64 {
        // 1 + φ + λ − s = 4φ/(1 + φ + λ + s) = 2φ·kept.
        self.phi * self.kept() / (d as f64 * self.root * self.root)
    }

    /// The next term of `E (1/d) tr R²`, minus the derivative of [`m_correction`](Self::m_correction)
    /// with respect to `λ`: `φp(1/s³ + 2(1 + φ + λ)/s⁴)/d`, `p` = [`kept`](Self::kept).
    /// *Guard.* `regression-resolvent`.
    pub fn q_correction(&self, d: usize) -> f64 {
        let (phi, s) = (self.phi, self.root);
        let bracket = 1.0 / s.powi(3) + 2.0 * (1.0 + phi + self.lambda) / s.powi(4);
        phi * self.kept() * bracket / d as f64
    }
}

/// The closed forms of R3 that hold the resolvent's moments.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "R3",
        name: "trace of the ridge resolvent per dimension",
        formula: "MP m(lambda)",
        kind: Kind::Asymptotic,
        source: "Marchenko, Pastur 1967",
        domain: "phi > 0 and lambda > 0, or lambda = 0 and phi < 1; d, T → ∞ with d/T = phi",
        digits: Digits::Elementary,
        inputs: &[RATIO, PENALTY],
        value: |inputs| Ok(resolvent_of(inputs)?.m()),
    },
    Entry {
        id: "R3",
        name: "trace of the squared ridge resolvent per dimension",
        formula: "MP m2=(1/d)tr R^2",
        kind: Kind::Asymptotic,
        source: "Marchenko, Pastur 1967",
        domain: "phi > 0 and lambda > 0, or lambda = 0 and phi < 1; d, T → ∞ with d/T = phi",
        digits: Digits::Elementary,
        inputs: &[RATIO, PENALTY],
        value: |inputs| Ok(resolvent_of(inputs)?.q()),
    },
];

/// The resolvent of the inputs `phi` and `lambda`.
pub(super) fn resolvent_of(inputs: &Inputs) -> Result<Resolvent, Refusal> {
    Resolvent::new(inputs.number("phi")?, inputs.number("lambda")?)
}
