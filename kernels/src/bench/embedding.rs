//! Embedding.

use super::measure::{Bench, Case};
use super::numbers::{below, normals};
use super::subject::{Output, Subject};
use crate::embedding::{self, Groups};
use crate::{Buffer, Device, Result, Rung, Storage};

const RUNGS: [Rung; 2] = [Rung::Naive, Rung::Fast];

struct Forward<A: Storage> {
    out: Buffer<A>,
    tokens: Buffer<u32>,
    positions: Buffer<u32>,
    wte: Buffer<A>,
    wpe: Buffer<A>,
    c: usize,
}

impl<A: Storage> Subject for Forward<A> {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let Self { out, tokens, positions, wte, wpe, c } = self;
        let (tokens, positions) = (tokens.view(), positions.view());
        let (wte, wpe) = (wte.view(), wpe.view());
        let out = out.view_mut();
        embedding::forward_with(RUNGS[rung], device, out, tokens, positions, wte, wpe, *c)
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        vec![Output::of(self.out.view_mut())]
    }
}

struct Backward<A: Storage> {
    dtable: Buffer<f32>,
    dout: Buffer<A>,
    groups: Groups,
    c: usize,
}

impl<A: Storage> Subject for Backward<A> {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let Self { dtable, dout, groups, c } = self;
        embedding::backward_with(RUNGS[rung], device, dtable.view_mut(), dout.view(), groups, *c)
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        vec![Output::Single(self.dtable.view_mut())]
    }
}

/// Tokens of a text: a few are frequent, as in Zipf's law.
fn tokens(n: usize, v: usize) -> Vec<u32> {
    let places = below(1, 1 << 24, n);
    let of = |place: u32| ((v as f64).powf(f64::from(place) / f64::from(1 << 24)) - 1.0) as u32;
    places.into_iter().map(of).collect()
}

pub(super) fn run<A: Storage>(bench: &mut Bench) -> Result<()> {
    let device = bench.device;
    let letters = bench.letters;
    let (n, c, t, v) = (letters.n(), letters.c(), letters.t, letters.v);
    let shape = [("n", n), ("c", c), ("v", v)];
    let ids = tokens(n, v);
    if bench.wants("embedding_forward") {
        let (wte, wpe) = (normals(device, 2, 0.02, v * c)?, normals(device, 3, 0.02, t * c)?);
        let at: Vec<u32> = (0..n).map(|row| (row % t) as u32).collect();
        let (tokens, positions) = (Buffer::of(device, &ids)?, Buffer::of(device, &at)?);
        let out = Buffer::zeros(device, n * c)?;
        let case = Case {
            // Rows of the tables count once per use, which the cache may better.
            bytes: 3 * n * c * size_of::<A>() + 8 * n,
            memory_bytes: vec![n * c * size_of::<A>()],
            ..Case::of::<A>("embedding_forward", &shape)
        };
        bench.measure(case, &mut Forward::<A> { out, tokens, positions, wte, wpe, c })?;
    }
    if bench.wants("embedding_backward") {
        let groups = Groups::of(device, &ids)?;
        let dout = normals(device, 4, 1.0, n * c)?;
        let dtable = Buffer::zeros(device, v * c)?;
        let case = Case {
            bytes: n * c * size_of::<A>() + 2 * groups.len() * c * 4 + 4 * n,
            memory_bytes: vec![4 * v * c],
            ..Case::of::<A>("embedding_backward", &shape)
        };
        bench.measure(case, &mut Backward::<A> { dtable, dout, groups, c })?;
    }
    Ok(())
}
