//! The CPU tier with one fault.

use super::naive::attention_backward;
use super::narrow::{Narrow, keep, rough, rough_classifier};
use super::{Gradient, Plant, Swap, Tamper};
use crate::Result;
use crate::cpu::adamw::Step;
use crate::cpu::panels::Panels;
use crate::cpu::{Cpu, Real, layernorm};
use crate::loss::Rule;
use crate::tier::{
    Affine, AttentionShape, CacheRows, CacheShape, ClassifierGradients, LinearShape, RowBuffers,
    Span, Tier,
};
use crate::verify::budget::Stored;
use std::borrow::Cow;

/// The wrapper.
#[derive(Clone, Copy, Debug)]
pub struct Faulty<R = f64> {
    inner: Cpu<R>,
    plant: Plant,
}

impl<R: Real> Faulty<R> {
    /// The tier with this fault.
    pub fn new(plant: Plant) -> Self {
        Self { inner: Cpu::new(), plant }
    }

    fn is(&self, plant: Plant) -> bool {
        self.plant == plant
    }

    /// How digits are lost, if they are.
    fn narrow(&self) -> Option<Narrow> {
        match self.plant {
            Plant::Narrow(narrow) => Some(narrow),
            _ => None,
        }
    }

    /// Rounds what is stored.
    fn store(&self, act: &mut [R]) {
        let stored = match self.narrow() {
            Some(Narrow::Stored) => Stored::Bf16,
            Some(Narrow::StoredSingle) => Stored::Single,
            _ => return,
        };
        act.iter_mut().for_each(|x| *x = R::of(stored.round(x.wide())));
    }

    /// The weights as they are read: rounded where tensors are stored in bfloat16.
    #[expect(clippy::owned_cow)] // a tier takes vectors
    fn read<'a>(&self, params: &'a Vec<R>) -> Cow<'a, Vec<R>> {
        match self.narrow() {
            Some(Narrow::Stored) => {
                let mut rounded = params.clone();
                self.store(&mut rounded);
                Cow::Owned(rounded)
            }
            _ => Cow::Borrowed(params),
        }
    }

    /// Factors of products as they are read.
    fn factors<'a>(&self, x: &'a [R]) -> Cow<'a, [R]> {
        match self.narrow() {
            Some(Narrow::Products(digits)) => x.iter().map(|&x| keep(x, digits)).collect(),
            _ => Cow::Borrowed(x),
        }
    }

    /// A row's statistics with fewer digits; whether they are others.
    fn statistics(&self, mean: &mut [R], rstd: &mut [R], x: &[R], n: usize) -> bool {
        let Some(narrow) = self.narrow() else { return false };
        let c = x.len() / n.max(1);
        let rows = mean[..n].iter_mut().zip(&mut rstd[..n]).zip(x.chunks_exact(c));
        for ((mean, rstd), x) in rows {
            match narrow {
                Narrow::OnePass => {
                    let squares = x.iter().map(|&x| x * x).sum::<R>() / R::of(c as f64);
                    let variance = squares - *mean * *mean;
                    *rstd = R::one() / (variance + R::of(layernorm::EPSILON)).sqrt();
                }
                Narrow::Mean(digits) => *mean = keep(*mean, digits),
                Narrow::Rstd(off) => *rstd *= R::of(1.0 + off),
                _ => {}
            }
        }
        matches!(narrow, Narrow::OnePass | Narrow::Mean(_) | Narrow::Rstd(_))
    }

    /// How the gradient is tampered with.
    fn tamper(&self, at: Gradient) -> Option<Tamper> {
        match self.plant {
            Plant::Gradient(here, tamper) if here == at => Some(tamper),
            _ => None,
        }
    }

    /// Spoils the first `len` numbers of a buffer.
    fn spoil(&self, at: Gradient, before: &[R], after: &mut [R], len: usize) {
        if let Some(tamper) = self.tamper(at) {
            tamper.apply(before, after, len);
        }
    }

    /// Spoils a span of an arena.
    fn spoil_span(&self, at: Gradient, before: &[R], arena: &mut [R], span: Span) {
        self.spoil(at, &before[span.range()], &mut arena[span.start..], span.len);
    }

    /// One output stays unwritten.
    fn leave(&self, out: &mut [R]) {
        if self.is(Plant::Unwritten) {
            out[0] = R::NAN;
        }
    }

    fn swapped(&self, rule: &Rule) -> Option<Rule> {
        let Plant::ClassifierRule(swap) = self.plant else { return None };
        match (swap, rule) {
            (Swap::FocalDetached, &Rule::Focal(gamma)) => Some(Rule::FocalDetached(gamma)),
            (Swap::FocalAttached, &Rule::FocalDetached(gamma)) => Some(Rule::Focal(gamma)),
            (Swap::FocalExponent, &Rule::Focal(gamma)) => Some(Rule::Focal(1.0001 * gamma)),
            (Swap::Inverted, &Rule::Tce(gamma)) => Some(Rule::DropLow(gamma)),
            (Swap::Unmasked, Rule::Masked) => Some(Rule::Ce),
            (Swap::Unsmoothed, Rule::Smoothed(_)) => Some(Rule::Ce),
            _ => None,
        }
    }
}

