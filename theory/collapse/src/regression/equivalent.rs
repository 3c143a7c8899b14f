//! Ridge on synthetic labels with inputs of any covariance: R5, by deterministic equivalents.

use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::regression::ols::one_generation;
use crate::regression::ridge::IteratedLabels;
use crate::regression::{GENERATIONS, NOISE, PENALTY, ROWS, noise_of};

/// What ridge regression on `T` rows does to a problem with the eigenvalues `λ_i` of `Σ`.
///
/// *Derivation.* For `d, T → ∞`, `λR ≈ κ(Σ + κ)⁻¹` and
/// `λ²RΣR ≈ κ²Σ(Σ + κ)⁻²/(1 − g)`, where `κ` is the root of `λ = κ − (κ/T) tr Σ(Σ + κ)⁻¹`,
/// `df₂ = tr Σ²(Σ + κ)⁻²` and `g = df₂/T`; insert both into the error
/// `−λRw_0 + RG Δ + σRX′ε/T`, `Δ` of covariance `n σ_0² Σ⁻¹/(T_0 − d − 1)`.
///
/// *Domain.* Positive eigenvalues; `λ > 0`, or `λ = 0` and `d ≠ T`. *Source.* Derived here; another
/// form in Dohmatob, Feng, Kempe 2024, arXiv 2402.07712. *Guard.* `regression-equivalent`.
///
/// ```
/// use fortifai_collapse::regression::{Equivalent, Resolvent};
/// // Isotropic inputs: κ/(1 + κ) = λm.
/// let kappa = Equivalent::new(&[1.0; 60], 120, 0.3)?.kappa;
/// assert!((kappa / (1.0 + kappa) - 0.3 * Resolvent::new(0.5, 0.3)?.m()).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Equivalent {
    eigenvalues: Vec<f64>,
    /// The effective ridge `κ`.
    pub kappa: f64,
    /// The degrees of freedom `df₂`.
    pub df2: f64,
    /// `g = df₂/T`.
    pub g: f64,
}

impl Equivalent {
    /// Solves for `κ`. The right side is convex in `κ` and exceeds `λ` at `λ + tr Σ/T`, so Newton's
    /// method descends from there to the largest root.
    ///
    /// # Errors
    /// Outside the domain.
    pub fn new(eigenvalues: &[f64], rows: usize, penalty: f64) -> Result<Self, Refusal> {
        let (d, t) = (eigenvalues.len(), rows as f64);
        require(rows >= 1, "T", rows, "T ≥ 1")?;
        require(penalty >= 0.0 && penalty.is_finite(), "lambda", penalty, "lambda ≥ 0")?;
        require(penalty > 0.0 || d != rows, "lambda", penalty, "lambda > 0 where d = T")?;
        for &value in eigenvalues {
            let inside = (1e-100..=1e100).contains(&value);
            require(inside, "an eigenvalue of Sigma", value, "a number from 1e-100 to 1e100")?;
        }
        let mut kappa = penalty + eigenvalues.iter().sum::<f64>() / t;
        if penalty == 0.0 && d < rows {
            kappa = 0.0;
        } else {
            for _ in 0..500 {
                let (mut excess, mut slope) = (kappa - penalty, 1.0);
                for &value in eigenvalues {
                    let share = value / (value + kappa);
                    excess -= kappa * share / t;
                    slope -= share * share / t;
                }
                let next = kappa - excess / slope;
                if !(next < kappa && next > 0.0) {
                    break;
                }
                kappa = next;
            }
        }
        let df2 = eigenvalues.iter().map(|value| (value / (value + kappa)).powi(2)).sum::<f64>();
        Ok(Self { eigenvalues: eigenvalues.to_vec(), kappa, df2, g: df2 / t })
    }

    /// `κ² w_0′Σ(Σ + κ)⁻²w_0/(1 − g)` for the coefficients of `w_0` in the eigenbasis.
    ///
    /// # Errors
    /// If there are not as many coefficients as eigenvalues.
    pub fn bias(&self, truth: &[f64]) -> Result<f64, Refusal> {
        let d = format!("one coefficient for each of the {} eigenvalues", self.eigenvalues.len());
        require(truth.len() == self.eigenvalues.len(), "the length of w0", truth.len(), &d)?;
        let term =
            |(value, w): (&f64, &f64)| value * (self.kappa * w / (value + self.kappa)).powi(2);
        Ok(self.eigenvalues.iter().zip(truth).map(term).sum::<f64>() / (1.0 - self.g))
    }

    /// `σ² g/(1 − g)`.
    pub fn variance(&self, noise: f64) -> f64 {
        noise * noise * self.g / (1.0 - self.g)
    }

