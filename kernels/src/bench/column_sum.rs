//! Gradients of biases.

use super::measure::{Bench, Case};
use super::numbers::normals;
use super::subject::{Output, Subject};
use crate::{Buffer, Device, Result, Rung, Storage, column_sum};

struct Sum<A: Storage> {
    dbias: Buffer<f32>,
    dout: Buffer<A>,
    scratch: Buffer<f32>,
}

impl<A: Storage> Subject for Sum<A> {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let Self { dbias, dout, scratch } = self;
        let rung = [Rung::Naive, Rung::Fast][rung];
        let (dbias, scratch) = (dbias.view_mut(), scratch.view_mut());
        column_sum::accumulate_with(rung, device, dbias, dout.view(), scratch)
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        vec![Output::Single(self.dbias.view_mut())]
    }
}

pub(super) fn run<A: Storage>(bench: &mut Bench) -> Result<()> {
    if !bench.wants("column_sum") {
        return Ok(());
    }
    let device = bench.device;
    let (n, oc) = (bench.letters.n(), 3 * bench.letters.c());
    let dout = normals(device, 1, 1.0, n * oc)?;
    let dbias = Buffer::zeros(device, oc)?;
    let scratch = Buffer::zeros(device, column_sum::scratch(n, oc))?;
    let case = Case {
        bytes: n * oc * size_of::<A>() + 8 * oc,
        memory_bytes: vec![4 * oc, 4 * (oc + scratch.len())],
        ..Case::of::<A>("column_sum", &[("n", n), ("oc", oc)])
    };
    bench.measure(case, &mut Sum::<A> { dbias, dout, scratch })
}