/// The span of a matrix `[rows, columns]` as its transpose, row by row.
fn transpose<R: Real>(params: &[R], span: Span, rows: usize, columns: usize) -> Vec<R> {
    let mut copy = params.to_vec();
    for (index, value) in copy[span.range()].iter_mut().enumerate() {
        let (i, j) = (index / columns, index % columns);
        *value = params[span.start + j * rows + i];
    }
    copy
}

impl<R: Real> Tier for Faulty<R> {
    type Number = R;
    type Act = Vec<R>;
    type Wide = Vec<R>;
    type Param = Vec<R>;
    type Master = Vec<R>;
    type Packed = Panels<R>;

    fn act(&self, len: usize) -> Result<Vec<R>> {
        self.inner.act(len)
    }
    fn wide(&self, len: usize) -> Result<Vec<R>> {
        self.inner.wide(len)
    }
    fn param(&self, len: usize) -> Result<Vec<R>> {
        self.inner.param(len)
    }
    fn master(&self, len: usize) -> Result<Vec<R>> {
        self.inner.master(len)
    }
    fn zero_act(&self, act: &mut Vec<R>, len: usize) -> Result<()> {
        self.inner.zero_act(act, len)
    }
    fn zero_param(&self, param: &mut Vec<R>) -> Result<()> {
        self.inner.zero_param(param)
    }
    fn upload(&self, param: &mut Vec<R>, span: Span, values: &[R]) -> Result<()> {
        self.inner.upload(param, span, values)
    }
    fn download(&self, param: &Vec<R>, span: Span) -> Result<Vec<R>> {
        self.inner.download(param, span)
    }
    fn download_act(&self, act: &Vec<R>, len: usize) -> Result<Vec<R>> {
        self.inner.download_act(act, len)
    }
    fn upload_wide(&self, wide: &mut Vec<R>, values: &[R]) -> Result<()> {
        self.inner.upload_wide(wide, values)
    }
    fn download_wide(&self, wide: &Vec<R>, len: usize) -> Result<Vec<R>> {
        self.inner.download_wide(wide, len)
    }
    fn download_master(&self, master: &Vec<R>) -> Result<Vec<R>> {
        self.inner.download_master(master)
    }
    fn upload_master(&self, master: &mut Vec<R>, values: &[R]) -> Result<()> {
        self.inner.upload_master(master, values)
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
        let params = &*self.read(params);
        // Buffers are filled by an embedding of one channel; that one must stay right.
        let context = (wpe.len / c) as u32;
        let wrong = self.is(Plant::EmbeddingForward) && context > 1;
        let shift = |&position: &u32| (position + u32::from(wrong)) % context;
        let positions: Vec<u32> = positions.iter().map(shift).collect();
        self.inner.embedding_forward(out, tokens, &positions, params, wte, wpe, c)?;
        self.store(out);
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
        let before = gradients.clone();
        let context = (wpe.len / c) as u32;
        let wrong = u32::from(self.is(Plant::EmbeddingPosition));
        let positions: Vec<u32> = positions.iter().map(|&p| (p + wrong) % context).collect();
        self.inner.embedding_backward(gradients, dout, tokens, &positions, wte, wpe, c)?;
        if self.is(Plant::EmbeddingRepeated) {
            for (index, &token) in tokens.iter().enumerate() {
                let row = wte.start + token as usize * c;
                for i in 0..c {
                    gradients[row + i] = before[row + i] + dout[index * c + i];
                }
            }
        }
        self.spoil_span(Gradient::Wte, &before, gradients, wte);
        self.spoil_span(Gradient::Wpe, &before, gradients, wpe);
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
        let params = &*self.read(params);
        self.inner.layernorm_forward(out, mean, rstd, residual, params, affine, n)?;
        if self.statistics(mean, rstd, &residual[..n * affine.weight.len], n) {
            self.inner.layernorm_apply(out, mean, rstd, residual, params, affine, n)?;
        }
        self.store(out);
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
        let params = &*self.read(params);
        let none = vec![R::zero(); branch.len()];
        let branch = if self.is(Plant::ResidualForgotten) { &none } else { branch };
        self.inner
            .residual_layernorm_forward(out, residual, mean, rstd, x, branch, params, affine, n)?;
        if self.narrow().is_none() {
            return Ok(());
        }
        // What is normalised is what is stored.
        self.store(residual);
        self.layernorm_forward(out, mean, rstd, residual, params, affine, n)
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
        let params = &*self.read(params);
        self.inner.layernorm_apply(out, mean, rstd, residual, params, affine, n)?;
        self.store(out);
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
        let params = &*self.read(params);
        let (before, before_arena) = (dresidual.clone(), gradients.clone());
        let (mut used_mean, mut used_rstd) = (mean[..n].to_vec(), rstd[..n].to_vec());
        if self.is(Plant::LayernormStale) {
            used_mean.rotate_right(1);
            used_rstd.rotate_right(1);
        }
        if self.is(Plant::LayernormRstd) {
            used_rstd.iter_mut().for_each(|rstd| *rstd *= R::of(1.00001));
        }
        self.inner.layernorm_backward(
            dresidual, gradients, &used_mean, &used_rstd, dout, residual, params, affine, n,
        )?;
        let c = affine.weight.len;
        let weight = &params[affine.weight.range()];
        for row in 0..n {
            let x = &residual[row * c..][..c];
            let dout = &dout[row * c..][..c];
            let normed = |i: usize| (x[i] - mean[row]) * rstd[row];
            let e = |i: usize| dout[i] * weight[i];
            let average = |of: &dyn Fn(usize) -> R| (0..c).map(of).sum::<R>() / R::of(c as f64);
            for i in 0..c {
                if self.is(Plant::LayernormNoMean) {
                    dresidual[row * c + i] += rstd[row] * average(&e);
                }
                if self.is(Plant::LayernormNoProjection) {
                    let projection = average(&|j| e(j) * normed(j));
                    dresidual[row * c + i] += rstd[row] * normed(i) * projection;
                }
                if self.is(Plant::LayernormRaw) {
                    gradients[affine.weight.start + i] += dout[i] * (x[i] - normed(i));
                }
            }
        }
        self.store(dresidual);
        self.spoil(Gradient::LayernormResidual, &before, dresidual, n * c);
        self.spoil_span(Gradient::LayernormWeight, &before_arena, gradients, affine.weight);
        self.spoil_span(Gradient::LayernormBias, &before_arena, gradients, affine.bias);
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
        let params = &*self.read(params);
        let mut params = params.clone();
        if self.is(Plant::LinearNoBias) {
            params[affine.bias.range()].fill(R::zero());
        }
        let (x, params) = (self.factors(x).into_owned(), self.factors(&params).into_owned());
        self.inner.linear_forward(out, &x, &params, affine, shape)?;
        self.store(out);
        self.leave(out);
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
        let params = &*self.read(params);
        let (len, before_arena) = (shape.n * shape.c, gradients.clone());
        let wrong = transpose(params, affine.weight, shape.c, shape.oc);
        let params = if self.is(Plant::LinearTransposed) { &wrong } else { params };
        self.inner.linear_backward(dx, gradients, dout, x, params, affine, shape)?;
        self.store(dx);
        self.spoil(Gradient::LinearX, &vec![R::zero(); len], dx, len);
        self.spoil_span(Gradient::LinearWeight, &before_arena, gradients, affine.weight);
        self.spoil_span(Gradient::LinearBias, &before_arena, gradients, affine.bias);
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
        let params = &*self.read(params);
        if self.narrow().is_none() {
            return self.inner.gelu_linear_forward(out, activated, pre, params, affine, shape);
        }
        self.gelu_forward(activated, pre, shape.n * shape.c)?;
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
        let params = &*self.read(params);
        let arena = gradients.clone();
        self.inner.gelu_linear_backward(
            dpre, gradients, activated, dout, pre, params, affine, before, shape,
        )?;
        let len = shape.n * shape.c;
        let wrong = match self.plant {
            Plant::GeluConstant => Some((0.0447, 3.0)),
            Plant::GeluCube => Some((0.044715, 1.0)),
            _ => None,
        };
        if let Some((constant, cube)) = wrong {
            for (d, &x) in dpre[..len].iter_mut().zip(pre) {
                let x = x.wide();
                *d *= R::of(gelu_slope(x, constant, cube) / gelu_slope(x, 0.044715, 3.0));
            }
        }
        if let Some(Narrow::Gelu(size)) = self.narrow() {
            for (d, x) in dpre[..len].iter_mut().zip(pre) {
                *d *= R::of(rough(x.wide(), size));
            }
        }
        self.store(dpre);
        self.spoil(Gradient::GeluPre, &vec![R::zero(); len], dpre, len);
        self.spoil_span(Gradient::GeluWeight, &arena, gradients, affine.weight);
        self.spoil_span(Gradient::GeluBias, &arena, gradients, affine.bias);
        self.spoil_span(Gradient::GeluBefore, &arena, gradients, before);
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
        let params = &*self.read(params);
        self.inner.pack(params, weight, c, oc, transposed != self.is(Plant::PackedTransposed))
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
        let params = &*self.read(params);
        let none = Span { start: 0, len: 0 };
        let bias = if self.is(Plant::PackedNoBias) { none } else { bias };
        self.inner.packed_linear_forward(
            out,
            &self.factors(x).into_owned(),
            weight,
            params,
            bias,
            shape,
        )?;
        self.store(out);
        Ok(())
    }
    fn packed_logits(
        &self,
        out: &mut Vec<R>,
        x: &Vec<R>,
        weight: &Panels<R>,
        shape: LinearShape,
    ) -> Result<()> {
        self.inner.packed_logits(out, x, weight, shape)
    }
    fn gelu_forward(&self, activated: &mut Vec<R>, pre: &Vec<R>, len: usize) -> Result<()> {
        self.inner.gelu_forward(activated, pre, len)?;
        self.store(activated);
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
        let params = &*self.read(params);
        self.inner.logits(out, x, params, weight, shape)
    }

