//! The kernels as a [`Tier`]: spans and lengths become views, the work is in the launchers.

use super::{Cuda, Param, Weights};
use crate::config::DecodeConfig;
use crate::cpu::adamw::Step;
use crate::loss::Rule;
use crate::tier::{
    Affine, AttentionShape, CacheRows, CacheShape, ClassifierGradients, LinearShape, RowBuffers,
    Span, Tier,
};
use crate::{Error, Result};
use fortifai_kernels::matmul::{Layout, Options, Product, Write};
use fortifai_kernels::sampling::{self, Draw, NONE};
use fortifai_kernels::{
    Buffer, View, adamw, attention, classifier, column_sum, decode, embedding, gelu, layernorm,
    matmul, norm, rows,
};

/// A weight as it is, and whether its rows are the outputs.
#[derive(Debug)]
pub struct Packed<A: Weights> {
    weight: Buffer<A>,
    layout: Layout,
}

impl<A: Weights> Cuda<A> {
    fn product(shape: LinearShape, layout: Layout, write: Write) -> Product<'static, A> {
        let LinearShape { n, c, oc } = shape;
        Product {
            m: n,
            n: oc,
            k: c,
            layout,
            alpha: 1.0,
            write,
            bias: None,
            limit: None,
            rung: None,
        }
    }

    /// `dW += xᵀ dout`, `db += Σ_rows dout`.
    fn linear_parameters(
        &self,
        gradients: &mut Param<A>,
        dout: View<A>,
        x: View<A>,
        affine: Affine,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        let device = &self.device;
        let (dweight, dbias) = gradients.master.two_mut(affine.weight.range(), affine.bias.range());
        let product =
            Product { m: c, n: oc, k: n, ..Self::product(shape, Layout::TN, Write::Accumulate) };
        // Few entries of many terms each: shares of them keep the whole device busy.
        self.with_scratch(matmul::scratch(c, oc, n), |scratch| {
            let options = Options { scratch: Some(scratch), ..Options::default() };
            matmul::run_with(device, dweight, x, dout, &product, options)
        })?;
        if affine.bias.len == 0 {
            return Ok(());
        }
        self.with_scratch(column_sum::scratch(n, oc), |scratch| {
            column_sum::accumulate(device, dbias, dout, scratch)
        })
    }
}

fn attention_shape(shape: AttentionShape) -> attention::Shape {
    let AttentionShape { b, t, nh, hs } = shape;
    attention::Shape { b, t, nh, hs }
}

fn cache_shape(shape: CacheShape) -> decode::CacheShape {
    let CacheShape { layers, slots, t, nh, hs } = shape;
    decode::CacheShape { layers, slots, t, nh, hs }
}

fn classifier_shape(shape: LinearShape) -> classifier::Shape {
    classifier::Shape { n: shape.n, c: shape.c, v: shape.oc }
}

/// The kernels' code of a rule.
fn code(rule: &Rule) -> Result<classifier::Code> {
    use classifier::Code;
    Ok(match *rule {
        Rule::Ce => Code::ce(),
        Rule::Tce(gamma) => Code::tce(gamma),
        Rule::Focal(gamma) => Code::focal(gamma),
        Rule::FocalDetached(gamma) => Code::focal_detached(gamma),
        Rule::Linear(gamma) => Code::linear(gamma),
        Rule::DropLow(q) => Code::drop_low(q),
        Rule::Masked => Code::masked(),
        Rule::Smoothed(epsilon) => Code::smoothed(epsilon),
        Rule::Custom(_) => {
            return Err(Error::input(
                "A loss given as a function runs on the CPU only; use --device cpu.",
            ));
        }
    })
}

impl<A: Weights> Tier for Cuda<A> {
    fn takes_functions(&self) -> bool {
        false
    }

    type Number = f32;
    type Act = Buffer<A>;
    type Wide = Buffer<f32>;
    type Param = Param<A>;
    type Master = Buffer<f32>;
    type Packed = Packed<A>;

