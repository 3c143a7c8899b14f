//! Copies: the bandwidth that memory-bound kernels are measured by.

use super::measure::{Bench, Case};
use super::numbers::normals;
use super::plan::Size;
use super::subject::{Output, Subject};
use crate::sources::Source;
use crate::{Buffer, Device, Launch, Result};

const COPY: Source = Source::Other("copy.cu", include_str!("copy.cu"));
/// Pieces of 16 bytes per block.
const PIECES: usize = 1024;

struct Copy {
    to: Buffer<f32>,
    from: Buffer<f32>,
}

impl Subject for Copy {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        if rung == 0 {
            return self.to.view_mut().copy(device, self.from.view());
        }
        let pieces = self.from.len() / 4;
        let mut to = self.to.view_mut();
        let launch = Launch::of::<f32>(device, COPY, "copy")
            .grid(pieces.div_ceil(PIECES), 1, 1)
            .block(256)
            .write(&mut to)
            .read(self.from.view())
            .value(pieces as u64);
        // SAFETY: both buffers have the same length, which is no less than the pieces together.
        unsafe { launch.run() }
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        vec![Output::Single(self.to.view_mut())]
    }
}

/// The driver's copy, then ours; the bandwidth is ours.
pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let len = match bench.size() {
        Size::Full | Size::Quick => 1 << 28,
        Size::Tiny => 1 << 12,
    };
    let device = bench.device;
    let from = normals(device, 1, 1.0, len)?;
    let mut copy = Copy { to: Buffer::zeros(device, len)?, from };
    let case = Case {
        rungs: vec!["driver", "kernel"],
        bytes: 8 * len,
        tolerance: 0.0,
        ..Case::of::<f32>("copy", &[("numbers", len)])
    };
    bench.measure(case, &mut copy)?;
    let ours = bench.report.entries.last().expect("it has just been measured");
    bench.report.copy_bytes_per_s = ours.bytes as f64 / (ours.times.median_ms * 1e-3);
    Ok(())
}
