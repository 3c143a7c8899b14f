//! Launchers of `rows.cu`: rows of a matrix taken out by index, and put back by addition.

use crate::sources::Source;
use crate::{Device, Launch, Result, Rung, Storage, View, ViewMut};

/// Rows of a block of the warp rung.
const WARPS: usize = 8;
const THREADS: usize = 256;

/// `out[i] ← x[rows[i]]`.
///
/// | argument | shape | meaning |
/// |---|---|---|
/// | `out` | `[m, c]` | overwritten |
/// | `x` | `[n, c]` | a row of `rows` beyond `n` reads as NaN |
/// | `rows` | `[m]` | in any order, repeats allowed |
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
pub fn gather<A: Storage>(
    device: &Device,
    out: ViewMut<A>,
    x: View<A>,
    rows: View<u32>,
    c: usize,
) -> Result<()> {
    gather_with(Rung::default(), device, out, x, rows, None, c)
}

/// As [`gather`], but only the first `count[0]` rows where a count is given. It lies in device
/// memory; rows of `out` behind it keep their content.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
pub fn gather_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut out: ViewMut<A>,
    x: View<A>,
    rows: View<u32>,
    count: Option<View<u32>>,
    c: usize,
) -> Result<()> {
    let m = rows.len();
    assert_eq!(out.len(), m * c, "rows: length of the gathered rows");
    let n = matrix(x.len(), count, c);
    let kernel = match rung {
        Rung::Naive => "rows_gather_naive",
        Rung::Fast => "rows_gather",
    };
    // SAFETY: the rows are whole and as many as listed; the kernel asks each index.
    unsafe {
        Launch::of::<A>(device, Source::Rows, kernel)
            .grid(blocks(rung, m, c), 1, 1)
            .block(THREADS as u32)
            .write(&mut out)
            .read(x)
            .read(rows)
            .read_or_null(count)
            .size(m)
            .size(n)
            .size(c)
            .run()
    }
}

/// `x[rows[i]] += y[i]`, for the first `count[0]` rows where a count is given.
///
/// | argument | shape | meaning |
/// |---|---|---|
/// | `x` | `[n, c]` | added to, rounded once to the storage |
/// | `y` | `[m, c]` | in single precision |
/// | `rows` | `[m]` | distinct; those beyond `n` are passed over |
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
pub fn scatter_add<A: Storage>(
    device: &Device,
    x: ViewMut<A>,
    y: View<f32>,
    rows: View<u32>,
    count: Option<View<u32>>,
    c: usize,
) -> Result<()> {
    scatter_add_with(Rung::default(), device, x, y, rows, count, c)
}

/// As [`scatter_add`], with the kernel of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
pub fn scatter_add_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut x: ViewMut<A>,
    y: View<f32>,
    rows: View<u32>,
    count: Option<View<u32>>,
    c: usize,
) -> Result<()> {
    let m = rows.len();
    assert_eq!(y.len(), m * c, "rows: length of the scattered rows");
    let n = matrix(x.len(), count, c);
    let kernel = match rung {
        Rung::Naive => "rows_scatter_add_naive",
        Rung::Fast => "rows_scatter_add",
    };
    // SAFETY: the rows are whole and as many as listed; the kernel asks each index.
    unsafe {
        Launch::of::<A>(device, Source::Rows, kernel)
            .grid(blocks(rung, m, c), 1, 1)
            .block(THREADS as u32)
            .write(&mut x)
            .read(y)
            .read(rows)
            .read_or_null(count)
            .size(m)
            .size(n)
            .size(c)
            .run()
    }
}

/// Rows of the matrix.
fn matrix(len: usize, count: Option<View<u32>>, c: usize) -> usize {
    assert!(c > 0, "rows: at least one channel");
    assert_eq!(len % c, 0, "rows: the matrix must hold whole rows of {c}");
    assert!(count.is_none_or(|count| count.len() == 1), "rows: one count");
    len / c
}

fn blocks(rung: Rung, m: usize, c: usize) -> usize {
    match rung {
        Rung::Naive => (m * c).div_ceil(THREADS),
        Rung::Fast => m.div_ceil(WARPS),
    }
}
