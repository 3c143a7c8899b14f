//! Tests of `layernorm`.

use crate::support::{Budget, Guarded, assert_close, devices, normals, same_bits, wide};
use fortifai_kernels::{Device, Rung, Storage, layernorm};
use fortifai_oracle::{directional, layernorm as textbook, tangents};
use half::bf16;

/// Rows and channels: every layout of a row at its ends.
const SHAPES: [(usize, usize); 23] = [
    (1, 1),
    (3, 2),
    (5, 7),
    (67, 8),
    (33, 31),
    (9, 32),
    (7, 33),
    (5, 64),
    (3, 127),
    (5, 128),
    (4, 129),
    (9, 256),
    (3, 257),
    (2, 264),
    (9, 768),
    (5, 776),
    (3, 1024),
    (2, 1025),
    (3, 1032),
    (2, 1600),
    (2, 2056),
    (1, 8192),
    (2, 8200),
];
/// So many rows that a team takes several in the backward pass, and the last one does not.
const TALL: [(usize, usize); 2] = [(1030, 264), (259, 1032)];

/// Numbers of a layer norm and of its gradient.
struct Case<A> {
    n: usize,
    c: usize,
    x: Vec<A>,
    branch: Vec<A>,
    weight: Vec<A>,
    bias: Vec<A>,
    dout: Vec<A>,
    dresidual: Vec<A>,
    dweight: Vec<f32>,
    dbias: Vec<f32>,
}

impl<A: Storage + PartialEq> Case<A> {
    fn of((n, c): (usize, usize)) -> Self {
        let seed = (10 * c + n) as u64;
        // Off centre, so that the mean matters.
        let x = normals::<f32>(seed, n * c).into_iter().map(|x| A::of(x + 0.5)).collect();
        Self {
            n,
            c,
            x,
            branch: normals(seed + 1, n * c),
            weight: normals(seed + 2, c),
            bias: normals(seed + 3, c),
            dout: normals(seed + 4, n * c),
            dresidual: normals(seed + 5, n * c),
            dweight: normals(seed + 6, c),
            dbias: normals(seed + 7, c),
        }
    }

    /// The stored sum, or the input itself.
    fn residual(&self, with_branch: bool) -> Vec<A> {
        let sums = self.x.iter().zip(&self.branch).map(|(x, b)| A::of(x.wide() + b.wide()));
        if with_branch { sums.collect() } else { self.x.clone() }
    }

    /// Output, mean and rstd in the textbook's `S`.
    fn textbook<S: fortifai_oracle::Scalar>(&self, residual: &[A]) -> [Vec<f64>; 3] {
        let of = |values: &[A]| wide(values).into_iter().map(S::from_f64).collect::<Vec<S>>();
        let (weight, bias) = (of(&self.weight), of(&self.bias));
        let [mut out, mut mean, mut rstd] = [const { Vec::new() }; 3];
        for row in of(residual).chunks_exact(self.c) {
            out.extend(textbook::forward(row, &weight, &bias).iter().map(|x| x.value()));
            let (mu, scale) = textbook::statistics(row);
            mean.push(mu.value());
            rstd.push(scale.value());
        }
        [out, mean, rstd]
    }

