//! What the kernels know of a loss: a code and its parameter.

/// A loss as the kernels evaluate it: which `(f, a, b)` per row.
///
/// The constructors carry the names of the losses; the kernels know no more of them than the table.
///
/// | kind | constructor | f | a | b |
/// |---|---|---|---|---|
/// | 0 | [`Code::ce`] | `nll` | 1 | 0 |
/// | 1 | [`Code::tce`] | `[p ≤ γ] nll`, 0 at `γ = 0` | `[p ≤ γ]` | 0 |
/// | 2 | [`Code::focal`] | `q^γ nll` | `q^γ + γ p q^(γ−1) nll` | 0 |
/// | 3 | [`Code::focal_detached`] | `q^γ nll` | `q^γ` | 0 |
/// | 4 | [`Code::linear`] | `(1−γ+γq) nll` | `1−γ+γq` | 0 |
/// | 5 | [`Code::drop_low`] | `[p ≥ q₀] nll` | `[p ≥ q₀]` | 0 |
/// | 6 | [`Code::masked`] | `m nll` | `m` | 0 |
/// | 7 | [`Code::smoothed`] | `(1−ε) nll + ε uniform` | `1−ε` | `ε` |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Code {
    /// Which row of the table.
    pub kind: i32,
    /// The parameter, rounded to single precision, as thresholds are compared.
    pub parameter: f32,
    /// What rounding took from it, for the exponents.
    pub second: f32,
}

impl Code {
    /// Cross entropy.
    pub fn ce() -> Self {
        Self::of(0, 0.0)
    }
    /// Truncated cross entropy: keep `p ≤ gamma`.
    pub fn tce(gamma: f64) -> Self {
        Self::of(1, gamma)
    }
    /// Focal loss with its full gradient.
    pub fn focal(gamma: f64) -> Self {
        Self::of(2, gamma)
    }
    /// Focal loss with the factor detached.
    pub fn focal_detached(gamma: f64) -> Self {
        Self::of(3, gamma)
    }
    /// The detached weight `1 − gamma·p`.
    pub fn linear(gamma: f64) -> Self {
        Self::of(4, gamma)
    }
    /// Keep `p ≥ q`.
    pub fn drop_low(q: f64) -> Self {
        Self::of(5, q)
    }
    /// Keep the rows whose mask is set.
    pub fn masked() -> Self {
        Self::of(6, 0.0)
    }
    /// `(1 − epsilon)·CE + epsilon·(CE against the uniform law)`.
    pub fn smoothed(epsilon: f64) -> Self {
        Self::of(7, epsilon)
    }

    fn of(kind: i32, value: f64) -> Self {
        let parameter = value as f32;
        Self { kind, parameter, second: (value - f64::from(parameter)) as f32 }
    }
}
