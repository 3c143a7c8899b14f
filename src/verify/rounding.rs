//! How far off a formula may be when every step of it rounds: numbers that carry the variance of
//! their error, numbers that round as a device does, and their derivatives along one input.
//!
//! A step whose exact result is `y` rounds it to one of the two numbers beside it, which errs by up
//! to half a unit in the last place, evenly over that range for all that is known beforehand: by
//! `ulp(y)/√12` in the mean square. Errors of different steps are taken as independent, and a step
//! `f(a, b)` hands on those of its arguments to first order: `Var = f_a² Var a + f_b² Var b +
//! ulp(y)²/12`.
//!
//! Sums are the exception, since nobody is bound to the textbook's order: `k` terms cost `k − 1`
//! roundings, in the worst order each of a partial sum as large as `Σ|terms|`, and that is what they
//! are charged. A derivative that is multiplied by a value stays the sum it was, of so much larger
//! terms, because a backward pass multiplies first what a forward one adds first.
//!
//! The deviation is that of the formula at its own point, so that what is badly conditioned there
//! (a row of almost equal numbers that is normalised, a sum that cancels) gets a large one, and what
//! is not gets a small one.

use super::budget::Stored;
use fortifai_oracle::Scalar;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A number in double precision with the variance that its error has if it is computed in `f32`
/// and, where it is stored between two steps, stored in bfloat16 (`HALF`) or in `f32`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uncertain<const HALF: bool> {
    /// The value.
    pub value: f64,
    /// The mean square of its error, without the roundings of the sum that it is.
    inherited: f64,
    /// Terms of that sum; one for anything else.
    terms: f64,
    /// `Σ|terms|`.
    size: f64,
}

/// `ulp(y)²/12` in `f32`; nothing is rounded to zero.
fn step(y: f64) -> f64 {
    if y == 0.0 {
        return 0.0;
    }
    let ulp = Stored::Single.ulp(y);
    ulp * ulp / 12.0
}

impl<const HALF: bool> Uncertain<HALF> {
    /// The mean square of its error.
    pub fn variance(self) -> f64 {
        match self.terms > 1.0 {
            true => self.inherited + (self.terms - 1.0) * step(self.size),
            false => self.inherited,
        }
    }

    /// A number with that variance.
    fn holds(value: f64, variance: f64) -> Self {
        Self { value, inherited: variance, terms: 1.0, size: value.abs() }
    }

    /// The result of a step that rounds, with the variance that it inherits.
    fn rounded(value: f64, inherited: f64) -> Self {
        Self::holds(value, inherited + step(value))
    }

    /// A function of one argument with that value and slope.
    fn of(self, value: f64, slope: f64) -> Self {
        let variance = self.variance();
        Self::rounded(value, if variance == 0.0 { 0.0 } else { slope * slope * variance })
    }

    /// A power of two, or zero: multiplying by it rounds nothing.
    fn shifts(self) -> bool {
        self.variance() == 0.0 && (self.value.to_bits() << 12 == 0)
    }
}

impl<const HALF: bool> Add for Uncertain<HALF> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let nothing = |x: Self| x.value == 0.0 && x.size == 0.0 && x.inherited == 0.0;
        match (nothing(self), nothing(other)) {
            (true, _) => other,
            (_, true) => self,
            _ => Self {
                value: self.value + other.value,
                inherited: self.inherited + other.inherited,
                terms: self.terms + other.terms,
                size: self.size + other.size,
            },
        }
    }
}

impl<const HALF: bool> Sub for Uncertain<HALF> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl<const HALF: bool> Neg for Uncertain<HALF> {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, ..self }
    }
}

impl<const HALF: bool> Mul for Uncertain<HALF> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let (a, b) = (self.variance(), other.variance());
        let inherited = self.value * self.value * b + other.value * other.value * a + a * b;
        match self.shifts() || other.shifts() {
            true => Self::holds(self.value * other.value, inherited),
            false => Self::rounded(self.value * other.value, inherited),
        }
    }
}

