//! Tests of `decode`.

use crate::attention::machines;
use crate::support::{Guarded, assert_close, devices, normals, upload, wide};
use fortifai_kernels::decode::{self, CacheShape};
use fortifai_kernels::{Device, Rung, Storage};
use fortifai_oracle::attention;
use half::bf16;

const RUNGS: [Rung; 2] = [Rung::Naive, Rung::Fast];

/// Prompts in slots, then one step of rows that find their past wherever it lies.
struct Case<A> {
    shape: CacheShape,
    layer: usize,
    cache: Vec<A>,
    /// `[b, prompt, 3, nh, hs]`, and where the prompts go.
    prompts: Vec<A>,
    prompt: usize,
    homes: Vec<u32>,
    /// `[rows, 3, nh, hs]`.
    qkv: Vec<A>,
    slots: Vec<u32>,
    lengths: Vec<u32>,
    ancestry: Vec<u32>,
}

impl<A: Storage + PartialEq> Case<A> {
    /// Three prompts in the first slots of five, and three rows of different lengths, each of which
    /// takes its past in turns from all prompts and stores into a slot of its own. Position
    /// `prompt` of slot 2 is what another row stores in the same step.
    fn new(prompt: usize, nh: usize, hs: usize, seed: u64) -> Self {
        let shape = CacheShape { layers: 2, slots: 5, t: prompt + 2, nh, hs };
        let c = nh * hs;
        let lengths = vec![prompt as u32 + 1, 1 + prompt as u32 / 2, prompt as u32 + 2];
        let ancestry = (0..3 * shape.t as u32)
            .map(|x| {
                let (row, j) = (x / shape.t as u32, x % shape.t as u32);
                let newest = j == lengths[row as usize] - 1;
                if newest {
                    [2, 3, 4][row as usize]
                } else if j as usize == prompt {
                    2
                } else {
                    (row + j) % 3
                }
            })
            .collect();
        Self {
            shape,
            layer: 1,
            cache: normals(seed, decode::cache_len(shape)),
            prompts: normals(seed + 1, 3 * prompt * 3 * c),
            prompt,
            homes: vec![0, 1, 2],
            qkv: normals(seed + 2, 3 * 3 * c),
            slots: vec![2, 3, 4],
            lengths,
            ancestry,
        }
    }

    fn run(&self, rung: Rung, device: &Device, pad: usize) -> (Vec<A>, Vec<A>) {
        let (shape, guard) = (self.shape, A::of(3.5));
        let mut cache = Guarded::of(device, &self.cache, pad, guard);
        let homes = upload(device, &self.homes);
        let prompts = upload(device, &self.prompts);
        let (to, from) = (cache.view_mut(), prompts.view());
        decode::fill(device, to, from, homes.view(), self.layer, self.prompt, shape).unwrap();
        let nan = vec![A::of(f32::NAN); self.qkv.len() / 3];
        let mut out = Guarded::of(device, &nan, pad, guard);
        let qkv = upload(device, &self.qkv);
        let [slots, lengths, ancestry] =
            [&self.slots, &self.lengths, &self.ancestry].map(|list| upload(device, list));
        decode::forward_with(
            rung,
            device,
            out.view_mut(),
            cache.view_mut(),
            qkv.view(),
            slots.view(),
            lengths.view(),
            ancestry.view(),
            self.layer,
            shape,
        )
        .unwrap();
        (out.read(device), cache.read(device))
    }

    /// The cache as it should be: prompts and newest tokens in their places, the rest as before.
    fn stored(&self) -> Vec<A> {
        let mut cache = self.cache.clone();
        let CacheShape { slots, t, nh, hs, .. } = self.shape;
        let mut store = |token: &[A], slot: u32, position: usize| {
            for (x, &number) in token[nh * hs..].iter().enumerate() {
                let (part, head, d) = (x / (nh * hs), x / hs % nh, x % hs);
                let row = ((self.layer * 2 + part) * slots + slot as usize) * nh + head;
                cache[(row * t + position) * hs + d] = number;
            }
        };
        let of_token = 3 * nh * hs;
        for (index, token) in self.prompts.chunks_exact(of_token).enumerate() {
            store(token, self.homes[index / self.prompt], index % self.prompt);
        }
        let rows = self.slots.iter().zip(&self.lengths);
        for (token, (&slot, &length)) in self.qkv.chunks_exact(of_token).zip(rows) {
            store(token, slot, length as usize - 1);
        }
        cache
    }