    fn attention_workspace(&self, shape: AttentionShape) -> usize {
        self.inner.attention_workspace(shape)
    }
    fn attention_forward(
        &self,
        out: &mut Vec<R>,
        lse: &mut Vec<R>,
        qkv: &Vec<R>,
        workspace: &mut Vec<R>,
        shape: AttentionShape,
    ) -> Result<()> {
        self.inner.attention_forward(out, lse, qkv, workspace, shape)?;
        self.store(out);
        let AttentionShape { b, t, nh, hs } = shape;
        let c = nh * hs;
        if self.is(Plant::AttentionForward) && t > 1 {
            // What the query before it sees, from its own point of view: its value in its key's
            // place is a copy of the one before.
            let mut other = qkv.clone();
            for sequence in 0..b {
                let last = (sequence * t + t - 1) * 3 * c;
                other.copy_within(last - 3 * c + c..last, last + c);
            }
            let (mut wrong, mut unused) = (out.clone(), lse.clone());
            self.inner.attention_forward(&mut wrong, &mut unused, &other, workspace, shape)?;
            for sequence in 0..b {
                let last = (sequence * t + t - 1) * c;
                out[last..last + c].copy_from_slice(&wrong[last..last + c]);
            }
        }
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
        if let Plant::Attention(mistake) = self.plant {
            attention_backward(dqkv, dout, qkv, shape, mistake);
            return Ok(());
        }
        let before = dqkv.clone();
        self.inner.attention_backward(dqkv, dout, qkv, out, lse, workspace, shape)?;
        let AttentionShape { b, t, nh, hs } = shape;
        self.store(dqkv);
        self.spoil(Gradient::Qkv, &before, dqkv, 3 * b * t * nh * hs);
        Ok(())
    }
    fn cache(&self, shape: CacheShape) -> Result<Vec<R>> {
        self.inner.cache(shape)
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
        self.inner.cache_fill(cache, qkv, slots, layer, t, shape)
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
        let mut ancestry = rows.ancestry.to_vec();
        let mut tokens = qkv.clone();
        if self.is(Plant::DecodeAncestry) {
            for (slots, &own) in ancestry.chunks_exact_mut(shape.t).zip(rows.slots) {
                slots.fill(own);
            }
        }
        if self.is(Plant::DecodeNewest) {
            // Its own key and value count for nothing.
            let c = shape.nh * shape.hs;
            for token in tokens[..rows.slots.len() * 3 * c].chunks_exact_mut(3 * c) {
                token[c..].fill(R::zero());
            }
        }
        let rows = CacheRows { ancestry: &ancestry, ..rows };
        self.inner.attention_decode(out, cache, &tokens, rows, layer, shape)?;
        if let Some(Narrow::Decoded(digits)) = self.narrow() {
            out.iter_mut().for_each(|x| *x = keep(*x, digits));
        }
        self.store(out);
        Ok(())
    }
    fn gather_rows(&self, out: &mut Vec<R>, x: &Vec<R>, rows: &[usize], c: usize) -> Result<()> {
        self.inner.gather_rows(out, x, rows, c)
    }

