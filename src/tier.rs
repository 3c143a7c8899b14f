//! The seam between machines: one method per operator, implemented by every tier.
//!
//! The grain is the fused one: residual with layer norm, GELU with the product behind it,
//! classifier with loss. Forward overwrites its outputs, backward accumulates into its gradients;
//! the model owns all buffers. Parameters and gradients are flat arenas of which an operator gets
//! [`Span`]s; shapes are plain structs, so that no host array type enters a device tier.

use crate::config::DecodeConfig;
use crate::cpu::Real;
use crate::cpu::adamw::Step;
use crate::loss::Rule;
use crate::{Error, Result};

/// A stretch of an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First element.
    pub start: usize,
    /// Number of elements.
    pub len: usize,
}

impl Span {
    /// The half-open index range.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start..self.start + self.len
    }
}

/// A matrix and its bias in a parameter arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affine {
    /// The weight.
    pub weight: Span,
    /// The bias.
    pub bias: Span,
}

impl Affine {
    /// With an empty bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: Span { len: 0, ..self.bias }, ..self }
    }
}

/// Shape of a linear layer: `[n, c] → [n, oc]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearShape {
    /// Rows.
    pub n: usize,
    /// Channels in.
    pub c: usize,
    /// Channels out.
    pub oc: usize,
}

/// Shape of attention: `b` sequences of `t` positions, `nh` heads of size `hs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Sequences.
    pub b: usize,
    /// Positions.
    pub t: usize,
    /// Heads.
    pub nh: usize,
    /// Head size.
    pub hs: usize,
}

/// Shape of the key-value cache, which holds `l·2·slots·t·c` numbers in the tier's own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheShape {
    /// Layers.
    pub layers: usize,
    /// Sequences that fit.
    pub slots: usize,
    /// Positions per slot.
    pub t: usize,
    /// Heads.
    pub nh: usize,
    /// Head size.
    pub hs: usize,
}

/// Where a decode step reads and writes the cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheRows<'a> {
    /// Slot in which row `i` stores the key and value of its newest token, `[rows]`.
    pub slots: &'a [u32],
    /// Tokens of row `i` with the newest one, `[rows]`.
    pub lengths: &'a [u32],
    /// Slot that holds position `j` of row `i`, `[rows, t]`.
    pub ancestry: &'a [u32],
}

/// What the classifier leaves per row, `[n]` each: the loss, `−ln p`, `p`, and one where the row is
/// kept.
#[derive(Debug)]
pub struct RowBuffers<W> {
    /// The loss `f`, not divided by the denominator.
    pub loss: W,
    /// `−ln p` of the target.
    pub nll: W,
    /// The target's probability.
    pub probability: W,
    /// One where the row has a gradient, else zero.
    pub kept: W,
}

/// Where the classifier's gradients go.
#[derive(Debug)]
pub struct ClassifierGradients<'a, T: Tier> {
    /// `[n, c]`, added to.
    pub dx: &'a mut T::Act,
    /// The gradient arena; the span of the weight is added to.
    pub gradients: &'a mut T::Param,
    /// One over the denominator.
    pub scale: f64,
}