    fn act(&self, len: usize) -> Result<Buffer<A>> {
        Ok(Buffer::zeros(&self.device, len)?)
    }
    fn wide(&self, len: usize) -> Result<Buffer<f32>> {
        Ok(Buffer::zeros(&self.device, len)?)
    }
    fn param(&self, len: usize) -> Result<Param<A>> {
        Ok(Param { master: Buffer::zeros(&self.device, len)?, rounded: None })
    }
    fn master(&self, len: usize) -> Result<Buffer<f32>> {
        Ok(Buffer::zeros(&self.device, len)?)
    }
    fn zero_act(&self, act: &mut Buffer<A>, len: usize) -> Result<()> {
        Ok(act.slice_mut(0..len).zero(&self.device)?)
    }
    fn zero_param(&self, param: &mut Param<A>) -> Result<()> {
        Ok(param.master.view_mut().zero(&self.device)?)
    }
    fn upload(&self, param: &mut Param<A>, span: Span, values: &[f32]) -> Result<()> {
        param.master.slice_mut(span.range()).upload(&self.device, values)?;
        A::round(&self.device, param, span, values)
    }
    fn download(&self, param: &Param<A>, span: Span) -> Result<Vec<f32>> {
        Ok(param.master.slice(span.range()).download(&self.device)?)
    }
    fn download_act(&self, act: &Buffer<A>, len: usize) -> Result<Vec<f32>> {
        let numbers = act.slice(0..len).download(&self.device)?;
        Ok(numbers.into_iter().map(A::wide).collect())
    }
    fn upload_wide(&self, wide: &mut Buffer<f32>, values: &[f32]) -> Result<()> {
        Ok(wide.slice_mut(0..values.len()).upload(&self.device, values)?)
    }
    fn download_wide(&self, wide: &Buffer<f32>, len: usize) -> Result<Vec<f32>> {
        Ok(wide.slice(0..len).download(&self.device)?)
    }
    fn download_master(&self, master: &Buffer<f32>) -> Result<Vec<f32>> {
        Ok(master.view().download(&self.device)?)
    }
    fn upload_master(&self, master: &mut Buffer<f32>, values: &[f32]) -> Result<()> {
        Ok(master.view_mut().upload(&self.device, values)?)
    }

    fn embedding_forward(
        &self,
        out: &mut Buffer<A>,
        tokens: &[u32],
        positions: &[u32],
        params: &Param<A>,
        wte: Span,
        wpe: Span,
        c: usize,
    ) -> Result<()> {
        let out = out.slice_mut(0..tokens.len() * c);
        let (tokens, positions) = (self.indices(tokens)?, self.indices(positions)?);
        let (wte, wpe) = (A::read(params, wte)?, A::read(params, wpe)?);
        let (tokens, positions) = (tokens.view(), positions.view());
        Ok(embedding::forward(&self.device, out, tokens, positions, wte, wpe, c)?)
    }
    fn embedding_backward(
        &self,
        gradients: &mut Param<A>,
        dout: &Buffer<A>,
        tokens: &[u32],
        positions: &[u32],
        wte: Span,
        wpe: Span,
        c: usize,
    ) -> Result<()> {
        let dout = dout.slice(0..tokens.len() * c);
        for (table, ids) in [(wte, tokens), (wpe, positions)] {
            let groups = embedding::Groups::of(&self.device, ids)?;
            let table = gradients.master.slice_mut(table.range());
            embedding::backward(&self.device, table, dout, &groups, c)?;
        }
        Ok(())
    }

    fn layernorm_forward(
        &self,
        out: &mut Buffer<A>,
        mean: &mut Buffer<f32>,
        rstd: &mut Buffer<f32>,
        residual: &Buffer<A>,
        params: &Param<A>,
        affine: Affine,
        n: usize,
    ) -> Result<()> {
        let len = n * affine.weight.len;
        Ok(layernorm::forward(
            &self.device,
            out.slice_mut(0..len),
            mean.slice_mut(0..n),
            rstd.slice_mut(0..n),
            residual.slice(0..len),
            A::read(params, affine.weight)?,
            A::read(params, affine.bias)?,
        )?)
    }
    fn residual_layernorm_forward(
        &self,
        out: &mut Buffer<A>,
        residual: &mut Buffer<A>,
        mean: &mut Buffer<f32>,
        rstd: &mut Buffer<f32>,
        x: &Buffer<A>,
        branch: &Buffer<A>,
        params: &Param<A>,
        affine: Affine,
        n: usize,
    ) -> Result<()> {
        let len = n * affine.weight.len;
        Ok(layernorm::residual_forward(
            &self.device,
            out.slice_mut(0..len),
            residual.slice_mut(0..len),
            mean.slice_mut(0..n),
            rstd.slice_mut(0..n),
            x.slice(0..len),
            branch.slice(0..len),
            A::read(params, affine.weight)?,
            A::read(params, affine.bias)?,
        )?)
    }
    fn layernorm_apply(
        &self,
        out: &mut Buffer<A>,
        mean: &Buffer<f32>,
        rstd: &Buffer<f32>,
        residual: &Buffer<A>,
        params: &Param<A>,
        affine: Affine,
        n: usize,
    ) -> Result<()> {
        let len = n * affine.weight.len;
        Ok(layernorm::apply(
            &self.device,
            out.slice_mut(0..len),
            mean.slice(0..n),
            rstd.slice(0..n),
            residual.slice(0..len),
            A::read(params, affine.weight)?,
            A::read(params, affine.bias)?,
        )?)
    }
    fn layernorm_backward(
        &self,
        dresidual: &mut Buffer<A>,
        gradients: &mut Param<A>,
        mean: &Buffer<f32>,
        rstd: &Buffer<f32>,
        dout: &Buffer<A>,
        residual: &Buffer<A>,
        params: &Param<A>,
        affine: Affine,
        n: usize,
    ) -> Result<()> {
        let c = affine.weight.len;
        let weight = A::read(params, affine.weight)?;
        let (dweight, dbias) = gradients.master.two_mut(affine.weight.range(), affine.bias.range());
        self.with_scratch(layernorm::scratch(n, c), |scratch| {
            layernorm::backward(
                &self.device,
                dresidual.slice_mut(0..n * c),
                dweight,
                dbias,
                mean.slice(0..n),
                rstd.slice(0..n),
                dout.slice(0..n * c),
                residual.slice(0..n * c),
                weight,
                scratch,
            )
        })
    }