    /// Output, mean and rstd; the output once more from the saved statistics.
    fn forward(&self, device: &Device, rung: Rung, pad: usize, with_branch: bool) -> Vec<Vec<f64>> {
        let guard = A::of(3.5);
        let on = |values: &[A]| Guarded::of(device, values, pad, guard);
        let blank = || on(&vec![A::of(f32::NAN); self.n * self.c]);
        let row_blank = || Guarded::of(device, &vec![f32::NAN; self.n], pad, 3.5);
        let (mut out, mut again, mut residual) = (blank(), blank(), blank());
        let (mut mean, mut rstd) = (row_blank(), row_blank());
        let (mut x, mut branch) = (on(&self.x), on(&self.branch));
        let (mut weight, mut bias) = (on(&self.weight), on(&self.bias));
        let (weight, bias) = (weight.view_mut(), bias.view_mut());
        let (to_mean, to_rstd) = (mean.view_mut(), rstd.view_mut());
        let from_branch = branch.view_mut();
        layernorm::forward_with(
            rung,
            device,
            out.view_mut(),
            with_branch.then(|| residual.view_mut()),
            to_mean,
            to_rstd,
            x.view_mut().view(),
            with_branch.then(|| from_branch.view()),
            weight.view(),
            bias.view(),
        )
        .unwrap();
        let expected = self.residual(with_branch);
        let stored = residual.read(device);
        match with_branch {
            true => assert!(stored == expected, "the rounded sum is stored"),
            false => assert!(stored.iter().all(|x| x.wide().is_nan()), "nothing is stored"),
        }
        let mut input = on(&expected);
        layernorm::apply_with(
            rung,
            device,
            again.view_mut(),
            mean.view_mut().view(),
            rstd.view_mut().view(),
            input.view_mut().view(),
            weight.view(),
            bias.view(),
        )
        .unwrap();
        let out = out.read(device);
        assert!(out == again.read(device), "apply gives forward's bits");
        vec![wide(&out), wide(&mean.read(device)), wide(&rstd.read(device))]
    }

    /// What is added to: the residual's gradient, the weight's, the bias's.
    fn gradient(&self, mean: &[f64], rstd: &[f64]) -> [Vec<f64>; 3] {
        let c = self.c as f64;
        let weight = wide(&self.weight);
        let [mut dresidual, mut dweight, mut dbias] =
            [wide(&self.dresidual), wide(&self.dweight), wide(&self.dbias)];
        for row in 0..self.n {
            let cells = row * self.c..(row + 1) * self.c;
            let d = wide(&self.dout[cells.clone()]);
            let x: Vec<f64> = wide(&self.x[cells.clone()])
                .into_iter()
                .map(|x| (x - mean[row]) * rstd[row])
                .collect();
            let e: Vec<f64> = d.iter().zip(&weight).map(|(d, w)| d * w).collect();
            let mean_e = e.iter().sum::<f64>() / c;
            let mean_ex = e.iter().zip(&x).map(|(e, x)| e * x).sum::<f64>() / c;
            for (j, to) in dresidual[cells].iter_mut().enumerate() {
                *to += rstd[row] * (e[j] - mean_e - x[j] * mean_ex);
                dweight[j] += d[j] * x[j];
                dbias[j] += d[j];
            }
        }
        [dresidual, dweight, dbias]
    }

    fn backward(
        &self,
        device: &Device,
        rung: Rung,
        pad: usize,
        mean: &[f32],
        rstd: &[f32],
    ) -> Vec<Vec<f64>> {
        let on = |values: &[A]| Guarded::of(device, values, pad, A::of(3.5));
        let on_f32 = |values: &[f32]| Guarded::of(device, values, pad, 3.5);
        let mut dresidual = on(&self.dresidual);
        let (mut dweight, mut dbias) = (on_f32(&self.dweight), on_f32(&self.dbias));
        let (mut mean, mut rstd) = (on_f32(mean), on_f32(rstd));
        let (mut dout, mut residual, mut weight) = (on(&self.dout), on(&self.x), on(&self.weight));
        let mut scratch = on_f32(&vec![f32::NAN; layernorm::scratch(self.n, self.c)]);
        layernorm::backward_with(
            rung,
            device,
            dresidual.view_mut(),
            dweight.view_mut(),
            dbias.view_mut(),
            mean.view_mut().view(),
            rstd.view_mut().view(),
            dout.view_mut().view(),
            residual.view_mut().view(),
            weight.view_mut().view(),
            scratch.view_mut(),
        )
        .unwrap();
        scratch.read(device);
        vec![wide(&dresidual.read(device)), wide(&dweight.read(device)), wide(&dbias.read(device))]
    }
}

