//! Laws of single operators.

use super::{agree, hold_for_all, largest, permutation, reordered};
use crate::conformance::harness::{Finding, Operator, dot, ensure, normals, stream};
use fortifai::cpu::Cpu;
use fortifai::tier::AttentionShape;
use fortifai::verify::operators::attention::Attention;
use fortifai::verify::operators::classifier::{Classifier, members};
use fortifai::verify::operators::embedding::Embedding;
use fortifai::verify::operators::gelu::GeluLinear;
use fortifai::verify::operators::layernorm::{Layernorm, ResidualLayernorm};
use fortifai::verify::operators::linear::Linear;
use fortifai_oracle::layernorm::statistics;

/// `Jᵀ(αv + βw) = αJᵀv + βJᵀw`, `Jᵀ(−4v) = −4Jᵀv` bit for bit, and `Jᵀ0 = 0`.
fn check_linearity<O: Operator>(op: &O, seed: u64) -> Result<(), Finding> {
    let tier = Cpu::<f64>::new();
    let mut stream = stream(seed);
    let point = op.point(&mut stream);
    let zero = vec![0.0; point.len()];
    let (v, w) = (op.cotangent(&mut stream), op.cotangent(&mut stream));
    let (alpha, beta) = (stream.normal(), stream.normal());
    let name = || format!("{}, seed {seed}", op.label());
    let backward = |v: &[f64]| op.run(&tier, &point, v, &zero).unwrap().gradient;
    let mix = |v: &[f64], w: &[f64]| -> Vec<f64> {
        v.iter().zip(w).map(|(v, w)| alpha * v + beta * w).collect()
    };
    let (of_v, of_w) = (backward(&v), backward(&w));
    let size = alpha.abs() * largest(&of_v) + beta.abs() * largest(&of_w);
    agree(&backward(&mix(&v, &w)), &mix(&of_v, &of_w), 1e-13, size, name)?;
    let scaled = |v: &[f64]| -> Vec<f64> { v.iter().map(|x| -4.0 * x).collect() };
    agree(&backward(&scaled(&v)), &scaled(&of_v), 0.0, 0.0, || format!("{}, times −4", name()))?;
    let nothing = backward(&vec![0.0; v.len()]);
    ensure(nothing.iter().all(|&g| g == 0.0), || format!("{}: Jᵀ0 is not 0", name()))
}

#[test]
fn backward_is_linear_in_the_cotangent() {
    let shapes = (1..40usize, 1..20usize, 1..20usize);
    hold_for_all((16, 1000), (shapes, 0..1u64 << 32), |((n, c, oc), seed)| {
        check_linearity(&Linear { n, c, oc }, seed)?;
        check_linearity(&GeluLinear { n, c, oc }, seed)?;
        check_linearity(&Layernorm { n, c }, seed)?;
        check_linearity(&ResidualLayernorm { n, c }, seed)?;
        check_linearity(&Embedding::new(oc, 1 + n / 3, c, n, seed), seed)?;
        check_linearity(&Attention::new((1 + n % 3, 1 + n, 1 + oc % 4, c)), seed)?;
        for member in members() {
            check_linearity(&Classifier::new((n, c, oc), member, seed), seed)?;
        }
        Ok(())
    });
}

/// A shape of attention and a seed.
fn attentions() -> impl proptest::strategy::Strategy<Value = (Attention, u64)> {
    use proptest::strategy::Strategy;
    let shapes = (1..4usize, 1..70usize, 1..5usize, 1..9usize);
    (shapes, 0..1u64 << 32).prop_map(|(shape, seed)| (Attention::new(shape), seed))
}

#[test]
fn a_common_shift_of_the_keys_changes_nothing() {
    // It adds the same number to all scores of a query. Hence the gradients of a sequence's keys
    // add up to zero, and a key bias has no gradient.
    let tier = Cpu::<f64>::new();
    hold_for_all((40, 2000), attentions(), |(op, seed)| {
        let AttentionShape { t, nh, hs, .. } = op.shape;
        let c = nh * hs;
        let mut stream = stream(seed);
        let (qkv, dout) = (op.point(&mut stream), op.cotangent(&mut stream));
        let shift = normals(&mut stream, c);
        let mut moved = qkv.clone();
        for token in moved.chunks_exact_mut(3 * c) {
            token[c..2 * c].iter_mut().zip(&shift).for_each(|(key, shift)| *key += shift);
        }
        let zero = vec![0.0; qkv.len()];
        let (before, after) = (
            op.run(&tier, &qkv, &dout, &zero).unwrap(),
            op.run(&tier, &moved, &dout, &zero).unwrap(),
        );
        let name = || format!("{}, seed {seed}", op.label());
        agree(&after.outputs, &before.outputs, 1e-12, largest(&before.outputs), name)?;
        for sequence in before.gradient.chunks_exact(3 * c * t) {
            for channel in c..2 * c {
                let keys = sequence[channel..].iter().step_by(3 * c);
                let (sum, size) = keys.fold((0.0, 0.0), |(sum, size), g| (sum + g, size + g.abs()));
                // A lone key's gradient is zero up to the rounding of the other gradients.
                let size = size + largest(sequence);
                ensure(f64::abs(sum) <= 1e-13 * size, || {
                    format!("{}: the keys' gradients sum to {sum:e}", name())
                })?;
            }
        }
        Ok(())
    });
}

