//! Layer normalisation, alone and with the residual sum in front.

use super::harness::*;
use fortifai::Stream;
use fortifai::cpu::Cpu;
use fortifai::tier::{Affine, Tier};
use fortifai_oracle::{Scalar, layernorm, residual};

#[derive(Debug)]
pub struct Layernorm {
    pub n: usize,
    pub c: usize,
}

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
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let [x, weight, bias] = parts(point, self.lens());
        x.chunks_exact(self.c).flat_map(|x| layernorm::forward(x, weight, bias)).collect()
    }
    fn run<T: Tier>(&self, tier: &T, point: &[f64], cotangent: &[f64], start: &[f64]) -> Ran {
        let &Self { n, c } = self;
        let [x, weight, bias] = parts(point, self.lens());
        let mut params = Arena::of_parameters();
        let affine = Affine { weight: params.push(weight), bias: params.push(bias) };
        let params = params.upload(tier);
        let x = act(tier, x);
        let [mut out, mut mean, mut rstd] = [n * c, n, n].map(|len| blank(tier, len));
        tier.layernorm_forward(&mut out, &mut mean, &mut rstd, &x, &params, affine, n).unwrap();
        let outputs = read(tier, &out, n * c);
        let mut again = blank(tier, n * c);
        tier.layernorm_apply(&mut again, &mean, &rstd, &x, &params, affine, n).unwrap();
        assert_eq!(read(tier, &again, n * c), outputs, "{}: applied again", self.label());
        read(tier, &mean, n);
        read(tier, &rstd, n);

        let [dx, dweight, dbias] = parts(start, self.lens());
        let mut dx = gradient_act(tier, dx);
        let mut arena = Arena::of_gradients();
        arena.push(dweight);
        arena.push(dbias);
        let mut gradients = arena.upload(tier);
        tier.layernorm_backward(
            &mut dx,
            &mut gradients,
            &mean,
            &rstd,
            &act(tier, cotangent),
            &x,
            &params,
            affine,
            n,
        )
        .unwrap();
        let gradient = [read(tier, &dx, n * c), arena.read(tier, &gradients)].concat();
        Ran { outputs, gradient: minus(&gradient, start) }
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        branches(self.n, self.c)
    }
}

/// `residual = x + branch`, `out = layernorm(residual)`: two outputs. Backward finds the gradient
/// of the second output in `dresidual` and adds to it; the sum is the gradient of both terms.
#[derive(Debug)]
pub struct ResidualLayernorm {
    pub n: usize,
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
        let sum = residual::forward(x, branch);
        let rows = sum.chunks_exact(self.c);
        let mut out: Vec<S> = rows.flat_map(|x| layernorm::forward(x, weight, bias)).collect();
        out.extend(sum);
        out
    }
    fn run<T: Tier>(&self, tier: &T, point: &[f64], cotangent: &[f64], start: &[f64]) -> Ran {
        let &Self { n, c } = self;
        let [x, branch, weight, bias] = parts(point, self.lens());
        let mut params = Arena::of_parameters();
        let affine = Affine { weight: params.push(weight), bias: params.push(bias) };
        let params = params.upload(tier);
        let [mut out, mut sum] = [n * c, n * c].map(|len| blank(tier, len));
        let [mut mean, mut rstd] = [n, n].map(|len| blank(tier, len));
        tier.residual_layernorm_forward(
            &mut out,
            &mut sum,
            &mut mean,
            &mut rstd,
            &act(tier, x),
            &act(tier, branch),
            &params,
            affine,
            n,
        )
        .unwrap();
        let (dout, dsum) = cotangent.split_at(n * c);
        let [_, _, dweight, dbias] = parts(start, self.lens());
        let mut dsum = gradient_act(tier, dsum);
        let mut arena = Arena::of_gradients();
        arena.push(dweight);
        arena.push(dbias);
        let mut gradients = arena.upload(tier);
        tier.layernorm_backward(
            &mut dsum,
            &mut gradients,
            &mean,
            &rstd,
            &act(tier, dout),
            &sum,
            &params,
            affine,
            n,
        )
        .unwrap();
        let dsum = read(tier, &dsum, n * c);
        let dparams = minus(&arena.read(tier, &gradients), &start[2 * n * c..]);
        Ran {
            outputs: [read(tier, &out, n * c), read(tier, &sum, n * c)].concat(),
            gradient: [dsum.clone(), dsum, dparams].concat(),
        }
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

const BRANCHES: [&str; 6] = [
    "several row pieces",
    "one row piece",
    "several column pieces",
    "one column piece",
    "full lanes",
    "ragged lanes",
];

const FIXED: [(usize, usize); 15] = [
    (1, 1),
    (1, 2),
    (2, 1),
    (3, 3),
    (2, 7),
    (5, 15),
    (7, 16),
    (2, 17),
    (31, 31),
    (32, 32),
    (33, 33),
    (65, 2),
    (3, 63),
    (64, 64),
    (35, 131),
];

#[test]
fn layernorm_backward_is_the_adjoint_of_the_oracle() {
    let (alone, fused, tier) = (Record::default(), Record::default(), Cpu::<f64>::new());
    for (seed, (n, c)) in FIXED.into_iter().enumerate() {
        alone.check(&Layernorm { n, c }, &tier, seed as u64).unwrap();
        fused.check(&ResidualLayernorm { n, c }, &tier, seed as u64).unwrap();
    }
    for_all(32, (1..70usize, 1..140usize, 0..1u64 << 32), |(n, c, seed)| {
        alone.check(&Layernorm { n, c }, &tier, seed)?;
        fused.check(&ResidualLayernorm { n, c }, &tier, seed)
    });
    alone.finish("layernorm", &BRANCHES);
    fused.finish("residual_layernorm", &BRANCHES);
}

#[test]
fn layernorm_in_f32_is_no_worse_than_twice_the_textbook() {
    let (mut alone, mut fused) = (Budget::default(), Budget::default());
    let tier = Cpu::<f32>::new();
    for seed in 0..36 {
        let (n, c) = (1 + seed as usize % 5, 5 + seed as usize);
        alone.check(&Layernorm { n, c }, &tier, seed);
        fused.check(&ResidualLayernorm { n, c }, &tier, seed);
    }
    alone.finish("layernorm");
    fused.finish("residual_layernorm");
}

#[test]
fn one_channel_gives_the_bias_and_no_gradient() {
    let op = Layernorm { n: 5, c: 1 };
    let point = [1.0, -2.0, 1e3, 0.0, 7.0, 3.0, 0.25];
    let ran = op.run(&Cpu::<f32>::new(), &point, &[1.0; 5], &[0.0; 7]);
    assert_eq!(ran.outputs, [0.25; 5]);
    assert_eq!(ran.gradient, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0]);
}
