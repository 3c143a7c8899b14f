//! The CPU as a [`Tier`]: spans and lengths become views, the work is in the operator files.

use super::matmul::{Write, matmul};
use super::panels::Panels;
use super::{
    Real, adamw, attention, classifier, decode, embedding, gelu, layernorm, linear, panels,
};
use crate::Result;
use crate::loss::Rule;
use crate::tier::{
    Affine, AttentionShape, CacheRows, CacheShape, ClassifierGradients, LinearShape, RowBuffers,
    Span, Tier,
};
use ndarray::{ArrayView, ArrayView2, ArrayViewMut, ArrayViewMut2};
use std::marker::PhantomData;

/// The CPU tier in the precision `R`. Threads are those of the rayon pool it is called in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu<R> {
    precision: PhantomData<R>,
}

impl<R> Cpu<R> {
    /// The tier.
    pub fn new() -> Self {
        Self { precision: PhantomData }
    }
}

fn view<R>(data: &[R], rows: usize, columns: usize) -> ArrayView2<'_, R> {
    ArrayView2::from_shape((rows, columns), &data[..rows * columns]).expect("contiguous")
}

fn view_mut<R>(data: &mut [R], rows: usize, columns: usize) -> ArrayViewMut2<'_, R> {
    ArrayViewMut2::from_shape((rows, columns), &mut data[..rows * columns]).expect("contiguous")
}

/// Two spans of one arena, mutably.
fn two_mut<R>(arena: &mut [R], first: Span, second: Span) -> (&mut [R], &mut [R]) {
    let [first, second] = arena
        .get_disjoint_mut([first.range(), second.range()])
        .expect("spans of an arena do not overlap");
    (first, second)
}

impl<R: Real> Tier for Cpu<R> {
    type Number = R;
    type Act = Vec<R>;
    type Wide = Vec<R>;
    type Param = Vec<R>;
    type Master = Vec<R>;
    type Packed = Panels<R>;

    fn act(&self, len: usize) -> Result<Vec<R>> {
        Ok(vec![R::zero(); len])
    }
    fn wide(&self, len: usize) -> Result<Vec<R>> {
        self.act(len)
    }
    fn param(&self, len: usize) -> Result<Vec<R>> {
        Ok(vec![R::zero(); len])
    }
    fn master(&self, len: usize) -> Result<Vec<R>> {
        Ok(vec![R::zero(); len])
    }
    fn zero_act(&self, act: &mut Vec<R>, len: usize) -> Result<()> {
        act[..len].fill(R::zero());
        Ok(())
    }
    fn zero_param(&self, param: &mut Vec<R>) -> Result<()> {
        param.fill(R::zero());
        Ok(())
    }
    fn upload(&self, param: &mut Vec<R>, span: Span, values: &[R]) -> Result<()> {
        param[span.range()].copy_from_slice(values);
        Ok(())
    }
    fn download(&self, param: &Vec<R>, span: Span) -> Result<Vec<R>> {
        Ok(param[span.range()].to_vec())
    }
    fn download_act(&self, act: &Vec<R>, len: usize) -> Result<Vec<R>> {
        Ok(act[..len].to_vec())
    }
    fn upload_wide(&self, wide: &mut Vec<R>, values: &[R]) -> Result<()> {
        wide[..values.len()].copy_from_slice(values);
        Ok(())
    }
    fn download_wide(&self, wide: &Vec<R>, len: usize) -> Result<Vec<R>> {
        self.download_act(wide, len)
    }
    fn download_master(&self, master: &Vec<R>) -> Result<Vec<R>> {
        Ok(master.clone())
    }
    fn upload_master(&self, master: &mut Vec<R>, values: &[R]) -> Result<()> {
        master.copy_from_slice(values);
        Ok(())
    }

