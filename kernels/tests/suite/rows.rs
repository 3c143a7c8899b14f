//! Tests of `rows`.

use crate::support::{Guarded, devices, normals, upload};
use fortifai_kernels::{Device, Rung, Storage, rows};

const RUNGS: [Rung; 2] = [Rung::Naive, Rung::Fast];
const CHANNELS: [usize; 6] = [1, 7, 8, 31, 64, 131];

/// `m` distinct rows of `n`, out of order.
fn some_rows(n: usize, m: usize) -> Vec<u32> {
    (0..m).map(|i| ((i * 7 + 3) % n) as u32).collect()
}

fn gathers<A: Storage + PartialEq>(device: &Device) {
    let n = 23;
    for (c, pad) in CHANNELS.into_iter().flat_map(|c| [(c, 5), (c, 16)]) {
        let x: Vec<A> = normals(c as u64, n * c);
        for m in [1, 2, 8, 9, 22] {
            let rows = some_rows(n, m);
            let (on, listed) = (upload(device, &x), upload(device, &rows));
            for (rung, count) in RUNGS.into_iter().flat_map(|rung| [(rung, m), (rung, m / 2)]) {
                let nan = A::of(f32::NAN);
                let mut out = Guarded::of(device, &vec![nan; m * c], pad, A::of(3.5));
                let limit = upload(device, &[count as u32]);
                let limit = (count < m).then_some(limit.view());
                let view = out.view_mut();
                rows::gather_with(rung, device, view, on.view(), listed.view(), limit, c).unwrap();
                let out = out.read(device);
                for (i, got) in out.chunks_exact(c).enumerate() {
                    let from = &x[rows[i] as usize * c..][..c];
                    match i < count {
                        true => assert!(got == from, "{rung:?} row {i} of {m}, c {c}"),
                        false => assert!(got.iter().all(|x| x.wide().is_nan()), "row {i} kept"),
                    }
                }
            }
        }
    }
}

#[test]
fn gathered_rows_are_the_listed_ones_up_to_the_count() {
    for device in devices() {
        gathers::<f32>(&device);
        gathers::<half::bf16>(&device);
    }
}

fn scatters<A: Storage + PartialEq>(device: &Device) {
    let n = 23;
    for (c, pad) in CHANNELS.into_iter().flat_map(|c| [(c, 5), (c, 16)]) {
        let start: Vec<A> = normals(c as u64, n * c);
        for m in [1, 9, 22] {
            let (rows, y) = (some_rows(n, m), normals::<f32>(m as u64, m * c));
            let (added, listed) = (upload(device, &y), upload(device, &rows));
            for (rung, count) in RUNGS.into_iter().flat_map(|rung| [(rung, m), (rung, m / 2)]) {
                let mut x = Guarded::of(device, &start, pad, A::of(3.5));
                let limit = upload(device, &[count as u32]);
                let limit = (count < m).then_some(limit.view());
                let (view, y_on) = (x.view_mut(), added.view());
                rows::scatter_add_with(rung, device, view, y_on, listed.view(), limit, c).unwrap();
                let mut truth = start.clone();
                for (&row, y) in rows[..count].iter().zip(y.chunks_exact(c)) {
                    for (sum, y) in truth[row as usize * c..][..c].iter_mut().zip(y) {
                        *sum = A::of(sum.wide() + y);
                    }
                }
                assert!(x.read(device) == truth, "{rung:?} m {m} c {c} count {count}");
            }
        }
    }
}

#[test]
fn scattered_rows_are_added_once_and_the_others_stay() {
    for device in devices() {
        scatters::<f32>(&device);
        scatters::<half::bf16>(&device);
    }
}

#[test]
fn rows_beyond_the_matrix_read_as_nan_and_are_not_written() {
    for device in devices() {
        let (x, rows) = (upload(&device, &[1.0f32, 2.0, 3.0, 4.0]), upload(&device, &[1u32, 2]));
        for rung in RUNGS {
            let mut out = Guarded::of(&device, &[0.0; 4], 5, 3.5);
            let view = out.view_mut();
            rows::gather_with(rung, &device, view, x.view(), rows.view(), None, 2).unwrap();
            let out = out.read(&device);
            assert!(out[..2] == [3.0, 4.0] && out[2].is_nan() && out[3].is_nan(), "{out:?}");
            let mut sum = Guarded::of(&device, &[0.0; 4], 5, 3.5);
            let view = sum.view_mut();
            rows::scatter_add_with(rung, &device, view, x.view(), rows.view(), None, 2).unwrap();
            assert_eq!(sum.read(&device), [0.0, 0.0, 1.0, 2.0]);
        }
    }
}

#[test]
fn no_rows_are_no_work() {
    for device in devices() {
        let (x, none) = (upload(&device, &[1.0f32, 2.0]), upload::<u32>(&device, &[]));
        let mut out = upload::<f32>(&device, &[]);
        rows::gather(&device, out.view_mut(), x.view(), none.view(), 2).unwrap();
        device.synchronize().unwrap();
    }
}
