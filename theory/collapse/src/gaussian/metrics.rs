//! M4: distances between Gaussians.

use super::distance::kl;
use super::inputs::{entry, finite, input};
use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Input};
use crate::refusal::{Refusal, require};
use nalgebra::{DMatrix, SymmetricEigen};
use statrs::function::erf::{erf, erfc};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Two Gaussians `P = N(m, s₂²)` and `Q = N(0, s₁²)`; distances depend on the means by their
/// difference alone.
///
/// *Domain:* finite `m`, positive finite `s₁`, `s₂`. *Guard of all distances:*
/// `gaussian-metrics`, by numerical integration of the definitions.
///
/// ```
/// use fortifai_collapse::gaussian::Pair;
/// let pair = Pair::new(0.0, 1.0, 1.0).expect("positive");
/// assert_eq!((pair.kl(), pair.hellinger_squared(), pair.total_variation()), (0.0, 0.0, 0.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    m: f64,
    s1: f64,
    s2: f64,
}

impl Pair {
    /// The pair of `N(m, s₂²)` and `N(0, s₁²)`.
    ///
    /// # Errors
    /// Outside the domain.
    pub fn new(m: f64, s1: f64, s2: f64) -> Result<Self, Refusal> {
        require(m.is_finite(), "m", m, "a finite number")?;
        require(s1 > 0.0 && s1.is_finite(), "s1", s1, "a positive finite number")?;
        require(s2 > 0.0 && s2.is_finite(), "s2", s2, "a positive finite number")?;
        Ok(Self { m, s1, s2 })
    }

    /// `KL(P‖Q) = ln(s₁/s₂) + (s₂² + m²)/(2s₁²) − ½`, formed without cancellation.
    pub fn kl(&self) -> f64 {
        kl(self.m, self.s1, self.s2)
    }

    /// The squared Hellinger distance `1 − √(2s₁s₂/(s₁² + s₂²)) exp(−m²/(4(s₁² + s₂²)))`.
    ///
    /// *Derivation.* `1 − ∫√(pq)`, a Gaussian integral.
    pub fn hellinger_squared(&self) -> f64 {
        let norm = self.s1.hypot(self.s2);
        let (gap, shift) = ((self.s1 - self.s2) / norm, self.m / norm);
        // 2s₁s₂/(s₁² + s₂²) = 1 − gap².
        let ln_overlap = if gap * gap < 0.5 {
            (-gap * gap).ln_1p()
        } else {
            (2.0 * (self.s1 / norm) * (self.s2 / norm)).ln()
        };
        -(0.5 * ln_overlap - 0.25 * shift * shift).exp_m1()
    }

    /// The total variation `½ ∫|p − q|`: with equal standard deviations `s` it is
    /// `2Φ(|m|/(2s)) − 1`, else `|P(I) − Q(I)|` for the interval `I` between the two roots of
    /// `ln p = ln q`; with equal means these are `±x*`, `x*² = 2 ln(s₁/s₂)/(1/s₂² − 1/s₁²)`.
    ///
    /// Where the difference would cancel, `p − q` is integrated over `I`.
    pub fn total_variation(&self) -> f64 {
        if self.s1 == self.s2 {
            return erf(self.m.abs() / self.s1 * (0.5 * FRAC_1_SQRT_2));
        }
        // In units of the larger deviation, with the narrow law N(a, r²) against N(0, 1).
        let (wide, narrow) = (self.s1.max(self.s2), self.s1.min(self.s2));
        let (a, r) = (self.m.abs() / wide, narrow / wide);
        // Beyond these the overlap is below 1e-140.
        if a > 60.0 || r < 1e-145 {
            return 1.0;
        }
        let (left, right) = crossings(a, r, wide, narrow);
        let direct = normal_between((left - a) / r, (right - a) / r) - normal_between(left, right);
        if direct > 1e-3 {
            return direct.min(1.0);
        }
        integral_between(a, r, left, right)
    }

    /// `W₁ = E|m + (s₂ − s₁)Z|`: with equal means `|s₁ − s₂|√(2/π)`.
    ///
    /// *Derivation.* The quantile functions differ by `m + (s₂ − s₁)z` at `Φ(z)`.
    pub fn w1(&self) -> f64 {
        let (m, s) = (self.m.abs(), (self.s1 - self.s2).abs());
        if s == 0.0 {
            return m;
        }
        let z = m / s;
        s * (2.0 / PI).sqrt() * (-0.5 * z * z).exp() + m * erf(z * FRAC_1_SQRT_2)
    }

    /// `W₂² = m² + (s₁ − s₂)²`.
    pub fn w2_squared(&self) -> f64 {
        self.m * self.m + (self.s1 - self.s2) * (self.s1 - self.s2)
    }
}

