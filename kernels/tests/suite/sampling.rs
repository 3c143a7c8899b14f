//! Tests of `sampling`.

use crate::support::{Guarded, devices, normals, upload};
use fortifai_kernels::sampling::{self, Draw, NONE};
use fortifai_kernels::{Device, Rung};
use fortifai_stream::Stream;

const RUNGS: [Rung; 2] = [Rung::Naive, Rung::Fast];
const GUARD: u32 = 77;

fn argmax(device: &Device, rung: Rung, logits: &[f32], v: usize) -> Vec<u32> {
    let mut out = Guarded::of(device, &vec![GUARD; logits.len() / v], 3, GUARD);
    let on = upload(device, logits);
    sampling::argmax_with(rung, device, out.view_mut(), on.view(), v).unwrap();
    out.read(device)
}

fn drawn(device: &Device, rung: Rung, logits: &[f32], uniforms: &[f64], how: Draw) -> Vec<u32> {
    let v = logits.len() / uniforms.len();
    let mut out = Guarded::of(device, &vec![GUARD; uniforms.len()], 3, GUARD);
    let (on, at) = (upload(device, logits), upload(device, uniforms));
    sampling::draw_with(rung, device, out.view_mut(), on.view(), at.view(), how, v).unwrap();
    out.read(device)
}

#[test]
fn argmax_is_the_first_of_the_largest() {
    for device in devices() {
        for v in [1, 2, 31, 33, 130, 2051] {
            // Few distinct values, so that every row has ties for the largest.
            let logits: Vec<f32> =
                normals::<f32>(v as u64, 3 * v).iter().map(|z| (2.0 * z).trunc() / 2.0).collect();
            let truth: Vec<u32> = logits
                .chunks_exact(v)
                .map(|row| {
                    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    row.iter().position(|&z| z == most).unwrap() as u32
                })
                .collect();
            for rung in RUNGS {
                assert_eq!(argmax(&device, rung, &logits, v), truth, "{rung:?} v {v}");
            }
        }
        for rung in RUNGS {
            let zeros = [-1.0, -0.0, 0.0, -0.0];
            assert_eq!(argmax(&device, rung, &zeros, 4), [1], "zeros of either sign are equal");
        }
    }
}

#[test]
fn rows_without_a_finite_largest_logit_give_no_token() {
    const ALL: Draw = Draw { temperature: 1.0, top_k: 0, top_p: 1.0 };
    for device in devices() {
        let v = 40;
        let mut logits = vec![f32::NEG_INFINITY; 5 * v];
        logits[..2 * v].fill(0.5);
        (logits[7], logits[v + 39]) = (f32::NAN, f32::INFINITY);
        // Behind the row of nothing but minus infinity: one finite logit, then a NaN behind it.
        logits[3 * v + 33] = -1e30;
        (logits[4 * v], logits[5 * v - 1]) = (3.0, f32::NAN);
        let truth = [NONE, NONE, NONE, 33, NONE];
        for rung in RUNGS {
            assert_eq!(argmax(&device, rung, &logits, v), truth);
            assert_eq!(drawn(&device, rung, &logits, &[0.6; 5], ALL), truth);
        }
    }
}

#[test]
fn the_largest_uniform_number_takes_the_last_token() {
    const ALL: Draw = Draw { temperature: 1.0, top_k: 0, top_p: 1.0 };
    let last = 1.0 - f64::EPSILON / 2.0;
    for device in devices() {
        for v in [1, 2, 3, 64, 1025, 50_257] {
            let logits: Vec<f32> = vec![0.25; v];
            for rung in RUNGS {
                assert_eq!(
                    drawn(&device, rung, &logits, &[last], ALL),
                    [v as u32 - 1],
                    "{rung:?} {v}"
                );
            }
        }
    }
}

/// The CPU's picker: weights in f32, sums in f64.
fn reference(logits: &[f32], uniform: f64, how: Draw) -> u32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scale = 1.0 / how.temperature;
    let mut weights: Vec<f32> = logits.iter().map(|z| ((z - most) * scale).exp()).collect();
    if how.top_k > 0 && how.top_k < weights.len() {
        let mut sorted = weights.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        weights.iter_mut().filter(|w| **w < sorted[how.top_k - 1]).for_each(|w| *w = 0.0);
    }
    if how.top_p < 1.0 {
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|&a, &b| weights[a].total_cmp(&weights[b]).then(a.cmp(&b)));
        let mut budget = (1.0 - how.top_p) * weights.iter().map(|&w| f64::from(w)).sum::<f64>();
        for &k in &order[..order.len() - 1] {
            budget -= f64::from(weights[k]);
            if budget < 0.0 {
                break;
            }
            weights[k] = 0.0;
        }
    }
    let mut left = uniform * weights.iter().map(|&w| f64::from(w)).sum::<f64>();
    let mut token = 0;
    for (k, &weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        token = k as u32;
        if left < f64::from(weight) {
            break;
        }
        left -= f64::from(weight);
    }
    token
}