    /// The oracle's attention over what the rows should find.
    fn truth(&self) -> Vec<f64> {
        let CacheShape { slots, t, nh, hs, .. } = self.shape;
        let (cache, qkv) = (wide(&self.stored()), wide(&self.qkv));
        let head = |row: usize, head: usize| {
            let found = |part: usize| -> Vec<&[f64]> {
                let places = self.ancestry[row * t..][..self.lengths[row] as usize].iter();
                let start = |(j, &slot): (usize, &u32)| {
                    (((self.layer * 2 + part) * slots + slot as usize) * nh + head) * t * hs
                        + j * hs
                };
                places.enumerate().map(|place| &cache[start(place)..][..hs]).collect()
            };
            attention::forward(&qkv[(row * 3 * nh + head) * hs..][..hs], &found(0), &found(1))
        };
        (0..self.slots.len() * nh).flat_map(|index| head(index / nh, index % nh)).collect()
    }
}

/// Prompt length, heads, head size.
const SIZES: [(usize, usize, usize); 11] = [
    (1, 1, 1),
    (2, 3, 3),
    (5, 2, 8),
    (17, 2, 16),
    (33, 1, 32),
    (34, 2, 33),
    (70, 1, 64),
    (131, 1, 64),
    (40, 1, 128),
    (6, 2, 130),
    (3, 1, 256),
];

fn agrees<A: Storage + PartialEq>(device: &Device, tolerance: f64) {
    for (seed, (prompt, nh, hs)) in SIZES.into_iter().enumerate() {
        let case = Case::<A>::new(prompt, nh, hs, 10 * seed as u64);
        let (truth, stored) = (case.truth(), case.stored());
        for (rung, pad) in [(Rung::Naive, 8), (Rung::Fast, 8), (Rung::Fast, 5)] {
            let (out, cache) = case.run(rung, device, pad);
            let what = format!("{rung:?} prompt {prompt}, nh {nh}, hs {hs}, pad {pad}");
            assert_close(&wide(&out), &truth, tolerance, &what);
            assert!(cache == stored, "{what}: the cache");
        }
    }
}

#[test]
fn rows_attend_to_their_ancestry_and_store_their_newest_token() {
    for device in devices() {
        agrees::<f32>(&device, 4e-7);
        agrees::<bf16>(&device, 4e-3);
    }
}

#[test]
fn no_rung_is_worse_than_twice_the_textbook() {
    for device in machines() {
        for rung in RUNGS {
            let (mut ours, mut textbook, mut largest) = (0.0f64, 0.0f64, 0.0f64);
            for seed in 0..40 {
                let (prompt, hs) =
                    (1 + seed as usize * 3 % 41, [1, 3, 8, 33, 64][seed as usize % 5]);
                let mut case = Case::<f32>::new(prompt, 1, hs, 1000 + seed);
                // One row, so that the textbook in f32 is the oracle on one sequence.
                let row = 3 * hs;
                case.ancestry.fill(0);
                (case.slots, case.lengths) = (vec![0], vec![prompt as u32 + 1]);
                case.ancestry.truncate(case.shape.t);
                case.qkv.truncate(row);
                let tokens: Vec<f32> =
                    case.prompts[..prompt * row].iter().chain(&case.qkv).copied().collect();
                let rows: Vec<Vec<f32>> = tokens.chunks(row).map(<[f32]>::to_vec).collect();
                let single = attention::sequence(&rows, 1).pop().unwrap();
                let (out, _) = case.run(rung, &device, 8);
                for ((out, single), truth) in out.iter().zip(single).zip(case.truth()) {
                    let error = (f64::from(*out) - truth).abs();
                    ours = if error.is_nan() { f64::INFINITY } else { ours.max(error) };
                    textbook = textbook.max((f64::from(single) - truth).abs());
                    largest = largest.max(truth.abs());
                }
            }
            let ulp = f64::from((largest as f32).next_up()) - largest;
            println!("{rung:?}: error {ours:.2e}, textbook {textbook:.2e}");
            assert!(
                ours <= 2.0 * textbook + ulp,
                "{rung:?}: error {ours:e}, textbook {textbook:e}"
            );
        }
    }
}

