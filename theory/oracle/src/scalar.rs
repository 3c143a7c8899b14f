//! What the formulas are generic over.

use num_dual::{Dual, Dual64, DualNum};
use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A real number, or a real number with a derivative.
pub trait Scalar:
    Copy
    + Debug
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The constant nearest to `value`.
    fn from_f64(value: f64) -> Self;
    /// The value without its derivative, for comparisons.
    fn value(self) -> f64;
    /// The same value as a constant: its derivative is dropped.
    fn detach(self) -> Self;
    /// The number as a tensor holds it between two operators, where that is narrower than the
    /// arithmetic.
    fn stored(self) -> Self {
        self
    }
    /// `e^self`.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// `ln(1 + self)`.
    fn ln_1p(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// `self^exponent` for a real exponent.
    fn powf(self, exponent: f64) -> Self;
    /// `self^exponent` for an integer exponent.
    fn powi(self, exponent: i32) -> Self;

    /// Zero.
    fn zero() -> Self {
        Self::from_f64(0.0)
    }
    /// One.
    fn one() -> Self {
        Self::from_f64(1.0)
    }
    /// The sum from left to right.
    fn sum(items: impl IntoIterator<Item = Self>) -> Self {
        items.into_iter().fold(Self::zero(), |sum, item| sum + item)
    }
    /// `Σ_i a_i b_i` from left to right.
    ///
    /// # Panics
    /// If the lengths differ.
    fn dot(a: &[Self], b: &[Self]) -> Self {
        assert_eq!(a.len(), b.len(), "Scalar::dot: lengths of the two vectors");
        Self::sum(a.iter().zip(b).map(|(&a, &b)| a * b))
    }
}

impl Scalar for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
    fn value(self) -> f64 {
        self
    }
    fn detach(self) -> Self {
        self
    }
    fn exp(self) -> Self {
        self.exp()
    }
    fn ln(self) -> Self {
        self.ln()
    }
    fn ln_1p(self) -> Self {
        self.ln_1p()
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn tanh(self) -> Self {
        self.tanh()
    }
    fn powf(self, exponent: f64) -> Self {
        self.powf(exponent)
    }
    fn powi(self, exponent: i32) -> Self {
        self.powi(exponent)
    }
}

impl Scalar for f32 {
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    fn value(self) -> f64 {
        f64::from(self)
    }
    fn detach(self) -> Self {
        self
    }
    fn exp(self) -> Self {
        self.exp()
    }
    fn ln(self) -> Self {
        self.ln()
    }
    fn ln_1p(self) -> Self {
        self.ln_1p()
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn tanh(self) -> Self {
        self.tanh()
    }
    fn powf(self, exponent: f64) -> Self {
        self.powf(exponent as f32)
    }
    fn powi(self, exponent: i32) -> Self {
        self.powi(exponent)
    }
}

/// `f(a + b·ε) = f(a) + f'(a)·b·ε`. Nesting gives second derivatives.
///
/// Departures from `num-dual`: tanh' is `4e/(1+e)²` with `e = exp(−2|x|)`, which neither overflows
/// nor cancels, and powers use one `powf` per order.
impl<T: Scalar + DualNum> Scalar for Dual<T> {
    fn from_f64(value: f64) -> Self {
        Self::new(constant::<T>(value), constant::<T>(0.0))
    }
    fn value(self) -> f64 {
        self.re.value()
    }
    fn detach(self) -> Self {
        Self::new(self.re.detach(), constant::<T>(0.0))
    }
    fn exp(self) -> Self {
        DualNum::exp(&self)
    }
    fn ln(self) -> Self {
        DualNum::ln(&self)
    }
    fn ln_1p(self) -> Self {
        DualNum::ln_1p(&self)
    }
    fn sqrt(self) -> Self {
        DualNum::sqrt(&self)
    }
    fn tanh(self) -> Self {
        let magnitude = if self.re.value() < 0.0 { -self.re } else { self.re };
        let e = Scalar::exp(constant::<T>(-2.0) * magnitude);
        let one_plus = constant::<T>(1.0) + e;
        let slope = constant::<T>(4.0) * e / (one_plus * one_plus);
        Self::new(Scalar::tanh(self.re), slope * self.eps)
    }
    fn powf(self, exponent: f64) -> Self {
        let slope = constant::<T>(exponent) * Scalar::powf(self.re, exponent - 1.0);
        Self::new(Scalar::powf(self.re, exponent), slope * self.eps)
    }
    fn powi(self, exponent: i32) -> Self {
        let slope = constant::<T>(f64::from(exponent)) * Scalar::powi(self.re, exponent - 1);
        Self::new(Scalar::powi(self.re, exponent), slope * self.eps)
    }
}

/// `T::from_f64` under a name that no other trait of a dual number has.
fn constant<T: Scalar>(value: f64) -> T {
    T::from_f64(value)
}

/// `values` as constants of any scalar type.
pub fn constants<S: Scalar>(values: &[f64]) -> Vec<S> {
    values.iter().map(|&value| S::from_f64(value)).collect()
}

/// `values` as dual numbers that move along `direction`.
///
/// # Panics
/// If the lengths differ.
pub fn directional(values: &[f64], direction: &[f64]) -> Vec<Dual64> {
    assert_eq!(values.len(), direction.len(), "directional: lengths of point and direction");
    values.iter().zip(direction).map(|(&re, &eps)| Dual64::new(re, eps)).collect()
}

/// The derivative parts `J u` of an output.
pub fn tangents(output: &[Dual64]) -> Vec<f64> {
    output.iter().map(|dual| dual.eps).collect()
}

#[cfg(test)]
mod tests {
    use super::Scalar;
    use crate::Dual64;
    use num_dual::Dual;

    #[test]
    fn every_elementary_derivative_agrees_with_algebra() {
        let x = Dual64::new(0.7, 1.0);
        // (f(x)', formula) from the table of elementary derivatives.
        for (dual, truth) in [
            (Scalar::exp(x), 0.7f64.exp()),
            (Scalar::ln(x), 1.0 / 0.7),
            (Scalar::ln_1p(x), 1.0 / 1.7),
            (Scalar::sqrt(x), 0.5 / 0.7f64.sqrt()),
            (Scalar::tanh(x), 1.0 / 0.7f64.cosh().powi(2)),
            (Scalar::powf(x, 2.5), 2.5 * 0.7f64.powf(1.5)),
            (Scalar::powi(x, -3), -3.0 * 0.7f64.powi(-4)),
        ] {
            assert!((dual.eps - truth).abs() <= 4e-16 * truth.abs(), "{dual:?} against {truth}");
        }
        assert_eq!(x.detach().eps, 0.0);
        assert_eq!(x.detach().re, 0.7);
    }

    #[test]
    fn tanh_has_a_slope_where_it_saturates() {
        // 1/cosh²(x) = 4e^{−2|x|} up to e^{−1200} relative.
        let far = Scalar::tanh(Dual64::new(-300.0, 1.0));
        let truth = 4.0 * (-600f64).exp();
        assert!(far.re == -1.0 && (far.eps - truth).abs() <= 1e-15 * truth, "{far:?}");
    }

    #[test]
    fn nested_duals_give_second_derivatives() {
        // d²/dx² x³ = 6x.
        let one = Dual64::new(1.0, 0.0);
        let x = Dual::new(Dual64::new(2.0, 1.0), one);
        assert_eq!(Scalar::powi(x, 3).eps.eps, 12.0);
    }
}