impl<const HALF: bool> Div for Uncertain<HALF> {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        let inherited =
            (self.variance() + value * value * other.variance()) / (other.value * other.value);
        match other.shifts() {
            true => Self::holds(value, inherited),
            false => Self::rounded(value, inherited),
        }
    }
}

/// A scalar whose derivatives know that they are linear.
pub trait Linear: Scalar {
    /// `self·factor` of a derivative and a value.
    fn times(self, factor: Self) -> Self {
        self * factor
    }
    /// `self/divisor` of a derivative and a value.
    fn over(self, divisor: Self) -> Self {
        self / divisor
    }
}

impl Linear for f32 {}
impl Linear for f64 {}
impl Linear for Halved {}

impl<const HALF: bool> Linear for Uncertain<HALF> {
    fn times(self, factor: Self) -> Self {
        let (value, by) = (self.value * factor.value, factor.value.abs());
        let rounding = if self.shifts() || factor.shifts() { 0.0 } else { step(value) };
        let inherited = by * by * self.inherited
            + (self.value * self.value + self.variance()) * factor.variance()
            + rounding;
        Self { value, inherited, terms: self.terms, size: by * self.size }
    }
    fn over(self, divisor: Self) -> Self {
        let (value, by) = (self.value / divisor.value, divisor.value.abs());
        let rounding = if divisor.shifts() { 0.0 } else { step(value) };
        let inherited =
            (self.inherited + value * value * divisor.variance()) / (by * by) + rounding;
        Self { value, inherited, terms: self.terms, size: self.size / by }
    }
}

impl<const HALF: bool> Scalar for Uncertain<HALF> {
    fn from_f64(value: f64) -> Self {
        let error = value - f64::from(value as f32);
        Self::holds(value, error * error)
    }
    fn value(self) -> f64 {
        self.value
    }
    fn detach(self) -> Self {
        self
    }
    fn stored(self) -> Self {
        if !HALF {
            return self;
        }
        let ulp = Stored::Bf16.ulp(self.value);
        Self::holds(self.value, self.variance() + ulp * ulp / 12.0)
    }
    fn exp(self) -> Self {
        self.of(self.value.exp(), self.value.exp())
    }
    fn ln(self) -> Self {
        self.of(self.value.ln(), 1.0 / self.value)
    }
    fn ln_1p(self) -> Self {
        self.of(self.value.ln_1p(), 1.0 / (1.0 + self.value))
    }
    fn sqrt(self) -> Self {
        self.of(self.value.sqrt(), 0.5 / self.value.sqrt())
    }
    fn tanh(self) -> Self {
        let tanh = self.value.tanh();
        self.of(tanh, 1.0 - tanh * tanh)
    }
    fn powf(self, exponent: f64) -> Self {
        self.of(self.value.powf(exponent), exponent * self.value.powf(exponent - 1.0))
    }
    fn powi(self, exponent: i32) -> Self {
        let slope = f64::from(exponent) * self.value.powi(exponent - 1);
        self.of(self.value.powi(exponent), slope)
    }
}

/// A number in `f32` that is rounded to bfloat16 where it is stored between two steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Halved(pub f32);

impl Add for Halved {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Halved {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul for Halved {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
}

impl Div for Halved {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        Self(self.0 / other.0)
    }
}

impl Neg for Halved {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Scalar for Halved {
    fn from_f64(value: f64) -> Self {
        Self(value as f32)
    }
    fn value(self) -> f64 {
        f64::from(self.0)
    }
    fn detach(self) -> Self {
        self
    }
    fn stored(self) -> Self {
        Self(half::bf16::from_f32(self.0).to_f32())
    }
    fn exp(self) -> Self {
        Self(self.0.exp())
    }
    fn ln(self) -> Self {
        Self(self.0.ln())
    }
    fn ln_1p(self) -> Self {
        Self(self.0.ln_1p())
    }
    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }
    fn tanh(self) -> Self {
        Self(self.0.tanh())
    }
    fn powf(self, exponent: f64) -> Self {
        Self(self.0.powf(exponent as f32))
    }
    fn powi(self, exponent: i32) -> Self {
        Self(self.0.powi(exponent))
    }
}

/// A number and its derivative along one input, over any scalar: the rules of differentiation are
/// those of the oracle's dual numbers, every step of them a step of the scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Along<S> {
    /// The value.
    pub value: S,
    /// Its derivative.
    pub slope: S,
}