    fn linear_forward(
        &self,
        out: &mut Buffer<A>,
        x: &Buffer<A>,
        params: &Param<A>,
        affine: Affine,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        let bias = A::read(params, affine.bias)?;
        let product =
            Product { bias: Some(bias), ..Self::product(shape, Layout::NN, Write::Overwrite) };
        let weight = A::read(params, affine.weight)?;
        let out = out.slice_mut(0..n * oc);
        Ok(matmul::run(&self.device, out, x.slice(0..n * c), weight, &product)?)
    }
    fn linear_backward(
        &self,
        dx: &mut Buffer<A>,
        gradients: &mut Param<A>,
        dout: &Buffer<A>,
        x: &Buffer<A>,
        params: &Param<A>,
        affine: Affine,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        let (dout, x) = (dout.slice(0..n * oc), x.slice(0..n * c));
        let product =
            Product { m: n, n: c, k: oc, ..Self::product(shape, Layout::NT, Write::Overwrite) };
        let weight = A::read(params, affine.weight)?;
        matmul::run(&self.device, dx.slice_mut(0..n * c), dout, weight, &product)?;
        self.linear_parameters(gradients, dout, x, affine, shape)
    }
    fn gelu_linear_forward(
        &self,
        out: &mut Buffer<A>,
        activated: &mut Buffer<A>,
        pre: &Buffer<A>,
        params: &Param<A>,
        affine: Affine,
        shape: LinearShape,
    ) -> Result<()> {
        self.gelu_forward(activated, pre, shape.n * shape.c)?;
        self.linear_forward(out, activated, params, affine, shape)
    }
    fn gelu_linear_backward(
        &self,
        dpre: &mut Buffer<A>,
        gradients: &mut Param<A>,
        activated: &mut Buffer<A>,
        dout: &Buffer<A>,
        pre: &Buffer<A>,
        params: &Param<A>,
        affine: Affine,
        before: Span,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        let (device, dout) = (&self.device, dout.slice(0..n * oc));
        let product =
            Product { m: n, n: c, k: oc, ..Self::product(shape, Layout::NT, Write::Overwrite) };
        let weight = A::read(params, affine.weight)?;
        matmul::run(device, dpre.slice_mut(0..n * c), dout, weight, &product)?;
        let (into, activated_to) = (dpre.slice_mut(0..n * c), activated.slice_mut(0..n * c));
        let (dbefore, pre) = (gradients.master.slice_mut(before.range()), pre.slice(0..n * c));
        self.with_scratch(column_sum::scratch(n, c), |scratch| {
            gelu::backward_summed(device, into, activated_to, dbefore, pre, scratch)
        })?;
        self.linear_parameters(gradients, dout, activated.slice(0..n * c), affine, shape)
    }
    fn pack(
        &self,
        params: &Param<A>,
        weight: Span,
        c: usize,
        oc: usize,
        transposed: bool,
    ) -> Result<Packed<A>> {
        let mut copy = Buffer::zeros(&self.device, c * oc)?;
        copy.view_mut().copy(&self.device, A::read(params, weight)?)?;
        let layout = if transposed { Layout::NT } else { Layout::NN };
        Ok(Packed { weight: copy, layout })
    }
    fn packed_linear_forward(
        &self,
        out: &mut Buffer<A>,
        x: &Buffer<A>,
        weight: &Packed<A>,
        params: &Param<A>,
        bias: Span,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        let bias = A::read(params, bias)?;
        let product =
            Product { bias: Some(bias), ..Self::product(shape, weight.layout, Write::Overwrite) };
        let out = out.slice_mut(0..n * oc);
        Ok(matmul::run(&self.device, out, x.slice(0..n * c), weight.weight.view(), &product)?)
    }
    fn packed_logits(
        &self,
        out: &mut Buffer<f32>,
        x: &Buffer<A>,
        weight: &Packed<A>,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        let product = Self::product(shape, weight.layout, Write::Overwrite);
        let out = out.slice_mut(0..n * oc);
        Ok(matmul::run(&self.device, out, x.slice(0..n * c), weight.weight.view(), &product)?)
    }
    fn chooses(&self) -> bool {
        true
    }
    fn choose(
        &self,
        logits: &Buffer<f32>,
        rows: usize,
        v: usize,
        config: &DecodeConfig,
        uniforms: &[f64],
    ) -> Result<Vec<Option<u32>>> {
        let device = &self.device;
        let mut out = Buffer::<u32>::zeros(device, rows)?;
        let logits = logits.slice(0..rows * v);
        if config.sample {
            let uniforms = Buffer::of(device, uniforms)?;
            let how = Draw {
                temperature: config.temperature as f32,
                top_k: config.top_k,
                top_p: config.top_p,
            };
            sampling::draw(device, out.view_mut(), logits, uniforms.view(), how, v)?;
        } else {
            sampling::argmax(device, out.view_mut(), logits, v)?;
        }
        let tokens = out.view().download(device)?;
        Ok(tokens.into_iter().map(|token| Some(token).filter(|&token| token != NONE)).collect())
    }
    fn gelu_forward(&self, activated: &mut Buffer<A>, pre: &Buffer<A>, len: usize) -> Result<()> {
        Ok(gelu::forward(&self.device, activated.slice_mut(0..len), pre.slice(0..len))?)
    }
    fn logits(
        &self,
        out: &mut Buffer<f32>,
        x: &Buffer<A>,
        params: &Param<A>,
        weight: Span,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        let product = Self::product(shape, Layout::NT, Write::Overwrite);
        let (out, weight) = (out.slice_mut(0..n * oc), A::read(params, weight)?);
        Ok(matmul::run(&self.device, out, x.slice(0..n * c), weight, &product)?)
    }