    fn embedding_forward(
        &self,
        out: &mut Vec<R>,
        tokens: &[u32],
        positions: &[u32],
        params: &Vec<R>,
        wte: Span,
        wpe: Span,
        c: usize,
    ) -> Result<()> {
        let out = &mut out[..tokens.len() * c];
        embedding::forward(out, tokens, positions, &params[wte.range()], &params[wpe.range()], c);
        Ok(())
    }
    fn embedding_backward(
        &self,
        gradients: &mut Vec<R>,
        dout: &Vec<R>,
        tokens: &[u32],
        positions: &[u32],
        wte: Span,
        wpe: Span,
        c: usize,
    ) -> Result<()> {
        let (dwte, dwpe) = two_mut(gradients, wte, wpe);
        embedding::backward(dwte, dwpe, &dout[..tokens.len() * c], tokens, positions, c);
        Ok(())
    }

    fn layernorm_forward(
        &self,
        out: &mut Vec<R>,
        mean: &mut Vec<R>,
        rstd: &mut Vec<R>,
        residual: &Vec<R>,
        params: &Vec<R>,
        affine: Affine,
        n: usize,
    ) -> Result<()> {
        let (weight, bias) = (&params[affine.weight.range()], &params[affine.bias.range()]);
        let len = n * weight.len();
        layernorm::forward(
            &mut out[..len],
            &mut mean[..n],
            &mut rstd[..n],
            &residual[..len],
            weight,
            bias,
        );
        Ok(())
    }
    fn residual_layernorm_forward(
        &self,
        out: &mut Vec<R>,
        residual: &mut Vec<R>,
        mean: &mut Vec<R>,
        rstd: &mut Vec<R>,
        x: &Vec<R>,
        branch: &Vec<R>,
        params: &Vec<R>,
        affine: Affine,
        n: usize,
    ) -> Result<()> {
        let (weight, bias) = (&params[affine.weight.range()], &params[affine.bias.range()]);
        let len = n * weight.len();
        layernorm::residual_forward(
            &mut out[..len],
            &mut residual[..len],
            &mut mean[..n],
            &mut rstd[..n],
            &x[..len],
            &branch[..len],
            weight,
            bias,
        );
        Ok(())
    }
    fn layernorm_apply(
        &self,
        out: &mut Vec<R>,
        mean: &Vec<R>,
        rstd: &Vec<R>,
        residual: &Vec<R>,
        params: &Vec<R>,
        affine: Affine,
        n: usize,
    ) -> Result<()> {
        let (weight, bias) = (&params[affine.weight.range()], &params[affine.bias.range()]);
        let len = n * weight.len();
        layernorm::apply(&mut out[..len], &mean[..n], &rstd[..n], &residual[..len], weight, bias);
        Ok(())
    }
    fn layernorm_backward(
        &self,
        dresidual: &mut Vec<R>,
        gradients: &mut Vec<R>,
        mean: &Vec<R>,
        rstd: &Vec<R>,
        dout: &Vec<R>,
        residual: &Vec<R>,
        params: &Vec<R>,
        affine: Affine,
        n: usize,
    ) -> Result<()> {
        let weight = &params[affine.weight.range()];
        let len = n * weight.len();
        let (dweight, dbias) = two_mut(gradients, affine.weight, affine.bias);
        layernorm::backward(
            &mut dresidual[..len],
            dweight,
            dbias,
            &mean[..n],
            &rstd[..n],
            &dout[..len],
            &residual[..len],
            weight,
        );
        Ok(())
    }

