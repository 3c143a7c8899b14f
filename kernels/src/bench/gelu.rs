//! GELU.

use super::measure::{Bench, Case};
use super::numbers::normals;
use super::subject::{Output, Subject};
use crate::{Buffer, Device, Result, Rung, Storage, gelu};

const RUNGS: [Rung; 2] = [Rung::Naive, Rung::Fast];

struct Forward<A: Storage> {
    activated: Buffer<A>,
    pre: Buffer<A>,
}

impl<A: Storage> Subject for Forward<A> {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        gelu::forward_with(RUNGS[rung], device, self.activated.view_mut(), self.pre.view())
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        vec![Output::of(self.activated.view_mut())]
    }
}

struct Backward<A: Storage> {
    dpre: Buffer<A>,
    activated: Buffer<A>,
    pre: Buffer<A>,
    /// What `dpre` brings.
    incoming: Buffer<A>,
}

impl<A: Storage> Subject for Backward<A> {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let Self { dpre, activated, pre, .. } = self;
        let (dpre, activated) = (dpre.view_mut(), activated.view_mut());
        gelu::backward_with(RUNGS[rung], device, dpre, activated, pre.view())
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        vec![Output::of(self.dpre.view_mut()), Output::of(self.activated.view_mut())]
    }

    fn reset(&mut self, device: &Device) -> Result<()> {
        self.activated.view_mut().zero(device)?;
        self.dpre.view_mut().copy(device, self.incoming.view())
    }
}

pub(super) fn run<A: Storage>(bench: &mut Bench) -> Result<()> {
    let device = bench.device;
    let (n, c) = (bench.letters.n(), 4 * bench.letters.c());
    let (len, size) = (n * c, size_of::<A>());
    let shape = [("n", n), ("c", c)];
    if bench.wants("gelu_forward") {
        let pre = normals(device, 1, 1.0, len)?;
        let activated = Buffer::zeros(device, len)?;
        let memory_bytes = vec![len * size];
        let case =
            Case { bytes: 2 * len * size, memory_bytes, ..Case::of::<A>("gelu_forward", &shape) };
        bench.measure(case, &mut Forward::<A> { activated, pre })?;
    }
    if bench.wants("gelu_backward") {
        let (pre, incoming) = (normals(device, 1, 1.0, len)?, normals(device, 2, 1.0, len)?);
        let activated = Buffer::zeros(device, len)?;
        let dpre = Buffer::zeros(device, len)?;
        let memory_bytes = vec![len * size];
        // Reads pre and dpre, writes dpre and activated.
        let bytes = 4 * len * size;
        let case = Case { bytes, memory_bytes, ..Case::of::<A>("gelu_backward", &shape) };
        bench.measure(case, &mut Backward::<A> { dpre, activated, pre, incoming })?;
    }
    Ok(())
}