/// What the reference picks when uniform number and nucleus move by less than rounding could.
fn close_to_reference(token: u32, logits: &[f32], uniform: f64, how: Draw) -> bool {
    const SLACK: f64 = 1e-6;
    [-SLACK, 0.0, SLACK].into_iter().any(|by| {
        let top_p = if how.top_p < 1.0 { how.top_p + by } else { 1.0 };
        let how = Draw { top_p, ..how };
        [-SLACK, 0.0, SLACK].into_iter().any(|by| token == reference(logits, uniform + by, how))
    })
}

#[test]
fn draws_follow_the_cpu_for_the_same_uniform_number() {
    let mut stream = Stream::new(1, "sampling", 0, 0);
    let rows = 6;
    let (mut picks, mut equal, mut away) = (0, 0, 0);
    for device in devices() {
        for v in [1, 2, 3, 32, 67, 131] {
            for (temperature, top_k, top_p) in [
                (1.0, 0, 1.0),
                (0.5, 0, 1.0),
                (2.0, 10, 1.0),
                (1.0, 1, 1.0),
                (1.0, 0, 0.9),
                (1.0, 0, 0.3),
                (3.0, 20, 0.7),
                (0.7, 2, 1e-9),
                (1.0, 1000, 0.999),
            ] {
                // A grid of logits: ties are many and exact, what differs differs by far.
                let logits: Vec<f32> = (0..rows * v)
                    .map(|_| ((3.0 * stream.normal()) as f32 * 8.0).round() / 8.0)
                    .collect();
                let uniforms: Vec<f64> = (0..rows).map(|_| stream.uniform()).collect();
                let how = Draw { temperature, top_k, top_p };
                for rung in RUNGS {
                    let tokens = drawn(&device, rung, &logits, &uniforms, how);
                    for ((row, &uniform), token) in logits.chunks(v).zip(&uniforms).zip(tokens) {
                        let what = format!("{rung:?} v {v} {how:?} at {uniform}: {token}");
                        assert!(close_to_reference(token, row, uniform, how), "{what}");
                        picks += 1;
                        equal += usize::from(token == reference(row, uniform, how));
                        away += usize::from(
                            token != reference(row, uniform, Draw { top_k: 0, top_p: 1.0, ..how }),
                        );
                    }
                }
            }
        }
    }
    assert!(equal * 1000 >= picks * 999, "{equal} of {picks} picks are the CPU's");
    assert!(picks == 0 || away * 10 > picks, "the filters changed {away} of {picks} picks");
}

#[test]
fn equal_weights_are_drawn_and_cut_exactly() {
    let logits = [2.5f32; 8];
    let all = Draw { temperature: 1.0, top_k: 0, top_p: 1.0 };
    let half = Draw { top_p: 0.5, ..all };
    // Eight pieces of the same size; the nucleus of half the mass loses the first four.
    let cases = [
        (0.0, all, 0),
        (0.375, all, 3),
        (0.375f64.next_down(), all, 2),
        (1.0f64.next_down(), all, 7),
        (0.0, half, 4),
        (0.25, half, 5),
        (0.25f64.next_down(), half, 4),
        (0.0, Draw { top_p: 0.5f64.next_up(), ..all }, 3),
        (0.0, Draw { top_p: 1e-300, ..all }, 7),
        // Ties with the k-th stay.
        (0.0, Draw { top_k: 3, ..all }, 0),
        (0.999, Draw { top_k: 1, ..all }, 7),
    ];
    for device in devices() {
        for (rung, (uniform, how, token)) in
            RUNGS.into_iter().flat_map(|rung| cases.map(|case| (rung, case)))
        {
            let got = drawn(&device, rung, &logits, &[uniform], how);
            assert_eq!(got, [token], "{rung:?} {how:?} at {uniform}");
        }
    }
}

#[test]
fn a_vocabulary_as_large_as_gpt_2s_is_drawn_from() {
    let v = 50_257;
    let logits = normals::<f32>(5, v);
    for device in devices() {
        let token = argmax(&device, Rung::Fast, &logits, v)[0];
        assert!(logits.iter().all(|&z| z <= logits[token as usize]));
        for (uniform, top_k, top_p) in [(0.3, 0, 1.0), (0.9999, 50, 0.95)] {
            let how = Draw { temperature: 0.8, top_k, top_p };
            let token = drawn(&device, Rung::Fast, &logits, &[uniform], how)[0];
            assert!(close_to_reference(token, &logits, uniform, how), "{how:?}: {token}");
        }
    }
}