    fn linear_forward(
        &self,
        out: &mut Vec<R>,
        x: &Vec<R>,
        params: &Vec<R>,
        affine: Affine,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        linear::forward(
            view_mut(out, n, oc),
            view(x, n, c),
            view(&params[affine.weight.range()], c, oc),
            (affine.bias.len > 0).then(|| (&params[affine.bias.range()]).into()),
        );
        Ok(())
    }
    fn linear_backward(
        &self,
        dx: &mut Vec<R>,
        gradients: &mut Vec<R>,
        dout: &Vec<R>,
        x: &Vec<R>,
        params: &Vec<R>,
        affine: Affine,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        let (dweight, dbias) = two_mut(gradients, affine.weight, affine.bias);
        linear::backward(
            view_mut(dx, n, c),
            view_mut(dweight, c, oc),
            (affine.bias.len > 0).then(|| dbias.into()),
            view(dout, n, oc),
            view(x, n, c),
            view(&params[affine.weight.range()], c, oc),
        );
        Ok(())
    }
    fn gelu_linear_forward(
        &self,
        out: &mut Vec<R>,
        activated: &mut Vec<R>,
        pre: &Vec<R>,
        params: &Vec<R>,
        affine: Affine,
        shape: LinearShape,
    ) -> Result<()> {
        let len = shape.n * shape.c;
        gelu::forward(&mut activated[..len], &pre[..len]);
        self.linear_forward(out, activated, params, affine, shape)
    }
    fn gelu_linear_backward(
        &self,
        dpre: &mut Vec<R>,
        gradients: &mut Vec<R>,
        activated: &mut Vec<R>,
        dout: &Vec<R>,
        pre: &Vec<R>,
        params: &Vec<R>,
        affine: Affine,
        before: Span,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        let weight = view(&params[affine.weight.range()], c, oc);
        let dout = view(dout, n, oc);
        matmul(view_mut(dpre, n, c), dout, weight.t(), R::one(), Write::Overwrite);
        gelu::backward(&mut dpre[..n * c], &mut activated[..n * c], &pre[..n * c]);
        let (dweight, dbias) = two_mut(gradients, affine.weight, affine.bias);
        linear::backward_parameters(
            view_mut(dweight, c, oc),
            Some(dbias.into()),
            dout,
            view(activated, n, c),
        );
        let dbefore = &mut gradients[before.range()];
        linear::add_column_sums(dbefore.into(), view(dpre, n, c));
        Ok(())
    }
    fn pack(
        &self,
        params: &Vec<R>,
        weight: Span,
        c: usize,
        oc: usize,
        transposed: bool,
    ) -> Result<Panels<R>> {
        let weight = &params[weight.range()];
        Ok(Panels::new(if transposed {
            view(weight, oc, c).reversed_axes()
        } else {
            view(weight, c, oc)
        }))
    }
    fn packed_linear_forward(
        &self,
        out: &mut Vec<R>,
        x: &Vec<R>,
        weight: &Panels<R>,
        params: &Vec<R>,
        bias: Span,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        panels::forward(view_mut(out, n, oc), &x[..n * c], weight, Some(&params[bias.range()]));
        Ok(())
    }
    fn packed_logits(
        &self,
        out: &mut Vec<R>,
        x: &Vec<R>,
        weight: &Panels<R>,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        panels::forward(view_mut(out, n, oc), &x[..n * c], weight, None);
        Ok(())
    }
    fn gelu_forward(&self, activated: &mut Vec<R>, pre: &Vec<R>, len: usize) -> Result<()> {
        gelu::forward(&mut activated[..len], &pre[..len]);
        Ok(())
    }
    fn logits(
        &self,
        out: &mut Vec<R>,
        x: &Vec<R>,
        params: &Vec<R>,
        weight: Span,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc } = shape;
        let weight = view(&params[weight.range()], oc, c);
        linear::forward(view_mut(out, n, oc), view(x, n, c), weight.t(), None);
        Ok(())
    }

    fn attention_workspace(&self, shape: AttentionShape) -> usize {
        attention::workspace_per_worker(shape.t) * rayon::current_num_threads()
    }
    fn attention_forward(
        &self,
        out: &mut Vec<R>,
        lse: &mut Vec<R>,
        qkv: &Vec<R>,
        workspace: &mut Vec<R>,
        shape: AttentionShape,
    ) -> Result<()> {
        let AttentionShape { b, t, nh, hs } = shape;
        let n = b * t * nh * hs;
        attention::forward(
            ArrayViewMut::from_shape((b, t, nh, hs), &mut out[..n]).expect("out"),
            ArrayViewMut::from_shape((b, nh, t), &mut lse[..b * nh * t]).expect("lse"),
            ArrayView::from_shape((b, t, 3, nh, hs), &qkv[..3 * n]).expect("qkv"),
            workspace,
        );
        Ok(())
    }
    fn attention_backward(
        &self,
        dqkv: &mut Vec<R>,
        dout: &Vec<R>,
        qkv: &Vec<R>,
        out: &Vec<R>,
        lse: &Vec<R>,
        workspace: &mut Vec<R>,
        shape: AttentionShape,
    ) -> Result<()> {
        let AttentionShape { b, t, nh, hs } = shape;
        let n = b * t * nh * hs;
        attention::backward(
            ArrayViewMut::from_shape((b, t, 3, nh, hs), &mut dqkv[..3 * n]).expect("dqkv"),
            ArrayView::from_shape((b, t, nh, hs), &dout[..n]).expect("dout"),
            ArrayView::from_shape((b, t, 3, nh, hs), &qkv[..3 * n]).expect("qkv"),
            ArrayView::from_shape((b, t, nh, hs), &out[..n]).expect("out"),
            ArrayView::from_shape((b, nh, t), &lse[..b * nh * t]).expect("lse"),
            workspace,
        );
        Ok(())
    }
    fn cache(&self, shape: CacheShape) -> Result<Vec<R>> {
        self.act(decode::cache_len(shape))
    }
    fn cache_fill(
        &self,
        cache: &mut Vec<R>,
        qkv: &Vec<R>,
        slots: &[u32],
        layer: usize,
        t: usize,
        shape: CacheShape,
    ) -> Result<()> {
        decode::fill(cache, qkv, slots, layer, t, shape);
        Ok(())
    }
    fn attention_decode(
        &self,
        out: &mut Vec<R>,
        cache: &mut Vec<R>,
        qkv: &Vec<R>,
        rows: CacheRows,
        layer: usize,
        shape: CacheShape,
    ) -> Result<()> {
        let (n, c) = (rows.slots.len(), shape.nh * shape.hs);
        decode::forward(&mut out[..n * c], cache, &qkv[..3 * n * c], rows, layer, shape);
        Ok(())
    }
    fn gather_rows(&self, out: &mut Vec<R>, x: &Vec<R>, rows: &[usize], c: usize) -> Result<()> {
        for (out, &row) in out.chunks_exact_mut(c).zip(rows) {
            out.copy_from_slice(&x[row * c..(row + 1) * c]);
        }
        Ok(())
    }

    fn classifier_workspace(&self, shape: LinearShape) -> usize {
        classifier::workspace(shape.n, shape.c, shape.oc)
    }
    fn classifier(
        &self,
        rows: &mut RowBuffers<Vec<R>>,
        gradients: Option<ClassifierGradients<Self>>,
        x: &Vec<R>,
        targets: &[u32],
        mask: Option<&[bool]>,
        params: &Vec<R>,
        weight: Span,
        rule: &Rule,
        workspace: &mut Vec<R>,
        shape: LinearShape,
    ) -> Result<()> {
        let LinearShape { n, c, oc: v } = shape;
        classifier::forward_backward(
            classifier::Rows {
                loss: &mut rows.loss[..n],
                nll: &mut rows.nll[..n],
                probability: &mut rows.probability[..n],
                kept: &mut rows.kept[..n],
            },
            gradients.map(|to| classifier::Gradients {
                dx: view_mut(to.dx, n, c),
                dweight: view_mut(&mut to.gradients[weight.range()], v, c),
                scale: R::of(to.scale),
            }),
            view(x, n, c),
            targets,
            mask,
            view(&params[weight.range()], v, c),
            rule,
            workspace,
        );
        Ok(())
    }

    fn squared_norm(&self, gradients: &Vec<R>) -> Result<f64> {
        Ok(adamw::squared_norm(gradients))
    }
    fn adamw(
        &self,
        params: &mut Vec<R>,
        m: &mut Vec<R>,
        v: &mut Vec<R>,
        gradients: &Vec<R>,
        span: Span,
        step: adamw::Step,
    ) -> Result<()> {
        let range = span.range();
        adamw::step(
            &mut params[range.clone()],
            &mut m[range.clone()],
            &mut v[range.clone()],
            &gradients[range],
            step,
        );
        Ok(())
    }
}
