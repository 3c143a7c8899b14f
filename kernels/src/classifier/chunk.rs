//! The launches for one chunk of rows.

use super::scratch::Scratch;
use super::{Code, Gradients, Rows, Shape, capacity, stride};
use crate::matmul::{self, Layout, Limit, Options, Product, Strides, Write};
use crate::sources::Source;
use crate::{Device, Launch, Result, Rung, Storage, View, rows};

/// Rows `start..end` of `shape.n`, in chunks of `size`.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    pub device: &'a Device,
    pub rung: Rung,
    pub start: usize,
    pub end: usize,
    pub size: usize,
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
            Rung::Fast => (self.shape.v.div_ceil(4).next_multiple_of(32)).min(512) as u32,
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

    /// Rows' results, and with a scale what the gradient needs.
    pub fn statistics<A: Storage>(
        &self,
        rows: &mut Rows,
        scratch: &mut Scratch<A>,
        targets: View<u32>,
        mask: Option<View<u8>>,
        code: Code,
        scale: Option<f32>,
    ) -> Result<()> {
        let own = self.start..self.end;
        let kernel = self.kernel("classifier_statistics_naive", "classifier_statistics");
        // SAFETY: rows and scratch have the checked lengths; the kernel asks each target.
        unsafe {
            Launch::of::<A>(self.device, Source::Classifier, kernel)
                .grid(self.rows(), 1, 1)
                .block(self.threads())
                .write(&mut rows.loss.reborrow().into_slice(own.clone()))
                .write(&mut rows.nll.reborrow().into_slice(own.clone()))
                .write(&mut rows.probability.reborrow().into_slice(own.clone()))
                .write(&mut rows.kept.reborrow().into_slice(own.clone()))
                .write_or_null(scale.is_some().then_some(&mut scratch.saved))
                .read(scratch.logits.view())
                .read(targets.slice(own.clone()))
                .read_or_null(mask.map(|mask| mask.slice(own)))
                .value(scale.unwrap_or(0.0))
                .value(code.kind)
                .value(code.parameter)
                .value(code.second)
                .size(self.shape.v)
                .size(stride(self.shape.v))
                .run()
        }
    }

    /// Kept rows get places, and their gradients stand there.
    pub fn gradient<A: Storage>(
        &self,
        scratch: &mut Scratch<A>,
        kept: View<f32>,
        targets: View<u32>,
    ) -> Result<()> {
        let own = self.start..self.end;
        let most = match self.rung {
            Rung::Naive => 32,
            Rung::Fast => self.rows().next_multiple_of(32).min(1024),
        };
        let kernel = self.kernel("classifier_place_naive", "classifier_place");
        // SAFETY: rows and scratch have the checked lengths; the kernel asks each target.
        unsafe {
            Launch::of::<A>(self.device, Source::Classifier, kernel)
                .block(most as u32)
                .write(&mut scratch.place)
                .write(&mut scratch.waiting)
                .write(&mut scratch.state)
                .read(kept.slice(own.clone()))
                .size(self.start)
                .size(self.rows())
                .size(self.size)
                .value(i32::from(self.start == 0))
                .value(i32::from(self.end == self.shape.n))
                .run()
        }?;
        let (kernel, columns, threads) = match self.rung {
            Rung::Naive => ("classifier_gradient_naive", stride(self.shape.v).div_ceil(256), 256),
            Rung::Fast => ("classifier_gradient", 1, self.threads()),
        };
        // SAFETY: rows and scratch have the checked lengths; the kernel asks each target.
        unsafe {
            Launch::of::<A>(self.device, Source::Classifier, kernel)
                .grid(self.rows(), columns, 1)
                .block(threads)
                .write(&mut scratch.dz)
                .read(scratch.saved.view())
                .read(scratch.logits.view())
                .read(targets.slice(own))
                .read(scratch.place.view())
                .size(self.shape.v)
                .size(stride(self.shape.v))
                .run()
        }
    }

    /// `dW += dzᵀ x` and `dx += dz W` over the rows whose time has come, perhaps none.
    pub fn products<A: Storage>(
        &self,
        gradients: &mut Gradients<A>,
        scratch: &mut Scratch<A>,
        x: View<A>,
        weight: View<A>,
    ) -> Result<()> {
        let Shape { n, c, v } = self.shape;
        let most = capacity(self.size, n).min(self.end);
        let count = scratch.state.view().slice(1..2);
        let waiting = scratch.waiting.view().slice(0..most);
        let mut kept_x = scratch.kept_x.reborrow().into_slice(0..most * c);
        let gathered = kept_x.reborrow();
        rows::gather_with(Rung::Fast, self.device, gathered, x, waiting, Some(count), c)?;
        let dz = scratch.dz.view().slice(0..most * stride(v));
        // The logits have served, and their room takes the shares of a product that is split.
        let mut run = |out, b, product: &Product<A>| {
            let Product { m, n, k, .. } = *product;
            let room = scratch.logits.len() >= matmul::scratch(m, n, k);
            let strides = Strides { a: stride(v), ..Strides::dense(product) };
            let options = Options {
                strides: Some(strides),
                scratch: room.then(|| scratch.logits.reborrow()),
                ..Options::default()
            };
            matmul::run_with::<A, f32>(self.device, out, dz, b, product, options)
        };
        let limit = Some((count, Limit::Inner));
        let write = Write::Accumulate;
        let dweight = Product { write, limit, ..product(Layout::TN, v, c, most) };
        run(gradients.dweight.reborrow(), kept_x.view(), &dweight)?;
        let limit = Some((count, Limit::Rows));
        let dx = Product { limit, ..product(Layout::NN, most, c, v) };
        let mut kept_dx = scratch.kept_dx.reborrow().into_slice(0..most * c);
        run(kept_dx.reborrow(), weight, &dx)?;
        let out = gradients.dx.reborrow();
        rows::scatter_add(self.device, out, kept_dx.view(), waiting, Some(count), c)
    }
}

/// `out [m, n] ← a b`, `k` terms each.
fn product<'a, A>(layout: Layout, m: usize, n: usize, k: usize) -> Product<'a, A> {
    let (alpha, write) = (1.0, Write::Overwrite);
    Product { m, n, k, layout, alpha, write, bias: None, limit: None, rung: None }
}
