//! Launchers of `gelu.cu`: GELU in the tanh form, `gelu(x) = ½x(1 + tanh u)` with
//! `u = √(2/π)(x + 0.044715 x³)`.

use crate::column_sum::{self, Chunks};
use crate::pieces::{whole, width};
use crate::sources::Source;
use crate::{Device, Launch, Result, Rung, Storage, View, ViewMut};

const THREADS: usize = 256;
/// Pieces of a thread.
const PIECES: usize = 2;

/// `activated_i ← gelu(pre_i)`.
///
/// Source: Hendrycks and Gimpel 2016, arXiv 1606.08415, section 2. Arithmetic in `f32`.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If the lengths differ.
pub fn forward<A: Storage>(device: &Device, activated: ViewMut<A>, pre: View<A>) -> Result<()> {
    forward_with(Rung::Fast, device, activated, pre)
}

/// As [`forward`], with the kernel of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If the lengths differ.
pub fn forward_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut activated: ViewMut<A>,
    pre: View<A>,
) -> Result<()> {
    assert_eq!(activated.len(), pre.len(), "gelu::forward: activated and pre differ in length");
    let kernel = match rung {
        Rung::Naive => "gelu_forward_naive",
        Rung::Fast => "gelu_forward",
    };
    // SAFETY: all have the checked length, below which the kernel stays.
    unsafe {
        Launch::of::<A>(device, Source::Gelu, kernel)
            .grid(blocks::<A>(rung, pre.len()), 1, 1)
            .block(THREADS as u32)
            .write(&mut activated)
            .read(pre)
            .value(pre.len() as u64)
            .run()
    }
}

/// `dpre_i ← dpre_i · gelu'(pre_i)`, where `dpre` brings the gradient of `activated`, and
/// `activated_i ← gelu(pre_i)` once more for the product that follows.
///
/// `gelu' = σ + x σ (1 − σ) · 2u'` with `σ = ½(1 + tanh u)`, `u' = √(2/π)(1 + 3·0.044715 x²)`.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If the lengths differ.
pub fn backward<A: Storage>(
    device: &Device,
    dpre: ViewMut<A>,
    activated: ViewMut<A>,
    pre: View<A>,
) -> Result<()> {
    backward_with(Rung::Fast, device, dpre, activated, pre)
}

/// As [`backward`], with the kernel of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If the lengths differ.
pub fn backward_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut dpre: ViewMut<A>,
    mut activated: ViewMut<A>,
    pre: View<A>,
) -> Result<()> {
    assert_eq!(dpre.len(), pre.len(), "gelu::backward: dpre and pre differ in length");
    assert_eq!(activated.len(), pre.len(), "gelu::backward: activated and pre differ in length");
    let kernel = match rung {
        Rung::Naive => "gelu_backward_naive",
        Rung::Fast => "gelu_backward",
    };
    // SAFETY: all have the checked length, below which the kernel stays.
    unsafe {
        Launch::of::<A>(device, Source::Gelu, kernel)
            .grid(blocks::<A>(rung, pre.len()), 1, 1)
            .block(THREADS as u32)
            .write(&mut dpre)
            .write(&mut activated)
            .read(pre)
            .value(pre.len() as u64)
            .run()
    }
}

/// As [`backward`], and `dbias [c] += Σ_rows dpre [n, c]`, the sums that [`column_sum::accumulate`] adds,
/// bit for bit: the gradient of a bias that `pre` was made with.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
pub fn backward_summed<A: Storage>(
    device: &Device,
    mut dpre: ViewMut<A>,
    mut activated: ViewMut<A>,
    mut dbias: ViewMut<f32>,
    pre: View<A>,
    scratch: ViewMut<f32>,
) -> Result<()> {
    let c = dbias.len();
    assert!(c > 0, "gelu::backward_summed: at least one column");
    assert_eq!(pre.len() % c, 0, "gelu::backward_summed: pre must hold whole rows of {c}");
    assert_eq!(dpre.len(), pre.len(), "gelu::backward_summed: dpre and pre differ in length");
    let out = activated.len();
    assert_eq!(out, pre.len(), "gelu::backward_summed: activated and pre differ in length");
    let n = pre.len() / c;
    let needed = column_sum::scratch(n, c);
    assert!(scratch.len() >= needed, "gelu::backward_summed: scratch is too short");
    let at = [dpre.address_on(device), activated.address_on(device), pre.address_on(device)];
    let (kernel, width) = match whole::<A>(c, &at) {
        true => ("gelu_backward_summed", width::<A>()),
        false => ("gelu_backward_summed_ragged", 1),
    };
    let Chunks { rows, chunks, lanes } = Chunks::of(n, c, width);
    let mut parts = scratch.into_slice(0..chunks * c);
    // SAFETY: the rows are whole, and scratch has a row for each chunk of them.
    unsafe {
        Launch::of::<A>(device, Source::Gelu, kernel)
            .grid(chunks, c.div_ceil(lanes * width), 1)
            .block(THREADS as u32)
            .write(&mut dpre)
            .write(&mut activated)
            .write(&mut parts)
            .read(pre)
            .size(n)
            .size(c)
            .size(rows)
            .size(lanes)
            .run()
    }?;
    column_sum::finish(device, &mut dbias, None, parts.view())
}

fn blocks<A: Storage>(rung: Rung, len: usize) -> usize {
    match rung {
        Rung::Naive => len.div_ceil(THREADS),
        Rung::Fast => len.div_ceil(THREADS * PIECES * width::<A>()),
    }
}