    /// `n σ_0²/(T_0 − d − 1) [df₂ + κ² tr (Σ + κ)⁻² g/(1 − g)]`.
    ///
    /// # Errors
    /// If `T_0 < d + 2`.
    pub fn fake(&self, labels: IteratedLabels) -> Result<f64, Refusal> {
        let d = self.eigenvalues.len();
        let one = one_generation(labels.rows, d, labels.noise)
            .map_err(|refusal| refusal.about("the generations of least squares (T0, sigma0)"))?;
        let lost: f64 =
            self.eigenvalues.iter().map(|value| (self.kappa / (value + self.kappa)).powi(2)).sum();
        let kept = self.df2 + lost * self.g / (1.0 - self.g);
        Ok(labels.generations as f64 * one / d as f64 * kept)
    }
}

const SPECTRUM: Input =
    Input { name: "Sigma", meaning: "eigenvalues of the covariance", example: "[4, 2, 1, 0.5]" };
const TRUTH: Input =
    Input { name: "w0", meaning: "true weights in the eigenbasis", example: "[1, -0.5, 0.3, 0.2]" };
const LABEL_ROWS: Input =
    Input { name: "T0", meaning: "rows of each generation of labels", example: "240" };
const LABEL_NOISE: Input =
    Input { name: "sigma0", meaning: "noise of the synthetic labels", example: "0.4" };
const DOMAIN: &str =
    "d, T → ∞; every eigenvalue positive; lambda > 0 (or 0 if d ≠ T); T0 ≥ d + 2 where T0 is asked";
const SOURCE: &str = "derived here; another form in Dohmatob et al. 2024, arXiv 2402.07712";

/// An entry of R5.
const fn entry(
    name: &'static str,
    formula: &'static str,
    inputs: &'static [Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    Entry {
        id: "R5",
        name,
        formula,
        kind: Kind::Asymptotic,
        source: SOURCE,
        domain: DOMAIN,
        digits: Digits::Special,
        inputs,
        value,
    }
}

/// The closed forms of R5.
pub const ENTRIES: &[Entry] = &[
    entry(
        "effective ridge of inputs with any covariance",
        "kappa: lambda = κ − (κ/T) tr Σ(Σ+κ)^-1",
        &[SPECTRUM, ROWS, PENALTY],
        |inputs| Ok(equivalent_of(inputs)?.kappa),
    ),
    entry(
        "degrees of freedom of ridge with any covariance",
        "df2 = tr Σ²(Σ+κ)^-2",
        &[SPECTRUM, ROWS, PENALTY],
        |inputs| Ok(equivalent_of(inputs)?.df2),
    ),
    entry(
        "bias of ridge with any covariance",
        "κ² w0'Σ(Σ+κ)^-2 w0/(1−g)",
        &[SPECTRUM, TRUTH, ROWS, PENALTY],
        |inputs| equivalent_of(inputs)?.bias(inputs.list("w0")?),
    ),
    entry(
        "variance of ridge with any covariance",
        "σ² g/(1−g), g = df2/T",
        &[SPECTRUM, ROWS, NOISE, PENALTY],
        |inputs| Ok(equivalent_of(inputs)?.variance(noise_of(inputs)?)),
    ),
    entry(
        "what n generations of least-squares labels add to the risk of ridge with any covariance",
        "n σ0²/(T0−d−1) [df2 + κ² tr(Σ+κ)^-2 g/(1−g)]",
        &[SPECTRUM, ROWS, LABEL_ROWS, GENERATIONS, LABEL_NOISE, PENALTY],
        |inputs| equivalent_of(inputs)?.fake(labels_of(inputs)?),
    ),
    entry(
        "risk of ridge with any covariance on labels of n generations of least squares",
        "bias + variance + fake",
        &[SPECTRUM, TRUTH, ROWS, LABEL_ROWS, GENERATIONS, NOISE, LABEL_NOISE, PENALTY],
        |inputs| {
            let equivalent = equivalent_of(inputs)?;
            let bias = equivalent.bias(inputs.list("w0")?)?;
            let fake = equivalent.fake(labels_of(inputs)?)?;
            Ok(bias + equivalent.variance(noise_of(inputs)?) + fake)
        },
    ),
];

fn equivalent_of(inputs: &Inputs) -> Result<Equivalent, Refusal> {
    Equivalent::new(inputs.list("Sigma")?, inputs.count("T")?, inputs.number("lambda")?)
}

fn labels_of(inputs: &Inputs) -> Result<IteratedLabels, Refusal> {
    Ok(IteratedLabels {
        rows: inputs.count("T0")?,
        generations: inputs.count("n")?,
        noise: inputs.number("sigma0")?,
    })
}
