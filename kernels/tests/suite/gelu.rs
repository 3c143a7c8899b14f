//! Tests of `gelu`.

use crate::support::{Budget, Guarded, assert_close, devices, normals, same_bits, wide};
use fortifai_kernels::{Buffer, Device, Rung, Storage, column_sum, gelu};
use fortifai_oracle::{Dual64, gelu as textbook};
use half::bf16;

/// Below, at and above a block of either precision.
const LENGTHS: [usize; 17] =
    [1, 2, 7, 31, 32, 33, 127, 128, 129, 768, 1031, 2047, 2048, 2049, 4095, 4096, 8205];

/// Wider than normal, so that both tails are reached.
fn inputs<A: Storage>(seed: u64, len: usize) -> Vec<A> {
    normals::<f32>(seed, len).into_iter().map(|x| A::of(2.5 * x)).collect()
}

fn forward<A: Storage + PartialEq>(device: &Device, rung: Rung, pad: usize, pre: &[A]) -> Vec<f64> {
    let guard = A::of(3.5);
    let mut out = Guarded::of(device, &vec![A::of(f32::NAN); pre.len()], pad, guard);
    let mut on = Guarded::of(device, pre, pad, guard);
    gelu::forward_with(rung, device, out.view_mut(), on.view_mut().view()).unwrap();
    assert!(on.read(device) == pre, "pre is only read");
    wide(&out.read(device))
}

/// The gradient and the activation.
fn backward<A: Storage + PartialEq>(
    device: &Device,
    rung: Rung,
    pad: usize,
    d: &[A],
    pre: &[A],
) -> [Vec<f64>; 2] {
    let guard = A::of(3.5);
    let mut dpre = Guarded::of(device, d, pad, guard);
    let mut out = Guarded::of(device, &vec![A::of(f32::NAN); pre.len()], pad, guard);
    let mut on = Guarded::of(device, pre, pad, guard);
    let (to, pre) = (out.view_mut(), on.view_mut());
    gelu::backward_with(rung, device, dpre.view_mut(), to, pre.view()).unwrap();
    [wide(&dpre.read(device)), wide(&out.read(device))]
}

fn slopes(x: &[f64]) -> Vec<f64> {
    let duals: Vec<Dual64> = x.iter().map(|&x| Dual64::new(x, 1.0)).collect();
    textbook::forward(&duals).iter().map(|dual| dual.eps).collect()
}

fn is_no_worse_than_the_textbook<A: Storage + PartialEq>() {
    let devices = devices();
    if devices.is_empty() {
        return; // said aloud by `devices`
    }
    let (mut values, mut gradients) = (Budget::default(), Budget::default());
    for (len, pad) in LENGTHS.into_iter().flat_map(|len| [(len, 16), (len, 5)]) {
        let (pre, d): (Vec<A>, Vec<A>) = (inputs(len as u64, len), normals(1 + len as u64, len));
        let narrow: Vec<f32> = pre.iter().map(|x| x.wide()).collect();
        let plain: Vec<A> = textbook::forward(&narrow).into_iter().map(A::of).collect();
        let truth = textbook::forward(&wide(&pre));
        let d_truth: Vec<f64> =
            wide(&d).iter().zip(slopes(&wide(&pre))).map(|(d, slope)| d * slope).collect();
        let results = same_bits(&devices, |device| {
            let value = forward(device, Rung::Fast, pad, &pre);
            let [gradient, again] = backward(device, Rung::Fast, pad, &d, &pre);
            assert_eq!(value, again, "backward activates as forward does");
            let [plain, activated] = backward(device, Rung::Naive, pad, &d, &pre);
            assert_eq!(activated, forward(device, Rung::Naive, pad, &pre));
            vec![value, gradient, plain, activated]
        });
        for result in results {
            values.add(&result[0], &wide(&plain), &truth);
            values.add(&result[3], &wide(&plain), &truth);
            gradients.add(&result[1], &result[2], &d_truth);
        }
    }
    values.assert_no_worse::<A>("gelu::forward");
    gradients.assert_no_worse::<A>("gelu::backward");
}