#[test]
fn attention_is_an_average_of_values() {
    // Equal values come out as they are, and no output leaves the range of the values.
    let tier = Cpu::<f64>::new();
    hold_for_all((40, 2000), attentions(), |(op, seed)| {
        let AttentionShape { t, nh, hs, .. } = op.shape;
        let c = nh * hs;
        let mut stream = stream(seed);
        let mut qkv = op.point(&mut stream);
        let zero = vec![0.0; qkv.len()];
        let dout = vec![0.0; qkv.len() / 3];
        let outputs = op.run(&tier, &qkv, &dout, &zero).unwrap().outputs;
        for (qkv, out) in qkv.chunks_exact(3 * c * t).zip(outputs.chunks_exact(c * t)) {
            for channel in 0..c {
                let value = |position: usize| qkv[position * 3 * c + 2 * c + channel];
                let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
                for position in 0..t {
                    (low, high) = (low.min(value(position)), high.max(value(position)));
                    let got = out[position * c + channel];
                    ensure(got >= low - 1e-14 && got <= high + 1e-14, || {
                        format!("{}: {got} is not in [{low}, {high}]", op.label())
                    })?;
                }
            }
        }
        let value = stream.normal();
        for token in qkv.chunks_exact_mut(3 * c) {
            token[2 * c..].fill(value);
        }
        let outputs = op.run(&tier, &qkv, &dout, &zero).unwrap().outputs;
        let truth = vec![value; outputs.len()];
        agree(&outputs, &truth, 1e-14, value.abs(), || format!("{}, equal values", op.label()))
    });
}

#[test]
fn permuting_heads_permutes_the_outputs() {
    let tier = Cpu::<f64>::new();
    hold_for_all((40, 2000), attentions(), |(op, seed)| {
        let AttentionShape { nh, hs, .. } = op.shape;
        let mut stream = stream(seed);
        let (qkv, dout) = (op.point(&mut stream), op.cotangent(&mut stream));
        let order = permutation(nh, &mut stream);
        // Every c numbers are one row of heads.
        let moved = |x: &[f64]| -> Vec<f64> {
            x.chunks_exact(nh * hs).flat_map(|row| reordered(row, hs, &order)).collect()
        };
        let zero = vec![0.0; qkv.len()];
        let before = op.run(&tier, &qkv, &dout, &zero).unwrap();
        let after = op.run(&tier, &moved(&qkv), &moved(&dout), &zero).unwrap();
        let name = || format!("{}, seed {seed}, heads {order:?}", op.label());
        agree(&after.outputs, &moved(&before.outputs), 0.0, 0.0, name)?;
        agree(&after.gradient, &moved(&before.gradient), 0.0, 0.0, name)
    });
}

#[test]
fn layernorm_ignores_a_shift() {
    // Hence the gradients of a row add up to zero. The mean is rounded like the largest entry, and
    // 1/√(σ² + ε), up to 316, magnifies that: a row of almost equal numbers is blurred.
    let tier = Cpu::<f64>::new();
    hold_for_all((40, 2000), (1..40usize, 1..70usize, 0..1u64 << 32), |(n, c, seed)| {
        let op = Layernorm { n, c };
        let mut stream = stream(seed);
        let (point, dout) = (op.point(&mut stream), op.cotangent(&mut stream));
        let shifts = normals(&mut stream, n);
        let mut moved = point.clone();
        for (row, shift) in moved.chunks_exact_mut(c).zip(&shifts) {
            row.iter_mut().for_each(|x| *x += shift);
        }
        let zero = vec![0.0; point.len()];
        let (before, after) = (
            op.run(&tier, &point, &dout, &zero).unwrap(),
            op.run(&tier, &moved, &dout, &zero).unwrap(),
        );
        let weight = &point[n * c..][..c];
        for (row, shift) in shifts.iter().enumerate() {
            let name = || format!("{}, seed {seed}, row {row}", op.label());
            let range = row * c..(row + 1) * c;
            let (_, rstd) = statistics(&point[range.clone()]);
            let blur = 1.0 + rstd * (largest(&point[range.clone()]) + shift.abs());
            let (got, truth) = (&after.outputs[range.clone()], &before.outputs[range.clone()]);
            agree(got, truth, 1e-14, blur * largest(&point[n * c..]), name)?;
            let (_, size) = dot(&dout[range.clone()], weight);
            let sum: f64 = before.gradient[range].iter().sum();
            ensure(sum.abs() <= 1e-14 * blur * rstd * size, || {
                format!("{}: the gradients sum to {sum:e}", name())
            })?;
        }
        Ok(())
    });
}
