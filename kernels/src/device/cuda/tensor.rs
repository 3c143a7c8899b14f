//! Tensor maps from the driver.

use super::ok;
use crate::device::Tile;
use crate::{KernelError, Result, TensorMap};
use cudarc::driver::sys;

/// The driver's encoding. Dimensions run from the innermost: columns, rows, layers if there are any.
pub(in crate::device) fn tensor_map(tile: &Tile) -> Result<TensorMap> {
    use sys::CUtensorMapDataType as Type;
    let data_type = match tile.element_bytes {
        2 => Type::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
        4 => Type::CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
        other => {
            return Err(KernelError::Unsupported(format!(
                "A tensor map of numbers of {other} bytes; bf16 and f32 are possible."
            )));
        }
    };
    let mut map = TensorMap([0; 16]);
    let rank = if tile.layers.is_some() { 3 } else { 2 };
    let sizes = [tile.columns as u64, tile.rows as u64, tile.layers.unwrap_or(1) as u64];
    let row_bytes = (tile.stride * tile.element_bytes) as u64;
    let strides = [row_bytes, tile.rows as u64 * row_bytes];
    let tile_sizes = [tile.box_columns as u32, tile.box_rows as u32, 1];
    let steps = [1u32; 3];
    // SAFETY: `map` has a tensor map's size and alignment; the arrays have at least `rank` entries,
    // one fewer for the strides. The driver reads no device memory.
    let code = unsafe {
        sys::cuTensorMapEncodeTiled(
            (&raw mut map).cast(),
            data_type,
            rank,
            tile.address as *mut _,
            sizes.as_ptr(),
            strides.as_ptr(),
            tile_sizes.as_ptr(),
            steps.as_ptr(),
            sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
            sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
            // The name means: nothing special, zeros.
            sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
    };
    ok(code, "cuTensorMapEncodeTiled").map(|()| map)
}
