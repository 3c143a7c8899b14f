//! The floating-point types of the CPU tier and their vectorisable exponential.

use super::vectors::{Job, dispatch_f32, dispatch_f64};
use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// `f32` or `f64`: what the CPU operators are generic over.
///
/// `exp` is our own: the platform's library differs between machines and does not vectorise. It is
/// branch-free, so that a loop over it becomes SIMD code in the dispatched regions.
pub trait Real:
    Copy
    + Clone
    + Send
    + Sync
    + Debug
    + Display
    + Default
    + PartialEq
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
    + 'static
{
    /// The unit roundoff times two: the spacing of numbers just above one.
    const EPSILON: Self;
    /// Minus infinity.
    const NEG_INFINITY: Self;
    /// Not a number.
    const NAN: Self;

    /// The nearest value of this type.
    fn of(value: f64) -> Self;
    /// The value in `f64`, exactly.
    fn wide(self) -> f64;
    /// Zero.
    fn zero() -> Self;
    /// One.
    fn one() -> Self;
    /// `e^self`, at most 2 units in the last place off; zero where it would be subnormal.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// `ln(1 + self)`.
    fn ln_1p(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// The larger of two numbers.
    fn max(self, other: Self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// Whether the value is finite.
    fn is_finite(self) -> bool;
    /// `self·factor + term`, rounded once.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// Runs the job with the widest vectors that this machine has.
    fn with_simd<J: Job<Self>>(job: J) -> J::Output;
}

impl Real for f32 {
    const EPSILON: Self = f32::EPSILON;
    const NEG_INFINITY: Self = f32::NEG_INFINITY;
    const NAN: Self = f32::NAN;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self as f64
    }
    #[inline(always)]
    fn zero() -> Self {
        0.0
    }
    #[inline(always)]
    fn one() -> Self {
        1.0
    }
    #[inline(always)]
    fn exp(self) -> Self {
        // x = n ln 2 + r with |r| ≤ ln 2 / 2; Taylor to r^7 leaves 7e-9 relative.
        // Proved: `taylor_seven` in `theory/proofs/exponential.v`.
        // Proved: `exp_reduction` in `theory/proofs/exp_reduction.g`.
        // Proved: `exp_polynomial` in `theory/proofs/exp_polynomial.g`.
        // Proved: `scaling_is_exact` in `theory/proofs/scale.v`.
        const LOG2_E: f32 = std::f32::consts::LOG2_E;
        const LN_2_HIGH: f32 = 0.693_359_4; // 0x3f318000: 12 trailing zero bits, n·LN_2_HIGH is exact
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        const ROUND: f32 = 12_582_912.0; // 1.5·2^23
        const LARGEST: f32 = 88.722_83; // the last number whose exponential is finite
        let clamped = if self > -87.3 { self } else { -87.3 };
        let clamped = if clamped < LARGEST { clamped } else { LARGEST };
        let shifted = clamped * LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
        let mut sum = 1.0 / 5040.0;
        for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            sum = sum * r + coefficient;
        }
        // The low bits of `shifted` hold n; n = 128 is reached only in two steps.
        let bits = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
        let half = bits >> 1;
        let scale = |power: i32| f32::from_bits(((power + 127) as u32) << 23);
        let value = sum * scale(half) * scale(bits - half);
        let value = if self < -87.3 { 0.0 } else { value };
        let value = if self > LARGEST { f32::INFINITY } else { value };
        if self.is_nan() { self } else { value }
    }
    fn ln(self) -> Self {
        libm::logf(self)
    }
    fn ln_1p(self) -> Self {
        libm::log1pf(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.abs()
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        self.mul_add(factor, term)
    }
    fn with_simd<J: Job<Self>>(job: J) -> J::Output {
        dispatch_f32(job)
    }
}

impl Real for f64 {
    const EPSILON: Self = f64::EPSILON;
    const NEG_INFINITY: Self = f64::NEG_INFINITY;
    const NAN: Self = f64::NAN;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
    #[inline(always)]
    fn zero() -> Self {
        0.0
    }
    #[inline(always)]
    fn one() -> Self {
        1.0
    }
    #[inline(always)]
    fn exp(self) -> Self {
        // As for f32, with Taylor to r^13: 6e-18 relative is left.
        const LOG2_E: f64 = std::f64::consts::LOG2_E;
        const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1; // 0x3fe62e42fee00000
        const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
        const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5·2^52
        const LARGEST: f64 = 709.782_712_893_384;
        const COEFFICIENTS: [f64; 13] = [
            1.0 / 479_001_600.0,
            1.0 / 39_916_800.0,
            1.0 / 3_628_800.0,
            1.0 / 362_880.0,
            1.0 / 40_320.0,
            1.0 / 5_040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
            1.0,
            1.0,
        ];
        let clamped = if self > -708.3 { self } else { -708.3 };
        let clamped = if clamped < LARGEST { clamped } else { LARGEST };
        let shifted = clamped * LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
        let mut sum = 1.0 / 6_227_020_800.0;
        for coefficient in COEFFICIENTS {
            sum = sum * r + coefficient;
        }
        let bits = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i64;
        let half = bits >> 1;
        let scale = |power: i64| f64::from_bits(((power + 1023) as u64) << 52);
        let value = sum * scale(half) * scale(bits - half);
        let value = if self < -708.3 { 0.0 } else { value };
        let value = if self > LARGEST { f64::INFINITY } else { value };
        if self.is_nan() { self } else { value }
    }
    fn ln(self) -> Self {
        libm::log(self)
    }
    fn ln_1p(self) -> Self {
        libm::log1p(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.abs()
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        self.mul_add(factor, term)
    }
    fn with_simd<J: Job<Self>>(job: J) -> J::Output {
        dispatch_f64(job)
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut worst = (0.0f64, 0.0f64);
        for index in 0..200_001 {
            let x = -86.0 + index as f64 * (174.0 / 200_000.0);
            let single = x as f32;
            let truth = (single as f64).exp();
            worst.0 = worst.0.max(((Real::exp(single) as f64 - truth) / truth).abs());
            let y = x * 8.0;
            worst.1 = worst.1.max((Real::exp(y) - y.exp()).abs() / y.exp());
        }
        assert!(worst.0 <= 2.0 * f32::EPSILON as f64, "f32 {:e}", worst.0);
        assert!(worst.1 <= 2.0 * f64::EPSILON, "f64 {:e}", worst.1);
    }

    #[test]
    fn exp_keeps_its_digits_up_to_where_it_overflows() {
        // From 0.1 below ln(MAX), number by number near the end.
        for steps in (0..4_000).chain((4_000..14_000).step_by(10)) {
            let (x, y) =
                (88.722_83 - steps as f32 * 8e-6, 709.782_712_893_384 - steps as f64 * 8e-6);
            let (got, truth) = (Real::exp(x) as f64, (x as f64).exp());
            assert!((got - truth).abs() <= 2.0 * f32::EPSILON as f64 * truth, "{x}: {got:e}");
            let (got, truth) = (Real::exp(y), y.exp());
            assert!((got - truth).abs() <= 2.0 * f64::EPSILON * truth, "{y}: {got:e}");
        }
        assert_eq!(Real::exp(88.722_83f32.next_up()), f32::INFINITY);
        assert_eq!(Real::exp(709.782_712_893_384f64.next_up()), f64::INFINITY);
    }

    #[test]
    fn exp_is_zero_from_where_it_would_be_subnormal() {
        assert!(
            Real::exp(-87.3f32) >= f32::MIN_POSITIVE && Real::exp(-708.3f64) >= f64::MIN_POSITIVE
        );
        assert!((Real::exp(-87.3f32) / (-87.3f32).exp() - 1.0).abs() <= 4.0 * f32::EPSILON);
        assert!((Real::exp(-708.3f64) / (-708.3f64).exp() - 1.0).abs() <= 4.0 * f64::EPSILON);
        assert_eq!(Real::exp((-87.3f32).next_down()), 0.0);
        assert_eq!(Real::exp((-708.3f64).next_down()), 0.0);
    }

    #[test]
    fn the_small_functions_are_those_of_the_numbers() {
        fn check<R: Real>() {
            let of = |values: [f64; 4]| values.map(R::of);
            for ([x, y, z, ln], [ln_1p, root]) in [
                ([2.0, -3.0, 0.5, 2.0f64.ln()], [3.0f64.ln(), 2.0f64.sqrt()]),
                ([0.25, 7.0, -1.0, 0.25f64.ln()], [1.25f64.ln(), 0.5]),
            ] {
                let (numbers, close) = (of([x, y, z, 0.0]), 4.0 * R::EPSILON.wide());
                assert_eq!(numbers.map(R::wide), [x, y, z, 0.0]);
                assert_eq!(numbers[0].max(numbers[1]).wide(), f64::max(x, y));
                assert_eq!(numbers[1].max(numbers[0]).wide(), f64::max(x, y));
                assert_eq!(numbers[1].abs().wide(), y.abs());
                assert_eq!(numbers[0].mul_add(numbers[1], numbers[2]).wide(), x * y + z);
                assert!((numbers[0].ln().wide() - ln).abs() <= close);
                assert!((numbers[0].ln_1p().wide() - ln_1p).abs() <= close);
                assert!((numbers[0].sqrt().wide() - root).abs() <= close);
            }
            assert!(R::zero().is_finite() && R::one().is_finite());
            assert!(!R::NAN.is_finite() && !R::NEG_INFINITY.is_finite());
        }
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn exp_at_the_ends() {
        assert_eq!(Real::exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(Real::exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(Real::exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(Real::exp(f64::INFINITY), f64::INFINITY);
        assert_eq!(Real::exp(0.0f32), 1.0);
        assert_eq!(Real::exp(0.0f64), 1.0);
        assert!(Real::exp(f32::NAN).is_nan() && Real::exp(f64::NAN).is_nan());
    }
}
