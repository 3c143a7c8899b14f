//! Rows taken out of a matrix.

use super::measure::{Bench, Case};
use super::numbers::{below, normals};
use super::subject::{Output, Subject};
use crate::{Buffer, Device, Result, Rung, Storage, rows};

struct Gather<A: Storage> {
    out: Buffer<A>,
    x: Buffer<A>,
    rows: Buffer<u32>,
    c: usize,
}

impl<A: Storage> Subject for Gather<A> {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let Self { out, x, rows, c } = self;
        let rung = [Rung::Naive, Rung::Fast][rung];
        rows::gather_with(rung, device, out.view_mut(), x.view(), rows.view(), None, *c)
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        vec![Output::of(self.out.view_mut())]
    }
}

pub(super) fn run<A: Storage>(bench: &mut Bench) -> Result<()> {
    if !bench.wants("rows_gather") {
        return Ok(());
    }
    let device = bench.device;
    let (n, c) = (bench.letters.n(), bench.letters.c());
    let m = n / 2;
    let x = normals(device, 1, 1.0, n * c)?;
    let rows = Buffer::of(device, &below(2, n, m))?;
    let out = Buffer::zeros(device, m * c)?;
    let case = Case {
        bytes: 2 * m * c * size_of::<A>() + 4 * m,
        memory_bytes: vec![m * c * size_of::<A>()],
        tolerance: 0.0,
        ..Case::of::<A>("rows_gather", &[("m", m), ("n", n), ("c", c)])
    };
    bench.measure(case, &mut Gather::<A> { out, x, rows, c })
}
