//! Launchers of `layernorm.cu` and `layernorm_backward.cu`: residual sum and layer norm over the
//! channels, `out = (residual − mean)·rstd·weight + bias` with `rstd = 1/√(variance + 1e-5)`.

mod gradient;
mod layout;

pub use gradient::{backward, backward_with, scratch};

use crate::pieces::{rows_of_a_block, whole};
use crate::sources::Source;
use crate::{Device, Launch, Result, Rung, Storage, View, ViewMut};
use layout::Layout;

const THREADS: usize = 256;

/// `out [n, c] ← layernorm(residual [n, c])`; saves `mean [n]` and `rstd [n]`.
///
/// Source: Ba, Kiros, Hinton 2016, arXiv 1607.06450, equations 3 and 4, with the biased variance about
/// the mean. Sums in `f32`, strands of channels and then a tree; the order follows from `c`, the
/// precision and whether rows lie on boundaries of 16 bytes.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
pub fn forward<A: Storage>(
    device: &Device,
    out: ViewMut<A>,
    mean: ViewMut<f32>,
    rstd: ViewMut<f32>,
    residual: View<A>,
    weight: View<A>,
    bias: View<A>,
) -> Result<()> {
    forward_with(Rung::Fast, device, out, None, mean, rstd, residual, None, weight, bias)
}

/// `residual ← x + branch`, then as [`forward`] of the sum as it is stored; all `[n, c]`.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
#[allow(clippy::too_many_arguments)] // outputs, saved, inputs and parameters of one operator
pub fn residual_forward<A: Storage>(
    device: &Device,
    out: ViewMut<A>,
    residual: ViewMut<A>,
    mean: ViewMut<f32>,
    rstd: ViewMut<f32>,
    x: View<A>,
    branch: View<A>,
    weight: View<A>,
    bias: View<A>,
) -> Result<()> {
    let (residual, branch) = (Some(residual), Some(branch));
    forward_with(Rung::Fast, device, out, residual, mean, rstd, x, branch, weight, bias)
}

/// As [`forward`], or as [`residual_forward`] with both `residual` and `branch`, with the kernel of
/// one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit, or only one of `residual` and `branch` is given.
#[allow(clippy::too_many_arguments)] // the rung, and what the operator has
pub fn forward_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut out: ViewMut<A>,
    mut residual: Option<ViewMut<A>>,
    mut mean: ViewMut<f32>,
    mut rstd: ViewMut<f32>,
    x: View<A>,
    branch: Option<View<A>>,
    weight: View<A>,
    bias: View<A>,
) -> Result<()> {
    let (n, c) = shape(mean.len(), rstd.len(), weight.len());
    assert_eq!(out.len(), n * c, "layernorm: out must be [n, c]");
    assert_eq!(x.len(), n * c, "layernorm: the input must be [n, c]");
    assert_eq!(bias.len(), c, "layernorm: bias must be [c]");
    assert_eq!(residual.is_some(), branch.is_some(), "layernorm: residual goes with branch");
    let fits = branch.is_none_or(|branch| branch.len() == n * c)
        && residual.as_ref().is_none_or(|residual| residual.len() == n * c);
    assert!(fits, "layernorm: residual and branch must be [n, c]");
    let at = [out.address_on(device), x.address_on(device)];
    let at_affine = [weight.address_on(device), bias.address_on(device)];
    let at_sum = [
        residual.as_ref().map_or(0, |residual| residual.address_on(device)),
        branch.map_or(0, |branch| branch.address_on(device)),
    ];
    let layout = Layout::of(c).filter(|_| whole::<A>(c, &[at, at_affine, at_sum].concat()));
    let (kernel, blocks, threads) = match (rung, layout) {
        (Rung::Naive, _) => ("layernorm_forward_naive", n.div_ceil(THREADS), THREADS),
        (Rung::Fast, Some(it)) => (it.forward, n.div_ceil(it.forward_rows()), it.forward_threads()),
        (Rung::Fast, None) => ("layernorm_forward", n, layout::threads_of_a_row(c)),
    };
    let launch = Launch::of::<A>(device, Source::Layernorm, kernel)
        .grid(blocks, 1, 1)
        .block(threads as u32)
        .write(&mut out)
        .write_or_null(residual.as_mut())
        .write(&mut mean)
        .write(&mut rstd)
        .read(x)
        .read_or_null(branch)
        .read(weight)
        .read(bias)
        .size(n)
        .size(c);
    match (rung, layout) {
        // SAFETY: rows and channels have the checked lengths, below which the kernel stays.
        (Rung::Fast, Some(layout)) => unsafe { launch.size(layout.team).run() },
        // SAFETY: rows and channels have the checked lengths, below which the kernel stays.
        _ => unsafe { launch.run() },
    }
}

/// `out [n, c] ← layernorm(residual)` again from the saved `mean` and `rstd`, bit for bit as
/// [`forward`] and [`residual_forward`] wrote it.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
pub fn apply<A: Storage>(
    device: &Device,
    out: ViewMut<A>,
    mean: View<f32>,
    rstd: View<f32>,
    residual: View<A>,
    weight: View<A>,
    bias: View<A>,
) -> Result<()> {
    apply_with(Rung::Fast, device, out, mean, rstd, residual, weight, bias)
}

/// As [`apply`], with the kernel of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
#[allow(clippy::too_many_arguments)] // the rung, and what the operator has
pub fn apply_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut out: ViewMut<A>,
    mean: View<f32>,
    rstd: View<f32>,
    residual: View<A>,
    weight: View<A>,
    bias: View<A>,
) -> Result<()> {
    let (n, c) = shape(mean.len(), rstd.len(), weight.len());
    assert_eq!(out.len(), n * c, "layernorm::apply: out must be [n, c]");
    assert_eq!(residual.len(), n * c, "layernorm::apply: residual must be [n, c]");
    assert_eq!(bias.len(), c, "layernorm::apply: bias must be [c]");
    let rows = rows_of_a_block::<A>(c);
    let (kernel, blocks) = match rung {
        Rung::Naive => ("layernorm_apply_naive", (n * c).div_ceil(THREADS)),
        Rung::Fast => ("layernorm_apply", n.div_ceil(rows)),
    };
    let launch = Launch::of::<A>(device, Source::Layernorm, kernel)
        .grid(blocks, 1, 1)
        .block(THREADS as u32)
        .write(&mut out)
        .read(mean)
        .read(rstd)
        .read(residual)
        .read(weight)
        .read(bias)
        .size(n)
        .size(c);
    match rung {
        // SAFETY: rows and channels have the checked lengths, below which the kernel stays.
        Rung::Naive => unsafe { launch.run() },
        // SAFETY: rows and channels have the checked lengths, below which the kernel stays.
        Rung::Fast => unsafe { launch.size(rows).run() },
    }
}

/// `(n, c)`.
fn shape(mean: usize, rstd: usize, c: usize) -> (usize, usize) {
    assert!(c > 0, "layernorm: at least one channel");
    assert_eq!(mean, rstd, "layernorm: mean and rstd differ in length");
    (mean, c)
}
