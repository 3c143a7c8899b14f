//! One problem for the classifier, its answer by the textbook in any scalar, and its answer on a
//! device.

use crate::support::{Guarded, normals, upload, wide};
use fortifai_kernels::classifier::{self, Code, Gradients, Rows, Shape};
use fortifai_kernels::{Device, Rung, Storage};
use fortifai_oracle::loss::{self, LossKind};
use fortifai_oracle::{Scalar, constants, linear};
use fortifai_stream::Stream;

/// A loss as the kernels know it, and its definition.
pub type Member = (Code, LossKind);

/// Inputs, and what lies in the gradients before.
#[derive(Clone, Debug)]
pub struct Case<A> {
    pub shape: Shape,
    pub member: Member,
    pub x: Vec<A>,
    pub weight: Vec<A>,
    pub targets: Vec<u32>,
    pub mask: Vec<u8>,
    pub dx: Vec<A>,
    pub dweight: Vec<f32>,
    pub scale: f32,
}

/// `[loss, nll, p, kept]` of every row, and the two gradients on top of what lay there.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub rows: [Vec<f64>; 4],
    pub dx: Vec<f64>,
    pub dweight: Vec<f64>,
}

/// `dz` of one row by the table: `a(p_k − [k = t]) + b(p_k − 1/V)`.
pub fn logit_gradient<S: Scalar>(z: &[S], target: usize, kind: LossKind, mask: bool) -> Vec<S> {
    let row = loss::confidence(z, target);
    let (zero, one) = (S::zero(), S::one());
    let weight = |gamma: f64| row.q.powf(gamma);
    let (a, b) = match kind {
        _ if !loss::keeps(z, target, kind, mask) => (zero, zero),
        LossKind::Focal { gamma } | LossKind::FocalDetached { gamma } if gamma == 0.0 => {
            (one, zero)
        }
        LossKind::Focal { .. } | LossKind::FocalDetached { .. } if row.q.value() == 0.0 => {
            (zero, zero)
        }
        LossKind::Focal { gamma } => {
            let pull = S::from_f64(gamma) * row.p * weight(gamma - 1.0) * row.nll;
            (weight(gamma) + pull, zero)
        }
        LossKind::FocalDetached { gamma } => (weight(gamma), zero),
        LossKind::Linear { gamma } => (S::from_f64(1.0 - gamma) + S::from_f64(gamma) * row.q, zero),
        LossKind::LabelSmoothing { epsilon } => (S::from_f64(1.0 - epsilon), S::from_f64(epsilon)),
        _ => (one, zero),
    };
    let uniform = one / S::from_f64(z.len() as f64);
    let most = z.iter().fold(z[0], |most, &z| if z.value() > most.value() { z } else { most });
    let exps: Vec<S> = z.iter().map(|&z| (z - most).exp()).collect();
    let total = S::sum(exps.iter().copied());
    let entry = |(k, &e): (usize, &S)| {
        let p = e / total;
        a * (p - if k == target { one } else { zero }) + b * (p - uniform)
    };
    exps.iter().enumerate().map(entry).collect()
}

impl<A: Storage + PartialEq> Case<A> {
    /// Half of the targets are the likeliest token; no `p` lies near the member's threshold.
    pub fn new(n: usize, c: usize, v: usize, member: Member, seed: u64) -> Self {
        let mut stream = Stream::new(seed, "kernels-classifier", 0, 0);
        let weight: Vec<A> = normals(seed, v * c);
        let wide_weight = wide(&weight);
        let threshold = match member.1 {
            LossKind::Tce { gamma } => Some(gamma),
            LossKind::DropLow { q } => Some(q),
            _ => None,
        };
        let (mut x, mut targets, mut mask) = (Vec::new(), Vec::new(), Vec::new());
        while targets.len() < n {
            let size = (1.0 + 3.0 * stream.uniform()) / (c as f64).sqrt();
            let row: Vec<A> = (0..c).map(|_| A::of((size * stream.normal()) as f32)).collect();
            let z = linear::transposed(&wide(&row), &wide_weight);
            let likeliest = (0..v).fold(0, |best, k| if z[k] > z[best] { k } else { best });
            let target = if stream.below(2) == 0 { likeliest } else { stream.below(v) };
            let p = loss::confidence(&z, target).p;
            if threshold.is_some_and(|at| v > 1 && (p - at).abs() <= 1e-4) {
                continue;
            }
            x.extend(row);
            targets.push(target as u32);
            mask.push(stream.below(2) as u8);
        }
        let (dx, dweight) = (normals(seed + 1, n * c), normals(seed + 2, v * c));
        let shape = Shape { n, c, v };
        Self { shape, member, x, weight, targets, mask, dx, dweight, scale: 1.0 / 7.0 }
    }

