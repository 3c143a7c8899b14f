//! The launches of a planned product.

use super::choice::Plan;
use super::{Layout, Limit, Product, Rung, Strides, Tile, Write};
use crate::sources::Source;
use crate::{Device, Launch, Result, Storage, View, ViewMut};

/// Slabs of 32 terms that the ring of `matmul_mma.cu` holds.
const STAGES: usize = 4;
const DEPTH: usize = 32;
/// Rows of 128 bytes, in numbers: terms of a slab of `matmul_wgmma.cu`, sides of its boxes.
const BOX: usize = 64;

/// The whole product, or the only share.
pub(super) fn whole<A: Storage, O: Storage>(
    device: &Device,
    out: &mut ViewMut<O>,
    a: View<A>,
    b: View<A>,
    product: &Product<A>,
    strides: Strides,
    plan: Plan,
) -> Result<()> {
    share(device, out, a, b, product, strides, Plan { splits: 1, ..plan })
}

/// Sums of shares of the terms, `[splits, m, n]`.
pub(super) fn shares<A: Storage>(
    device: &Device,
    sums: &mut ViewMut<f32>,
    a: View<A>,
    b: View<A>,
    product: &Product<A>,
    strides: Strides,
    plan: Plan,
) -> Result<()> {
    let bare = Product { alpha: 1.0, write: Write::Overwrite, bias: None, ..*product };
    share(device, sums, a, b, &bare, Strides { out: product.n, ..strides }, plan)
}

fn share<A: Storage, O: Storage>(
    device: &Device,
    out: &mut ViewMut<O>,
    a: View<A>,
    b: View<A>,
    product: &Product<A>,
    strides: Strides,
    plan: Plan,
) -> Result<()> {
    let Product { m, n, k, layout, .. } = *product;
    let (rows, columns) = plan.tile.shape(plan.rung);
    let tiles = m.div_ceil(rows) * n.div_ceil(columns);
    let (source, blocks, threads, shared) = match plan.rung {
        Rung::Naive => (Source::Matmul, (m * n).div_ceil(256), 256, 0),
        Rung::FewRows => (Source::Matmul, n.div_ceil(32), 256, 0),
        Rung::Tiled => (Source::Matmul, tiles, if plan.tile == Tile::Small { 128 } else { 256 }, 0),
        Rung::Mma => (Source::MatmulMma, tiles, 128, STAGES * (rows + columns) * DEPTH * 2),
        Rung::Wgmma => {
            // Clusters of two blocks, one above the other.
            let tiles = m.div_ceil(2 * rows) * n.div_ceil(columns);
            let clusters = (device.multiprocessors() / plan.splits / 2).clamp(1, tiles);
            (Source::MatmulWgmma, 2 * clusters, 384, room(plan.tile))
        }
    };
    let launch = Launch::of::<A>(device, source, kernel(plan, layout, m))
        .grid(blocks, 1, plan.splits)
        .block(threads)
        .cluster(if plan.rung == Rung::Wgmma { 2 } else { 1 })
        .shared(shared);
    let launch = output::<A, O>(launch, out)
        .read(a)
        .read(b)
        .read_or_null(product.bias)
        .read_or_null(product.limit.map(|(limit, _)| limit))
        .value(inner(product))
        .size(m)
        .size(n)
        .size(k)
        .size(strides.out)
        .size(strides.a)
        .size(strides.b)
        .value(product.alpha)
        .value(i32::from(product.write == Write::Accumulate));
    let launch = match plan.rung {
        Rung::Naive => launch.value(layout as i32),
        Rung::Wgmma => {
            let [stored_a, stored_b] = layout.stored(m, n, k);
            let map_a = device.tensor_map(a, stored_a.into(), strides.a, [BOX, BOX])?;
            let map_b = device.tensor_map(b, stored_b.into(), strides.b, [BOX, BOX])?;
            launch.tensor_map(&map_a).tensor_map(&map_b)
        }
        _ => launch,
    };
    // SAFETY: `run_with` has checked that the matrices reach as far as shape and strides say.
    unsafe { launch.run() }
}