/// A machine that runs the operators.
#[allow(clippy::too_many_arguments)] // outputs, saved, inputs, parameters, scalars of one operator
pub trait Tier: Clone + Send + Sync + 'static {
    /// The type of numbers that cross to the host.
    type Number: Real;
    /// Activations and their gradients.
    type Act: Send + Sync;
    /// Row statistics, losses, logits and scratch: never narrower than [`Tier::Number`].
    type Wide: Send + Sync;
    /// Parameters and their gradients as the forward pass reads them.
    type Param: Send + Sync;
    /// Optimiser moments (and master weights where `Param` is narrower).
    type Master: Send + Sync;
    /// A weight in the layout of [`Tier::pack`].
    type Packed: Send + Sync;

    /// Whether [`crate::loss::Rule::Custom`], a loss given as a function, can be used.
    fn takes_functions(&self) -> bool {
        true
    }
    /// A zeroed activation buffer.
    fn act(&self, len: usize) -> Result<Self::Act>;
    /// A zeroed buffer of statistics or scratch.
    fn wide(&self, len: usize) -> Result<Self::Wide>;
    /// A zeroed parameter arena.
    fn param(&self, len: usize) -> Result<Self::Param>;
    /// A zeroed optimiser arena.
    fn master(&self, len: usize) -> Result<Self::Master>;
    /// Zeroes the first `len` elements.
    fn zero_act(&self, act: &mut Self::Act, len: usize) -> Result<()>;
    /// Zeroes an arena.
    fn zero_param(&self, param: &mut Self::Param) -> Result<()>;
    /// Copies numbers into a span.
    fn upload(&self, param: &mut Self::Param, span: Span, values: &[Self::Number]) -> Result<()>;
    /// Copies a span out.
    fn download(&self, param: &Self::Param, span: Span) -> Result<Vec<Self::Number>>;
    /// Copies the first `len` activations out.
    fn download_act(&self, act: &Self::Act, len: usize) -> Result<Vec<Self::Number>>;
    /// Copies numbers to the front of a buffer.
    fn upload_wide(&self, wide: &mut Self::Wide, values: &[Self::Number]) -> Result<()>;
    /// Copies the first `len` numbers out.
    fn download_wide(&self, wide: &Self::Wide, len: usize) -> Result<Vec<Self::Number>>;
    /// Copies an optimiser arena out.
    fn download_master(&self, master: &Self::Master) -> Result<Vec<Self::Number>>;
    /// Copies numbers into an optimiser arena.
    fn upload_master(&self, master: &mut Self::Master, values: &[Self::Number]) -> Result<()>;

    /// `out [n, c] ← wte[tokens] + wpe[positions]`.
    fn embedding_forward(
        &self,
        out: &mut Self::Act,
        tokens: &[u32],
        positions: &[u32],
        params: &Self::Param,
        wte: Span,
        wpe: Span,
        c: usize,
    ) -> Result<()>;
    /// Adds to the gradients of `wte` and `wpe`.
    fn embedding_backward(
        &self,
        gradients: &mut Self::Param,
        dout: &Self::Act,
        tokens: &[u32],
        positions: &[u32],
        wte: Span,
        wpe: Span,
        c: usize,
    ) -> Result<()>;

    /// `out [n, c] ← layernorm(residual)`, saves `mean` and `rstd`.
    fn layernorm_forward(
        &self,
        out: &mut Self::Act,
        mean: &mut Self::Wide,
        rstd: &mut Self::Wide,
        residual: &Self::Act,
        params: &Self::Param,
        affine: Affine,
        n: usize,
    ) -> Result<()>;
    /// `residual ← x + branch`, `out ← layernorm(residual)`.
    fn residual_layernorm_forward(
        &self,
        out: &mut Self::Act,
        residual: &mut Self::Act,
        mean: &mut Self::Wide,
        rstd: &mut Self::Wide,
        x: &Self::Act,
        branch: &Self::Act,
        params: &Self::Param,
        affine: Affine,
        n: usize,
    ) -> Result<()>;
    /// `out ← layernorm(residual)` from the saved statistics.
    fn layernorm_apply(
        &self,
        out: &mut Self::Act,
        mean: &Self::Wide,
        rstd: &Self::Wide,
        residual: &Self::Act,
        params: &Self::Param,
        affine: Affine,
        n: usize,
    ) -> Result<()>;
    /// Adds to `dresidual` and to the gradients of weight and bias.
    fn layernorm_backward(
        &self,
        dresidual: &mut Self::Act,
        gradients: &mut Self::Param,
        mean: &Self::Wide,
        rstd: &Self::Wide,
        dout: &Self::Act,
        residual: &Self::Act,
        params: &Self::Param,
        affine: Affine,
        n: usize,
    ) -> Result<()>;

    /// `out [n, oc] ← x [n, c] W [c, oc] + bias`.
    fn linear_forward(
        &self,
        out: &mut Self::Act,
        x: &Self::Act,
        params: &Self::Param,
        affine: Affine,
        shape: LinearShape,
    ) -> Result<()>;
    /// `dx ← dout Wᵀ` (overwritten: nothing else feeds `x`), and adds to the gradients of weight and
    /// bias; an empty bias has none.
    fn linear_backward(
        &self,
        dx: &mut Self::Act,
        gradients: &mut Self::Param,
        dout: &Self::Act,
        x: &Self::Act,
        params: &Self::Param,
        affine: Affine,
        shape: LinearShape,
    ) -> Result<()>;
    /// `activated ← gelu(pre)`, `out ← activated W + bias`.
    fn gelu_linear_forward(
        &self,
        out: &mut Self::Act,
        activated: &mut Self::Act,
        pre: &Self::Act,
        params: &Self::Param,
        affine: Affine,
        shape: LinearShape,
    ) -> Result<()>;
    /// `dpre ← gelu'(pre) ∘ (dout Wᵀ)` (overwritten: nothing else feeds `pre`), and adds to the
    /// gradients of weight and bias, and `Σ_rows dpre` to that of `before`, the bias that `pre` was made
    /// with; `activated` is scratch.
    fn gelu_linear_backward(
        &self,
        dpre: &mut Self::Act,
        gradients: &mut Self::Param,
        activated: &mut Self::Act,
        dout: &Self::Act,
        pre: &Self::Act,
        params: &Self::Param,
        affine: Affine,
        before: Span,
        shape: LinearShape,
    ) -> Result<()>;
    /// A weight `[c, oc]`, or `[oc, c]` if `transposed`, in the layout that suits products with few
    /// rows.
    fn pack(
        &self,
        params: &Self::Param,
        weight: Span,
        c: usize,
        oc: usize,
        transposed: bool,
    ) -> Result<Self::Packed>;
    /// `out [n, oc] ← x [n, c] W + bias` with a packed weight.
    fn packed_linear_forward(
        &self,
        out: &mut Self::Act,
        x: &Self::Act,
        weight: &Self::Packed,
        params: &Self::Param,
        bias: Span,
        shape: LinearShape,
    ) -> Result<()>;
    /// `activated ← gelu(pre)` for the first `len` numbers.
    fn gelu_forward(&self, activated: &mut Self::Act, pre: &Self::Act, len: usize) -> Result<()>;
    /// `out [n, oc] ← x [n, c] W` with a packed weight, for logits.
    fn packed_logits(
        &self,
        out: &mut Self::Wide,
        x: &Self::Act,
        weight: &Self::Packed,
        shape: LinearShape,
    ) -> Result<()>;
    /// Whether [`Tier::choose`] can be used.
    fn chooses(&self) -> bool {
        false
    }
    /// The next token of each of `rows` rows of logits `[rows, v]`: the first of the largest, or with a
    /// uniform number per row drawn after temperature, top-k and top-p; `None` for a row that leaves none.
    /// A tier that does not [`Tier::chooses`] leaves it to [`crate::sample::Picker`].
    fn choose(
        &self,
        _logits: &Self::Wide,
        _rows: usize,
        _v: usize,
        _config: &DecodeConfig,
        _uniforms: &[f64],
    ) -> Result<Vec<Option<u32>>> {
        Err(Error::environment("This tier does not choose tokens; a program asked it to."))
    }
    /// `out [n, v] ← x [n, c] · Wᵀ`, `W [v, c]`, without keeping anything for a backward pass.
    fn logits(
        &self,
        out: &mut Self::Wide,
        x: &Self::Act,
        params: &Self::Param,
        weight: Span,
        shape: LinearShape,
    ) -> Result<()>;

    /// Scratch numbers for attention over sequences of this shape.
    fn attention_workspace(&self, shape: AttentionShape) -> usize;
    /// `out [n, c]` and `lse [b, nh, t]` from `qkv [n, 3c]`.
    fn attention_forward(
        &self,
        out: &mut Self::Act,
        lse: &mut Self::Wide,
        qkv: &Self::Act,
        workspace: &mut Self::Wide,
        shape: AttentionShape,
    ) -> Result<()>;
    /// Adds to `dqkv`.
    fn attention_backward(
        &self,
        dqkv: &mut Self::Act,
        dout: &Self::Act,
        qkv: &Self::Act,
        out: &Self::Act,
        lse: &Self::Wide,
        workspace: &mut Self::Wide,
        shape: AttentionShape,
    ) -> Result<()>;
    /// A key-value cache.
    fn cache(&self, shape: CacheShape) -> Result<Self::Act>;
    /// Stores the keys and values of whole prompts `[b, t, 3c]`, sequence `i` in `slots[i]`.
    fn cache_fill(
        &self,
        cache: &mut Self::Act,
        qkv: &Self::Act,
        slots: &[u32],
        layer: usize,
        t: usize,
        shape: CacheShape,
    ) -> Result<()>;
    /// One new token per row: stores its key and value, attends to the row's past.
    fn attention_decode(
        &self,
        out: &mut Self::Act,
        cache: &mut Self::Act,
        qkv: &Self::Act,
        rows: CacheRows,
        layer: usize,
        shape: CacheShape,
    ) -> Result<()>;
    /// `out [m, c] ← x[rows]`.
    fn gather_rows(
        &self,
        out: &mut Self::Act,
        x: &Self::Act,
        rows: &[usize],
        c: usize,
    ) -> Result<()>;

    /// Scratch numbers for the classifier; `shape.oc` is the vocabulary.
    fn classifier_workspace(&self, shape: LinearShape) -> usize;
    /// Loss of every row and, where asked for, its gradients. `weight` is `[v, c]`.
    fn classifier(
        &self,
        rows: &mut RowBuffers<Self::Wide>,
        gradients: Option<ClassifierGradients<Self>>,
        x: &Self::Act,
        targets: &[u32],
        mask: Option<&[bool]>,
        params: &Self::Param,
        weight: Span,
        rule: &Rule,
        workspace: &mut Self::Wide,
        shape: LinearShape,
    ) -> Result<()>;

    /// `Σ g²` over the arena, in a fixed order.
    fn squared_norm(&self, gradients: &Self::Param) -> Result<f64>;
    /// One AdamW step on a span.
    fn adamw(
        &self,
        params: &mut Self::Param,
        m: &mut Self::Master,
        v: &mut Self::Master,
        gradients: &Self::Param,
        span: Span,
        step: Step,
    ) -> Result<()>;
}
