//! Launchers of `norm.cu`: the squared norm of a gradient.

use crate::sources::Source;
use crate::{Device, Launch, Result, Rung, View, ViewMut};

/// Numbers that a block takes at a time.
const TILE: usize = 4096;
/// Parts at most. It has nothing to do with the device, so that every device adds in the same order.
const PARTS: usize = 1024;

/// `Σ g²` in `f64`, on the host. Waits for everything launched before.
///
/// Part `k` of up to 1024 takes every 1024th tile of 4096 numbers from tile `k` on, as 256 strands and
/// a tree; then the parts are added as 256 strands and a tree.
///
/// # Errors
/// If the device fails, now or in an earlier kernel.
///
/// # Panics
/// If the scratch is too short.
pub fn squared(device: &Device, g: View<f32>, scratch: ViewMut<f64>) -> Result<f64> {
    squared_with(Rung::Fast, device, g, scratch)
}

/// As [`squared`], with the kernel of one's choice.
///
/// # Errors
/// If the device fails, now or in an earlier kernel.
///
/// # Panics
/// If the scratch is too short.
pub fn squared_with(
    rung: Rung,
    device: &Device,
    g: View<f32>,
    mut scratch: ViewMut<f64>,
) -> Result<f64> {
    queue(rung, device, g, scratch.reborrow())?;
    Ok(scratch.view().slice(0..1).download(device)?[0])
}

/// As [`squared_with`], but the sum stays on the device, first in the scratch, and nothing waits.
pub(crate) fn queue(
    rung: Rung,
    device: &Device,
    g: View<f32>,
    scratch: ViewMut<f64>,
) -> Result<()> {
    let parts = parts(g.len());
    assert!(scratch.len() > parts, "norm::squared: scratch is too short");
    let (mut sum, rest) = scratch.split_at(1);
    match rung {
        // SAFETY: the kernel stays below the length of g, and there is a part for each block.
        Rung::Naive => unsafe {
            Launch::of::<f32>(device, Source::Norm, "norm_naive")
                .block(32)
                .write(&mut sum)
                .read(g)
                .value(g.len() as u64)
                .run()
        }?,
        Rung::Fast => {
            let mut rest = rest.into_slice(0..parts);
            // SAFETY: the kernel stays below the length of g, and there is a part for each block.
            unsafe {
                Launch::of::<f32>(device, Source::Norm, "norm_part")
                    .grid(parts, 1, 1)
                    .block(256)
                    .write(&mut rest)
                    .read(g)
                    .value(g.len() as u64)
                    .run()
            }?;
            // SAFETY: the kernel stays below the length of g, and there is a part for each block.
            unsafe {
                Launch::of::<f32>(device, Source::Norm, "norm_finish")
                    .block(256)
                    .write(&mut sum)
                    .read(rest.view())
                    .size(parts)
                    .run()
            }?;
        }
    }
    Ok(())
}

/// How many `f64` [`squared`] wants as scratch for `len` numbers.
pub fn scratch(len: usize) -> usize {
    1 + parts(len)
}

fn parts(len: usize) -> usize {
    len.div_ceil(TILE).clamp(1, PARTS)
}
