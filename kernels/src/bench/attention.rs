//! Causal attention, on every rung that serves the storage.

use super::entry::Bound;
use super::measure::{Bench, Case};
use super::numbers::normals;
use super::subject::{Output, Subject};
use crate::attention::{self, Rung, Shape};
use crate::{Buffer, Device, Result, Storage};

struct Attention<A: Storage> {
    out: Buffer<A>,
    lse: Buffer<f32>,
    qkv: Buffer<A>,
    gradient: Option<Gradient<A>>,
    rungs: Vec<Rung>,
    shape: Shape,
}

struct Gradient<A: Storage> {
    dqkv: Buffer<A>,
    dout: Buffer<A>,
    scratch: Buffer<f32>,
}

impl<A: Storage> Subject for Attention<A> {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let Self { out, lse, qkv, gradient, rungs, shape } = self;
        let rung = rungs[rung];
        let Some(Gradient { dqkv, dout, scratch }) = gradient else {
            let (out, lse) = (out.view_mut(), lse.view_mut());
            return attention::forward_with(rung, device, out, lse, qkv.view(), *shape);
        };
        let (dqkv, scratch) = (dqkv.view_mut(), scratch.view_mut());
        let (out, lse, qkv) = (out.view(), lse.view(), qkv.view());
        attention::backward_with(rung, device, dqkv, dout.view(), qkv, out, lse, scratch, *shape)
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        match &mut self.gradient {
            Some(gradient) => vec![Output::of(gradient.dqkv.view_mut())],
            None => vec![Output::of(self.out.view_mut()), Output::Single(self.lse.view_mut())],
        }
    }
}

pub(super) fn run<A: Storage>(bench: &mut Bench) -> Result<()> {
    for backward in [false, true] {
        let kernel = if backward { "attention_backward" } else { "attention_forward" };
        if bench.wants(kernel) {
            measure::<A>(bench, kernel, backward)?;
        }
    }
    Ok(())
}

fn measure<A: Storage>(bench: &mut Bench, kernel: &'static str, backward: bool) -> Result<()> {
    let device = bench.device;
    let letters = bench.letters;
    let shape = Shape { b: letters.b, t: letters.t, nh: letters.nh, hs: letters.hs };
    let Shape { b, t, nh, hs } = shape;
    let (rows, numbers) = (b * nh * t, b * nh * t * hs);
    let qkv = normals::<A>(device, 1, 1.0, 3 * numbers)?;
    let dout = backward.then(|| normals(device, 2, 1.0, numbers)).transpose()?;
    let before = bench.held_bytes()?;
    let (mut out, mut lse) = (Buffer::zeros(device, numbers)?, Buffer::zeros(device, rows)?);
    let forward_bytes = bench.held_bytes()? - before;
    let gradient = match dout {
        Some(dout) => {
            // Its inputs come from the forward pass.
            attention::forward(device, out.view_mut(), lse.view_mut(), qkv.view(), shape)?;
            let dqkv = Buffer::zeros(device, 3 * numbers)?;
            let scratch = Buffer::zeros(device, attention::scratch(shape))?;
            Some(Gradient { dqkv, dout, scratch })
        }
        None => None,
    };
    let backward_bytes = bench.held_bytes()? - before - forward_bytes;
    let all = [
        ("naive", Rung::Naive),
        ("flash", Rung::Flash),
        ("mma", Rung::Mma),
        ("wgmma", Rung::Wgmma),
    ];
    let serves = |rung: &(&'static str, Rung)| rung.1.serves::<A>(device, hs);
    let (names, rungs) = all.into_iter().filter(serves).unzip();
    // Multiply-adds per pair of positions and channel: q·k and p·v; backward repeats the first and
    // has one each for dp, dq, dk, dv.
    let pairs = b * nh * (t * (t + 1) / 2);
    let (products, passes, statistics) = if backward { (5, 11, 2) } else { (2, 4, 1) };
    let case = Case {
        rungs: names,
        bytes: passes * numbers * size_of::<A>() + statistics * 4 * rows,
        flops: products * 2 * pairs * hs,
        bound: Bound::Arithmetic,
        memory_bytes: vec![if backward { backward_bytes } else { forward_bytes }],
        ..Case::of::<A>(kernel, &[("b", b), ("t", t), ("nh", nh), ("hs", hs)])
    };
    bench.measure(case, &mut Attention { out, lse, qkv, gradient, rungs, shape })
}
