//! Launchers of `classifier.cu`: logits, softmax statistics, loss and gradient, a chunk of rows at
//! a time.
//!
//! Per row `z = x Wᵀ`, `p = softmax(z)_t`, a [`Code`] gives `(f, a, b)`, and
//! `dz_k = scale·[a(p_k − [k = t]) + b(p_k − 1/V)]`, `dx += dz W`, `dW += dzᵀ x`.
//!
//! Departures from the textbook form:
//! 1. Logits are held for at most [`chunk_rows`] rows.
//! 2. Rows with `a = b = 0` are squeezed out before the products: what the loss drops costs no
//!    backward work. How many are kept is known to the device alone, and the products get it as a
//!    limit in device memory.
//! 3. Gradients stand over the logits that they are made of, so that a chunk can be large: every one
//!    adds to the whole of `dW`, and the products fill a device the better the more rows they have.
//! 4. `1 − p` is `Σ_{k≠t} e_k / Σ_k e_k`, and the gradient's entry at the target uses it.

mod chunk;
mod code;
mod scratch;

pub use code::Code;

use crate::{Device, Result, Rung, Storage, View, ViewMut};
use chunk::Chunk;
use scratch::Scratch;

/// Sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Vocabulary.
    pub v: usize,
}

/// What the classifier leaves per row, `[n]` each.
#[derive(Debug)]
pub struct Rows<'a> {
    /// The loss `f`, not divided by the denominator.
    pub loss: ViewMut<'a, f32>,
    /// `−ln p`.
    pub nll: ViewMut<'a, f32>,
    /// The target's probability.
    pub probability: ViewMut<'a, f32>,
    /// One where the row has a gradient, zero where the loss drops it.
    pub kept: ViewMut<'a, f32>,
}

/// Where the gradients go.
#[derive(Debug)]
pub struct Gradients<'a, A> {
    /// Added to, `[n, c]`.
    pub dx: ViewMut<'a, A>,
    /// Added to, `[v, c]`.
    pub dweight: ViewMut<'a, f32>,
    /// The number every gradient is multiplied by, one over the denominator.
    pub scale: f32,
}

/// Rows whose logits are computed together, in multiples of 128: a quarter of them all, at least 1024
/// and at most 8192. Large tables ask for less, so that four bytes for each logit and each number of
/// `dW` stay below a tenth of the 16 bytes per logit and row that automatic differentiation holds
/// (logits and their gradient in half precision; both, and the log-softmax, in single).
pub fn chunk_rows(shape: Shape) -> usize {
    let Shape { n, c, .. } = shape;
    let tenth = (n * 16 / 10).saturating_sub(4 * c) / 4;
    let rows = (n / 4).min(tenth).clamp(1024, 8192);
    (rows - rows % 128).min(n)
}

/// Numbers from one row of logits, or of their gradients, to the next: whatever `v` is, rows begin on
/// boundaries of 16 bytes, which is what tensor cores ask for.
fn stride(v: usize) -> usize {
    v.next_multiple_of(8)
}

/// Scratch that [`forward_backward`] needs, in `f32` numbers.
pub fn workspace(shape: Shape) -> usize {
    workspace_with(chunk_rows(shape), shape)
}

/// Scratch that [`forward_backward_with`] needs, in `f32` numbers.
pub fn workspace_with(chunk: usize, shape: Shape) -> usize {
    scratch::len(chunk, shape)
}

/// Loss of every row, and its gradients where asked for. Never waits for the device.
///
/// | argument | shape | meaning |
/// |---|---|---|
/// | `rows` | `[n]` each | overwritten |
/// | `gradients` | `[n, c]`, `[v, c]` | added to |
/// | `x` | `[n, c]` | inputs |
/// | `targets` | `[n]` | one beyond `v` makes its row, and what it touches, NaN |
/// | `mask` | `[n]` | read by [`Code::masked`] alone; none keeps all |
/// | `weight` | `[v, c]` | the table |
/// | `workspace` | [`workspace`] | any content; begins on a boundary of 16 bytes |
///
/// Logits and sums are in f32; `dz` is in the storage.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
#[allow(clippy::too_many_arguments)] // outputs, inputs, parameters and scalars of one operator
pub fn forward_backward<A: Storage>(
    device: &Device,
    rows: Rows,
    gradients: Option<Gradients<A>>,
    x: View<A>,
    targets: View<u32>,
    mask: Option<View<u8>>,
    weight: View<A>,
    code: Code,
    workspace: ViewMut<f32>,
    shape: Shape,
) -> Result<()> {
    let plan = (chunk_rows(shape), Rung::default());
    forward_backward_with(
        plan, device, rows, gradients, x, targets, mask, weight, code, workspace, shape,
    )
}

/// As [`forward_backward`], with the rows of a chunk and the kernels of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
#[allow(clippy::too_many_arguments)] // outputs, inputs, parameters and scalars of one operator
pub fn forward_backward_with<A: Storage>(
    (chunk, rung): (usize, Rung),
    device: &Device,
    mut rows: Rows,
    mut gradients: Option<Gradients<A>>,
    x: View<A>,
    targets: View<u32>,
    mask: Option<View<u8>>,
    weight: View<A>,
    code: Code,
    workspace: ViewMut<f32>,
    shape: Shape,
) -> Result<()> {
    let Shape { n, c, v } = shape;
    assert!(c > 0 && v > 0, "classifier: at least one channel and one token");
    for out in [&rows.loss, &rows.nll, &rows.probability, &rows.kept] {
        assert_eq!(out.len(), n, "classifier: one number per row");
    }
    if let Some(gradients) = &gradients {
        assert_eq!(gradients.dx.len(), n * c, "classifier: length of dx");
        assert_eq!(gradients.dweight.len(), v * c, "classifier: length of dweight");
    }
    assert_eq!(x.len(), n * c, "classifier: length of x");
    assert_eq!(targets.len(), n, "classifier: one target per row");
    assert!(mask.is_none_or(|mask| mask.len() == n), "classifier: one mask entry per row");
    assert_eq!(weight.len(), v * c, "classifier: length of weight");
    assert!(chunk > 0 || n == 0, "classifier: at least one row per chunk");
    let most = workspace_with(chunk, shape);
    assert!(workspace.len() >= most, "classifier: a workspace of {most} numbers");
    let aligned = workspace.address_on(device).is_multiple_of(16);
    assert!(aligned, "classifier: the workspace begins on a boundary of 16 bytes");
    if n == 0 {
        return Ok(());
    }
    let mut scratch = Scratch::<A>::cut(workspace, chunk, shape);
    for start in (0..n).step_by(chunk) {
        let end = n.min(start + chunk);
        let chunk = Chunk { device, rung, start, end, shape };
        let scale = gradients.as_ref().map(|gradients| gradients.scale);
        chunk.logits(&mut scratch, x, weight)?;
        chunk.rows_of(&mut rows, &mut scratch, targets, mask, code, scale)?;
        if let Some(gradients) = &mut gradients {
            chunk.place(&mut scratch, rows.kept.view())?;
            chunk.products(gradients, &mut scratch, x, weight)?;
        }
    }
    Ok(())
}