    fn attention_workspace(&self, shape: AttentionShape) -> usize {
        attention::scratch(attention_shape(shape))
    }
    fn attention_forward(
        &self,
        out: &mut Buffer<A>,
        lse: &mut Buffer<f32>,
        qkv: &Buffer<A>,
        _workspace: &mut Buffer<f32>,
        shape: AttentionShape,
    ) -> Result<()> {
        let AttentionShape { b, t, nh, hs } = shape;
        let n = b * t * nh * hs;
        let (out, lse) = (out.slice_mut(0..n), lse.slice_mut(0..b * nh * t));
        let shape = attention_shape(shape);
        Ok(attention::forward(&self.device, out, lse, qkv.slice(0..3 * n), shape)?)
    }
    fn attention_backward(
        &self,
        dqkv: &mut Buffer<A>,
        dout: &Buffer<A>,
        qkv: &Buffer<A>,
        out: &Buffer<A>,
        lse: &Buffer<f32>,
        workspace: &mut Buffer<f32>,
        shape: AttentionShape,
    ) -> Result<()> {
        let AttentionShape { b, t, nh, hs } = shape;
        let n = b * t * nh * hs;
        let shape = attention_shape(shape);
        Ok(attention::backward(
            &self.device,
            dqkv.slice_mut(0..3 * n),
            dout.slice(0..n),
            qkv.slice(0..3 * n),
            out.slice(0..n),
            lse.slice(0..b * nh * t),
            workspace.slice_mut(0..attention::scratch(shape)),
            shape,
        )?)
    }
    fn cache(&self, shape: CacheShape) -> Result<Buffer<A>> {
        self.act(decode::cache_len(cache_shape(shape)))
    }
    fn cache_fill(
        &self,
        cache: &mut Buffer<A>,
        qkv: &Buffer<A>,
        slots: &[u32],
        layer: usize,
        t: usize,
        shape: CacheShape,
    ) -> Result<()> {
        let qkv = qkv.slice(0..slots.len() * t * 3 * shape.nh * shape.hs);
        let (slots, shape) = (self.indices(slots)?, cache_shape(shape));
        let cache = cache.slice_mut(0..decode::cache_len(shape));
        Ok(decode::fill(&self.device, cache, qkv, slots.view(), layer, t, shape)?)
    }
    fn attention_decode(
        &self,
        out: &mut Buffer<A>,
        cache: &mut Buffer<A>,
        qkv: &Buffer<A>,
        rows: CacheRows,
        layer: usize,
        shape: CacheShape,
    ) -> Result<()> {
        let len = rows.slots.len() * shape.nh * shape.hs;
        let shape = cache_shape(shape);
        let slots = self.indices(rows.slots)?;
        let (lengths, ancestry) = (self.indices(rows.lengths)?, self.indices(rows.ancestry)?);
        Ok(decode::forward(
            &self.device,
            out.slice_mut(0..len),
            cache.slice_mut(0..decode::cache_len(shape)),
            qkv.slice(0..3 * len),
            slots.view(),
            lengths.view(),
            ancestry.view(),
            layer,
            shape,
        )?)
    }
    fn gather_rows(
        &self,
        out: &mut Buffer<A>,
        x: &Buffer<A>,
        rows: &[usize],
        c: usize,
    ) -> Result<()> {
        let out = out.slice_mut(0..rows.len() * c);
        let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        Ok(rows::gather(&self.device, out, x.view(), self.indices(&rows)?.view(), c)?)
    }