/// The roots of `ln p = ln q` for `p = N(a, r²)` and `q = N(0, 1)` with `r < 1`, where
/// `r = narrow/wide`: `(1 − r²)x² − 2ax + a² + 2r² ln r = 0`.
fn crossings(a: f64, r: f64, wide: f64, narrow: f64) -> (f64, f64) {
    let gap = (wide - narrow) / wide;
    let ln_r = if gap < 0.5 { (-gap).ln_1p() } else { r.ln() };
    let lead = gap * (1.0 + r);
    let last = a * a + 2.0 * r * r * ln_r;
    // a² − lead·last = r²(a² − 2 lead ln r).
    let root = r * (a * a - 2.0 * lead * ln_r).sqrt();
    if a == 0.0 {
        return (-root / lead, root / lead);
    }
    let right = (a + root) / lead;
    (last / (a + root), right)
}

/// `P(u < Z < v)` without cancellation in the tails.
fn normal_between(u: f64, v: f64) -> f64 {
    let upper = |x: f64| 0.5 * erfc(x * FRAC_1_SQRT_2);
    match (u > 0.0, v < 0.0) {
        (true, _) => upper(u) - upper(v),
        (_, true) => upper(-v) - upper(-u),
        _ => 0.5 * (erf(v * FRAC_1_SQRT_2) - erf(u * FRAC_1_SQRT_2)),
    }
}

/// `∫ (p − q)` between the roots, of which `p − q = p·(1 − q/p)` is positive, by Gauss and
/// Legendre's rule with 5 points on panels of width `r/8`, out to `40r` from the mean of `p`.
fn integral_between(a: f64, r: f64, left: f64, right: f64) -> f64 {
    let (from, to) = (((left - a) / r).max(-40.0), ((right - a) / r).min(40.0));
    let panels = ((to - from) * 8.0).ceil().max(1.0);
    let width = (to - from) / panels;
    let density = |z: f64| {
        let x = a + r * z;
        // ln q − ln p with z the standard variable of p; x − z = a − (1 − r)z.
        let ln_ratio = r.ln() + 0.5 * (z - x) * (z + x);
        -(-0.5 * z * z).exp() / (2.0 * PI).sqrt() * ln_ratio.exp_m1()
    };
    // Nodes √(5 ∓ 2√(10/7))/3 and weights (322 ± 13√70)/900, 128/225.
    let nodes = [0.0, 0.538_469_310_105_683_1, 0.906_179_845_938_664];
    let weights = [0.568_888_888_888_888_9, 0.478_628_670_499_366_5, 0.236_926_885_056_189_08];
    let mut sum = 0.0;
    for panel in 0..panels as usize {
        let middle = from + width * (panel as f64 + 0.5);
        for (node, weight) in nodes.into_iter().zip(weights) {
            let offset = 0.5 * width * node;
            let twice = if node == 0.0 { 1.0 } else { 2.0 };
            let pair = 0.5 * (density(middle - offset) + density(middle + offset));
            sum += weight * twice * pair;
        }
    }
    (0.5 * width * sum).max(0.0)
}

/// The differential entropy `½ ln(2πe s²)` of `N(m, s²)`.
///
/// *Domain:* `s > 0`. *Guard:* `gaussian-metrics`.
///
/// ```
/// let entropy = fortifai_collapse::gaussian::entropy(1.0).expect("positive");
/// assert!((entropy - 1.418_938_533_204_672_7).abs() < 1e-15);
/// ```
///
/// # Errors
/// If `s` is not a positive finite number.
pub fn entropy(s: f64) -> Result<f64, Refusal> {
    require(s > 0.0 && s.is_finite(), "s", s, "a positive finite number")?;
    Ok(s.ln() + 0.5 * (1.0 + (2.0 * PI).ln()))
}

/// The squared Wasserstein distance `tr A + tr B − 2 tr (A^½ B A^½)^½` of two centred Gaussians with
/// covariances `A` and `B` (Bures); with means add the square of their difference.
///
/// *Derivation.* It is `min_U |A^½ − B^½ U|²` over orthogonal `U`, which is computed without
/// cancellation from the polar factor of `B^½ A^½`. *Domain:* symmetric positive semidefinite
/// matrices of one size up to 200. *Guard:* `gaussian-metrics`.
///
/// ```
/// use fortifai_collapse::gaussian::bures_squared;
/// use nalgebra::DMatrix;
/// let (a, b) = (DMatrix::identity(2, 2), DMatrix::identity(2, 2) * 4.0);
/// assert!((bures_squared(&a, &b).expect("covariances") - 2.0).abs() < 1e-14);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn bures_squared(a: &DMatrix<f64>, b: &DMatrix<f64>) -> Result<f64, Refusal> {
    let (root_a, root_b) = (square_root(a, "A")?, square_root(b, "B")?);
    require(a.nrows() == b.nrows(), "the size of B", b.nrows(), "that of A")?;
    let svd = (&root_b * &root_a).svd(true, true);
    let (Some(u), Some(v)) = (svd.u, svd.v_t) else {
        return Err(Refusal::new("The singular values of B^½ A^½ do not converge."));
    };
    Ok((root_a - root_b * (u * v)).norm_squared())
}

