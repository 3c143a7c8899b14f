//! Layer norm, with and without the residual sum, and its gradient.

use super::measure::{Bench, Case};
use super::numbers::normals;
use super::subject::{Output, Subject};
use crate::{Buffer, Device, Result, Rung, Storage, layernorm};

const RUNGS: [Rung; 2] = [Rung::Naive, Rung::Fast];

struct Forward<A: Storage> {
    out: Buffer<A>,
    /// With its branch.
    residual: Option<(Buffer<A>, Buffer<A>)>,
    mean: Buffer<f32>,
    rstd: Buffer<f32>,
    x: Buffer<A>,
    weight: Buffer<A>,
    bias: Buffer<A>,
}

impl<A: Storage> Subject for Forward<A> {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let Self { out, residual, mean, rstd, x, weight, bias } = self;
        let (residual, branch) = match residual {
            Some((residual, branch)) => (Some(residual.view_mut()), Some(branch.view())),
            None => (None, None),
        };
        let (out, mean, rstd) = (out.view_mut(), mean.view_mut(), rstd.view_mut());
        let (x, weight, bias) = (x.view(), weight.view(), bias.view());
        let rung = RUNGS[rung];
        layernorm::forward_with(rung, device, out, residual, mean, rstd, x, branch, weight, bias)
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        let mut outputs = vec![
            Output::of(self.out.view_mut()),
            Output::Single(self.mean.view_mut()),
            Output::Single(self.rstd.view_mut()),
        ];
        outputs.extend(self.residual.as_mut().map(|(sum, _)| Output::of(sum.view_mut())));
        outputs
    }
}

struct Backward<A: Storage> {
    dresidual: Buffer<A>,
    dweight: Buffer<f32>,
    dbias: Buffer<f32>,
    mean: Buffer<f32>,
    rstd: Buffer<f32>,
    dout: Buffer<A>,
    residual: Buffer<A>,
    weight: Buffer<A>,
    scratch: Buffer<f32>,
}

impl<A: Storage> Subject for Backward<A> {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        layernorm::backward_with(
            RUNGS[rung],
            device,
            self.dresidual.view_mut(),
            self.dweight.view_mut(),
            self.dbias.view_mut(),
            self.mean.view(),
            self.rstd.view(),
            self.dout.view(),
            self.residual.view(),
            self.weight.view(),
            self.scratch.view_mut(),
        )
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        vec![
            Output::of(self.dresidual.view_mut()),
            Output::Single(self.dweight.view_mut()),
            Output::Single(self.dbias.view_mut()),
        ]
    }
}

pub(super) fn run<A: Storage>(bench: &mut Bench) -> Result<()> {
    forward::<A>(bench, "layernorm_forward", false)?;
    forward::<A>(bench, "residual_layernorm_forward", true)?;
    if bench.wants("layernorm_backward") {
        backward::<A>(bench)?;
    }
    Ok(())
}

fn forward<A: Storage>(bench: &mut Bench, kernel: &'static str, residual: bool) -> Result<()> {
    // A name that is part of the other's means both, as everywhere.
    if !bench.wants(kernel) {
        return Ok(());
    }
    let device = bench.device;
    let (n, c) = (bench.letters.n(), bench.letters.c());
    let x = normals(device, 1, 1.0, n * c)?;
    let branch = residual.then(|| normals(device, 2, 1.0, n * c)).transpose()?;
    let (weight, bias) = (normals(device, 3, 0.1, c)?, normals(device, 4, 0.1, c)?);
    let before = bench.held_bytes()?;
    let sum = |branch| Buffer::zeros(device, n * c).map(|sum| (sum, branch));
    let residual = branch.map(sum).transpose()?;
    let out = Buffer::zeros(device, n * c)?;
    let (mean, rstd) = (Buffer::zeros(device, n)?, Buffer::zeros(device, n)?);
    let memory_bytes = vec![bench.held_bytes()? - before];
    let passes = if residual.is_some() { 4 } else { 2 };
    let bytes = (passes * n * c + 2 * c) * size_of::<A>() + 8 * n;
    let case = Case { bytes, memory_bytes, ..Case::of::<A>(kernel, &[("n", n), ("c", c)]) };
    bench.measure(case, &mut Forward::<A> { out, residual, mean, rstd, x, weight, bias })
}

fn backward<A: Storage>(bench: &mut Bench) -> Result<()> {
    let device = bench.device;
    let (n, c) = (bench.letters.n(), bench.letters.c());
    let (dout, residual) = (normals(device, 1, 1.0, n * c)?, normals::<A>(device, 2, 1.0, n * c)?);
    let (weight, bias) = (normals(device, 3, 0.1, c)?, normals(device, 4, 0.1, c)?);
    let (mut mean, mut rstd) = (Buffer::zeros(device, n)?, Buffer::zeros(device, n)?);
    let mut out = Buffer::zeros(device, n * c)?;
    let (means, rstds) = (mean.view_mut(), rstd.view_mut());
    let (x, w) = (residual.view(), weight.view());
    layernorm::forward(device, out.view_mut(), means, rstds, x, w, bias.view())?;
    drop(out);
    let before = bench.held_bytes()?;
    let dresidual = Buffer::zeros(device, n * c)?;
    let (dweight, dbias) = (Buffer::zeros(device, c)?, Buffer::zeros(device, c)?);
    let scratch = Buffer::zeros(device, layernorm::scratch(n, c))?;
    let memory_bytes = vec![bench.held_bytes()? - before];
    // Reads dout and residual, adds to dresidual and to the two sums.
    let bytes = (4 * n * c + c) * size_of::<A>() + 8 * n + 16 * c;
    let shape = [("n", n), ("c", c)];
    let case = Case { bytes, memory_bytes, ..Case::of::<A>("layernorm_backward", &shape) };
    bench.measure(
        case,
        &mut Backward { dresidual, dweight, dbias, mean, rstd, dout, residual, weight, scratch },
    )
}
