//! The launches for one chunk of rows.

use super::scratch::Scratch;
use super::{Code, Gradients, Rows, Shape, stride};
use crate::matmul::{self, Layout, Limit, Options, Product, Strides, Write};
use crate::sources::Source;
use crate::{Device, Launch, Result, Rung, Storage, View, rows};

/// Rows `start..end` of `shape.n`.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    pub device: &'a Device,
    pub rung: Rung,
    pub start: usize,
    pub end: usize,
    pub shape: Shape,
}

impl Chunk<'_> {
    fn rows(&self) -> usize {
        self.end - self.start
    }

    /// Threads of a block that walks over a row: a multiple of a warp, four logits each or more.
    fn threads(&self) -> u32 {
        match self.rung {
            Rung::Naive => 32,
            Rung::Fast => (self.shape.v.div_ceil(4).next_multiple_of(32)).min(1024) as u32,
        }
    }

    fn kernel(&self, naive: &'static str, fast: &'static str) -> &'static str {
        match self.rung {
            Rung::Naive => naive,
            Rung::Fast => fast,
        }
    }

    /// `z = x Wᵀ`.
    pub fn logits<A: Storage>(
        &self,
        scratch: &mut Scratch<A>,
        x: View<A>,
        weight: View<A>,
    ) -> Result<()> {
        let Shape { c, v, .. } = self.shape;
        let product = product(Layout::NT, self.rows(), v, c);
        let x = x.slice(self.start * c..self.end * c);
        let out = scratch.logits.reborrow().into_slice(0..self.rows() * stride(v));
        let strides = Strides { out: stride(v), ..Strides::dense(&product) };
        let options = Options { strides: Some(strides), ..Options::default() };
        matmul::run_with::<A, f32>(self.device, out, x, weight, &product, options)
    }

    /// Rows' results, and with a scale the gradient of the kept ones over their logits.
    pub fn rows_of<A: Storage>(
        &self,
        rows: &mut Rows,
        scratch: &mut Scratch<A>,
        targets: View<u32>,
        mask: Option<View<u8>>,
        code: Code,
        scale: Option<f32>,
    ) -> Result<()> {
        let own = self.start..self.end;
        let stride = stride(self.shape.v);
        let held = if scale.is_some() { stride.min(held(self.device)) } else { 0 };
        let kernel = self.kernel("classifier_rows_naive", "classifier_rows");
        let Rows { loss, nll, probability, kept } = rows;
        let [mut loss, mut nll, mut probability, mut kept] =
            [loss, nll, probability, kept].map(|out| out.reborrow().into_slice(own.clone()));
        let launch = Launch::of::<A>(self.device, Source::Classifier, kernel)
            .grid(self.rows(), 1, 1)
            .block(self.threads())
            .write(&mut loss)
            .write(&mut nll)
            .write(&mut probability)
            .write(&mut kept)
            .write(&mut scratch.logits)
            .read(targets.slice(own.clone()))
            .read_or_null(mask.map(|mask| mask.slice(own)))
            .value(scale.unwrap_or(0.0))
            .value(i32::from(scale.is_some()))
            .value(code.kind)
            .value(code.parameter)
            .value(code.second)
            .size(self.shape.v)
            .size(stride);
        match self.rung {
            // SAFETY: rows and scratch have the checked lengths; the kernel asks each target.
            Rung::Naive => unsafe { launch.run() },
            // SAFETY: as above, and `held` logits have their room.
            Rung::Fast => unsafe { launch.size(held).shared(4 * held).run() },
        }
    }

    /// Kept rows' gradients stand one behind the other.
    pub fn place<A: Storage>(&self, scratch: &mut Scratch<A>, kept: View<f32>) -> Result<()> {
        let stride = stride(self.shape.v);
        let threads = match self.rung {
            Rung::Naive => 32,
            Rung::Fast => self.rows().next_multiple_of(32).min(1024),
        };
        let kernel = self.kernel("classifier_place_naive", "classifier_place");
        // SAFETY: rows and scratch have the checked lengths.
        unsafe {
            Launch::of::<A>(self.device, Source::Classifier, kernel)
                .block(threads as u32)
                .write(&mut scratch.order)
                .write(&mut scratch.moves)
                .write(&mut scratch.state)
                .read(kept.slice(self.start..self.end))
                .size(self.start)
                .size(self.rows())
                .run()
        }?;
        let (kernel, columns) = match self.rung {
            Rung::Naive => ("classifier_move_naive", stride.div_ceil(256)),
            Rung::Fast => ("classifier_move", 1),
        };
        // SAFETY: the moves are those of the chunk's rows, of which at most half can move.
        unsafe {
            Launch::of::<A>(self.device, Source::Classifier, kernel)
                .grid(self.rows() / 2, columns, 1)
                .block(256)
                .write(&mut scratch.logits)
                .read(scratch.moves.view())
                .read(scratch.state.view())
                .size(stride)
                .run()
        }
    }

    /// `dW += dzᵀ x` and `dx += dz W` over the kept rows, perhaps none.
    pub fn products<A: Storage>(
        &self,
        gradients: &mut Gradients<A>,
        scratch: &mut Scratch<A>,
        x: View<A>,
        weight: View<A>,
    ) -> Result<()> {
        let Shape { c, v, .. } = self.shape;
        let rows = self.rows();
        let count = scratch.state.view().slice(0..1);
        let order = scratch.order.view().slice(0..rows);
        let mut kept_x = scratch.kept_x.reborrow().into_slice(0..rows * c);
        let gathered = kept_x.reborrow();
        rows::gather_with(Rung::Fast, self.device, gathered, x, order, Some(count), c)?;
        // Rows of dz begin where those of the logits began.
        let dz_stride = stride(v) * size_of::<f32>() / size_of::<A>();
        let dz = scratch.logits.reborrow().cast::<A>().into_slice(0..rows * dz_stride);
        let mut run = |out, b, product: &Product<A>| {
            let Product { m, n, k, .. } = *product;
            let room = scratch.shares.len() >= matmul::scratch(m, n, k);
            let strides = Strides { a: dz_stride, ..Strides::dense(product) };
            let options = Options {
                strides: Some(strides),
                scratch: room.then(|| scratch.shares.reborrow()),
                ..Options::default()
            };
            matmul::run_with::<A, f32>(self.device, out, dz.view(), b, product, options)
        };
        let limit = Some((count, Limit::Inner));
        let write = Write::Accumulate;
        let dweight = Product { write, limit, ..product(Layout::TN, v, c, rows) };
        run(gradients.dweight.reborrow(), kept_x.view(), &dweight)?;
        let limit = Some((count, Limit::Rows));
        let dx = Product { limit, ..product(Layout::NN, rows, c, v) };
        let mut kept_dx = scratch.kept_dx.reborrow().into_slice(0..rows * c);
        run(kept_dx.reborrow(), weight, &dx)?;
        let out = gradients.dx.reborrow();
        rows::scatter_add(self.device, out, kept_dx.view(), order, Some(count), c)
    }
}

/// Logits that a block can keep in shared memory.
fn held(device: &Device) -> usize {
    match device.compute_capability() {
        (9 | 10, _) => HELD,
        (8, 0) => 160 * 256,
        _ => 96 * 256,
    }
}

/// A row of GPT-2's logits, and less than a multiprocessor of Hopper has: 227 KiB.
const HELD: usize = 56 * 1024;

/// `out [m, n] ← a b`, `k` terms each.
fn product<'a, A>(layout: Layout, m: usize, n: usize, k: usize) -> Product<'a, A> {
    let (alpha, write) = (1.0, Write::Overwrite);
    Product { m, n, k, layout, alpha, write, bias: None, limit: None, rung: None }
}
