//! The choice of the next token.

use super::measure::{Bench, Case};
use super::numbers::{normals, uniforms};
use super::subject::{Output, Subject};
use crate::sampling::{self, Draw};
use crate::{Buffer, Device, Result, Rung};

const ROWS: usize = 64;
/// The naive rung compares every weight with every other; this many are enough.
const COMPARED: usize = 512;

struct Choice {
    out: Buffer<u32>,
    logits: Buffer<f32>,
    /// None is argmax.
    draw: Option<(Buffer<f64>, Draw)>,
    v: usize,
}

impl Subject for Choice {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let Self { out, logits, draw, v } = self;
        let rung = [Rung::Naive, Rung::Fast][rung];
        let (out, logits) = (out.view_mut(), logits.view());
        match draw {
            None => sampling::argmax_with(rung, device, out, logits, *v),
            Some((uniforms, draw)) => {
                sampling::draw_with(rung, device, out, logits, uniforms.view(), *draw, *v)
            }
        }
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        vec![Output::Tokens(self.out.view_mut())]
    }
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let filtered = Draw { temperature: 0.8, top_k: 50, top_p: 0.9 };
    let plain = Draw { temperature: 1.0, top_k: 0, top_p: 1.0 };
    let cases = [
        ("sampling_argmax", "", None),
        ("sampling_draw", "plain", Some(plain)),
        ("sampling_draw", "top-k 50, top-p 0.9", Some(filtered)),
    ];
    for (kernel, variant, draw) in cases {
        if bench.wants(kernel) {
            measure(bench, kernel, variant, draw)?;
        }
    }
    Ok(())
}

fn measure(
    bench: &mut Bench,
    kernel: &'static str,
    variant: &str,
    draw: Option<Draw>,
) -> Result<()> {
    let device = bench.device;
    let v = bench.letters.v;
    let of = |v: usize| -> Result<Choice> {
        let logits = normals(device, 1, 2.0, ROWS * v)?;
        let out = Buffer::zeros(device, ROWS)?;
        let uniforms = Buffer::of(device, &uniforms(2, ROWS))?;
        Ok(Choice { out, logits, draw: draw.map(|draw| (uniforms, draw)), v })
    };
    let case = Case {
        variant: variant.into(),
        bytes: 4 * ROWS * v + 12 * ROWS,
        memory_bytes: vec![4 * ROWS],
        tolerance: 0.0,
        ..Case::of::<f32>(kernel, &[("rows", ROWS), ("v", v)])
    };
    let errors = bench.check(&case, &mut of(v.min(COMPARED))?)?;
    match errors[1] {
        Some(error) => bench.time(&case, 1, error, &mut of(v)?),
        None => Ok(()),
    }
}
