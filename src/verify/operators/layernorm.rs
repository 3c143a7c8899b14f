//! Layer normalisation, alone and with the residual sum in front.

use crate::tier::{Affine, Tier};
use crate::verify::buffers::*;
use crate::verify::operator::*;
use fortifai_oracle::{Scalar, layernorm, residual};
use fortifai_stream::Stream;

/// Layer normalisation of some rows.
#[derive(Debug)]
pub struct Layernorm {
    /// Rows.
    pub n: usize,
    /// Channels.
    pub c: usize,
}

/// Means of rows in deviations of them: what subtracts squares of large numbers loses their digits.
const MEANS: [f64; 3] = [0.0, 3.0, 50.0];

/// With fewer channels a row may all but equal its mean, and a large one leaves no digits of it.
const FEW: usize = 5;

impl Layernorm {
    fn lens(&self) -> [usize; 3] {
        [self.n * self.c, self.c, self.c]
    }
}

impl Operator for Layernorm {
    fn label(&self) -> String {
        format!("layernorm n {} c {}", self.n, self.c)
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        ["residual", "weight", "bias"].into_iter().zip(self.lens()).collect()
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("out", self.n * self.c)]
    }
    fn point(&self, stream: &mut Stream) -> Vec<f64> {
        let mut point = normals(stream, total(&self.inputs()));
        let mean = if self.c < FEW { 0.0 } else { MEANS[stream.below(MEANS.len())] };
        point[..self.n * self.c].iter_mut().for_each(|x| *x += mean);
        point
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let [x, weight, bias] = parts(point, self.lens());
        x.chunks_exact(self.c).flat_map(|x| layernorm::forward(x, weight, bias)).collect()
    }
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        cotangent: &[f64],
        start: &[f64],
    ) -> Result<Ran, Finding> {
        let &Self { n, c } = self;
        let [x, weight, bias] = parts(point, self.lens());
        let mut params = Arena::of_parameters();
        let affine = Affine { weight: params.push(weight), bias: params.push(bias) };
        let params = params.upload(tier)?;
        let x = act(tier, x)?;
        let mut out = blank(tier, n * c)?;
        let [mut mean, mut rstd] = blanks_wide(tier, [n, n])?;
        tier.layernorm_forward(&mut out, &mut mean, &mut rstd, &x, &params, affine, n)?;
        let outputs = read(tier, &out, n * c)?;
        let mut again = blank(tier, n * c)?;
        tier.layernorm_apply(&mut again, &mean, &rstd, &x, &params, affine, n)?;
        let again = read(tier, &again, n * c)?;
        ensure(again == outputs, What::Consistency, || {
            format!("{}: applied again gives {again:?} not {outputs:?}", self.label())
        })?;
        read_wide(tier, &mean, n)?;
        read_wide(tier, &rstd, n)?;

        let [dx, dweight, dbias] = parts(start, self.lens());
        let mut dx = gradient_act(tier, dx)?;
        let mut arena = Arena::of_gradients();
        arena.push(dweight);
        arena.push(dbias);
        let mut gradients = arena.upload(tier)?;
        tier.layernorm_backward(
            &mut dx,
            &mut gradients,
            &mean,
            &rstd,
            &act(tier, cotangent)?,
            &x,
            &params,
            affine,
            n,
        )?;
        let gradient = [read(tier, &dx, n * c)?, arena.read(tier, &gradients)?].concat();
        Ok(Ran { outputs, gradient: minus(&gradient, start) })
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        branches(self.n, self.c)
    }
}

/// `residual = x + branch`, `out = layernorm(residual)`: two outputs. Backward finds the gradient
/// of the second output in `dresidual` and adds to it; the sum is the gradient of both terms.
#[derive(Debug)]
pub struct ResidualLayernorm {
    /// Rows.
    pub n: usize,
    /// Channels.
    pub c: usize,
}

impl ResidualLayernorm {
    fn lens(&self) -> [usize; 4] {
        [self.n * self.c, self.n * self.c, self.c, self.c]
    }
}

impl Operator for ResidualLayernorm {
    fn label(&self) -> String {
        format!("residual_layernorm n {} c {}", self.n, self.c)
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        ["x", "branch", "weight", "bias"].into_iter().zip(self.lens()).collect()
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("out", self.n * self.c), ("residual", self.n * self.c)]
    }
    fn point(&self, stream: &mut Stream) -> Vec<f64> {
        let mut point = normals(stream, total(&self.inputs()));
        // A mean that is not near zero.
        point[..self.n * self.c].iter_mut().for_each(|x| *x += 3.0);
        point
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let [x, branch, weight, bias] = parts(point, self.lens());
        let sum: Vec<S> = residual::forward(x, branch).into_iter().map(S::stored).collect();
        let rows = sum.chunks_exact(self.c);
        let mut out: Vec<S> = rows.flat_map(|x| layernorm::forward(x, weight, bias)).collect();
        out.extend(sum);
        out
    }
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        cotangent: &[f64],
        start: &[f64],
    ) -> Result<Ran, Finding> {
        let &Self { n, c } = self;
        let [x, branch, weight, bias] = parts(point, self.lens());
        let mut params = Arena::of_parameters();
        let affine = Affine { weight: params.push(weight), bias: params.push(bias) };
        let params = params.upload(tier)?;
        let [mut out, mut sum] = blanks(tier, [n * c, n * c])?;
        let [mut mean, mut rstd] = blanks_wide(tier, [n, n])?;
        tier.residual_layernorm_forward(
            &mut out,
            &mut sum,
            &mut mean,
            &mut rstd,
            &act(tier, x)?,
            &act(tier, branch)?,
            &params,
            affine,
            n,
        )?;
        let (dout, dsum) = cotangent.split_at(n * c);
        let [_, _, dweight, dbias] = parts(start, self.lens());
        let mut dsum = gradient_act(tier, dsum)?;
        let mut arena = Arena::of_gradients();
        arena.push(dweight);
        arena.push(dbias);
        let mut gradients = arena.upload(tier)?;
        tier.layernorm_backward(
            &mut dsum,
            &mut gradients,
            &mean,
            &rstd,
            &act(tier, dout)?,
            &sum,
            &params,
            affine,
            n,
        )?;
        let dsum = read(tier, &dsum, n * c)?;
        let dparams = minus(&arena.read(tier, &gradients)?, &start[2 * n * c..]);
        Ok(Ran {
            outputs: [read(tier, &out, n * c)?, read(tier, &sum, n * c)?].concat(),
            gradient: [dsum.clone(), dsum, dparams].concat(),
        })
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        branches(self.n, self.c)
    }
}

/// Rows are shared out by 32, columns by 64, sums run in 16 lanes.
fn branches(n: usize, c: usize) -> Vec<&'static str> {
    vec![
        if n > 32 { "several row pieces" } else { "one row piece" },
        if c > 64 { "several column pieces" } else { "one column piece" },
        if c.is_multiple_of(16) { "full lanes" } else { "ragged lanes" },
    ]
}

/// What [`Layernorm::branches`] and [`ResidualLayernorm::branches`] can say.
pub const BRANCHES: [&str; 6] = [
    "several row pieces",
    "one row piece",
    "several column pieces",
    "one column piece",
    "full lanes",
    "ragged lanes",
];
