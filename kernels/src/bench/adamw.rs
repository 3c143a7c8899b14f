//! The optimiser, on all parameters of the model at once.

use super::measure::{Bench, Case};
use super::numbers::normals;
use super::subject::{Output, Subject};
use crate::adamw::{self, Step};
use crate::{Buffer, Device, Result, Rung};
use half::bf16;

struct Update {
    params: Buffer<f32>,
    narrow: Option<Buffer<bf16>>,
    m: Buffer<f32>,
    v: Buffer<f32>,
    g: Buffer<f32>,
}

/// Step 10 with learning rate 3e-4, decay 0.1, β 0.9 and 0.95.
fn scalars() -> Step {
    let (beta1, beta2) = (0.9f64, 0.95f64);
    Step {
        shrink: 1.0 - 3e-5,
        rate: (3e-4 / (1.0 - beta1.powi(10))) as f32,
        root_correct2: (1.0 / (1.0 - beta2.powi(10)).sqrt()) as f32,
        beta1: beta1 as f32,
        beta2: beta2 as f32,
        one_minus1: (1.0 - beta1) as f32,
        one_minus2: (1.0 - beta2) as f32,
        epsilon: 1e-8,
        gradient_scale: 0.5,
    }
}

impl Subject for Update {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let Self { params, narrow, m, v, g } = self;
        let narrow = narrow.as_mut().map(|narrow| narrow.view_mut());
        let (params, m, v) = (params.view_mut(), m.view_mut(), v.view_mut());
        let rung = [Rung::Naive, Rung::Fast][rung];
        adamw::step_with(rung, device, params, narrow, m, v, g.view(), scalars())
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        let state = [&mut self.params, &mut self.m, &mut self.v];
        let mut outputs: Vec<Output> =
            state.into_iter().map(|buffer| Output::Single(buffer.view_mut())).collect();
        outputs.extend(self.narrow.as_mut().map(|narrow| Output::Narrow(narrow.view_mut())));
        outputs
    }
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    if !bench.wants("adamw_step") {
        return Ok(());
    }
    let device = bench.device;
    let len = bench.letters.params;
    for (variant, with_bf16) in [("", false), ("with bf16 copy", true)] {
        let zeros = || Buffer::zeros(device, len);
        let (params, m, v) = (zeros()?, zeros()?, zeros()?);
        let narrow = with_bf16.then(|| Buffer::zeros(device, len)).transpose()?;
        let g = normals(device, 4, 1e-3, len)?;
        let case = Case {
            variant: variant.into(),
            // Reads p, m, v, g; writes p, m, v and the copy.
            bytes: (28 + if with_bf16 { 2 } else { 0 }) * len,
            ..Case::of::<f32>("adamw_step", &[("numbers", len)])
        };
        bench.measure(case, &mut Update { params, narrow, m, v, g })?;
    }
    Ok(())
}
