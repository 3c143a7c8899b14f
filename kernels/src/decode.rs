//! Launchers of `decode.cu`: attention of one new token per row against a key-value cache.
//!
//! The cache is `[layers, 2, slots, nh, t, hs]`, keys before values. A row may find its past in several
//! slots, so beams share what they have in common.

use crate::memory::Element;
use crate::sources::Source;
use crate::{Device, Launch, Result, Rung, Storage, View, ViewMut};

/// Shape of the key-value cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheShape {
    /// Layers.
    pub layers: usize,
    /// Sequences that fit.
    pub slots: usize,
    /// Positions per slot.
    pub t: usize,
    /// Heads.
    pub nh: usize,
    /// Head size.
    pub hs: usize,
}

impl CacheShape {
    /// Keys and values of one layer.
    fn layer_len(self) -> usize {
        2 * self.slots * self.t * self.nh * self.hs
    }
}

/// Numbers in the cache: `layers·2·slots·t·nh·hs`.
pub fn cache_len(shape: CacheShape) -> usize {
    shape.layers * shape.layer_len()
}

/// Stores the keys and values of whole prompts from position 0 on.
///
/// | argument | shape | meaning |
/// |---|---|---|
/// | `cache` | [`cache_len`] | written at the prompts' slots and positions alone |
/// | `qkv` | `[b, t, 3, nh, hs]` | queries, keys and values of one layer |
/// | `slots` | `[b]` | where each sequence goes; distinct, below `shape.slots` |
/// | `t` | | positions of the prompts, at most `shape.t` |
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length, the layer or `t` does not fit the shape.
pub fn fill<A: Storage>(
    device: &Device,
    cache: ViewMut<A>,
    qkv: View<A>,
    slots: View<u32>,
    layer: usize,
    t: usize,
    shape: CacheShape,
) -> Result<()> {
    let tokens = slots.len() * t;
    assert!(t <= shape.t, "decode::fill: {t} positions in slots of {}", shape.t);
    assert_eq!(qkv.len(), tokens * 3 * shape.nh * shape.hs, "decode::fill: length of qkv");
    let mut layer = layer_of(cache, layer, shape, "fill");
    store(device, &mut layer, qkv, slots, None, t, shape)
}

/// Stores the key and value of every row's newest token, at position `lengths[i] − 1` of slot
/// `slots[i]`, then overwrites `out` with `Σ_j softmax_j(q_i·k_j/√hs) v_j` over `j < lengths[i]`.
///
/// | argument | shape | meaning |
/// |---|---|---|
/// | `out` | `[rows, nh, hs]` | the heads' outputs |
/// | `cache` | [`cache_len`] | written at the newest positions alone |
/// | `qkv` | `[rows, 3, nh, hs]` | query, key and value of the newest tokens |
/// | `slots` | `[rows]` | distinct, below `shape.slots` |
/// | `lengths` | `[rows]` | tokens with the newest one, from 1 to `shape.t` |
/// | `ancestry` | `[rows, t]` | the slot of position `j` of row `i`, for `j < lengths[i]` |
///
/// What the lists name beyond the cache is not stored and reads as NaN. A row's bits depend on its own
/// past alone.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length or the layer does not fit the shape.
#[allow(clippy::too_many_arguments)] // outputs, inputs, where they lie, scalars
pub fn forward<A: Storage>(
    device: &Device,
    out: ViewMut<A>,
    cache: ViewMut<A>,
    qkv: View<A>,
    slots: View<u32>,
    lengths: View<u32>,
    ancestry: View<u32>,
    layer: usize,
    shape: CacheShape,
) -> Result<()> {
    forward_with(Rung::Fast, device, out, cache, qkv, slots, lengths, ancestry, layer, shape)
}

/// As [`forward`], by a rung of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length or the layer does not fit the shape.
#[allow(clippy::too_many_arguments)] // outputs, inputs, where they lie, scalars
pub fn forward_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut out: ViewMut<A>,
    cache: ViewMut<A>,
    qkv: View<A>,
    slots: View<u32>,
    lengths: View<u32>,
    ancestry: View<u32>,
    layer: usize,
    shape: CacheShape,
) -> Result<()> {
    let (rows, hs) = (slots.len(), shape.hs);
    assert_eq!(out.len(), rows * shape.nh * hs, "decode::forward: length of out");
    assert_eq!(qkv.len(), 3 * out.len(), "decode::forward: length of qkv");
    assert_eq!(lengths.len(), rows, "decode::forward: number of lengths");
    assert_eq!(ancestry.len(), rows * shape.t, "decode::forward: length of the ancestry");
    let mut layer = layer_of(cache, layer, shape, "forward");
    store(device, &mut layer, qkv, slots, Some(lengths), 1, shape)?;
    let addresses = [layer.address_on(device), qkv.address_on(device)];
    let pieces = hs * size_of::<A>() / 16;
    let whole = hs * size_of::<A>() == 16 * pieces && addresses.iter().all(|at| at % 16 == 0);
    let (heads, numbers) = (rows * shape.nh, rows * shape.nh * hs);
    // A team has a thread for each piece of a head; there is room for 32 teams.
    let lanes = pieces.next_power_of_two().max(8);
    let (kernel, blocks, threads, last) = match rung {
        Rung::Fast if whole && pieces <= 32 => ("decode_forward", heads, 256, Some(lanes)),
        Rung::Fast if hs <= 128 => ("decode_forward_ragged", heads, 256, None),
        _ => ("decode_forward_naive", numbers.div_ceil(128), 128, Some(rows)),
    };
    let launch = Launch::of::<A>(device, Source::Decode, kernel)
        .grid(blocks, 1, 1)
        .block(threads)
        .write(&mut out)
        .read(layer.view())
        .read(qkv)
        .read(lengths)
        .read(ancestry)
        .size(shape.slots)
        .size(shape.t)
        .size(shape.nh)
        .size(hs);
    // SAFETY: all have the lengths of the shape; the kernel asks each slot and each length.
    unsafe { last.into_iter().fold(launch, Launch::size).run() }
}

fn store<A: Storage>(
    device: &Device,
    layer: &mut ViewMut<A>,
    qkv: View<A>,
    slots: View<u32>,
    lengths: Option<View<u32>>,
    prompt: usize,
    shape: CacheShape,
) -> Result<()> {
    // SAFETY: all have the lengths of the shape; the kernel asks each slot and each length.
    unsafe {
        Launch::of::<A>(device, Source::Decode, "decode_store")
            .grid(slots.len() * prompt, 1, 1)
            .block(256)
            .write(layer)
            .read(qkv)
            .read(slots)
            .read_or_null(lengths)
            .size(prompt)
            .size(shape.slots)
            .size(shape.t)
            .size(shape.nh)
            .size(shape.hs)
            .run()
    }
}

fn layer_of<'a, A: Element>(
    cache: ViewMut<'a, A>,
    layer: usize,
    shape: CacheShape,
    what: &str,
) -> ViewMut<'a, A> {
    assert_eq!(cache.len(), cache_len(shape), "decode::{what}: length of the cache");
    assert!(layer < shape.layers, "decode::{what}: layer {layer} of {}", shape.layers);
    cache.into_slice(layer * shape.layer_len()..(layer + 1) * shape.layer_len())
}