    /// Logits of every row.
    pub fn logits<S: Scalar>(&self) -> Vec<Vec<S>> {
        let (x, weight) = (constants::<S>(&wide(&self.x)), constants::<S>(&wide(&self.weight)));
        x.chunks_exact(self.shape.c).map(|x| linear::transposed(x, &weight)).collect()
    }

    /// The answer by the formulas, summed from left to right.
    pub fn textbook<S: Scalar>(&self) -> Outcome {
        let c = self.shape.c;
        let kind = self.member.1;
        let (x, weight) = (constants::<S>(&wide(&self.x)), constants::<S>(&wide(&self.weight)));
        let scale = S::from_f64(f64::from(self.scale));
        let mut rows: [Vec<f64>; 4] = Default::default();
        let mut dx = constants::<S>(&wide(&self.dx));
        let mut dweight = constants::<S>(&wide(&self.dweight));
        for (i, z) in self.logits::<S>().iter().enumerate() {
            let (target, mask) = (self.targets[i] as usize, self.mask[i] != 0);
            let row = loss::confidence(z, target);
            let dz = logit_gradient(z, target, kind, mask);
            // A certain row's weight can be zero although no threshold drops it.
            let weightless = match kind {
                LossKind::Focal { gamma } | LossKind::FocalDetached { gamma } => gamma > 0.0,
                LossKind::Linear { gamma } => gamma == 1.0,
                _ => false,
            } && row.q.value() == 0.0;
            let kept = loss::keeps(z, target, kind, mask) && !weightless;
            rows[0].push(loss::row_loss(z, target, kind, mask).value());
            rows[1].push(row.nll.value());
            rows[2].push(row.p.value());
            rows[3].push(if kept { 1.0 } else { 0.0 });
            for k in 0..c {
                let column = weight.iter().skip(k).step_by(c);
                let sum = S::sum(dz.iter().zip(column).map(|(&dz, &w)| dz * w));
                dx[i * c + k] = dx[i * c + k] + scale * sum;
                for (token, &dz) in dz.iter().enumerate() {
                    let at = token * c + k;
                    dweight[at] = dweight[at] + scale * dz * x[i * c + k];
                }
            }
        }
        let values = |numbers: Vec<S>| numbers.iter().map(|number| number.value()).collect();
        Outcome { rows, dx: values(dx), dweight: values(dweight) }
    }

    /// The answer of a device. The scratch holds NaN before, nothing is written beyond the
    /// lengths, and the rows are the same without gradients.
    pub fn run(&self, device: &Device, plan: (usize, Rung)) -> Outcome {
        let Shape { n, .. } = self.shape;
        let (code, shape) = (self.member.0, self.shape);
        let x = upload(device, &self.x);
        let weight = upload(device, &self.weight);
        let (targets, mask) = (upload(device, &self.targets), upload(device, &self.mask));
        let mask = (code == Code::masked()).then_some(mask.view());
        let mut dx = Guarded::of(device, &self.dx, 8, A::of(2.5));
        let mut dweight = Guarded::of(device, &self.dweight, 8, 2.5);
        let len = classifier::workspace_with(plan.0, shape);
        let run = |gradients| {
            let mut outs = [(); 4].map(|()| Guarded::of(device, &vec![f32::NAN; n], 5, 2.5));
            let mut workspace = Guarded::of(device, &vec![f32::NAN; len], 64, 2.5);
            let [loss, nll, probability, kept] = outs.each_mut().map(|out| out.view_mut());
            classifier::forward_backward_with(
                plan,
                device,
                Rows { loss, nll, probability, kept },
                gradients,
                x.view(),
                targets.view(),
                mask,
                weight.view(),
                code,
                workspace.view_mut(),
                shape,
            )
            .unwrap();
            workspace.read(device);
            outs.map(|out| wide(&out.read(device)))
        };
        let to = Gradients { dx: dx.view_mut(), dweight: dweight.view_mut(), scale: self.scale };
        let rows = run(Some(to));
        let alone = run(None);
        let bits =
            |rows: &[Vec<f64>; 4]| rows.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&rows), bits(&alone), "{code:?}: rows without gradients");
        Outcome { rows, dx: wide(&dx.read(device)), dweight: wide(&dweight.read(device)) }
    }
}
