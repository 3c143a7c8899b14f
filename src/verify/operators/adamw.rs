//! One step of the optimiser, and the gradient's squared norm: values alone.

use crate::cpu::Real;
use crate::cpu::adamw::{PIECE, Step};
use crate::tier::{Span, Tier};
use crate::verify::buffers::*;
use crate::verify::operator::*;
use fortifai_oracle::Scalar;
use fortifai_oracle::adamw::{AdamW, Moments, step};
use fortifai_stream::Stream;

/// The step with the given number; settings are drawn from the seed.
#[derive(Clone, Debug)]
pub struct Update {
    /// Parameters.
    pub len: usize,
    /// 1 for the first step.
    pub number: u32,
    /// The optimiser's settings.
    pub settings: AdamW,
    /// Every gradient is multiplied by this first; exact in binary.
    pub scale: f64,
}

impl Update {
    /// Random settings.
    pub fn new(len: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, "verify-adamw", 0, 0);
        let settings = AdamW {
            lr: [1e-3, 0.03, 0.5][stream.below(3)],
            beta1: [0.0, 0.9][stream.below(2)],
            beta2: [0.95, 0.999][stream.below(2)],
            eps: [1e-8, 1e-3][stream.below(2)],
            weight_decay: [0.0, 0.1][stream.below(2)],
        };
        // The first ones, where the moments' start counts; and late ones, where it should no more.
        let number =
            [1, 2 + stream.below(4), 6 + stream.below(200), 10_000][stream.below(4)] as u32;
        Self { len, number, settings, scale: 0.375 }
    }
}

impl Operator for Update {
    fn label(&self) -> String {
        format!("adamw len {} step {} {:?}", self.len, self.number, self.settings)
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        ["params", "m", "v", "gradients"].into_iter().map(|name| (name, self.len)).collect()
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        ["params", "m", "v"].into_iter().map(|name| (name, self.len)).collect()
    }
    /// Gradients of sizes from 1e-6 to 1e2, and exact zeros.
    fn point(&self, stream: &mut Stream) -> Vec<f64> {
        let mut point = normals(stream, 4 * self.len);
        point[2 * self.len..3 * self.len].iter_mut().for_each(|v| *v *= *v);
        for g in &mut point[3 * self.len..] {
            *g *= 10f64.powf(stream.uniform() * 8.0 - 6.0);
            if stream.below(8) == 0 {
                *g = 0.0;
            }
        }
        point
    }
    fn differentiated(&self) -> bool {
        false
    }
    fn cotangent(&self, _stream: &mut Stream) -> Vec<f64> {
        vec![0.0; 3 * self.len]
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let [params, m, v, gradients] = parts(point, [self.len; 4]);
        let states: Vec<Moments<S>> = (0..self.len)
            .map(|i| {
                let state = Moments { param: params[i], m: m[i], v: v[i] };
                step(state, S::from_f64(self.scale) * gradients[i], self.number, &self.settings)
            })
            .collect();
        let part = |of: fn(&Moments<S>) -> S| states.iter().map(of);
        part(|s| s.param).chain(part(|s| s.m)).chain(part(|s| s.v)).collect()
    }
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        _cotangent: &[f64],
        _start: &[f64],
    ) -> Result<Ran, Finding> {
        let [params, m, v, gradients] = parts(point, [self.len; 4]);
        let mut arena = Arena::of_parameters();
        // A neighbour that the step must leave alone.
        arena.push(&[0.5, -0.5]);
        let span = arena.push(params);
        let mut params = arena.upload(tier)?;
        let mut of_gradients = Arena::of_gradients();
        of_gradients.push(&[3.0, 4.0]);
        of_gradients.push(gradients);
        let gradients = of_gradients.upload(tier)?;
        let len = span.start + span.len + 5;
        let moment = |values: &[f64]| -> Result<T::Master, Finding> {
            let mut all = vec![T::Number::of(7.0); len];
            for (to, &from) in all[span.range()].iter_mut().zip(values) {
                *to = T::Number::of(from);
            }
            let mut master = tier.master(len)?;
            tier.upload_master(&mut master, &all)?;
            Ok(master)
        };
        let (mut m, mut v) = (moment(m)?, moment(v)?);
        let step = Step {
            number: self.number,
            learning_rate: self.settings.lr,
            beta1: self.settings.beta1,
            beta2: self.settings.beta2,
            epsilon: self.settings.eps,
            weight_decay: self.settings.weight_decay,
            gradient_scale: self.scale,
        };
        tier.adamw(&mut params, &mut m, &mut v, &gradients, span, step)?;
        let all = arena.read(tier, &params)?;
        ensure(all[..2] == [0.5, -0.5], What::Guard, || "the step left its span".into())?;
        let inside = |master: &T::Master| -> Result<Vec<f64>, Finding> {
            let all: Vec<f64> = tier.download_master(master)?.into_iter().map(Real::wide).collect();
            let outside = all[..span.start].iter().chain(&all[span.start + span.len..]);
            let kept = outside.into_iter().all(|&x| x == 7.0);
            ensure(kept, What::Guard, || "a moment outside the span changed".into())?;
            Ok(all[span.range()].to_vec())
        };
        let outputs = [all[2..].to_vec(), inside(&m)?, inside(&v)?].concat();
        Ok(Ran { outputs, gradient: vec![0.0; 4 * self.len] })
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        vec![
            if self.number == 1 { "first step" } else { "later step" },
            if self.settings.weight_decay > 0.0 { "decay" } else { "no decay" },
            pieces(self.len),
        ]
    }
}

fn pieces(len: usize) -> &'static str {
    if len > PIECE { "several pieces" } else { "one piece" }
}

/// `Σ g²` over an arena.
#[derive(Clone, Debug)]
pub struct SquaredNorm {
    /// Gradients.
    pub len: usize,
}

impl Operator for SquaredNorm {
    fn label(&self) -> String {
        format!("squared_norm len {}", self.len)
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("gradients", self.len)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("sum", 1)]
    }
    fn differentiated(&self) -> bool {
        false
    }
    fn cotangent(&self, _stream: &mut Stream) -> Vec<f64> {
        vec![0.0]
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        vec![S::dot(point, point)]
    }
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        _cotangent: &[f64],
        _start: &[f64],
    ) -> Result<Ran, Finding> {
        let numbers: Vec<_> = point.iter().map(|&x| T::Number::of(x)).collect();
        let mut param = tier.param(self.len)?;
        tier.upload(&mut param, Span { start: 0, len: self.len }, &numbers)?;
        Ok(Ran { outputs: vec![tier.squared_norm(&param)?], gradient: vec![0.0; self.len] })
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        vec![pieces(self.len)]
    }
}