    fn classifier_workspace(&self, shape: LinearShape) -> usize {
        self.inner.classifier_workspace(shape)
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
        let params = &*self.read(params);
        let LinearShape { n, c, .. } = shape;
        let wrong_value = Rule::Smoothed(1e-3);
        let rule = if self.is(Plant::ClassifierValue) && matches!(rule, Rule::Ce) {
            &wrong_value
        } else {
            rule
        };
        self.inner
            .classifier(rows, None, x, targets, mask, params, weight, rule, workspace, shape)?;
        let Some(ClassifierGradients { dx, gradients, mut scale }) = gradients else {
            return Ok(());
        };
        if let (Some(Narrow::Classifier(size)), Rule::Ce) = (self.narrow(), rule) {
            let dweight = &mut gradients[weight.range()];
            let weight = &params[weight.range()];
            let sizes = (shape, size);
            rough_classifier(&mut dx[..n * c], dweight, x, targets, weight, rule, scale, sizes);
            return Ok(());
        }
        let (before, before_arena) = (dx.clone(), gradients.clone());
        let mut targets = targets.to_vec();
        if self.is(Plant::ClassifierTargets) {
            targets.rotate_left(1);
        }
        if self.is(Plant::ClassifierDenominator) {
            scale *= (n + 1) as f64 / n as f64;
        }
        let swapped = self.swapped(rule);
        let rule = swapped.as_ref().unwrap_or(rule);
        let mask = mask.filter(|_| matches!(rule, Rule::Masked));
        let [loss, nll, probability, kept] = [(); 4].map(|()| vec![R::zero(); n]);
        let mut unused = RowBuffers { loss, nll, probability, kept };
        let to = ClassifierGradients { dx: &mut *dx, gradients: &mut *gradients, scale };
        self.inner.classifier(
            &mut unused,
            Some(to),
            x,
            &targets,
            mask,
            params,
            weight,
            rule,
            workspace,
            shape,
        )?;
        self.store(dx);
        self.spoil(Gradient::ClassifierX, &before, dx, n * c);
        self.spoil_span(Gradient::ClassifierWeight, &before_arena, gradients, weight);
        Ok(())
    }

