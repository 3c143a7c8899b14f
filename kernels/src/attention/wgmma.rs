//! Launches of `attention_wgmma.cu`.

use super::Shape;
use crate::sources::Source;
use crate::{Device, Launch, Result, Storage, TensorMap, View, ViewMut};

/// Rows and columns of a tile, and the only size of head.
pub(super) const SIDE: usize = 64;
const TILE_BYTES: usize = SIDE * SIDE * 2;

/// Bytes of `ForwardRoom`: queries, four stages of keys and values, barriers.
const FORWARD_ROOM: usize = (2 + 4 * 2) * TILE_BYTES + (2 * 4 + 1) * 8;

/// Bytes of `QueryRoom`: owned rows, four stages of keys and values, barriers.
const QUERY_ROOM: usize = (4 + 4 * 2) * TILE_BYTES + (2 * 4 + 3) * 8;

/// Bytes of `KeyRoom`: owned rows, three stages of queries and dout, statistics twice, barriers.
const KEY_ROOM: usize = (2 + 3 * 2) * TILE_BYTES + 2 * (3 * SIDE * 4 + 8) + (3 + 1) * 8;

pub(super) fn forward<A: Storage>(
    device: &Device,
    mut out: ViewMut<A>,
    mut lse: ViewMut<f32>,
    qkv: View<A>,
    shape: Shape,
) -> Result<()> {
    if shape.rows() == 0 {
        return Ok(());
    }
    let launch = Launch::of::<A>(device, Source::AttentionWgmma, "attention_forward_wgmma_64")
        .grid(shape.blocks(2 * SIDE), 1, 1)
        .block(256)
        .shared(FORWARD_ROOM)
        .write(&mut out)
        .write(&mut lse)
        .size(shape.t)
        .size(shape.nh)
        .tensor_map(&tiles_of(device, qkv, 3, shape)?);
    // SAFETY: all have the lengths of the shape, and the tiles their shared memory.
    unsafe { launch.run() }
}

/// The pass over queries overwrites `scratch`, that over keys reads it.
#[allow(clippy::too_many_arguments)] // outputs, inputs, saved, scratch, shape
pub(super) fn backward<A: Storage>(
    device: &Device,
    mut dqkv: ViewMut<A>,
    dout: View<A>,
    qkv: View<A>,
    out: View<A>,
    lse: View<f32>,
    mut scratch: ViewMut<f32>,
    shape: Shape,
) -> Result<()> {
    if shape.rows() == 0 {
        return Ok(());
    }
    let [qkv_map, dout_map] = [tiles_of(device, qkv, 3, shape)?, tiles_of(device, dout, 1, shape)?];
    let of = |kernel, groups: usize, room| {
        Launch::of::<A>(device, Source::AttentionWgmma, kernel)
            .grid(shape.blocks(groups * SIDE), 1, 1)
            .block(128 * groups as u32)
            .shared(room)
    };
    let sizes = |launch: Launch| {
        let launch = launch.size(shape.t).size(shape.nh);
        let launch = launch.tensor_map(&qkv_map).tensor_map(&dout_map);
        // SAFETY: all have the lengths of the shape, and the tiles their shared memory.
        unsafe { launch.run() }
    };
    let queries = of("attention_backward_wgmma_queries_64", 2, QUERY_ROOM);
    let queries = queries.write(&mut dqkv).write(&mut scratch);
    sizes(queries.read(lse).read(dout).read(out))?;
    let keys = of("attention_backward_wgmma_keys_64", 1, KEY_ROOM).write(&mut dqkv);
    sizes(keys.read(scratch.view()).read(lse))
}

/// The tiles of `parts` times all heads, sequence by sequence.
fn tiles_of<A: Storage>(
    device: &Device,
    view: View<A>,
    parts: usize,
    shape: Shape,
) -> Result<TensorMap> {
    let channels = parts * shape.nh * shape.hs;
    device.tensor_map_of_layers(view, shape.b, [shape.t, channels], channels, [SIDE, SIDE])
}