/// Bytes of `Room` in `matmul_wgmma.cu`: slabs, sums on their way out, barriers.
fn room(tile: Tile) -> usize {
    let (rows, columns) = tile.shape(Rung::Wgmma);
    let stages = if tile == Tile::Large { 4 } else { 6 };
    stages * (rows + columns) * BOX * 2 + 8 * 16 * 64 * 4 + (3 * stages + 1) * 8
}

/// The sums of the shares, added in order.
pub(super) fn join<A: Storage, O: Storage>(
    device: &Device,
    out: &mut ViewMut<O>,
    sums: View<f32>,
    product: &Product<A>,
    strides: Strides,
    plan: Plan,
) -> Result<()> {
    let Product { m, n, .. } = *product;
    let launch = Launch::of::<A>(device, Source::Matmul, "matmul_join")
        .grid((m * n).div_ceil(256), 1, 1)
        .block(256);
    // SAFETY: `run_with` has checked that the matrices reach as far as shape and strides say.
    unsafe {
        output::<A, O>(launch, out)
            .read(sums)
            .read_or_null(product.bias)
            .read_or_null(product.limit.map(|(limit, _)| limit))
            .value(inner(product))
            .size(m)
            .size(n)
            .size(plan.splits)
            .size(strides.out)
            .value(product.alpha)
            .value(i32::from(product.write == Write::Accumulate))
            .run()
    }
}

/// The output in the storage of the operands, or the wider one; the other is null.
fn output<'a, A: Storage, O: Storage>(launch: Launch<'a>, out: &'a mut ViewMut<O>) -> Launch<'a> {
    match O::PRECISION == A::PRECISION {
        true => launch.write(out).write_or_null::<f32>(None),
        false => launch.write_or_null::<A>(None).write(out),
    }
}

fn inner<A>(product: &Product<A>) -> i32 {
    i32::from(product.limit.is_some_and(|(_, limit)| limit == Limit::Inner))
}

fn kernel(plan: Plan, layout: Layout, m: usize) -> &'static str {
    use Layout::{NN, NT, TN};
    use Tile::{Large, Small};
    match (plan.rung, plan.tile, layout) {
        (Rung::Naive, ..) => "matmul_naive",
        (Rung::FewRows, _, NT) if m == 1 => "matmul_few_rows_1_nt",
        (Rung::FewRows, _, NT) if m <= 4 => "matmul_few_rows_4_nt",
        (Rung::FewRows, _, NT) => "matmul_few_rows_16_nt",
        (Rung::FewRows, ..) if m <= 4 => "matmul_few_rows_4_nn",
        (Rung::FewRows, ..) => "matmul_few_rows_16_nn",
        (Rung::Tiled, Large, NN) => "matmul_tiled_nn",
        (Rung::Tiled, Large, NT) => "matmul_tiled_nt",
        (Rung::Tiled, Large, TN) => "matmul_tiled_tn",
        (Rung::Tiled, Small, NN) => "matmul_tiled_small_nn",
        (Rung::Tiled, Small, NT) => "matmul_tiled_small_nt",
        (Rung::Tiled, Small, TN) => "matmul_tiled_small_tn",
        (Rung::Mma, Large, NN) => "matmul_mma_nn",
        (Rung::Mma, Large, NT) => "matmul_mma_nt",
        (Rung::Mma, Large, TN) => "matmul_mma_tn",
        (Rung::Mma, Small, NN) => "matmul_mma_small_nn",
        (Rung::Mma, Small, NT) => "matmul_mma_small_nt",
        (Rung::Mma, Small, TN) => "matmul_mma_small_tn",
        (Rung::Wgmma, Large, NN) => "matmul_wgmma_nn",
        (Rung::Wgmma, Large, NT) => "matmul_wgmma_nt",
        (Rung::Wgmma, Large, TN) => "matmul_wgmma_tn",
        (Rung::Wgmma, Small, NN) => "matmul_wgmma_small_nn",
        (Rung::Wgmma, Small, NT) => "matmul_wgmma_small_nt",
        (Rung::Wgmma, Small, TN) => "matmul_wgmma_small_tn",
    }
}
