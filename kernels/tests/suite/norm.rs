//! Tests of `norm`.

use crate::support::{Guarded, assert_close, devices, normals, same_bits, upload};
use fortifai_kernels::{Buffer, Device, Rung, norm};

const LENGTHS: [usize; 15] =
    [1, 2, 7, 31, 32, 33, 127, 129, 768, 1031, 4095, 4096, 4097, 8192, 20_011];

fn squared(device: &Device, rung: Rung, pad: usize, g: &[f32]) -> f64 {
    let mut on = Guarded::of(device, g, pad, 3.5);
    let scratch = vec![f64::NAN; norm::scratch(g.len())];
    let mut scratch = Guarded::of(device, &scratch, 3, 3.5);
    let (from, to) = (on.view_mut(), scratch.view_mut());
    let sum = norm::squared_with(rung, device, from.view(), to).unwrap();
    scratch.read(device);
    sum
}

#[test]
fn the_norm_is_the_sum_in_f64_in_every_schedule() {
    let devices = devices();
    for (len, pad) in LENGTHS.into_iter().flat_map(|len| [(len, 16), (len, 5)]) {
        let g = normals::<f32>(len as u64, len);
        let truth: f64 = g.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
        let run = |device: &Device| {
            vec![[Rung::Fast, Rung::Naive].map(|rung| squared(device, rung, pad, &g)).to_vec()]
        };
        for result in same_bits(&devices, run) {
            // One after the other, up to 20,011 numbers: their roundings wander to some 1e-14.
            assert_close(&result[0], &[truth; 2], 1e-13, "norm");
        }
    }
}

#[test]
fn large_and_small_gradients_neither_overflow_nor_vanish() {
    // 3·(1e38)² and (1e−30)² lie beyond f32; (1e30)² swallows one to the last bit.
    for device in devices() {
        let large = f64::from(1e38f32);
        assert_eq!(squared(&device, Rung::Fast, 16, &[1e38; 3]), 3.0 * large * large);
        let small = f64::from(1e-30f32);
        assert_eq!(squared(&device, Rung::Fast, 16, &[1e-30]), small * small);
        assert!(squared(&device, Rung::Fast, 16, &[1.0, f32::NAN]).is_nan());
    }
}

#[test]
fn more_tiles_than_parts_are_taken_in_turn() {
    // 1024 parts of a tile of 4096 each, and a bit: ones and one two. Exact in any order.
    let Some(device) = devices().pop() else { return };
    let len = 1024 * 4096 + 4096 + 17;
    let mut g = vec![1.0f32; len];
    g[len - 1] = 2.0;
    let g = upload(&device, &g);
    let mut scratch = Buffer::zeros(&device, norm::scratch(len)).unwrap();
    let sum = norm::squared(&device, g.view(), scratch.view_mut()).unwrap();
    assert_eq!(sum, (len + 3) as f64);
}
