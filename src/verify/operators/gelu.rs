//! GELU with the linear layer behind it.

use super::linear::products;
use crate::cpu::gelu::PIECE;
use crate::tier::{Affine, LinearShape, Tier};
use crate::verify::buffers::*;
use crate::verify::operator::*;
use fortifai_oracle::{Scalar, gelu, linear};
use fortifai_stream::Stream;

/// GELU and the linear layer behind it.
#[derive(Debug)]
pub struct GeluLinear {
    /// Rows.
    pub n: usize,
    /// Channels in.
    pub c: usize,
    /// Channels out.
    pub oc: usize,
}

impl GeluLinear {
    fn lens(&self) -> [usize; 4] {
        [self.n * self.c, self.c, self.c * self.oc, self.oc]
    }
}

impl Operator for GeluLinear {
    fn label(&self) -> String {
        format!("gelu_linear n {} c {} oc {}", self.n, self.c, self.oc)
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        ["pre", "before", "weight", "bias"].into_iter().zip(self.lens()).collect()
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("out", self.n * self.oc), ("activated", self.n * self.c)]
    }
    fn point(&self, stream: &mut Stream) -> Vec<f64> {
        let mut point = normals(stream, total(&self.inputs()));
        // The bend, and the flat ends on both sides.
        let (pre, rest) = point.split_at_mut(self.n * self.c);
        pre.iter_mut().for_each(|x| *x *= 2.0);
        // Nothing is rounded away where the bias before is added; its gradient is what is asked for.
        rest[..self.c].fill(0.0);
        point
    }
    fn cotangent(&self, stream: &mut Stream) -> Vec<f64> {
        let mut cotangent = normals(stream, self.n * self.oc);
        cotangent.resize(total(&self.outputs()), 0.0);
        cotangent
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let [pre, before, weight, bias] = parts(point, self.lens());
        let rows = pre.chunks_exact(self.c).flat_map(|row| row.iter().zip(before));
        let pre: Vec<S> = rows.map(|(&x, &before)| x + before).collect();
        let activated: Vec<S> = gelu::forward(&pre).into_iter().map(S::stored).collect();
        let rows = activated.chunks_exact(self.c);
        let mut out: Vec<S> = rows.flat_map(|x| linear::forward(x, weight, bias)).collect();
        out.extend(activated);
        out
    }
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        cotangent: &[f64],
        start: &[f64],
    ) -> Result<Ran, Finding> {
        let &Self { n, c, oc } = self;
        let shape = LinearShape { n, c, oc };
        let [pre, before, weight, bias] = parts(point, self.lens());
        // What the operator is given has the bias before in it already.
        let rows = pre.chunks_exact(c).flat_map(|row| row.iter().zip(before));
        let sums: Vec<f64> = rows.map(|(x, before)| x + before).collect();
        let mut params = Arena::of_parameters();
        let before = params.push(before);
        let affine = Affine { weight: params.push(weight), bias: params.push(bias) };
        let params = params.upload(tier)?;
        let pre = act(tier, &sums)?;
        let (mut out, mut activated) = (blank(tier, n * oc)?, blank(tier, n * c)?);
        tier.gelu_linear_forward(&mut out, &mut activated, &pre, &params, affine, shape)?;
        let outputs = [read(tier, &out, n * oc)?, read(tier, &activated, n * c)?].concat();

        let [_, dbefore, dweight, dbias] = parts(start, self.lens());
        let mut arena = Arena::of_gradients();
        arena.push(dbefore);
        arena.push(dweight);
        arena.push(dbias);
        let mut gradients = arena.upload(tier)?;
        let (mut dpre, mut scratch) = (blank(tier, n * c)?, blank(tier, n * c)?);
        tier.gelu_linear_backward(
            &mut dpre,
            &mut gradients,
            &mut scratch,
            &act(tier, &cotangent[..n * oc])?,
            &pre,
            &params,
            affine,
            before,
            shape,
        )?;
        let dparams = minus(&arena.read(tier, &gradients)?, &start[n * c..]);
        Ok(Ran { outputs, gradient: [read(tier, &dpre, n * c)?, dparams].concat() })
    }
    fn branches(&self, point: &[f64]) -> Vec<&'static str> {
        let pre = &point[..self.n * self.c];
        let positive = pre.iter().any(|&x| x > 0.0).then_some("positive");
        let negative = pre.iter().any(|&x| x < 0.0).then_some("negative");
        let rows = if self.n < 4 { "few rows" } else { "many rows" };
        let pieces = if pre.len() > PIECE { "several pieces" } else { "one piece" };
        let products = products(self.n, self.c, self.oc);
        positive.into_iter().chain(negative).chain([rows, pieces]).chain(products).collect()
    }
}

/// What [`GeluLinear::branches`] must say; blocks of the other two inner dimensions are those of
/// the linear layer.
pub const BRANCHES: [&str; 10] = [
    "positive",
    "negative",
    "few rows",
    "many rows",
    "several pieces",
    "one piece",
    "shared out",
    "one thread",
    "several blocks of c",
    "one block",
];
