//! Launchers of `embedding.cu`: token and position embedding, `out_i = wte[token_i] + wpe[position_i]`.

mod groups;

pub use groups::Groups;

use crate::pieces::{rows_of_a_block, whole, width};
use crate::sources::Source;
use crate::{Device, Launch, Result, Rung, Storage, View, ViewMut};

const THREADS: usize = 256;

/// `out [n, c] ← wte [v, c][tokens] + wpe [t, c][positions]`.
///
/// A row whose token or position lies beyond its table is NaN.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
pub fn forward<A: Storage>(
    device: &Device,
    out: ViewMut<A>,
    tokens: View<u32>,
    positions: View<u32>,
    wte: View<A>,
    wpe: View<A>,
    c: usize,
) -> Result<()> {
    forward_with(Rung::Fast, device, out, tokens, positions, wte, wpe, c)
}

/// As [`forward`], with the kernel of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit.
#[allow(clippy::too_many_arguments)] // the rung, and what the operator has
pub fn forward_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut out: ViewMut<A>,
    tokens: View<u32>,
    positions: View<u32>,
    wte: View<A>,
    wpe: View<A>,
    c: usize,
) -> Result<()> {
    let n = tokens.len();
    assert!(c > 0, "embedding::forward: at least one channel");
    assert_eq!(out.len(), n * c, "embedding::forward: out must be [n, c]");
    assert_eq!(positions.len(), n, "embedding::forward: one position per token");
    let (kernel, blocks) = match rung {
        Rung::Naive => ("embedding_forward_naive", out.len().div_ceil(THREADS)),
        Rung::Fast => ("embedding_forward", n.div_ceil(rows_of_a_block::<A>(c))),
    };
    let launch = Launch::of::<A>(device, Source::Embedding, kernel)
        .grid(blocks, 1, 1)
        .block(THREADS as u32)
        .write(&mut out)
        .read(tokens)
        .read(positions)
        .read(wte)
        .read(wpe)
        .size(wte.len() / c)
        .size(wpe.len() / c)
        .size(n)
        .size(c);
    match rung {
        // SAFETY: tokens, positions and out have the checked lengths; the kernel asks each id.
        Rung::Naive => unsafe { launch.run() },
        // SAFETY: tokens, positions and out have the checked lengths; the kernel asks each id.
        Rung::Fast => unsafe { launch.size(rows_of_a_block::<A>(c)).run() },
    }
}

/// `dtable[id_i] += dout_i` for the ids of which `groups` was made, `dtable [v, c]`, `dout [n, c]`.
///
/// Sums in `f32`: a group of up to 128 rows from its first row to its last, a longer one as 256 strands
/// of every 256th row, a tree over eight of them, and those one after the other.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit, or an id lies outside the table.
pub fn backward<A: Storage>(
    device: &Device,
    dtable: ViewMut<f32>,
    dout: View<A>,
    groups: &Groups,
    c: usize,
) -> Result<()> {
    backward_with(Rung::Fast, device, dtable, dout, groups, c)
}

/// As [`backward`], with the kernel of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit, or an id lies outside the table.
pub fn backward_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut dtable: ViewMut<f32>,
    dout: View<A>,
    groups: &Groups,
    c: usize,
) -> Result<()> {
    assert!(c > 0, "embedding::backward: at least one channel");
    assert!(groups.table * c <= dtable.len(), "embedding::backward: an id outside dtable");
    assert_eq!(dout.len(), groups.rows.len() * c, "embedding::backward: dout must be [n, c]");
    let (all, short) = (groups.ids.len(), groups.short);
    if rung == Rung::Naive {
        // SAFETY: `Groups` holds ids, starts and rows that fit one another, and dtable has every id.
        return unsafe {
            launch(device, "embedding_backward_naive", &mut dtable, dout, groups, 0..all)
                .grid((all * c).div_ceil(THREADS), 1, 1)
                .block(THREADS as u32)
                .size(all)
                .size(c)
                .run()
        };
    }
    let whole = whole::<A>(c, &[dout.address_on(device), dtable.address_on(device)]);
    let (few, many, width) = match whole {
        true => ("embedding_backward", "embedding_backward_long", width::<A>()),
        false => ("embedding_backward_ragged", "embedding_backward_long_ragged", 1),
    };
    let lanes = c.div_ceil(width).next_power_of_two().min(32);
    let teams = short * c.div_ceil(lanes * width);
    // SAFETY: `Groups` holds ids, starts and rows that fit one another, and dtable has every id.
    unsafe {
        launch(device, few, &mut dtable, dout, groups, 0..short)
            .grid(teams.div_ceil(THREADS / lanes), 1, 1)
            .block(THREADS as u32)
            .size(short)
            .size(c)
            .size(lanes)
            .run()
    }?;
    // SAFETY: `Groups` holds ids, starts and rows that fit one another, and dtable has every id.
    unsafe {
        launch(device, many, &mut dtable, dout, groups, short..all)
            .grid(all - short, c.div_ceil(4 * width), 1)
            .block(1024)
            .size(c)
            .run()
    }
}

/// A launch for some of the groups, with the arguments that all kernels have.
fn launch<'a, A: Storage>(
    device: &'a Device,
    kernel: &'static str,
    dtable: &'a mut ViewMut<f32>,
    dout: View<'a, A>,
    groups: &'a Groups,
    some: std::ops::Range<usize>,
) -> Launch<'a> {
    Launch::of::<A>(device, Source::Embedding, kernel)
        .write(dtable)
        .read(dout)
        .read(groups.ids.slice(some.clone()))
        .read(groups.starts.slice(some.start..some.end + 1))
        .read(groups.rows.view())
}
