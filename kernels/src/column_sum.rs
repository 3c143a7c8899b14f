//! Launchers of `column_sum.cu`: sums over the rows of a matrix.

use crate::pieces::{whole, width};
use crate::sources::Source;
use crate::{Device, Launch, Result, Rung, Storage, View, ViewMut};

const THREADS: usize = 256;

/// `dbias [oc] += Σ_rows dout [n, oc]`.
///
/// Sums in `f32`: chunks of rows first (see [`scratch`]), then the chunks, each as a fixed number of
/// strands that are added one after the other. The order follows from the shape, the precision and
/// whether `dout` lies on a boundary of 16 bytes.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
pub fn accumulate<A: Storage>(
    device: &Device,
    dbias: ViewMut<f32>,
    dout: View<A>,
    scratch: ViewMut<f32>,
) -> Result<()> {
    accumulate_with(Rung::Fast, device, dbias, dout, scratch)
}

/// As [`accumulate`], with the kernel of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
pub fn accumulate_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut dbias: ViewMut<f32>,
    dout: View<A>,
    scratch: ViewMut<f32>,
) -> Result<()> {
    let oc = dbias.len();
    assert!(oc > 0, "column_sum: at least one column");
    assert_eq!(dout.len() % oc, 0, "column_sum: dout must hold whole rows of {oc}");
    let n = dout.len() / oc;
    assert!(scratch.len() >= self::scratch(n, oc), "column_sum: scratch is too short");
    if rung == Rung::Naive {
        // SAFETY: the rows are whole, and scratch has a row for each chunk of them.
        return unsafe {
            Launch::of::<A>(device, Source::ColumnSum, "column_sum_naive")
                .grid(oc.div_ceil(THREADS), 1, 1)
                .block(THREADS as u32)
                .write(&mut dbias)
                .read(dout)
                .size(n)
                .size(oc)
                .run()
        };
    }
    let (kernel, width) = match whole::<A>(oc, &[dout.address_on(device)]) {
        true => ("column_sum_part", width::<A>()),
        false => ("column_sum_part_ragged", 1),
    };
    let Chunks { rows, chunks, lanes } = Chunks::of(n, oc, width);
    let mut parts = scratch.into_slice(0..chunks * oc);
    // SAFETY: the rows are whole, and scratch has a row for each chunk of them.
    unsafe {
        Launch::of::<A>(device, Source::ColumnSum, kernel)
            .grid(chunks, oc.div_ceil(lanes * width), 1)
            .block(THREADS as u32)
            .write(&mut parts)
            .read(dout)
            .size(n)
            .size(oc)
            .size(rows)
            .size(lanes)
            .run()
    }?;
    finish(device, &mut dbias, None, parts.view())
}

/// How many `f32` [`accumulate`] wants as scratch.
pub fn scratch(n: usize, oc: usize) -> usize {
    n.div_ceil(rows_of_a_chunk(n)) * oc
}

/// How rows and columns are shared out.
pub(crate) struct Chunks {
    /// Rows of a chunk.
    pub rows: usize,
    pub chunks: usize,
    /// Threads side by side, a piece of columns each.
    pub lanes: usize,
}

impl Chunks {
    pub fn of(n: usize, oc: usize, width: usize) -> Self {
        let lanes = oc.div_ceil(width).next_power_of_two().min(32);
        let rows = rows_of_a_chunk(n);
        Self { rows, chunks: n.div_ceil(rows), lanes }
    }
}

/// At most 256 chunks.
fn rows_of_a_chunk(n: usize) -> usize {
    n.div_ceil(256).max(32)
}

/// `first [c] += Σ_rows parts[0]`, `second [c] += Σ_rows parts[1]`, of `parts [1 or 2, rows, c]`.
pub(crate) fn finish(
    device: &Device,
    first: &mut ViewMut<f32>,
    second: Option<&mut ViewMut<f32>>,
    parts: View<f32>,
) -> Result<()> {
    let c = first.len();
    let matrices = 1 + usize::from(second.is_some());
    let rows = parts.len() / (matrices * c);
    let warps = rows.div_ceil(4).next_power_of_two().min(32);
    // SAFETY: the rows are whole, and scratch has a row for each chunk of them.
    unsafe {
        Launch::of::<f32>(device, Source::ColumnSum, "column_sum_finish")
            .grid(c.div_ceil(32), matrices, 1)
            .block(32 * warps as u32)
            .write(first)
            .write_or_null(second)
            .read(parts)
            .size(rows)
            .size(c)
            .run()
    }
}