/// The symmetric square root.
fn square_root(matrix: &DMatrix<f64>, name: &str) -> Result<DMatrix<f64>, Refusal> {
    let d = matrix.nrows();
    require((1..=200).contains(&d), &format!("the size of {name}"), d, "1 to 200")?;
    let scale = matrix.amax();
    let asymmetry =
        if matrix.is_square() { (matrix - matrix.transpose()).amax() } else { f64::NAN };
    let symmetric = asymmetry <= 1e-12 * scale;
    require(symmetric, &format!("the asymmetry of {name}"), asymmetry, "a symmetric matrix")?;
    let SymmetricEigen { eigenvectors, eigenvalues } = matrix.clone().symmetric_eigen();
    let least = eigenvalues.min();
    let positive = least >= -1e-12 * scale;
    require(positive, &format!("the least eigenvalue of {name}"), least, "none negative")?;
    let roots = eigenvalues.map(|value| value.max(0.0).sqrt());
    Ok(&eigenvectors * DMatrix::from_diagonal(&roots) * eigenvectors.transpose())
}

const M: Input = input("m", "difference of the means", "0.7");
const S1: Input = input("s1", "standard deviation of N(0,s1)", "1");
const S2: Input = input("s2", "standard deviation of N(m,s2)", "0.4");
const S: Input = input("s", "standard deviation", "0.4");
const A: Input = input("A", "covariance, row by row", "[2, 0.5, 0.5, 1]");
const B: Input = input("B", "covariance, row by row", "[1, 0, 0, 3]");

/// The pair of the inputs; `m` is 0 where the formula is for equal means.
fn pair(inputs: &Inputs) -> Result<Pair, Refusal> {
    let m = if inputs.get("m").is_some() { inputs.number("m")? } else { 0.0 };
    Pair::new(m, inputs.number("s1")?, inputs.number("s2")?)
}

/// The pair of the inputs, with a difference of the means.
fn shifted(inputs: &Inputs) -> Result<Pair, Refusal> {
    inputs.number("m")?;
    pair(inputs)
}

/// A square matrix from its rows.
fn matrix(inputs: &Inputs, name: &str) -> Result<DMatrix<f64>, Refusal> {
    let entries = inputs.list(name)?;
    let d = (entries.len() as f64).sqrt().round() as usize;
    let size = format!("the number of entries of {name}");
    require(d * d == entries.len(), &size, entries.len(), "a square")?;
    Ok(DMatrix::from_row_slice(d, d, entries))
}

/// An entry of this section.
const fn metric(
    formula: &'static str,
    name: &'static str,
    inputs: &'static [Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    Entry {
        source: "textbook algebra",
        domain: "positive standard deviations",
        ..entry("M4", formula, name, inputs, value)
    }
}

/// The entries of this section.
pub const ENTRIES: &[Entry] = &[
    metric("KL(N(m,s2)||N(0,s1))", "divergence of two Gaussians", &[M, S1, S2], |i| {
        finite(shifted(i)?.kl())
    }),
    metric("Hellinger^2", "squared Hellinger distance", &[M, S1, S2], |i| {
        Ok(shifted(i)?.hellinger_squared())
    }),
    Entry {
        digits: Digits::Special,
        ..metric("TV equal means", "total variation, equal means", &[S1, S2], |i| {
            Ok(pair(i)?.total_variation())
        })
    },
    Entry {
        digits: Digits::Special,
        ..metric("TV general", "total variation", &[M, S1, S2], |i| {
            Ok(shifted(i)?.total_variation())
        })
    },
    Entry {
        digits: Digits::Special,
        ..metric("TV equal sd 2Phi(|m|/2s)-1", "total variation, equal deviations", &[M, S], |i| {
            let s = i.number("s")?;
            Ok(Pair::new(i.number("m")?, s, s)?.total_variation())
        })
    },
    metric("W1 equal means", "Wasserstein distance of order 1, equal means", &[S1, S2], |i| {
        Ok(pair(i)?.w1())
    }),
    Entry {
        digits: Digits::Special,
        ..metric("W1 general E|m+(s2-s1)Z|", "Wasserstein distance of order 1", &[M, S1, S2], |i| {
            finite(shifted(i)?.w1())
        })
    },
    metric("W2^2", "squared Wasserstein distance", &[M, S1, S2], |i| {
        finite(shifted(i)?.w2_squared())
    }),
    Entry {
        digits: Digits::Special,
        domain: "symmetric, no negative eigenvalue, size up to 200",
        ..metric(
            "Bures tr A+tr B-2 sum sqrt eig(AB)",
            "squared Wasserstein distance of centred Gaussians",
            &[A, B],
            |i| finite(bures_squared(&matrix(i, "A")?, &matrix(i, "B")?)?),
        )
    },
    metric("entropy N(0,s^2)", "differential entropy in nats", &[S], |i| entropy(i.number("s")?)),
];
