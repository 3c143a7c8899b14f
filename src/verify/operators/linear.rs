//! The linear layer and the matrix products without a bias.

use crate::cpu::matmul::{BLOCK, PARALLEL_FROM};
use crate::tier::{Affine, LinearShape, Tier};
use crate::verify::buffers::*;
use crate::verify::operator::*;
use fortifai_oracle::{Scalar, linear};

/// A linear layer.
#[derive(Debug)]
pub struct Linear {
    /// Rows.
    pub n: usize,
    /// Channels in.
    pub c: usize,
    /// Channels out.
    pub oc: usize,
}

impl Linear {
    fn lens(&self) -> [usize; 3] {
        [self.n * self.c, self.c * self.oc, self.oc]
    }
}

impl Operator for Linear {
    fn label(&self) -> String {
        format!("linear n {} c {} oc {}", self.n, self.c, self.oc)
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        ["x", "weight", "bias"].into_iter().zip(self.lens()).collect()
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("out", self.n * self.oc)]
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let [x, weight, bias] = parts(point, self.lens());
        x.chunks_exact(self.c).flat_map(|x| linear::forward(x, weight, bias)).collect()
    }
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        cotangent: &[f64],
        start: &[f64],
    ) -> Result<Ran, Finding> {
        let shape = LinearShape { n: self.n, c: self.c, oc: self.oc };
        let [x, weight, bias] = parts(point, self.lens());
        let mut params = Arena::of_parameters();
        let affine = Affine { weight: params.push(weight), bias: params.push(bias) };
        let params = params.upload(tier)?;
        let x = act(tier, x)?;
        let mut out = blank(tier, cotangent.len())?;
        tier.linear_forward(&mut out, &x, &params, affine, shape)?;
        let [_, dweight, dbias] = parts(start, self.lens());
        let len = self.n * self.c;
        // Overwritten; a guard that shows what is added behind it.
        let mut dx = gradient_act(tier, &vec![f64::NAN; len])?;
        let mut arena = Arena::of_gradients();
        arena.push(dweight);
        arena.push(dbias);
        let mut gradients = arena.upload(tier)?;
        let dout = act(tier, cotangent)?;
        tier.linear_backward(&mut dx, &mut gradients, &dout, &x, &params, affine, shape)?;
        let dparams = minus(&arena.read(tier, &gradients)?, &start[len..]);
        let gradient = [read(tier, &dx, len)?, dparams].concat();
        Ok(Ran { outputs: read(tier, &out, cotangent.len())?, gradient })
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        let rows = if self.n < 4 { "few rows" } else { "many rows" };
        [&[rows], &products(self.n, self.c, self.oc)[..]].concat()
    }
}

/// How the three products of a linear layer are worked off; the inner dimensions are `c` forward,
/// `oc` and `n` backward.
pub(super) fn products(n: usize, c: usize, oc: usize) -> Vec<&'static str> {
    let mut branches = vec![if n * c * oc >= PARALLEL_FROM { "shared out" } else { "one thread" }];
    let inner =
        [(c, "several blocks of c"), (oc, "several blocks of oc"), (n, "several blocks of n")];
    branches.extend(inner.into_iter().filter(|(inner, _)| *inner > BLOCK).map(|(_, name)| name));
    if [n, c, oc].into_iter().all(|inner| inner <= BLOCK) {
        branches.push("one block");
    }
    branches
}

/// What [`Linear::branches`] can say.
pub const BRANCHES: [&str; 8] = [
    "few rows",
    "many rows",
    "shared out",
    "one thread",
    "several blocks of c",
    "several blocks of oc",
    "several blocks of n",
    "one block",
];