fn is_the_same_in_every_schedule<A: Storage + PartialEq>(case: &Case<A>) {
    let shims: Vec<Device> = devices().into_iter().filter(Device::is_host).collect();
    for rung in RUNGS {
        let ran: Vec<_> = shims.iter().map(|shim| case.run(rung, shim, 8)).collect();
        assert!(ran.windows(2).all(|two| two[0] == two[1]), "{rung:?}");
    }
}

#[test]
fn the_order_of_threads_changes_no_bit() {
    is_the_same_in_every_schedule(&Case::<f32>::new(75, 1, 64, 1));
    is_the_same_in_every_schedule(&Case::<f32>::new(20, 2, 33, 2));
    is_the_same_in_every_schedule(&Case::<bf16>::new(150, 1, 64, 3));
}

#[test]
fn a_rows_bits_do_not_depend_on_the_other_rows() {
    for device in machines() {
        let case = Case::<bf16>::new(40, 2, 64, 4);
        for rung in RUNGS {
            let (together, _) = case.run(rung, &device, 8);
            let (c, t) = (128, case.shape.t);
            let alone = Case {
                cache: case.stored(),
                qkv: case.qkv[3 * c..6 * c].to_vec(),
                slots: case.slots[1..2].to_vec(),
                lengths: case.lengths[1..2].to_vec(),
                ancestry: case.ancestry[t..2 * t].to_vec(),
                prompts: case.prompts.clone(),
                homes: case.homes.clone(),
                ..case
            };
            assert!(alone.run(rung, &device, 8).0 == together[c..2 * c], "{rung:?}");
        }
    }
}

#[test]
fn what_lies_beyond_the_cache_is_not_stored_and_reads_as_nan() {
    for device in devices() {
        for rung in RUNGS {
            let mut case = Case::<f32>::new(4, 1, 8, 5);
            case.homes[1] = 5;
            case.slots[0] = 9;
            case.lengths[1] = 0;
            case.ancestry[2] = 5;
            let (out, cache) = case.run(rung, &device, 8);
            assert!(out[..16].iter().all(|x| x.is_nan()), "{rung:?}");
            assert!(out[16..].iter().all(|x| x.is_finite()), "{rung:?}");
            let slot = case.shape.t * 8;
            let layer = 2 * 5 * slot;
            assert!(cache[..layer] == case.cache[..layer], "{rung:?}: the other layer");
            for untouched in [1, 3] {
                let places = layer + untouched * slot..layer + (untouched + 1) * slot;
                assert!(cache[places.clone()] == case.cache[places], "{rung:?}: slot {untouched}");
            }
        }
    }
}

#[test]
fn no_rows_are_no_work() {
    for device in devices() {
        let shape = CacheShape { layers: 1, slots: 2, t: 3, nh: 1, hs: 4 };
        let mut cache = upload::<f32>(&device, &vec![1.0; decode::cache_len(shape)]);
        let (none, empty) = (upload::<u32>(&device, &[]), upload::<f32>(&device, &[]));
        let mut out = upload::<f32>(&device, &[]);
        let (list, numbers) = (none.view(), empty.view());
        decode::fill(&device, cache.view_mut(), numbers, list, 0, 3, shape).unwrap();
        let (to, cached) = (out.view_mut(), cache.view_mut());
        decode::forward(&device, to, cached, numbers, list, list, list, 0, shape).unwrap();
        device.synchronize().unwrap();
    }
}
