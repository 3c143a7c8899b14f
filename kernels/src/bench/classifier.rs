//! The fused classifier: its ladder under cross entropy, and what truncation saves.
//!
//! | rung | kernels | logits held |
//! |---|---|---|
//! | `naive` | plain, one warp or one thread | of all rows |
//! | `fast_whole` | fast | of all rows |
//! | `fast` | fast | of a chunk |
//!
//! The products are the best there are on every rung. Kept fractions come from TCE with a threshold
//! between the rows' own probabilities.

use super::entry::Bound;
use super::measure::{Bench, Case};
use super::numbers::{below, normals};
use super::plan::Size;
use super::subject::{Output, Subject};
use crate::classifier::{self, Code, Gradients, Rows, Shape};
use crate::{Buffer, Device, Precision, Result, Rung, Storage};

struct Classifier<A: Storage> {
    rows: [Buffer<f32>; 4],
    gradients: Option<(Buffer<A>, Buffer<f32>)>,
    x: Buffer<A>,
    targets: Buffer<u32>,
    weight: Buffer<A>,
    code: Code,
    workspace: Buffer<f32>,
    /// Rows of a chunk, and which kernels.
    plans: Vec<(usize, Rung)>,
    shape: Shape,
}

impl<A: Storage> Subject for Classifier<A> {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let [loss, nll, probability, kept] = &mut self.rows;
        let rows = Rows {
            loss: loss.view_mut(),
            nll: nll.view_mut(),
            probability: probability.view_mut(),
            kept: kept.view_mut(),
        };
        let scale = 1.0 / self.shape.n as f32;
        let gradients = self.gradients.as_mut().map(|(dx, dweight)| Gradients {
            dx: dx.view_mut(),
            dweight: dweight.view_mut(),
            scale,
        });
        let plan = self.plans[rung];
        let (x, targets, weight) = (self.x.view(), self.targets.view(), self.weight.view());
        let workspace = self.workspace.view_mut();
        classifier::forward_backward_with(
            plan, device, rows, gradients, x, targets, None, weight, self.code, workspace,
            self.shape,
        )
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        let rows = self.rows.iter_mut().map(|row| Output::Single(row.view_mut()));
        let mut outputs: Vec<Output> = rows.collect();
        if let Some((dx, dweight)) = &mut self.gradients {
            outputs.extend([Output::of(dx.view_mut()), Output::Single(dweight.view_mut())]);
        }
        outputs
    }
}

pub(super) fn run<A: Storage>(bench: &mut Bench) -> Result<()> {
    let letters = bench.letters;
    let gpt2 = Shape { n: letters.rows, c: letters.c(), v: letters.v };
    // The head of Gemma 2 2B, at which others publish their figures.
    let gemma = Shape { n: 8192, c: 2304, v: 256_000 };
    let large = bench.size() == Size::Full && A::PRECISION == Precision::Bf16;
    for shape in [Some(gpt2), large.then_some(gemma)].into_iter().flatten() {
        for backward in [false, true] {
            let kernel =
                if backward { "classifier_forward_backward" } else { "classifier_forward" };
            if bench.wants(kernel) {
                measure::<A>(bench, kernel, backward, shape)?;
            }
        }
    }
    Ok(())
}

fn measure<A: Storage>(
    bench: &mut Bench,
    kernel: &'static str,
    backward: bool,
    shape: Shape,
) -> Result<()> {
    let device = bench.device;
    let Shape { n, c, v } = shape;
    let x = normals::<A>(device, 1, 1.0, n * c)?;
    // Logits of deviation one and a half: probabilities differ, and none is all.
    let weight = normals::<A>(device, 2, 1.5 / (c as f64).sqrt(), v * c)?;
    let targets = Buffer::of(device, &below(3, v, n))?;
    let before = bench.held_bytes()?;
    let row = || Buffer::zeros(device, n);
    let rows = [row()?, row()?, row()?, row()?];
    let gradients = match backward {
        true => Some((Buffer::zeros(device, n * c)?, Buffer::zeros(device, v * c)?)),
        false => None,
    };
    let outputs_bytes = bench.held_bytes()? - before;
    let chunk = match bench.size() {
        // All rows would be one chunk.
        Size::Tiny => n.div_ceil(3),
        _ => classifier::chunk_rows(shape),
    };
    let plans = vec![(n, Rung::Naive), (n, Rung::Fast), (chunk, Rung::Fast)];
    let scratch = |rows| classifier::workspace_with(rows, shape);
    let memory = |plan: &(usize, Rung)| outputs_bytes + 4 * scratch(plan.0);
    let memory_bytes: Vec<usize> = plans.iter().map(memory).collect();
    let most = plans.iter().map(|plan| scratch(plan.0)).max().unwrap_or(0);
    let workspace = Buffer::zeros(device, most)?;
    let code = Code::ce();
    let mut subject =
        Classifier { rows, gradients, x, targets, weight, code, workspace, plans, shape };
    let size = size_of::<A>();
    let case = |kept: usize| Case {
        rungs: vec!["naive", "fast_whole", "fast"],
        // Inputs, weight and, with gradients, what is added to; logits need no memory.
        bytes: (n * c + v * c) * size
            + 20 * n
            + if backward { 2 * n * c * size + 8 * v * c } else { 0 },
        flops: 2 * c * v * (n + if backward { 2 * kept } else { 0 }),
        bound: Bound::Arithmetic,
        memory_bytes: memory_bytes.clone(),
        ..Case::of::<A>(kernel, &[("n", n), ("c", c), ("v", v)])
    };
    bench.measure(Case { variant: "ce".into(), ..case(n) }, &mut subject)?;
    if !backward {
        return Ok(());
    }
    let mut probabilities = subject.rows[2].view().download(device)?;
    probabilities.sort_by(f32::total_cmp);
    for (name, share) in [("tce 3/4", 0.75), ("tce 1/2", 0.5), ("tce 1/4", 0.25)] {
        let (kept, gamma) = threshold(&probabilities, share);
        subject.code = Code::tce(gamma);
        let case = Case { variant: name.into(), naive_timed: false, ..case(kept) };
        let errors = bench.check(&case, &mut subject)?;
        if let Some(error) = errors[2] {
            bench.time(&case, 2, error, &mut subject)?;
        }
    }
    Ok(())
}

/// A threshold that keeps about this share of the ascending probabilities, and how many it keeps. It
/// lies in the widest gap nearby, so that rungs which round differently agree on every row.
fn threshold(ascending: &[f32], share: f64) -> (usize, f64) {
    let n = ascending.len();
    let (wanted, slack) = ((share * n as f64) as usize, n / 100 + 1);
    let gap = |kept: &usize| f64::from(ascending[*kept]) / f64::from(ascending[kept - 1]);
    let kept = (wanted.saturating_sub(slack).max(1)..(wanted + slack).min(n))
        .max_by(|a, b| gap(a).total_cmp(&gap(b)));
    let kept = kept.unwrap_or(n - 1);
    (kept, (f64::from(ascending[kept - 1]) * f64::from(ascending[kept])).sqrt())
}

#[cfg(test)]
mod tests {
    use super::threshold;

    #[test]
    fn a_threshold_keeps_its_share_and_lies_between_two_rows() {
        let rows: Vec<f32> = (1..=1000).map(|i| i as f32 / 1000.0).collect();
        let (kept, gamma) = threshold(&rows, 0.5);
        assert!((489..=511).contains(&kept), "{kept}");
        assert_eq!(rows.iter().filter(|&&p| f64::from(p) <= gamma).count(), kept);
    }
}
