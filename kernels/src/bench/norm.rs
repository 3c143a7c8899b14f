//! The squared norm of a gradient.

use super::measure::{Bench, Case};
use super::numbers::normals;
use super::subject::{Output, Subject};
use crate::{Buffer, Device, Result, Rung, norm};

/// The naive rung is one thread; this many numbers are enough for a comparison.
const COMPARED: usize = 1 << 17;

struct Norm {
    g: Buffer<f32>,
    scratch: Buffer<f64>,
}

impl Subject for Norm {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let rung = [Rung::Naive, Rung::Fast][rung];
        norm::queue(rung, device, self.g.view(), self.scratch.view_mut())
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        vec![Output::Double(self.scratch.slice_mut(0..1))]
    }
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    if !bench.wants("squared_norm") {
        return Ok(());
    }
    let device = bench.device;
    let len = bench.letters.params;
    let of = |len: usize| {
        let g = normals(device, 1, 1e-3, len)?;
        Buffer::zeros(device, norm::scratch(len)).map(|scratch| Norm { g, scratch })
    };
    let case = Case {
        bytes: 4 * len,
        memory_bytes: vec![8 * norm::scratch(len)],
        tolerance: 1e-12,
        ..Case::of::<f32>("squared_norm", &[("numbers", len)])
    };
    let errors = bench.check(&case, &mut of(len.min(COMPARED))?)?;
    match errors[1] {
        Some(error) => bench.time(&case, 1, error, &mut of(len)?),
        None => Ok(()),
    }
}