fn forward_is_no_worse<A: Storage + PartialEq>() {
    let (devices, mut budgets) = (devices(), <[Budget; 3]>::default());
    if devices.is_empty() {
        return; // said aloud by `devices`
    }
    for (shape, pad) in SHAPES.into_iter().flat_map(|shape| [(shape, 16), (shape, 5)]) {
        let case = Case::<A>::of(shape);
        for with_branch in [true, false] {
            let residual = case.residual(with_branch);
            let truth = case.textbook::<f64>(&residual);
            let mut plain = case.textbook::<f32>(&residual);
            plain[0].iter_mut().for_each(|x| *x = f64::from(A::of(*x as f32).wide()));
            let fast = |device: &Device| case.forward(device, Rung::Fast, pad, with_branch);
            for result in same_bits(&devices, fast) {
                for (index, budget) in budgets.iter_mut().enumerate() {
                    budget.add(&result[index], &plain[index], &truth[index]);
                }
            }
            // The naive rung is the textbook in f32, up to contractions.
            if let Some(device) = devices.last() {
                let naive = case.forward(device, Rung::Naive, pad, with_branch);
                for (index, budget) in budgets.iter_mut().enumerate() {
                    budget.add(&naive[index], &plain[index], &truth[index]);
                }
            }
        }
    }
    budgets[0].assert_no_worse::<A>("layernorm::forward, out");
    budgets[1].assert_no_worse::<f32>("layernorm::forward, mean");
    budgets[2].assert_no_worse::<f32>("layernorm::forward, rstd");
}

#[test]
fn forward_in_f32_is_no_worse_than_the_textbook() {
    forward_is_no_worse::<f32>();
}

#[test]
fn forward_in_bf16_is_no_worse_than_the_textbook() {
    forward_is_no_worse::<bf16>();
}

fn backward_is_no_worse<A: Storage + PartialEq>() {
    let (devices, mut budgets) = (devices(), <[Budget; 3]>::default());
    if devices.is_empty() {
        return; // said aloud by `devices`
    }
    let shapes = SHAPES.into_iter().chain(TALL);
    for (shape, pad) in shapes.flat_map(|shape| [(shape, 16), (shape, 5)]) {
        let case = Case::<A>::of(shape);
        // Both sides start from the rounded statistics.
        let [_, mean, rstd] = case
            .textbook::<f64>(&case.x)
            .map(|values| values.into_iter().map(|value| value as f32).collect::<Vec<f32>>());
        let truth = case.gradient(&wide(&mean), &wide(&rstd));
        let results = same_bits(&devices, |device| {
            [Rung::Fast, Rung::Naive]
                .into_iter()
                .flat_map(|rung| case.backward(device, rung, pad, &mean, &rstd))
                .collect()
        });
        for result in results {
            for (index, budget) in budgets.iter_mut().enumerate() {
                budget.add(&result[index], &result[3 + index], &truth[index]);
            }
        }
    }
    budgets[0].assert_no_worse::<A>("layernorm::backward, dresidual");
    budgets[1].assert_no_worse::<f32>("layernorm::backward, dweight");
    budgets[2].assert_no_worse::<f32>("layernorm::backward, dbias");
}

#[test]
fn backward_in_f32_is_no_worse_than_the_plain_rung() {
    backward_is_no_worse::<f32>();
}

#[test]
fn backward_in_bf16_is_no_worse_than_the_plain_rung() {
    backward_is_no_worse::<bf16>();
}

#[test]
fn the_gradient_that_serves_as_truth_is_the_adjoint_of_the_oracle() {
    for c in [1, 2, 7, 33] {
        let mut case = Case::<f32>::of((1, c));
        case.dresidual.fill(0.0);
        case.dweight.fill(0.0);
        case.dbias.fill(0.0);
        let [_, mean, rstd] = case.textbook::<f64>(&case.x);
        let gradient = case.gradient(&mean, &rstd).concat();
        let point = [wide(&case.x), wide(&case.weight), wide(&case.bias)].concat();
        let along = wide(&normals::<f32>(99, 3 * c));
        let duals = directional(&point, &along);
        let moved = textbook::forward(&duals[..c], &duals[c..2 * c], &duals[2 * c..]);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (left, right) = (dot(&tangents(&moved), &wide(&case.dout)), dot(&along, &gradient));
        assert_close(&[left], &[right], 1e-12, "⟨J u, v⟩ and ⟨u, Jᵀ v⟩");
    }
}
