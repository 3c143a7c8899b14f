//! Tests of `embedding`.

use crate::support::{Budget, Guarded, devices, normals, same_bits, upload, wide};
use fortifai_kernels::embedding::{self, Groups};
use fortifai_kernels::{Buffer, Device, Rung, Storage};
use fortifai_oracle::embedding as textbook;
use half::bf16;

const CHANNELS: [usize; 14] = [1, 2, 7, 8, 31, 32, 33, 64, 127, 128, 129, 264, 768, 1031];
const RUNGS: [Rung; 2] = [Rung::Fast, Rung::Naive];
/// Rows of the tables.
const V: usize = 19;

fn ids(n: usize, times: usize, rows: usize) -> Vec<u32> {
    (0..n).map(|i| ((i * times + i / 3) % rows) as u32).collect()
}

fn looks_up<A: Storage + PartialEq>(device: &Device, n: usize, c: usize, pad: usize) {
    let guard = A::of(3.5);
    let (wte, wpe): (Vec<A>, Vec<A>) = (normals(1, V * c), normals(2, 11 * c));
    let (tokens, positions) = (ids(n, 7, V), ids(n, 1, 11));
    let truth: Vec<A> = (0..n)
        .flat_map(|i| {
            let (wide_wte, wide_wpe) = (wide(&wte), wide(&wpe));
            textbook::forward(tokens[i] as usize, positions[i] as usize, &wide_wte, &wide_wpe, c)
        })
        .map(|sum| A::of(sum as f32))
        .collect();
    let (at_tokens, at_positions) = (upload(device, &tokens), upload(device, &positions));
    for rung in RUNGS {
        let mut out = Guarded::of(device, &vec![A::of(f32::NAN); n * c], pad, guard);
        let mut words = Guarded::of(device, &wte, pad, guard);
        let mut places = Guarded::of(device, &wpe, pad, guard);
        let (to, words, places) = (out.view_mut(), words.view_mut(), places.view_mut());
        let (tokens, positions) = (at_tokens.view(), at_positions.view());
        let (words, places) = (words.view(), places.view());
        embedding::forward_with(rung, device, to, tokens, positions, words, places, c).unwrap();
        assert!(out.read(device) == truth, "{rung:?} of {n} rows of {c}");
    }
}

#[test]
fn forward_is_the_rounded_sum_of_two_rows() {
    // The exact sum of two numbers of eight bits, of like size, is an f32; that of two f32 numbers
    // rounds once through f64.
    for device in devices() {
        for c in CHANNELS {
            for pad in [16, 5] {
                looks_up::<f32>(&device, 5, c, pad);
                looks_up::<bf16>(&device, 5, c, pad);
            }
        }
        looks_up::<f32>(&device, 531, 8, 16);
        looks_up::<bf16>(&device, 531, 8, 16);
    }
}

#[test]
fn ids_beyond_the_tables_read_as_nan_and_spoil_no_other_row() {
    let (c, tokens, positions) = (9, [0, 2, 1, u32::MAX], [1, 0, 2, 0]);
    for device in devices() {
        let (wte, wpe) = (normals::<f32>(1, 2 * c), normals::<f32>(2, 2 * c));
        let (words, places) = (upload(&device, &wte), upload(&device, &wpe));
        let (tokens, positions) = (upload(&device, &tokens), upload(&device, &positions));
        for rung in RUNGS {
            let mut out = upload(&device, &vec![0.0f32; 4 * c]);
            let (to, tokens, positions) = (out.view_mut(), tokens.view(), positions.view());
            let (words, places) = (words.view(), places.view());
            embedding::forward_with(rung, &device, to, tokens, positions, words, places, c)
                .unwrap();
            let out = out.view().download(&device).unwrap();
            assert!((0..c).all(|j| out[j] == wte[j] + wpe[c + j]), "{rung:?}");
            assert!(out[c..].iter().all(|x| x.is_nan()), "{rung:?}");
        }
    }
}

fn backward<A: Storage + PartialEq>(
    device: &Device,
    rung: Rung,
    pad: usize,
    start: &[f32],
    dout: &[A],
    ids: &[u32],
) -> Vec<f64> {
    let mut dtable = Guarded::of(device, start, pad, 3.5);
    let mut on = Guarded::of(device, dout, pad, A::of(3.5));
    let groups = Groups::of(device, ids).unwrap();
    let (to, from) = (dtable.view_mut(), on.view_mut());
    let c = dout.len() / ids.len();
    embedding::backward_with(rung, device, to, from.view(), &groups, c).unwrap();
    wide(&dtable.read(device))
}

fn scatters<A: Storage + PartialEq>() {
    let (devices, mut budget) = (devices(), Budget::default());
    if devices.is_empty() {
        return; // said aloud by `devices`
    }
    // Short groups of every width; one id for all rows; groups of 128 and 129 rows, and longer ones.
    let one = |n: usize| vec![4; n];
    let two = |n: usize| -> Vec<u32> { (0..n).map(|i| if i < 128 { 9 } else { 2 }).collect() };
    let narrow: [(usize, Vec<u32>); 6] = [
        (7, one(1031)),
        (8, one(1031)),
        (40, one(257)),
        (33, two(257)),
        (40, two(256)),
        (8, ids(1500, 2, 3)),
    ];
    let wide_ones = CHANNELS.into_iter().map(|c| (c, ids(67, 7, V)));
    for (c, ids) in wide_ones.chain(narrow) {
        for pad in [16, 5] {
            let (start, dout) = (normals::<f32>(3, V * c), normals::<A>(4, ids.len() * c));
            let mut truth = wide(&start);
            for (row, &id) in wide(&dout).chunks_exact(c).zip(&ids) {
                let to = &mut truth[id as usize * c..][..c];
                to.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            let run = |device: &Device| {
                RUNGS.map(|rung| backward(device, rung, pad, &start, &dout, &ids)).to_vec()
            };
            for result in same_bits(&devices, run) {
                budget.add(&result[0], &result[1], &truth);
                let untouched = |id: usize| !ids.contains(&(id as u32));
                for id in (0..V).filter(|&id| untouched(id)) {
                    let row = id * c..(id + 1) * c;
                    assert!(result[0][row.clone()] == wide(&start)[row], "id {id} is not held");
                }
            }
        }
    }
    budget.assert_no_worse::<f32>("embedding::backward");
}

#[test]
fn rows_of_f32_are_added_no_worse_than_one_after_the_other() {
    scatters::<f32>();
}

#[test]
fn rows_of_bf16_are_added_no_worse_than_one_after_the_other() {
    scatters::<bf16>();
}

#[test]
fn no_rows_are_no_groups_and_change_nothing() {
    for device in devices() {
        let groups = Groups::of(&device, &[]).unwrap();
        assert!(groups.is_empty());
        let start = [1.0, 2.0];
        let mut dtable = upload(&device, &start);
        let dout = Buffer::<f32>::zeros(&device, 0).unwrap();
        embedding::backward(&device, dtable.view_mut(), dout.view(), &groups, 2).unwrap();
        assert_eq!(dtable.view().download(&device).unwrap(), start);
    }
}

#[test]
#[should_panic(expected = "embedding::backward: an id outside dtable")]
fn an_id_outside_the_table_is_refused() {
    let Some(device) = devices().pop() else { panic!("embedding::backward: an id outside dtable") };
    let groups = Groups::of(&device, &[3]).unwrap();
    let mut dtable = Buffer::zeros(&device, 3 * 2).unwrap();
    let dout = Buffer::<f32>::zeros(&device, 2).unwrap();
    let _ = embedding::backward(&device, dtable.view_mut(), dout.view(), &groups, 2);
}