impl<S: Linear> Along<S> {
    /// A number that does not move.
    pub fn constant(value: S) -> Self {
        Self { value, slope: S::zero() }
    }

    fn chain(self, value: S, derivative: S) -> Self {
        Self { value, slope: self.slope.times(derivative) }
    }
}

impl<S: Linear> Add for Along<S> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, slope: self.slope + other.slope }
    }
}

impl<S: Linear> Sub for Along<S> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { value: self.value - other.value, slope: self.slope - other.slope }
    }
}

impl<S: Linear> Mul for Along<S> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let slope = self.slope.times(other.value) + other.slope.times(self.value);
        Self { value: self.value * other.value, slope }
    }
}

impl<S: Linear> Div for Along<S> {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        Self { value, slope: (self.slope - other.slope.times(value)).over(other.value) }
    }
}

impl<S: Linear> Neg for Along<S> {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, slope: -self.slope }
    }
}

impl<S: Linear> Scalar for Along<S> {
    fn from_f64(value: f64) -> Self {
        Self::constant(S::from_f64(value))
    }
    fn value(self) -> f64 {
        self.value.value()
    }
    fn detach(self) -> Self {
        Self::constant(self.value.detach())
    }
    fn stored(self) -> Self {
        Self { value: self.value.stored(), ..self }
    }
    fn exp(self) -> Self {
        let value = self.value.exp();
        self.chain(value, value)
    }
    fn ln(self) -> Self {
        self.chain(self.value.ln(), S::one() / self.value)
    }
    fn ln_1p(self) -> Self {
        self.chain(self.value.ln_1p(), S::one() / (S::one() + self.value))
    }
    fn sqrt(self) -> Self {
        let value = self.value.sqrt();
        self.chain(value, S::from_f64(0.5) / value)
    }
    /// `tanh' = 4e/(1 + e)²` with `e = exp(−2|x|)`, which does not cancel.
    fn tanh(self) -> Self {
        let size = if self.value() < 0.0 { -self.value } else { self.value };
        let e = (S::from_f64(-2.0) * size).exp();
        let one_plus = S::one() + e;
        self.chain(self.value.tanh(), S::from_f64(4.0) * e / (one_plus * one_plus))
    }
    fn powf(self, exponent: f64) -> Self {
        let derivative = S::from_f64(exponent) * self.value.powf(exponent - 1.0);
        self.chain(self.value.powf(exponent), derivative)
    }
    fn powi(self, exponent: i32) -> Self {
        let derivative = S::from_f64(f64::from(exponent)) * self.value.powi(exponent - 1);
        self.chain(self.value.powi(exponent), derivative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fortifai_oracle::{Dual64, constants, gelu, layernorm, linear};
    use fortifai_stream::Stream;

    fn normals(stream: &mut Stream, len: usize) -> Vec<f64> {
        (0..len).map(|_| f64::from(stream.normal() as f32)).collect()
    }

    /// The root of the mean square of `(f32 − truth)/σ` over many points.
    fn in_deviations(
        len: usize,
        single: impl Fn(&[f32]) -> Vec<f32>,
        truth: impl Fn(&[Uncertain<false>]) -> Vec<Uncertain<false>>,
    ) -> f64 {
        let (mut squares, mut count) = (0.0, 0.0);
        for item in 0..400 {
            let point = normals(&mut Stream::new(1, "rounding", 0, item), len);
            for (got, truth) in single(&constants(&point)).iter().zip(truth(&constants(&point))) {
                let z = (f64::from(*got) - truth.value) / truth.variance().sqrt();
                squares += z * z;
                count += 1.0;
            }
        }
        f64::sqrt(squares / count)
    }

    #[test]
    fn deviations_are_those_of_f32() {
        // Products alone have no order: their deviation is exact. Sums are charged the worst order.
        let product = in_deviations(2, |x| vec![x[0] * x[1]], |x| vec![x[0] * x[1]]);
        assert!((product - 1.0).abs() < 0.1, "{product}");
        let one = |x: &[f32]| linear::transposed(&x[..9], &x[9..]);
        let sum = in_deviations(18, one, |x| linear::transposed(&x[..9], &x[9..]));
        assert!((0.25..=1.0).contains(&sum), "{sum}");
        let row = |x: &[f32]| layernorm::forward(&x[..7], &x[7..14], &x[14..]);
        let row = in_deviations(21, row, |x| layernorm::forward(&x[..7], &x[7..14], &x[14..]));
        assert!((0.25..=1.1).contains(&row), "{row}");
        let bend = in_deviations(5, gelu::forward, gelu::forward);
        assert!((0.25..=1.1).contains(&bend), "{bend}");
    }

    #[test]
    fn what_is_badly_conditioned_has_a_large_deviation() {
        // Two numbers whose difference is the 2⁻¹⁰th part of them, against two that are far apart.
        let deviation = |x: [f64; 2]| {
            let one = constants::<Uncertain<false>>(&[1.0, 1.0]);
            let zero = constants(&[0.0, 0.0]);
            layernorm::forward(&constants(&x), &one, &zero)[0].variance().sqrt()
        };
        let (near, far) = (deviation([3.0, 3.0 + 3.0 / 1024.0]), deviation([3.0, -3.0]));
        assert!(near > 100.0 * far, "{near:e} and {far:e}");
    }

    #[test]
    fn nothing_is_charged_for_what_is_exact() {
        let x: Uncertain<false> = Scalar::from_f64(0.75);
        assert_eq!((x + Scalar::zero()).variance(), 0.0);
        assert_eq!((x * Scalar::from_f64(0.25)).variance(), 0.0);
        assert_eq!((x / Scalar::from_f64(4.0)).variance(), 0.0);
        assert!((x * x).variance() > 0.0 && (x + x).variance() > 0.0);
        // A tenth is not in f32: its error is known.
        let tenth: Uncertain<false> = Scalar::from_f64(0.1);
        assert_eq!(tenth.variance().sqrt(), f64::from(0.1f32) - 0.1);
    }

    #[test]
    fn storing_rounds_in_bf16_alone() {
        let third = Halved(1.0 / 3.0);
        assert_eq!(third.stored().0, half::bf16::from_f32(third.0).to_f32());
        let (half, single): (Uncertain<true>, Uncertain<false>) =
            (Scalar::from_f64(1.0), Scalar::from_f64(1.0));
        assert_eq!(single.stored(), single);
        // The numbers around one are 2⁻⁷ apart.
        assert_eq!(half.stored().variance(), 2f64.powi(-14) / 12.0);
    }

    fn rational<S: Scalar>(x: S) -> S {
        x * x / (x + S::one()) - x
    }

    #[test]
    fn derivatives_are_those_of_dual_numbers() {
        type Pair = (fn(Dual64) -> Dual64, fn(Along<f64>) -> Along<f64>);
        let functions: [Pair; 8] = [
            (rational, rational),
            (|x| -Scalar::exp(x), |x| -x.exp()),
            (Scalar::ln, Scalar::ln),
            (Scalar::ln_1p, Scalar::ln_1p),
            (Scalar::sqrt, Scalar::sqrt),
            (Scalar::tanh, Scalar::tanh),
            (|x| Scalar::powf(x, 2.5), |x| x.powf(2.5)),
            (|x| Scalar::powi(x, -3), |x| x.powi(-3)),
        ];
        for (index, (dual, along)) in functions.into_iter().enumerate() {
            for x in [0.3, 0.7, 2.5] {
                let truth = dual(Dual64::new(x, 1.0));
                let ours = along(Along { value: x, slope: 1.0 });
                assert!((ours.value - truth.re).abs() <= 1e-15 * truth.re.abs(), "{index} at {x}");
                let error = (ours.slope - truth.eps).abs();
                assert!(error <= 1e-15 * truth.eps.abs().max(1.0), "{index} at {x}: {ours:?}");
            }
        }
        let x = Along { value: 2.0, slope: 1.0 };
        assert_eq!((x.detach().slope, x.stored()), (0.0, x));
    }
}
