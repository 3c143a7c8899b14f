//! Launchers of `adamw.cu`: the optimiser's step on `f32` master parameters.

use crate::sources::Source;
use crate::{Device, Launch, Result, Rung, View, ViewMut};
use half::bf16;

const THREADS: usize = 256;

/// The scalars of one step, derived in `f64` and then rounded. `η` is the learning rate, `λ` the
/// decoupled decay, `k` the step's number from 1.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// `1 − ηλ`.
    pub shrink: f32,
    /// `η/(1 − β₁ᵏ)`.
    pub rate: f32,
    /// `1/√(1 − β₂ᵏ)`.
    pub root_correct2: f32,
    /// `β₁`.
    pub beta1: f32,
    /// `β₂`.
    pub beta2: f32,
    /// `1 − β₁`.
    pub one_minus1: f32,
    /// `1 − β₂`.
    pub one_minus2: f32,
    /// `ε`.
    pub epsilon: f32,
    /// Every gradient is multiplied by this first.
    pub gradient_scale: f32,
}

/// One step, of any length: `g ← g·scale`, `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`,
/// `p ← p(1 − ηλ) − η/(1 − β₁ᵏ)·m/(√v/√(1 − β₂ᵏ) + ε)`, and `narrow ← p` rounded to nearest even.
///
/// Source: Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If the lengths differ.
pub fn step(
    device: &Device,
    params: ViewMut<f32>,
    narrow: Option<ViewMut<bf16>>,
    m: ViewMut<f32>,
    v: ViewMut<f32>,
    g: View<f32>,
    step: Step,
) -> Result<()> {
    step_with(Rung::Fast, device, params, narrow, m, v, g, step)
}

/// As [`step()`], with the kernel of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If the lengths differ.
#[allow(clippy::too_many_arguments)] // the rung, and what the operator has
pub fn step_with(
    rung: Rung,
    device: &Device,
    mut params: ViewMut<f32>,
    mut narrow: Option<ViewMut<bf16>>,
    mut m: ViewMut<f32>,
    mut v: ViewMut<f32>,
    g: View<f32>,
    step: Step,
) -> Result<()> {
    let len = params.len();
    let fits = narrow.as_ref().is_none_or(|narrow| narrow.len() == len);
    assert!(fits, "adamw::step: params and narrow differ in length");
    assert_eq!(m.len(), len, "adamw::step: params and m differ in length");
    assert_eq!(v.len(), len, "adamw::step: params and v differ in length");
    assert_eq!(g.len(), len, "adamw::step: params and g differ in length");
    let (kernel, each) = match rung {
        Rung::Naive => ("adamw_step_naive", 1),
        Rung::Fast => ("adamw_step", 4),
    };
    // SAFETY: all have the checked length, below which the kernel stays.
    unsafe {
        Launch::of::<f32>(device, Source::Adamw, kernel)
            .grid(len.div_ceil(THREADS * each), 1, 1)
            .block(THREADS as u32)
            .write(&mut params)
            .write_or_null(narrow.as_mut())
            .write(&mut m)
            .write(&mut v)
            .read(g)
            .value(step.shrink)
            .value(step.rate)
            .value(step.root_correct2)
            .value(step.beta1)
            .value(step.beta2)
            .value(step.one_minus1)
            .value(step.one_minus2)
            .value(step.epsilon)
            .value(step.gradient_scale)
            .value(len as u64)
            .run()
    }
}

/// `narrow ← params`, rounded to nearest even.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If the lengths differ.
pub fn narrow(device: &Device, narrow: ViewMut<bf16>, params: View<f32>) -> Result<()> {
    narrow_with(Rung::Fast, device, narrow, params)
}

/// As [`narrow()`], with the kernel of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If the lengths differ.
pub fn narrow_with(
    rung: Rung,
    device: &Device,
    mut narrow: ViewMut<bf16>,
    params: View<f32>,
) -> Result<()> {
    assert_eq!(narrow.len(), params.len(), "adamw::narrow: the two differ in length");
    let (kernel, each) = match rung {
        Rung::Naive => ("adamw_narrow_naive", 1),
        Rung::Fast => ("adamw_narrow", 8),
    };
    // SAFETY: all have the checked length, below which the kernel stays.
    unsafe {
        Launch::of::<f32>(device, Source::Adamw, kernel)
            .grid(params.len().div_ceil(THREADS * each), 1, 1)
            .block(THREADS as u32)
            .write(&mut narrow)
            .read(params)
            .value(params.len() as u64)
            .run()
    }
}
