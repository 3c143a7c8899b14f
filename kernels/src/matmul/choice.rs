//! Which rung and which tile a product gets.

use super::split::splits;
use super::{Layout, Options, Product, Rung, Strides, Tile};
use crate::{Device, KernelError, Precision, Result, Storage, View};

/// Rows up to which a weight is read straight through.
pub(super) const FEW: usize = 16;
/// With fewer large tiles than this, small ones keep more of a device busy.
const BUSY: usize = 128;
/// Multiprocessors of the devices with `wgmma`. A constant, so that the rung, and with it the bits
/// of a product, depends on its shape alone.
const HOPPER: usize = 132;

/// How a product runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub rung: Rung,
    pub tile: Tile,
    pub splits: usize,
}

pub(super) fn plan<A: Storage>(
    device: &Device,
    a: View<A>,
    b: View<A>,
    product: &Product<A>,
    strides: Strides,
    options: &Options,
) -> Result<Plan> {
    let Product { m, n, k, layout, rung, .. } = *product;
    let few = m <= FEW && layout != Layout::TN;
    let operands = [(a, strides.a), (b, strides.b)];
    let aligned = operands.iter().all(|(view, stride)| aligned(view.address_on(device), *stride));
    let tensor_cores =
        A::PRECISION == Precision::Bf16 && aligned && device.compute_capability() >= (8, 0);
    let splits = match options.scratch {
        Some(_) => splits(m, n, k),
        None => 1,
    };
    let tiles = |rung: Rung, tile: Tile| {
        let (rows, columns) = tile.shape(rung);
        m.div_ceil(rows) * n.div_ceil(columns) * splits
    };
    let hopper = tensor_cores && device.compute_capability() == (9, 0);
    let fills = tiles(Rung::Wgmma, Tile::Small) >= HOPPER / 2;
    let pairs = |tile: Tile| {
        let (rows, columns) = tile.shape(Rung::Wgmma);
        m.div_ceil(2 * rows) * n.div_ceil(columns) * splits
    };
    let rung = match rung {
        None => best(few, tensor_cores, hopper && fills),
        Some(Rung::FewRows) if !few => {
            return refuse(format!("few rows are up to {FEW} of a product NN or NT"));
        }
        Some(Rung::Mma) if !tensor_cores => {
            return refuse(
                "mma.sync needs bf16, rows at multiples of 16 bytes and compute capability 8.0"
                    .into(),
            );
        }
        Some(Rung::Wgmma) if !hopper => {
            return refuse(
                "wgmma needs bf16, rows at multiples of 16 bytes and compute capability 9.0".into(),
            );
        }
        Some(rung) => rung,
    };
    // There is no map of a matrix without columns.
    let rung = if rung == Rung::Wgmma && k == 0 { Rung::Mma } else { rung };
    let large = match rung {
        Rung::Wgmma => wide(pairs(Tile::Small), pairs(Tile::Large)),
        _ => tiles(rung, Tile::Large) >= BUSY,
    };
    let tile = options.tile.unwrap_or(if large { Tile::Large } else { Tile::Small });
    let splits = if matches!(rung, Rung::Naive | Rung::FewRows) { 1 } else { splits };
    Ok(Plan { rung, tile, splits })
}

/// Whether the wide tiles of `wgmma` are done sooner, of which a cluster of two blocks takes a pair. The
/// device works on [`HOPPER`] / 2 pairs at a time; a wide one has twice the work, but a narrow one reads
/// 3/2 as much per multiply-add from the cache, which is then what limits it: taken for 5/4.
fn wide(narrow_pairs: usize, wide_pairs: usize) -> bool {
    let rounds = |pairs: usize| pairs.div_ceil(HOPPER / 2);
    2 * 4 * rounds(wide_pairs) < 5 * rounds(narrow_pairs)
}

/// Whether all rows of a bf16 matrix begin at multiples of 16 bytes.
fn aligned(address: u64, stride: usize) -> bool {
    address.is_multiple_of(16) && stride.is_multiple_of(8)
}

fn best(few: bool, tensor_cores: bool, hopper: bool) -> Rung {
    match (few, tensor_cores, hopper) {
        (true, ..) => Rung::FewRows,
        (false, _, true) => Rung::Wgmma,
        (false, true, false) => Rung::Mma,
        (false, false, false) => Rung::Tiled,
    }
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(KernelError::Unsupported(format!("matmul: {reason}.")))
}

#[cfg(test)]
mod tests {
    use super::{Rung, aligned, best, wide};

    #[test]
    fn few_rows_come_before_tensor_cores_before_tiles() {
        assert_eq!(best(true, true, true), Rung::FewRows);
        assert_eq!(best(true, false, false), Rung::FewRows);
        assert_eq!(best(false, true, true), Rung::Wgmma);
        assert_eq!(best(false, true, false), Rung::Mma);
        assert_eq!(best(false, false, false), Rung::Tiled);
    }

    #[test]
    fn wide_tiles_serve_what_fills_a_device_evenly() {
        // GPT-2 124M: 65,536 rows, then 8,192, of qkv and attproj.
        assert!(wide(256 * 18, 256 * 9) && wide(256 * 6, 256 * 3));
        assert!(wide(32 * 18, 32 * 9) && !wide(32 * 6, 32 * 3));
        assert!(!wide(33, 17));
    }

    #[test]
    fn tensor_cores_need_addresses_and_strides_of_16_bytes() {
        assert!(aligned(4096, 768) && aligned(4112, 8));
        assert!(!aligned(4104, 768) && !aligned(4096, 50257) && !aligned(4096, 4));
    }
}
