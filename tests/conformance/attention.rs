//! Causal attention.

use super::harness::*;
use fortifai::Stream;
use fortifai::cpu::{Cpu, attention::QUERY_BLOCK};
use fortifai::tier::{AttentionShape, Tier};
use fortifai_oracle::{Scalar, attention};

#[derive(Debug)]
pub struct Attention {
    pub shape: AttentionShape,
    /// Standard deviation of queries and keys.
    pub spread: f64,
}

impl Attention {
    pub fn new((b, t, nh, hs): (usize, usize, usize, usize)) -> Self {
        Self { shape: AttentionShape { b, t, nh, hs }, spread: 1.0 }
    }
    fn len(&self) -> usize {
        let AttentionShape { b, t, nh, hs } = self.shape;
        b * t * nh * hs
    }
    fn forward<T: Tier>(&self, tier: &T, qkv: &[f64]) -> Vec<f64> {
        let AttentionShape { b, t, nh, .. } = self.shape;
        let [mut out, mut lse] = [self.len(), b * nh * t].map(|len| blank(tier, len));
        let mut workspace = blank(tier, tier.attention_workspace(self.shape));
        let qkv = act(tier, qkv);
        tier.attention_forward(&mut out, &mut lse, &qkv, &mut workspace, self.shape).unwrap();
        read(tier, &out, self.len())
    }
}

impl Operator for Attention {
    fn label(&self) -> String {
        let AttentionShape { b, t, nh, hs } = self.shape;
        format!("attention b {b} t {t} nh {nh} hs {hs} spread {}", self.spread)
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("qkv", 3 * self.len())]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("out", self.len())]
    }
    fn point(&self, stream: &mut Stream) -> Vec<f64> {
        let mut point = normals(stream, 3 * self.len());
        let c = self.shape.nh * self.shape.hs;
        for token in point.chunks_exact_mut(3 * c) {
            token[..2 * c].iter_mut().for_each(|x| *x *= self.spread);
        }
        point
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let AttentionShape { t, nh, hs, .. } = self.shape;
        let sequence = |qkv: &[S]| -> Vec<S> {
            let rows: Vec<Vec<S>> = qkv.chunks_exact(3 * nh * hs).map(<[S]>::to_vec).collect();
            attention::sequence(&rows, nh).concat()
        };
        point.chunks_exact(3 * t * nh * hs).flat_map(sequence).collect()
    }
    fn run<T: Tier>(&self, tier: &T, point: &[f64], cotangent: &[f64], start: &[f64]) -> Ran {
        let AttentionShape { b, t, nh, .. } = self.shape;
        let len = self.len();
        let [mut out, mut lse] = [len, b * nh * t].map(|len| blank(tier, len));
        let room = tier.attention_workspace(self.shape);
        let mut workspace = blank(tier, room);
        let qkv = act(tier, point);
        tier.attention_forward(&mut out, &mut lse, &qkv, &mut workspace, self.shape).unwrap();
        read(tier, &lse, b * nh * t);
        let mut dqkv = gradient_act(tier, start);
        let mut workspace = blank(tier, room);
        tier.attention_backward(
            &mut dqkv,
            &act(tier, cotangent),
            &qkv,
            &out,
            &lse,
            &mut workspace,
            self.shape,
        )
        .unwrap();
        Ran { outputs: read(tier, &out, len), gradient: minus(&read(tier, &dqkv, 3 * len), start) }
    }
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        let AttentionShape { b, t, nh, hs } = self.shape;
        vec![
            if t > QUERY_BLOCK { "several blocks" } else { "one block" },
            if t % QUERY_BLOCK == 0 { "full block" } else { "ragged block" },
            if nh > 1 { "several heads" } else { "one head" },
            if hs % 16 == 0 { "full lanes" } else { "ragged lanes" },
            if b * nh > 2 { "more heads than workers" } else { "few heads" },
        ]
    }
}

/// Batches, positions, heads, head size.
const FIXED: [(usize, usize, usize, usize); 16] = [
    (1, 1, 1, 1),
    (3, 1, 2, 3),
    (2, 2, 1, 5),
    (1, 3, 3, 2),
    (1, 7, 1, 15),
    (2, 15, 2, 16),
    (1, 16, 3, 17),
    (3, 17, 1, 4),
    (1, 31, 7, 1),
    (1, 33, 2, 7),
    (1, 63, 1, 5),
    (1, 64, 2, 3),
    (2, 65, 1, 3),
    (1, 127, 1, 2),
    (1, 128, 1, 2),
    (1, 131, 1, 3),
];