#[test]
fn gelu_in_f32_is_no_worse_than_the_textbook() {
    is_no_worse_than_the_textbook::<f32>();
}

#[test]
fn gelu_in_bf16_is_no_worse_than_the_textbook() {
    is_no_worse_than_the_textbook::<bf16>();
}

#[test]
fn gelu_is_exact_at_its_ends() {
    let pre = [0.0, -0.0, 30.0, -30.0, 1e6, -1e6, 1e10, -1e10];
    for device in devices() {
        let value = forward(&device, Rung::Fast, 16, &pre);
        assert_eq!(value, [0.0, 0.0, 30.0, 0.0, 1e6, 0.0, f64::from(1e10f32), 0.0]);
        let [gradient, _] = backward(&device, Rung::Fast, 16, &[1.0; 8], &pre);
        assert_eq!(gradient, [0.5, 0.5, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    }
}

#[test]
fn gelu_keeps_its_digits_far_to_the_left() {
    // ½x(1 + tanh u) cancels there in f32. The exponent −2|u| log₂e reaches 25, so that its rounding
    // alone costs 17 units in the last place of the exponential.
    let pre: [f32; 6] = [-1.5, -2.0, -3.0, -4.0, -4.5, -5.0];
    let truth = textbook::forward(&wide(&pre));
    let slopes = slopes(&wide(&pre));
    for device in devices() {
        let [gradient, value] = backward(&device, Rung::Fast, 16, &[1.0; 6], &pre);
        for index in 0..6 {
            for (got, truth) in [(value[index], truth[index]), (gradient[index], slopes[index])] {
                assert_close(&[got / truth], &[1.0], 1e-5, "digits of gelu and of its slope");
            }
        }
    }
}

/// The bits of the gradient, of the activation and of the sums are the same by one pass or by two.
fn summed<A: Storage + PartialEq>(device: &Device, (n, c): (usize, usize), pad: usize) {
    let (pre, d): (Vec<A>, Vec<A>) = (inputs(1, n * c), normals(2, n * c));
    let before: Vec<f32> = normals(3, c);
    let guard = A::of(3.5);
    let run = |once: bool| {
        let mut dpre = Guarded::of(device, &d, pad, guard);
        let mut out = Guarded::of(device, &vec![A::of(f32::NAN); n * c], pad, guard);
        let mut on = Guarded::of(device, &pre, pad, guard);
        let mut sums = Guarded::of(device, &before, 4, 2.5);
        let mut scratch = Buffer::<f32>::zeros(device, column_sum::scratch(n, c)).unwrap();
        let (to, pre) = (out.view_mut(), on.view_mut());
        if once {
            let (dpre, sums) = (dpre.view_mut(), sums.view_mut());
            gelu::backward_summed(device, dpre, to, sums, pre.view(), scratch.view_mut()).unwrap();
        } else {
            gelu::backward(device, dpre.view_mut(), to, pre.view()).unwrap();
            let from = dpre.view_mut();
            column_sum::accumulate(device, sums.view_mut(), from.view(), scratch.view_mut())
                .unwrap();
        }
        [wide(&dpre.read(device)), wide(&out.read(device)), wide(&sums.read(device))]
    };
    assert!(run(true) == run(false), "[{n}, {c}] beside a guard of {pad}");
}

#[test]
fn sums_on_the_way_are_those_of_a_pass_of_their_own() {
    for device in devices() {
        for shape in [(1, 1), (3, 8), (33, 16), (70, 31), (5, 264), (300, 24)] {
            for pad in [16, 5] {
                summed::<f32>(&device, shape, pad);
                summed::<bf16>(&device, shape, pad);
            }
        }
    }
}
