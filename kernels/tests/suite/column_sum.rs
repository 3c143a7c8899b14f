//! Tests of `column_sum`.

use crate::support::{Budget, Guarded, devices, normals, same_bits, wide};
use fortifai_kernels::{Device, Rung, Storage, column_sum};
use half::bf16;

/// Every width with few rows, and every kind of row count with some widths.
fn shapes() -> impl Iterator<Item = (usize, usize)> {
    let widths = [1, 2, 7, 8, 31, 32, 33, 64, 127, 128, 129, 256, 768, 1031];
    let rows = [1, 2, 31, 32, 33, 127, 1031];
    let by_width = widths.into_iter().map(|oc| (67, oc));
    by_width.chain(rows.into_iter().flat_map(|n| [(n, 7), (n, 40)])).chain([(8200, 8)])
}

fn accumulate<A: Storage + PartialEq>(
    device: &Device,
    rung: Rung,
    pad: usize,
    start: &[f32],
    dout: &[A],
) -> Vec<f64> {
    let scratch = vec![f32::NAN; column_sum::scratch(dout.len() / start.len(), start.len())];
    let mut dbias = Guarded::of(device, start, pad, 3.5);
    let mut scratch = Guarded::of(device, &scratch, pad, 3.5);
    let mut on = Guarded::of(device, dout, pad, A::of(3.5));
    let (to, from, room) = (dbias.view_mut(), on.view_mut(), scratch.view_mut());
    column_sum::accumulate_with(rung, device, to, from.view(), room).unwrap();
    scratch.read(device);
    wide(&dbias.read(device))
}

fn adds_the_columns<A: Storage + PartialEq>() {
    let (devices, mut budget) = (devices(), Budget::default());
    if devices.is_empty() {
        return; // said aloud by `devices`
    }
    for ((n, oc), pad) in shapes().flat_map(|shape| [(shape, 16), (shape, 5)]) {
        let (start, dout) = (normals::<f32>(1, oc), normals::<A>(n as u64, n * oc));
        let mut truth = wide(&start);
        for row in wide(&dout).chunks_exact(oc) {
            truth.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        let run = |device: &Device| {
            [Rung::Fast, Rung::Naive]
                .map(|rung| accumulate(device, rung, pad, &start, &dout))
                .to_vec()
        };
        for result in same_bits(&devices, run) {
            budget.add(&result[0], &result[1], &truth);
        }
    }
    budget.assert_no_worse::<f32>("column_sum");
}

#[test]
fn columns_of_f32_are_added_no_worse_than_one_after_the_other() {
    adds_the_columns::<f32>();
}

#[test]
fn columns_of_bf16_are_added_no_worse_than_one_after_the_other() {
    adds_the_columns::<bf16>();
}