#[test]
fn attention_backward_is_the_adjoint_of_the_oracle() {
    let (record, tier) = (Record::default(), Cpu::<f64>::new());
    for (seed, shape) in FIXED.into_iter().enumerate() {
        record.check(&Attention::new(shape), &tier, seed as u64).unwrap();
    }
    let shapes = (1..4usize, 1..40usize, 1..5usize, 1..20usize);
    for_all(32, (shapes, 0.1..3.0, 0..1u64 << 32), |(shape, spread, seed)| {
        record.check(&Attention { spread, ..Attention::new(shape) }, &tier, seed)
    });
    let branches = [
        "several blocks",
        "one block",
        "full block",
        "ragged block",
        "several heads",
        "one head",
        "full lanes",
        "ragged lanes",
        "more heads than workers",
        "few heads",
    ];
    record.finish("attention", &branches);
}

#[test]
fn attention_in_f32_is_no_worse_than_twice_the_textbook() {
    let (mut budget, tier) = (Budget::default(), Cpu::<f32>::new());
    for seed in 0..34 {
        let size = seed as usize;
        let shape = (1 + size % 2, 1 + size % 13, 1 + size % 3, 1 + size % 5);
        budget.check(&Attention::new(shape), &tier, seed);
    }
    budget.check(&Attention::new((1, 65, 1, 2)), &tier, 34);
    budget.finish("attention");
}

#[test]
fn attention_never_depends_on_later_tokens() {
    let tier = Cpu::<f64>::new();
    for t in [2, 3, 17, 63, 64, 65, 130] {
        let op = Attention::new((2, t, 2, 3));
        let c = 6;
        let mut stream = stream(t as u64);
        let qkv = op.point(&mut stream);
        let before = op.forward(&tier, &qkv);
        for known in [1, t / 2, t - 1] {
            // The first sequence goes on differently, until its scores overflow.
            let mut other = qkv.clone();
            for (index, x) in other[known * 3 * c..t * 3 * c].iter_mut().enumerate() {
                *x = [1e300, -1e200, -7.0, 0.0][index % 4];
            }
            let after = op.forward(&tier, &other);
            assert_eq!(after[..known * c], before[..known * c], "t {t}, known {known}: the past");
            assert_eq!(after[t * c..], before[t * c..], "t {t}, known {known}: the neighbour");
        }
    }
}

#[test]
fn attention_gradients_never_reach_later_tokens() {
    let tier = Cpu::<f64>::new();
    for t in [3, 17, 65, 130] {
        let op = Attention::new((1, t, 2, 3));
        let (c, known) = (6, t / 2);
        let mut stream = stream(t as u64);
        let (qkv, mut dout) = (op.point(&mut stream), op.cotangent(&mut stream));
        dout[known * c..].fill(0.0);
        let ran = op.run(&tier, &qkv, &dout, &vec![0.0; 3 * t * c]);
        assert!(ran.gradient[..known * 3 * c].iter().any(|&g| g != 0.0), "t {t}");
        assert!(ran.gradient[known * 3 * c..].iter().all(|&g| g == 0.0), "t {t}");
    }
}

#[test]
fn attention_survives_extreme_scores() {
    // One key scores far above the others: its value is the output, whatever the size.
    let tier = Cpu::<f32>::new();
    let op = Attention::new((1, 3, 1, 1));
    for large in [80.0, 1e4, 1e15] {
        let qkv = [1.0, large, 5.0, 1.0, -large, 6.0, 1.0, 0.0, 7.0];
        let ran = op.run(&tier, &qkv, &[1.0; 3], &[0.0; 9]);
        assert_eq!(ran.outputs, [5.0; 3], "{large}");
        // The value of the first key takes all three gradients.
        let dv: Vec<f64> = ran.gradient.iter().skip(2).step_by(3).copied().collect();
        assert!(dv[0] == 3.0 && dv[1].abs() <= 1e-30 && dv[2].abs() <= 1e-30, "{large}: {dv:?}");
        assert!(ran.gradient.iter().all(|g| g.is_finite()), "{large}: {:?}", ran.gradient);
    }
}
