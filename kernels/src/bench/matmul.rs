//! Matrix products: the ladder at a square shape in every layout, then the model's own products.

use super::entry::Bound;
use super::measure::{Bench, Case};
use super::numbers::normals;
use super::plan::Size;
use super::subject::{Output, Subject};
use crate::matmul::{Layout, Options, Product, Rung, Write, run_with, scratch};
use crate::{Buffer, Device, Precision, Result, Storage};

/// A rung, and whether its terms may be split.
type Way = (&'static str, Rung, bool);

struct Matmul<A: Storage, O: Storage> {
    out: Buffer<O>,
    scratch: Buffer<f32>,
    a: Buffer<A>,
    b: Buffer<A>,
    shape: [usize; 3],
    layout: Layout,
    write: Write,
    ways: Vec<Way>,
}

impl<A: Storage, O: Storage> Subject for Matmul<A, O> {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let [m, n, k] = self.shape;
        let (_, rung, split) = self.ways[rung];
        let (layout, write) = (self.layout, self.write);
        let rung = Some(rung);
        let product = Product { m, n, k, layout, alpha: 1.0, write, bias: None, limit: None, rung };
        let scratch = split.then(|| self.scratch.view_mut());
        let options = Options { scratch, ..Options::default() };
        let (a, b) = (self.a.view(), self.b.view());
        run_with::<A, O>(device, self.out.view_mut(), a, b, &product, options)
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        vec![Output::of(self.out.view_mut())]
    }
}

/// One of the model's products.
struct Task {
    name: &'static str,
    layout: Layout,
    write: Write,
    shape: [usize; 3],
    /// Whether the output is in f32 whatever the operands are.
    wide: bool,
    ladder: bool,
}

pub(super) fn run<A: Storage>(bench: &mut Bench) -> Result<()> {
    use Layout::{NN, NT, TN};
    use Write::{Accumulate, Overwrite};
    if !bench.wants("matmul") {
        return Ok(());
    }
    let letters = bench.letters;
    let (n, c, v, edge) = (letters.n(), letters.c(), letters.v, letters.edge);
    let chunk = crate::classifier::chunk_rows(crate::classifier::Shape { n, c, v });
    let task = |name, layout, write, shape, wide| {
        let ladder = name == "square";
        Task { name, layout, write, shape, wide, ladder }
    };
    let square = [edge; 3];
    let tasks = [
        task("square", NN, Overwrite, square, false),
        task("square", NT, Overwrite, square, false),
        task("square", TN, Overwrite, square, false),
        task("qkv", NN, Overwrite, [n, 3 * c, c], false),
        task("fcproj", NN, Overwrite, [n, c, 4 * c], false),
        task("qkv dx", NT, Accumulate, [n, c, 3 * c], false),
        task("qkv dw", TN, Accumulate, [c, 3 * c, n], true),
        task("logits", NT, Overwrite, [chunk, v, c], true),
        task("one row", NN, Overwrite, [1, 3 * c, c], false),
        task("sixteen rows", NN, Overwrite, [16, 3 * c, c], false),
        task("one row logits", NT, Overwrite, [1, v, c], true),
    ];
    for task in tasks {
        match task.wide {
            true => measure::<A, f32>(bench, &task)?,
            false => measure::<A, A>(bench, &task)?,
        }
    }
    Ok(())
}

fn measure<A: Storage, O: Storage>(bench: &mut Bench, task: &Task) -> Result<()> {
    let Task { name, layout, write, shape, ladder, .. } = *task;
    let [m, n, k] = shape;
    let device = bench.device;
    let (a, b) = (normals::<A>(device, 1, 1.0, m * k)?, normals::<A>(device, 2, 1.0, k * n)?);
    let ways = ways(A::PRECISION, layout, shape);
    let out = Buffer::<O>::zeros(device, m * n)?;
    let shares = ways.iter().any(|way| way.2);
    let scratch = Buffer::zeros(device, if shares { scratch(m, n, k) } else { 0 })?;
    let out_bytes = m * n * size_of::<O>();
    let memory_bytes =
        ways.iter().map(|way| out_bytes + if way.2 { 4 * scratch.len() } else { 0 }).collect();
    let touched = if write == Write::Accumulate { 2 } else { 1 };
    let naive_timed = ladder || m <= 16 || bench.size() == Size::Tiny;
    let case = Case {
        variant: format!("{name} {}", format!("{layout:?}").to_lowercase()),
        rungs: ways.iter().map(|way| way.0).collect(),
        bytes: (m * k + k * n) * size_of::<A>() + touched * out_bytes,
        flops: 2 * m * n * k,
        // A weight that is used a few times is read faster than it is multiplied.
        bound: if m <= 16 { Bound::Memory } else { Bound::Arithmetic },
        memory_bytes,
        naive_timed,
        ..Case::of::<A>("matmul", &[("m", m), ("n", n), ("k", k)])
    };
    bench.measure(case, &mut Matmul { out, scratch, a, b, shape, layout, write, ways })
}

/// The ladder, naive first.
fn ways(precision: Precision, layout: Layout, [m, n, k]: [usize; 3]) -> Vec<Way> {
    let mut ways = vec![("naive", Rung::Naive, false)];
    if m <= 16 && layout != Layout::TN {
        ways.push(("few_rows", Rung::FewRows, false));
        return ways;
    }
    ways.push(("tiled", Rung::Tiled, false));
    let split = scratch(m, n, k) > 0;
    if precision == Precision::F32 && split {
        ways.push(("tiled_split", Rung::Tiled, true));
    }
    if precision == Precision::Bf16 {
        ways.push(("mma", Rung::Mma, false));
        if split {
            ways.push(("mma_split", Rung::Mma, true));
        }
        ways.push(("wgmma", Rung::Wgmma, split));
    }
    ways
}
