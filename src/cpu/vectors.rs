//! The machine's vectors, for the few loops whose sums must stay in registers.
//!
//! A loop that the compiler vectorises keeps its sums in memory; where that costs more than the
//! arithmetic, a [`Job`] is written in terms of [`Vectors`] and run by [`Real::with_simd`] with the
//! widest instructions there are. Every lane is a chain of its own, so the width changes no bits.

use super::Real;
use pulp::{Arch, Simd, WithSimd};

/// Numbers in the vectors of the instruction set `S`.
pub trait Vectors<S: Simd>: Real {
    /// A vector register.
    type Vector: Copy;
    /// Numbers in it.
    const LANES: usize;
    /// The value in every lane.
    fn splat(simd: S, value: Self) -> Self::Vector;
    /// `a + b`.
    fn plus(simd: S, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a·b + c`, rounded once.
    fn fused(simd: S, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The slice as vectors, without what is left over.
    fn vectors(slice: &[Self]) -> &[Self::Vector];
    /// The slice as vectors, without what is left over.
    fn vectors_mut(slice: &mut [Self]) -> &mut [Self::Vector];
}

/// Work to be done with the widest vectors.
pub trait Job<R> {
    /// What comes out.
    type Output;
    /// Does it.
    fn run<S: Simd>(self, simd: S) -> Self::Output
    where
        R: Vectors<S>;
}

impl<S: Simd> Vectors<S> for f32 {
    type Vector = S::f32s;
    const LANES: usize = S::F32_LANES;
    #[inline(always)]
    fn splat(simd: S, value: f32) -> S::f32s {
        simd.splat_f32s(value)
    }
    #[inline(always)]
    fn plus(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
        simd.add_f32s(a, b)
    }
    #[inline(always)]
    fn fused(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        simd.mul_add_f32s(a, b, c)
    }
    #[inline(always)]
    fn vectors(slice: &[f32]) -> &[S::f32s] {
        S::as_simd_f32s(slice).0
    }
    #[inline(always)]
    fn vectors_mut(slice: &mut [f32]) -> &mut [S::f32s] {
        S::as_mut_simd_f32s(slice).0
    }
}

impl<S: Simd> Vectors<S> for f64 {
    type Vector = S::f64s;
    const LANES: usize = S::F64_LANES;
    #[inline(always)]
    fn splat(simd: S, value: f64) -> S::f64s {
        simd.splat_f64s(value)
    }
    #[inline(always)]
    fn plus(simd: S, a: S::f64s, b: S::f64s) -> S::f64s {
        simd.add_f64s(a, b)
    }
    #[inline(always)]
    fn fused(simd: S, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
        simd.mul_add_f64s(a, b, c)
    }
    #[inline(always)]
    fn vectors(slice: &[f64]) -> &[S::f64s] {
        S::as_simd_f64s(slice).0
    }
    #[inline(always)]
    fn vectors_mut(slice: &mut [f64]) -> &mut [S::f64s] {
        S::as_mut_simd_f64s(slice).0
    }
}

/// [`Real::with_simd`] for `f32`.
pub(super) fn dispatch_f32<J: Job<f32>>(job: J) -> J::Output {
    Arch::new().dispatch(InF32(job))
}

/// [`Real::with_simd`] for `f64`.
pub(super) fn dispatch_f64<J: Job<f64>>(job: J) -> J::Output {
    Arch::new().dispatch(InF64(job))
}

struct InF32<J>(J);
struct InF64<J>(J);

impl<J: Job<f32>> WithSimd for InF32<J> {
    type Output = J::Output;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> J::Output {
        self.0.run(simd)
    }
}

impl<J: Job<f64>> WithSimd for InF64<J> {
    type Output = J::Output;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> J::Output {
        self.0.run(simd)
    }
}
