//! Launchers of `sampling.cu`: the next token of each row of logits.
//!
//! A draw follows the CPU's order: temperature, top-k, top-p, then one uniform number per row.
//! What is equal to the CPU's choice for the same uniform number:
//! - the rules: ties with the k-th largest weight stay; the nucleus loses its lightest tokens, of
//!   equal ones the lower index first, while the mass lost is at most `(1 − p)·Σ w`; pieces lie in
//!   index order; a NaN, a plus infinity, or no finite logit gives no token;
//! - the token, unless a weight, a mass or the uniform number's place lies within rounding of a
//!   boundary. Weights are `expf`, correct to two units in the last place like the CPU's own `exp`,
//!   not the same bits. Masses are `⌊w·2^s⌋` with `V·2^s < 2^63` (`s` is 46 at GPT-2's vocabulary)
//!   where the CPU sums in `f64`: their sums here are exact.
//!
//! Which bits come out depends on nothing but the inputs.

use crate::sources::Source;
use crate::{Device, Launch, Result, Rung, View, ViewMut};

/// The answer for a row without a token: it has a NaN, a plus infinity, or no finite logit.
pub const NONE: u32 = u32::MAX;

/// How a token is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Logits are divided by it, positive.
    pub temperature: f32,
    /// Largest weights kept; 0 keeps all.
    pub top_k: usize,
    /// Mass of the nucleus, positive; 1 keeps all.
    pub top_p: f64,
}

/// The first of the largest logits of every row, or [`NONE`].
///
/// | argument | shape |
/// |---|---|
/// | `out` | `[rows]`, overwritten |
/// | `logits` | `[rows, v]` |
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
pub fn argmax(device: &Device, out: ViewMut<u32>, logits: View<f32>, v: usize) -> Result<()> {
    argmax_with(Rung::default(), device, out, logits, v)
}

/// As [`argmax`], with the kernel of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
pub fn argmax_with(
    rung: Rung,
    device: &Device,
    mut out: ViewMut<u32>,
    logits: View<f32>,
    v: usize,
) -> Result<()> {
    let rows = out.len();
    check(rows, logits.len(), v);
    let kernel = match rung {
        Rung::Naive => "sampling_argmax_naive",
        Rung::Fast => "sampling_argmax",
    };
    // SAFETY: every row has the checked length.
    unsafe {
        Launch::of::<f32>(device, Source::Sampling, kernel)
            .grid(rows, 1, 1)
            .block(threads(rung, v))
            .write(&mut out)
            .read(logits)
            .size(v)
            .run()
    }
}

/// A token of every row drawn with its uniform number, or [`NONE`].
///
/// With `w = exp((z − max z)/temperature)`, after top-k and top-p, the token is the first whose
/// cumulative mass in index order exceeds `uniform·Σ w`.
///
/// | argument | shape | meaning |
/// |---|---|---|
/// | `out` | `[rows]` | overwritten |
/// | `logits` | `[rows, v]` | |
/// | `uniforms` | `[rows]` | in `[0, 1)` |
/// | `draw` | | its `top_k` keeps all from `v` up, its `top_p` from 1 up |
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit, or if `temperature` or `top_p` is not positive.
pub fn draw(
    device: &Device,
    out: ViewMut<u32>,
    logits: View<f32>,
    uniforms: View<f64>,
    draw: Draw,
    v: usize,
) -> Result<()> {
    draw_with(Rung::default(), device, out, logits, uniforms, draw, v)
}

/// As [`draw`], with the kernel of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// As [`draw`].
pub fn draw_with(
    rung: Rung,
    device: &Device,
    mut out: ViewMut<u32>,
    logits: View<f32>,
    uniforms: View<f64>,
    draw: Draw,
    v: usize,
) -> Result<()> {
    let rows = out.len();
    check(rows, logits.len(), v);
    assert_eq!(uniforms.len(), rows, "sampling: one uniform number per row");
    let scale = 1.0 / draw.temperature;
    assert!(scale > 0.0 && scale.is_finite(), "sampling: temperature {}", draw.temperature);
    assert!(draw.top_p > 0.0, "sampling: top_p {}", draw.top_p);
    let kernel = match rung {
        Rung::Naive => "sampling_draw_naive",
        Rung::Fast => "sampling_draw",
    };
    // SAFETY: every row has the checked length.
    unsafe {
        Launch::of::<f32>(device, Source::Sampling, kernel)
            .grid(rows, 1, 1)
            .block(threads(rung, v))
            .write(&mut out)
            .read(logits)
            .read(uniforms)
            .value(scale)
            .value(fixed_point(v))
            .size(if draw.top_k < v { draw.top_k } else { 0 })
            .value(draw.top_p)
            .size(v)
            .run()
    }
}

fn check(rows: usize, logits: usize, v: usize) {
    assert!(v > 0, "sampling: at least one token");
    assert_eq!(logits, rows * v, "sampling: one row of logits per token");
}

/// `2^s`, the mass of a weight of one.
fn fixed_point(v: usize) -> f32 {
    let bits = v.next_power_of_two().trailing_zeros() as i32;
    2f32.powi(62 - bits)
}

fn threads(rung: Rung, v: usize) -> u32 {
    match rung {
        Rung::Naive => 32,
        Rung::Fast => v.div_ceil(4).next_multiple_of(32).min(512) as u32,
    }
}