    fn squared_norm(&self, gradients: &Vec<R>) -> Result<f64> {
        let len = gradients.len() - usize::from(self.is(Plant::NormLast));
        let sum = self.inner.squared_norm(&gradients[..len].to_vec())?;
        Ok(match self.plant {
            Plant::NormRoot => sum.sqrt(),
            Plant::Narrow(Narrow::Norm(off)) => sum * (1.0 + off),
            _ => sum,
        })
    }
    fn adamw(
        &self,
        params: &mut Vec<R>,
        m: &mut Vec<R>,
        v: &mut Vec<R>,
        gradients: &Vec<R>,
        span: Span,
        step: Step,
    ) -> Result<()> {
        let (mut gradients, mut step) = (gradients.clone(), step);
        match self.plant {
            Plant::AdamwUncorrected => step.number = 1 << 20,
            Plant::AdamwNumber => step.number += 1,
            Plant::AdamwScale => step.gradient_scale = 1.0,
            Plant::AdamwBetas => std::mem::swap(&mut step.beta1, &mut step.beta2),
            Plant::AdamwCoupled => {
                for (g, p) in gradients[span.range()].iter_mut().zip(&params[span.range()]) {
                    *g += R::of(step.weight_decay / step.gradient_scale) * *p;
                }
                step.weight_decay = 0.0;
            }
            _ => {}
        }
        self.inner.adamw(params, m, v, &gradients, span, step)?;
        if let Some(Narrow::Moments(digits)) = self.narrow() {
            let moments = m[span.range()].iter_mut().chain(&mut v[span.range()]);
            moments.for_each(|x| *x = keep(*x, digits));
        }
        Ok(())
    }
}

/// The slope of `½x(1 + tanh √(2/π)(x + k x³))`, the cube's derivative being `cube·k x²`.
fn gelu_slope(x: f64, k: f64, cube: f64) -> f64 {
    let root = std::f64::consts::FRAC_2_PI.sqrt();
    let tanh = (root * (x + 0.044715 * x * x * x)).tanh();
    let du = root * (1.0 + cube * k * x * x);
    0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * du
}