    fn classifier_workspace(&self, shape: LinearShape) -> usize {
        classifier::workspace(classifier_shape(shape))
    }
    fn classifier(
        &self,
        rows: &mut RowBuffers<Buffer<f32>>,
        gradients: Option<ClassifierGradients<Self>>,
        x: &Buffer<A>,
        targets: &[u32],
        mask: Option<&[bool]>,
        params: &Param<A>,
        weight: Span,
        rule: &Rule,
        workspace: &mut Buffer<f32>,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, .. } = shape;
        let device = &self.device;
        let mask = mask
            .map(|mask| {
                Buffer::of(device, &mask.iter().map(|&set| u8::from(set)).collect::<Vec<_>>())
            })
            .transpose()?;
        let rows = classifier::Rows {
            loss: rows.loss.slice_mut(0..n),
            nll: rows.nll.slice_mut(0..n),
            probability: rows.probability.slice_mut(0..n),
            kept: rows.kept.slice_mut(0..n),
        };
        let gradients = gradients.map(|to| classifier::Gradients {
            dx: to.dx.slice_mut(0..n * c),
            dweight: to.gradients.master.slice_mut(weight.range()),
            scale: to.scale as f32,
        });
        Ok(classifier::forward_backward(
            device,
            rows,
            gradients,
            x.slice(0..n * c),
            self.indices(targets)?.view(),
            mask.as_ref().map(Buffer::view),
            A::read(params, weight)?,
            code(rule)?,
            workspace.slice_mut(0..self.classifier_workspace(shape)),
            classifier_shape(shape),
        )?)
    }

    fn squared_norm(&self, gradients: &Param<A>) -> Result<f64> {
        let gradients = gradients.master.view();
        self.with_double_scratch(norm::scratch(gradients.len()), |scratch| {
            norm::squared(&self.device, gradients, scratch)
        })
    }
    fn adamw(
        &self,
        params: &mut Param<A>,
        m: &mut Buffer<f32>,
        v: &mut Buffer<f32>,
        gradients: &Param<A>,
        span: Span,
        step: Step,
    ) -> Result<()> {
        let step = update(step);
        let (m, v) = (m.slice_mut(span.range()), v.slice_mut(span.range()));
        let g = gradients.master.slice(span.range());
        let device = &self.device;
        match A::rounded_mut(params, span) {
            Some((params, rounded)) => adamw::step(device, params, Some(rounded), m, v, g, step)?,
            None => {
                let params = params.master.slice_mut(span.range());
                adamw::step(device, params, None, m, v, g, step)?;
            }
        }
        Ok(())
    }
}

/// The factors of an update, rounded once.
fn update(step: Step) -> adamw::Step {
    let factors = step.factors();
    adamw::Step {
        shrink: factors.shrink as f32,
        rate: factors.rate as f32,
        root_correct2: factors.root_correct2 as f32,
        beta1: factors.first.0 as f32,
        beta2: factors.second.0 as f32,
        one_minus1: factors.first.1 as f32,
        one_minus2: factors.second.1 as f32,
        epsilon: step.epsilon as f32,
        gradient_scale: step.gradient_scale as f32,
    }
}
