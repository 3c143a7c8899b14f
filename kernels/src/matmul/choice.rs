//! Which rung and which tile a product gets.

use super::split::splits;
use super::{Layout, Options, Product, Rung, Strides, Tile};
use crate::{Device, KernelError, Precision, Result, Storage, View};

/// Rows up to which a weight is read straight through.
pub(super) const FEW: usize = 16;
/// With fewer large tiles than this, small ones keep more of a device busy.
const BUSY: usize = 128;

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
    let rung = match rung {
        None => best(few, tensor_cores),
        Some(Rung::FewRows) if !few => {
            return refuse(format!("few rows are up to {FEW} of a product NN or NT"));
        }
        Some(Rung::Mma) if !tensor_cores => {
            return refuse(
                "mma.sync needs bf16, rows at multiples of 16 bytes and compute capability 8.0"
                    .into(),
            );
        }
        Some(Rung::Wgmma) => return refuse("there is no wgmma yet".into()),
        Some(rung) => rung,
    };
    let splits = match rung {
        Rung::Tiled | Rung::Mma if options.scratch.is_some() => splits(m, n, k),
        _ => 1,
    };
    let tiles = |tile: Tile| m.div_ceil(tile.edge()) * n.div_ceil(tile.edge()) * splits;
    let suits = if tiles(Tile::Large) < BUSY { Tile::Small } else { Tile::Large };
    Ok(Plan { rung, tile: options.tile.unwrap_or(suits), splits })
}

/// Whether all rows of a bf16 matrix begin at multiples of 16 bytes.
fn aligned(address: u64, stride: usize) -> bool {
    address.is_multiple_of(16) && stride.is_multiple_of(8)
}

fn best(few: bool, tensor_cores: bool) -> Rung {
    match (few, tensor_cores) {
        (true, _) => Rung::FewRows,
        (false, true) => Rung::Mma,
        (false, false) => Rung::Tiled,
    }
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(KernelError::Unsupported(format!("matmul: {reason}.")))
}

#[cfg(test)]
mod tests {
    use super::{Rung, aligned, best};

    #[test]
    fn few_rows_come_before_tensor_cores_before_tiles() {
        assert_eq!(best(true, true), Rung::FewRows);
        assert_eq!(best(true, false), Rung::FewRows);
        assert_eq!(best(false, true), Rung::Mma);
        assert_eq!(best(false, false), Rung::Tiled);
    }

    #[test]
    fn tensor_cores_need_addresses_and_strides_of_16_bytes() {
        assert!(aligned(4096, 768) && aligned(4112, 8));
        assert!(!aligned(4104, 768) && !aligned(4096, 50257) && !aligned(4096, 4));
    }
}
