//! The CPU as a device: kernels compiled against the shim, run block by block on all threads.

mod library;

use super::{Schedule, Tile, failed};
use crate::compile::host::Compiler;
use crate::launch::{Launch, TensorMap};
use crate::{KernelError, Result};
use library::Range;
use rayon::prelude::*;
use std::alloc::{Layout, alloc_zeroed, dealloc};

/// The shim with a schedule.
#[derive(Debug)]
pub(super) struct Host {
    pub name: String,
    schedule: Schedule,
    libraries: library::Libraries,
}

impl Host {
    pub fn new(schedule: Schedule) -> Result<Self> {
        let compiler = Compiler::find()?;
        let name = format!("CPU shim ({})", compiler.version);
        Ok(Self { name, schedule, libraries: library::Libraries::new(compiler) })
    }

    /// Runs all blocks, in chunks of whole clusters. No result depends on the cut: blocks share
    /// nothing but global memory, and the shim seeds a block's schedule by its number.
    pub fn launch(&self, launch: &Launch) -> Result<()> {
        let library = self.libraries.get(launch.source, launch.precision)?;
        let what = || format!("kernel {} of {}", launch.kernel, launch.source.file().0);
        let kernel = library.kernel(launch).map_err(|reason| failed(what(), reason))?;
        let blocks: u64 = launch.grid.iter().map(|&n| u64::from(n)).product();
        let cluster = u64::from(launch.cluster);
        let chunks = 4 * rayon::current_num_threads() as u64;
        let chunk = blocks.div_ceil(chunks).next_multiple_of(cluster);
        let run = |index: u64| {
            let range = Range { first: index * chunk, last: blocks.min((index + 1) * chunk) };
            library.run(kernel, launch, range, self.schedule)
        };
        let count = blocks.div_ceil(chunk);
        let first = match count {
            1 => run(0).err(),
            _ => (0..count).into_par_iter().find_map_first(|index| run(index).err()),
        };
        first.map_or(Ok(()), |reason| Err(failed(what(), reason)))
    }
}

/// As strict as the allocations of a device, and exactly as long as asked for, so that a sanitizer
/// sees the first byte beyond.
fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.max(1), 256).ok()
}

pub(super) fn allocate(bytes: usize) -> Result<u64> {
    // SAFETY: the layout's size is not zero.
    let memory = layout(bytes).map(|layout| unsafe { alloc_zeroed(layout) });
    match memory {
        Some(memory) if !memory.is_null() => Ok(memory as u64),
        _ => Err(KernelError::Memory { bytes, reason: "the host's allocator".to_owned() }),
    }
}

/// # Safety
/// `address` is from [`allocate`] with as many bytes and is not used again.
pub(super) unsafe fn free(address: u64, bytes: usize) {
    let layout = layout(bytes).expect("it was good enough to allocate");
    // SAFETY: as this function's.
    unsafe { dealloc(address as *mut u8, layout) }
}

/// The shim's form of a tensor map: the numbers themselves, in the order of `bulk.hpp`.
pub(super) fn tensor_map(tile: &Tile) -> TensorMap {
    let mut words = [0; 16];
    words[..9].copy_from_slice(&[
        tile.address,
        tile.rows as u64,
        tile.columns as u64,
        tile.element_bytes as u64,
        tile.box_rows as u64,
        tile.box_columns as u64,
        128, // the swizzle
        (tile.stride * tile.element_bytes) as u64,
        tile.layers.unwrap_or(0) as u64,
    ]);
    TensorMap(words)
}

/// Free memory and all there is, as Linux says it.
pub(super) fn memory_bytes() -> Result<(usize, usize)> {
    let unknown =
        || KernelError::Unsupported("This system does not say how much memory it has.".to_owned());
    let text = std::fs::read_to_string("/proc/meminfo").map_err(|_| unknown())?;
    let kilobytes = |name: &str| {
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
        line.and_then(|number| number.parse::<usize>().ok()).ok_or_else(unknown)
    };
    Ok((1024 * kilobytes("MemAvailable:")?, 1024 * kilobytes("MemTotal:")?))
}
