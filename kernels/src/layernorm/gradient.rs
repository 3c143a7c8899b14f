//! The gradient, `layernorm_backward.cu`.

use super::layout::{Layout, blocks, steps, threads_of_a_row};
use super::{THREADS, shape};
use crate::pieces::whole;
use crate::sources::Source;
use crate::{Device, Launch, Result, Rung, Storage, View, ViewMut, column_sum};

/// Adds to `dresidual [n, c]`, `dweight [c]`, `dbias [c]`. With `x̂ = (residual − mean)·rstd` and
/// `e = dout ∘ weight`: `dresidual += rstd·(e − mean(e) − x̂·mean(e ∘ x̂))`,
/// `dweight += Σ_rows dout ∘ x̂`, `dbias += Σ_rows dout`.
///
/// The branch of the residual sum has the same gradient as the residual itself. Sums in `f32`: over
/// channels as in [`super::forward`], over rows in blocks of neighbouring rows (see [`scratch`]) and then as
/// [`column_sum::accumulate`] adds its chunks.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
#[allow(clippy::too_many_arguments)] // outputs, saved, inputs and parameters of one operator
pub fn backward<A: Storage>(
    device: &Device,
    dresidual: ViewMut<A>,
    dweight: ViewMut<f32>,
    dbias: ViewMut<f32>,
    mean: View<f32>,
    rstd: View<f32>,
    dout: View<A>,
    residual: View<A>,
    weight: View<A>,
    scratch: ViewMut<f32>,
) -> Result<()> {
    backward_with(
        Rung::Fast,
        device,
        dresidual,
        dweight,
        dbias,
        mean,
        rstd,
        dout,
        residual,
        weight,
        scratch,
    )
}

/// As [`backward`], with the kernels of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
#[allow(clippy::too_many_arguments)] // the rung, and what the operator has
pub fn backward_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut dresidual: ViewMut<A>,
    mut dweight: ViewMut<f32>,
    mut dbias: ViewMut<f32>,
    mean: View<f32>,
    rstd: View<f32>,
    dout: View<A>,
    residual: View<A>,
    weight: View<A>,
    scratch: ViewMut<f32>,
) -> Result<()> {
    let (n, c) = shape(mean.len(), rstd.len(), weight.len());
    assert_eq!(dresidual.len(), n * c, "layernorm::backward: dresidual must be [n, c]");
    assert_eq!(dweight.len(), c, "layernorm::backward: dweight must be [c]");
    assert_eq!(dbias.len(), c, "layernorm::backward: dbias must be [c]");
    assert_eq!(dout.len(), n * c, "layernorm::backward: dout must be [n, c]");
    assert_eq!(residual.len(), n * c, "layernorm::backward: residual must be [n, c]");
    assert!(scratch.len() >= self::scratch(n, c), "layernorm::backward: scratch is too short");
    let kernel = |name| Launch::of::<A>(device, Source::LayernormBackward, name);
    let at = [dresidual.address_on(device), dout.address_on(device)];
    let at_inputs = [residual.address_on(device), weight.address_on(device)];
    let at_scratch = [scratch.address_on(device), 0];
    let layout = Layout::of(c).filter(|_| whole::<A>(c, &[at, at_inputs, at_scratch].concat()));
    let (blocks, steps) = (blocks(n, c), steps(n, c));
    let mut parts = scratch.into_slice(0..2 * blocks * c);
    match (rung, layout) {
        (Rung::Naive, _) => {
            // SAFETY: rows, channels and scratch have the checked lengths.
            unsafe {
                kernel("layernorm_backward_naive")
                    .grid(n.div_ceil(THREADS), 1, 1)
                    .block(THREADS as u32)
                    .write(&mut dresidual)
                    .read(mean)
                    .read(rstd)
                    .read(dout)
                    .read(residual)
                    .read(weight)
                    .size(n)
                    .size(c)
                    .run()
            }?;
            // SAFETY: rows, channels and scratch have the checked lengths.
            return unsafe {
                kernel("layernorm_backward_columns_naive")
                    .grid(c.div_ceil(THREADS), 1, 1)
                    .block(THREADS as u32)
                    .write(&mut dweight)
                    .write(&mut dbias)
                    .read(mean)
                    .read(rstd)
                    .read(dout)
                    .read(residual)
                    .size(n)
                    .size(c)
                    .run()
            };
        }
        // SAFETY: rows, channels and scratch have the checked lengths.
        (Rung::Fast, Some(layout)) => unsafe {
            kernel(layout.backward)
                .grid(blocks, 1, 1)
                .block(layout.backward_threads() as u32)
                .write(&mut dresidual)
                .write(&mut parts)
                .read(mean)
                .read(rstd)
                .read(dout)
                .read(residual)
                .read(weight)
                .size(n)
                .size(c)
                .size(layout.team)
                .size(steps)
                .run()
        }?,
        (Rung::Fast, None) => {
            // SAFETY: rows, channels and scratch have the checked lengths.
            unsafe {
                kernel("layernorm_backward")
                    .grid(n, 1, 1)
                    .block(threads_of_a_row(c) as u32)
                    .write(&mut dresidual)
                    .read(mean)
                    .read(rstd)
                    .read(dout)
                    .read(residual)
                    .read(weight)
                    .size(c)
                    .run()
            }?;
            // SAFETY: rows, channels and scratch have the checked lengths.
            unsafe {
                kernel("layernorm_backward_columns")
                    .grid(blocks, c.div_ceil(THREADS), 1)
                    .block(THREADS as u32)
                    .write(&mut parts)
                    .read(mean)
                    .read(rstd)
                    .read(dout)
                    .read(residual)
                    .size(n)
                    .size(c)
                    .size(n.div_ceil(blocks.max(1)))
                    .run()
            }?;
        }
    }
    column_sum::finish(device, &mut dweight, Some(&mut dbias), parts.view())
}

/// How many `f32` [`backward`] wants as scratch.
pub fn scratch(n: usize, c: usize) -> usize {
    2 * blocks(n, c) * c
}
