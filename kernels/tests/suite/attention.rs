//! Tests of `attention`, `attention_mma` and `attention_wgmma`.

use crate::support::{Guarded, assert_close, devices, normals, wide};
use fortifai_kernels::attention::{self, Rung, Shape};
use fortifai_kernels::{Device, Precision, Storage};
use fortifai_oracle::{Dual64, Scalar, constants, directional, tangents};
use half::bf16;

fn shape((b, t, nh, hs): (usize, usize, usize, usize)) -> Shape {
    Shape { b, t, nh, hs }
}

/// What forward and backward give.
#[derive(Clone, Debug, Default, PartialEq)]
struct Results<S> {
    out: Vec<S>,
    lse: Vec<S>,
    dqkv: Vec<S>,
}

/// Forward by the oracle's formula, backward by the chain rule, one pair of positions at a time.
fn textbook<S: Scalar>(qkv: &[S], dout: &[S], shape: Shape) -> Results<S> {
    let Shape { b, t, nh, hs } = shape;
    let c = nh * hs;
    let mut results = Results {
        out: vec![S::zero(); b * t * c],
        lse: vec![S::zero(); b * nh * t],
        dqkv: vec![S::zero(); 3 * b * t * c],
    };
    let scale = S::one() / S::from_f64(hs as f64).sqrt();
    let at = |part: usize, b: usize, i: usize, h: usize| ((b * t + i) * 3 + part) * c + h * hs;
    for (b, h, i) in (0..b).flat_map(|b| (0..nh).flat_map(move |h| (0..t).map(move |i| (b, h, i))))
    {
        let part = |part, j| &qkv[at(part, b, j, h)..][..hs];
        let scores: Vec<S> = (0..=i).map(|j| S::dot(part(0, i), part(1, j)) * scale).collect();
        let most = scores
            .iter()
            .copied()
            .fold(scores[0], |a, b| if b.value() > a.value() { b } else { a });
        let total = S::sum(scores.iter().map(|&s| (s - most).exp()));
        results.lse[(b * nh + h) * t + i] = most + total.ln();
        let p: Vec<S> = scores.iter().map(|&s| (s - most).exp() / total).collect();
        let start = (b * t + i) * c + h * hs;
        for d in 0..hs {
            results.out[start + d] = S::sum((0..=i).map(|j| p[j] * part(2, j)[d]));
        }
        let dy = &dout[start..][..hs];
        let dp: Vec<S> = (0..=i).map(|j| S::dot(dy, part(2, j))).collect();
        let mean = S::sum((0..=i).map(|j| p[j] * dp[j]));
        for j in 0..=i {
            let ds = p[j] * (dp[j] - mean) * scale;
            for (d, &dy) in dy.iter().enumerate() {
                let (q, k, v) = (at(0, b, i, h) + d, at(1, b, j, h) + d, at(2, b, j, h) + d);
                results.dqkv[q] = results.dqkv[q] + ds * qkv[k];
                results.dqkv[k] = results.dqkv[k] + ds * qkv[q];
                results.dqkv[v] = results.dqkv[v] + p[j] * dy;
            }
        }
    }
    results
}

#[test]
fn the_gradient_that_the_kernels_are_held_against_is_the_oracles() {
    let (shape, c) = (shape((2, 5, 2, 3)), 6);
    let n = 3 * 2 * 5 * c;
    let qkv = wide(&normals::<f32>(1, n));
    let dout = wide(&normals::<f32>(2, n / 3));
    let results = textbook(&qkv, &dout, shape);
    let direction = wide(&normals::<f32>(3, n));
    let rows: Vec<Vec<Dual64>> =
        directional(&qkv, &direction).chunks(3 * c).map(<[Dual64]>::to_vec).collect();
    let by_oracle: Vec<Dual64> = rows
        .chunks(shape.t)
        .flat_map(|sequence| fortifai_oracle::attention::sequence(sequence, shape.nh).concat())
        .collect();
    let values: Vec<f64> = by_oracle.iter().map(|dual| dual.re).collect();
    assert_close(&results.out, &values, 1e-14, "out");
    let forward: f64 = tangents(&by_oracle).iter().zip(&dout).map(|(a, b)| a * b).sum();
    let reverse: f64 = results.dqkv.iter().zip(&direction).map(|(a, b)| a * b).sum();
    assert!((forward - reverse).abs() <= 1e-12 * forward.abs(), "{forward} {reverse}");
}

/// One case: inputs, and what `dqkv` holds before.
struct Case<A> {
    shape: Shape,
    qkv: Vec<A>,
    dout: Vec<A>,
    start: Vec<A>,
}

impl<A: Storage + PartialEq> Case<A> {
    fn new(sizes: (usize, usize, usize, usize), seed: u64) -> Self {
        let shape = shape(sizes);
        let n = shape.b * shape.t * shape.nh * shape.hs;
        let (qkv, dout) = (normals(seed, 3 * n), normals(seed + 1000, n));
        Self { shape, qkv, dout, start: normals(seed + 2000, 3 * n) }
    }

    fn rungs(&self, device: &Device) -> impl Iterator<Item = Rung> {
        let rungs = [Rung::Naive, Rung::Flash, Rung::Mma, Rung::Wgmma].into_iter();
        rungs.filter(|rung| rung.serves::<A>(device, self.shape.hs))
    }

    /// Forward and backward among guards, `pad` numbers off the start of a buffer.
    fn run(&self, rung: Option<Rung>, device: &Device, pad: usize) -> Ran<A> {
        let (shape, nan, guard) = (self.shape, A::of(f32::NAN), A::of(3.5));
        let mut qkv = Guarded::of(device, &self.qkv, pad, guard);
        let mut dout = Guarded::of(device, &self.dout, pad, guard);
        let (qkv, dout) = (qkv.view_mut(), dout.view_mut());
        let rows = attention::scratch(shape);
        let mut out = Guarded::of(device, &vec![nan; self.dout.len()], pad, guard);
        let mut lse = Guarded::of(device, &vec![f32::NAN; rows], pad, 3.5);
        let mut scratch = Guarded::of(device, &vec![f32::NAN; rows], pad, 3.5);
        let mut dqkv = Guarded::of(device, &self.start, pad, guard);
        let (to, stats, from) = (out.view_mut(), lse.view_mut(), qkv.view());
        match rung {
            Some(rung) => attention::forward_with(rung, device, to, stats, from, shape).unwrap(),
            None => attention::forward(device, to, stats, from, shape).unwrap(),
        }
        let (to, dy, room) = (dqkv.view_mut(), dout.view(), scratch.view_mut());
        let (y, stats) = (out.view_mut(), lse.view_mut());
        let (y, stats) = (y.view(), stats.view());
        match rung {
            Some(rung) => {
                attention::backward_with(rung, device, to, dy, from, y, stats, room, shape)
            }
            None => attention::backward(device, to, dy, from, y, stats, room, shape),
        }
        .unwrap();
        scratch.read(device);
        Ran { out: out.read(device), lse: lse.read(device), dqkv: dqkv.read(device) }
    }

    fn textbook<S: Scalar>(&self) -> Results<S> {
        let of = |values| constants(&wide(values));
        textbook(&of(&self.qkv), &of(&self.dout), self.shape)
    }
}

/// What the kernels gave.
#[derive(Debug, PartialEq)]
struct Ran<A> {
    out: Vec<A>,
    lse: Vec<f32>,
    dqkv: Vec<A>,
}

/// The shim in one schedule, and a GPU if there is one.
pub fn machines() -> Vec<Device> {
    let mut seen = false;
    let once = |device: &Device| !device.is_host() || !std::mem::replace(&mut seen, true);
    devices().into_iter().filter(once).collect()
}

/// Around the tiles' sizes, 64 and 128, and every way a head is rounded up.
const SHAPES: [(usize, usize, usize, usize); 16] = [
    (1, 1, 1, 1),
    (2, 1, 1, 64),
    (1, 2, 1, 128),
    (1, 3, 2, 3),
    (3, 7, 1, 8),
    (1, 17, 3, 16),
    (1, 31, 1, 33),
    (1, 33, 2, 32),
    (1, 63, 1, 32),
    (1, 64, 1, 64),
    (1, 65, 2, 8),
    (1, 66, 1, 64),
    (1, 65, 1, 128),
    (1, 129, 1, 64),
    (1, 130, 1, 32),
    (1, 20, 1, 130),
];

fn on_tensor_cores(rung: Rung) -> bool {
    matches!(rung, Rung::Mma | Rung::Wgmma)
}

/// Tolerances of `out`, `lse` and `dqkv`.
fn agrees<A: Storage + PartialEq>(device: &Device, tolerances: [f64; 3]) {
    for (seed, sizes) in SHAPES.into_iter().enumerate() {
        let case = Case::<A>::new(sizes, seed as u64);
        let truth = case.textbook::<f64>();
        let with_start: Vec<f64> =
            truth.dqkv.iter().zip(wide(&case.start)).map(|(a, b)| a + b).collect();
        // The first two rungs differ between storages only in how they load and store.
        let light =
            |rung: &Rung| on_tensor_cores(*rung) || A::PRECISION == Precision::F32 || sizes.1 <= 33;
        for rung in case.rungs(device).filter(light) {
            let ran = case.run(Some(rung), device, 16);
            let what = |name| format!("{rung:?} {sizes:?} {name}");
            assert_close(&wide(&ran.out), &truth.out, tolerances[0], &what("out"));
            assert_close(&wide(&ran.lse), &truth.lse, tolerances[1], &what("lse"));
            assert_close(&wide(&ran.dqkv), &with_start, tolerances[2], &what("dqkv"));
        }
    }
}

#[test]
fn rings_that_go_round_agree_with_the_textbook() {
    // More tiles than stages, of which the last is whole, ragged, or one warpgroup's alone.
    for device in machines().iter().filter(|device| Rung::Wgmma.serves::<bf16>(device, 64)) {
        for sizes in [(1, 512, 1, 64), (2, 391, 1, 64), (1, 330, 2, 64)] {
            let mut case = Case::<bf16>::new(sizes, 9);
            case.start.fill(bf16::ZERO);
            let (truth, ran) = (case.textbook::<f64>(), case.run(Some(Rung::Wgmma), device, 16));
            let what = |name| format!("{sizes:?} {name}");
            assert_close(&wide(&ran.out), &truth.out, 4e-3, &what("out"));
            assert_close(&wide(&ran.lse), &truth.lse, 1e-6, &what("lse"));
            assert_close(&wide(&ran.dqkv), &truth.dqkv, 5e-3, &what("dqkv"));
        }
    }
}

#[test]
fn every_rung_agrees_with_the_textbook_and_adds_to_the_gradient() {
    for device in machines() {
        agrees::<f32>(&device, [3e-7, 3e-7, 5e-7]);
        agrees::<bf16>(&device, [4e-3, 3e-7, 5e-3]);
    }
}

/// Largest `|ours − truth|` and `|textbook − truth|` of one tensor over many cases.
#[derive(Default)]
struct Errors {
    ours: f64,
    textbook: f64,
    largest: f64,
}

impl Errors {
    fn add(&mut self, ours: &[f64], textbook: &[f64], truth: &[f64]) {
        for ((ours, textbook), truth) in ours.iter().zip(textbook).zip(truth) {
            let error = (ours - truth).abs();
            // A NaN must not vanish in a maximum.
            self.ours = if error.is_nan() { f64::INFINITY } else { self.ours.max(error) };
            self.textbook = self.textbook.max((textbook - truth).abs());
            self.largest = self.largest.max(truth.abs());
        }
    }
}

/// Every tensor's largest error is at most twice that of the textbook in f32 with the storage's
/// rounding, and one unit in the last place of the largest value; `epsilon` is that unit at one.
fn is_no_worse<A: Storage + PartialEq>(device: &Device, rung: Rung, epsilon: f64) {
    let small = (0..36).map(|seed| (1 + seed % 2, 1 + seed % 13, 1 + seed % 3, 1 + seed % 5));
    let longest = if on_tensor_cores(rung) { 34 } else { 10 };
    let heads = [32, 64, 128].into_iter().cycle().zip(1..longest).map(|(hs, t)| (1, t, 1, hs));
    let large = [(1, 65, 1, 2), (1, 66, 1, 64), (1, 130, 1, 32)];
    let mut tensors: [Errors; 3] = Default::default();
    for (seed, sizes) in small.chain(heads).chain(large).enumerate() {
        if !rung.serves::<A>(device, sizes.3) {
            continue;
        }
        let mut case = Case::<A>::new(sizes, 100 + seed as u64);
        case.start.fill(A::of(0.0));
        let (truth, textbook) = (case.textbook::<f64>(), case.textbook::<f32>());
        let stored = |values: &[f32]| values.iter().map(|&x| A::of(x)).collect::<Vec<A>>();
        let ran = case.run(Some(rung), device, 8);
        let [out, lse, dqkv] = &mut tensors;
        out.add(&wide(&ran.out), &wide(&stored(&textbook.out)), &truth.out);
        lse.add(&wide(&ran.lse), &wide(&textbook.lse), &truth.lse);
        dqkv.add(&wide(&ran.dqkv), &wide(&stored(&textbook.dqkv)), &truth.dqkv);
    }
    let units = [epsilon, f64::from(f32::EPSILON), epsilon];
    for ((errors, unit), name) in tensors.iter().zip(units).zip(["out", "lse", "dqkv"]) {
        let allowed = 2.0 * errors.textbook + unit * errors.largest.log2().floor().exp2();
        let (ours, textbook) = (errors.ours, errors.textbook);
        println!(
            "{rung:?} {name}: error {ours:.2e}, textbook {textbook:.2e}, used {:.2}",
            ours / allowed
        );
        assert!(ours <= allowed, "{rung:?} {name}: error {ours:e}, of the textbook {textbook:e}");
    }
}

#[test]
fn no_rung_is_worse_than_twice_the_textbook() {
    for device in machines() {
        is_no_worse::<f32>(&device, Rung::Naive, f64::from(f32::EPSILON));
        is_no_worse::<f32>(&device, Rung::Flash, f64::from(f32::EPSILON));
        is_no_worse::<bf16>(&device, Rung::Flash, f64::from(bf16::EPSILON));
        is_no_worse::<bf16>(&device, Rung::Mma, f64::from(bf16::EPSILON));
        is_no_worse::<bf16>(&device, Rung::Wgmma, f64::from(bf16::EPSILON));
    }
}

fn is_the_same_in_every_schedule<A: Storage + PartialEq + std::fmt::Debug>() {
    let shims: Vec<Device> = devices().into_iter().filter(Device::is_host).collect();
    for sizes in [(1, 66, 1, 7), (2, 17, 1, 64), (1, 67, 1, 128), (1, 131, 1, 32)] {
        let case = Case::<A>::new(sizes, 7);
        let Some((first, others)) = shims.split_first() else { return };
        for rung in case.rungs(first) {
            let ran = case.run(Some(rung), first, 16);
            for other in others {
                assert!(case.run(Some(rung), other, 16) == ran, "{rung:?} {sizes:?}");
            }
        }
    }
}

#[test]
fn the_order_of_threads_changes_no_bit() {
    is_the_same_in_every_schedule::<f32>();
    is_the_same_in_every_schedule::<bf16>();
}

fn never_looks_ahead<A: Storage + PartialEq>(device: &Device) {
    for (t, hs) in [(2, 3), (17, 32), (65, 64), (130, 32), (70, 128), (9, 129)] {
        let sizes = (2, t, 1, hs);
        let mut case = Case::<A>::new(sizes, 3);
        let before: Vec<_> =
            case.rungs(device).map(|rung| case.run(Some(rung), device, 16)).collect();
        // The first sequence goes on differently, until its scores overflow.
        let known = t / 2;
        for (index, x) in case.qkv[known * 3 * hs..t * 3 * hs].iter_mut().enumerate() {
            *x = A::of([1e30, -1e25, -7.0, 0.0][index % 4]);
        }
        for (rung, before) in case.rungs(device).zip(before) {
            let after = case.run(Some(rung), device, 16);
            let what = format!("{rung:?} {sizes:?}");
            assert!(after.out[..known * hs] == before.out[..known * hs], "{what}: the past");
            assert!(after.lse[..known] == before.lse[..known], "{what}: the past");
            assert!(after.out[t * hs..] == before.out[t * hs..], "{what}: the neighbour");
            assert!(after.lse[t..] == before.lse[t..], "{what}: the neighbour");
        }
    }
}

#[test]
fn later_tokens_change_no_bit_of_earlier_rows() {
    for device in machines() {
        never_looks_ahead::<f32>(&device);
        never_looks_ahead::<bf16>(&device);
    }
}

fn leaves_later_gradients_alone<A: Storage + PartialEq>(device: &Device) {
    for (t, hs) in [(3, 5), (67, 64), (130, 32), (66, 128)] {
        let mut case = Case::<A>::new((1, t, 1, hs), 5);
        let known = t / 2;
        case.dout[known * hs..].fill(A::of(0.0));
        for rung in case.rungs(device) {
            let ran = case.run(Some(rung), device, 16);
            let from = known * 3 * hs;
            assert!(ran.dqkv[..from] != case.start[..from], "{rung:?} t {t}: nothing was added");
            assert!(ran.dqkv[from..] == case.start[from..], "{rung:?} t {t}: the future");
        }
    }
}

#[test]
fn gradients_never_reach_later_tokens() {
    for device in machines() {
        leaves_later_gradients_alone::<f32>(&device);
        leaves_later_gradients_alone::<bf16>(&device);
    }
}

/// Gradients so large that their products with later values overflow, which the mask hides.
fn hides_overflow_from_gradients<A: Storage + PartialEq>(device: &Device) {
    for (t, hs) in [(3, 5), (18, 32), (67, 64), (130, 32), (66, 128)] {
        let mut case = Case::<A>::new((1, t, 1, hs), 6);
        let known = t / 2;
        for (index, x) in case.dout.iter_mut().enumerate() {
            *x = A::of(if index < known * hs { 1e10 * x.wide() } else { 0.0 });
        }
        let before: Vec<_> =
            case.rungs(device).map(|rung| case.run(Some(rung), device, 16)).collect();
        for row in case.qkv[known * 3 * hs..].chunks_mut(3 * hs) {
            row[2 * hs..].iter_mut().for_each(|x| *x = A::of(1e30 * x.wide()));
        }
        let overflows = (case.dout[..hs].iter()).any(|dy| (dy.wide() * 1e30).is_infinite());
        assert!(overflows, "t {t}: no product is hidden");
        for (rung, before) in case.rungs(device).zip(before) {
            let after = case.run(Some(rung), device, 16);
            assert!(after.dqkv.iter().all(|x| x.wide().is_finite()), "{rung:?} t {t} hs {hs}");
            assert!(after.dqkv == before.dqkv, "{rung:?} t {t} hs {hs}: another gradient");
        }
    }
}

#[test]
fn overflow_behind_the_mask_reaches_no_gradient() {
    for device in machines() {
        hides_overflow_from_gradients::<f32>(&device);
        hides_overflow_from_gradients::<bf16>(&device);
    }
}

fn survives_extreme_scores<A: Storage + PartialEq>(device: &Device) {
    // One key scores far above the others: its value is the output, whatever the size.
    for (hs, large) in [1, 64, 128].into_iter().flat_map(|hs| [80.0, 1e4, 1e15].map(|x| (hs, x))) {
        let mut case = Case::<A>::new((1, 3, 1, hs), 1);
        for values in [&mut case.qkv, &mut case.dout, &mut case.start] {
            values.fill(A::of(0.0));
        }
        let large = large * (hs as f32).sqrt();
        for (part, number) in
            [1.0, large, 5.0, 1.0, -large, 6.0, 1.0, 0.0, 7.0].into_iter().enumerate()
        {
            case.qkv[part * hs] = A::of(number);
        }
        (0..3).for_each(|i| case.dout[i * hs] = A::of(1.0));
        for rung in case.rungs(device) {
            let ran = case.run(Some(rung), device, 16);
            let what = format!("{rung:?} hs {hs}, {large}");
            assert!((0..3).all(|i| ran.out[i * hs].wide() == 5.0), "{what}");
            // The value of the first key takes all three gradients.
            let dv = [0, 1, 2].map(|i| ran.dqkv[(3 * i + 2) * hs].wide());
            assert!(dv[0] == 3.0 && dv[1].abs() <= 1e-30 && dv[2].abs() <= 1e-30, "{what}: {dv:?}");
            assert!(ran.dqkv.iter().all(|x| x.wide().is_finite()), "{what}");
        }
    }
}

#[test]
fn one_key_far_above_the_others_is_all_that_counts() {
    for device in machines() {
        survives_extreme_scores::<f32>(&device);
        survives_extreme_scores::<bf16>(&device);
    }
}

#[test]
fn the_rung_is_chosen_by_head_storage_and_alignment() {
    for device in machines() {
        let halves = Case::<bf16>::new((1, 5, 1, 64), 1);
        let aligned = halves.run(None, &device, 8);
        let best = [Rung::Wgmma, Rung::Mma].into_iter().find(|r| r.serves::<bf16>(&device, 64));
        assert_eq!(aligned, halves.run(best, &device, 8));
        let odd = halves.run(None, &device, 5);
        assert_eq!(odd, halves.run(Some(Rung::Flash), &device, 8), "alignment changes no bit");
        let singles = Case::<f32>::new((1, 5, 1, 64), 1);
        assert_eq!(singles.run(None, &device, 5), singles.run(Some(Rung::Flash), &device, 8));
        let large = Case::<f32>::new((1, 2, 1, 129), 1);
        assert_eq!(large.run(None, &device, 8), large.run(Some(Rung::Naive), &device, 8));
        assert!(!Rung::Mma.serves::<f32>(&device, 64) && !Rung::Mma.serves::<bf16>(&device, 48));
    }
}

#[test]
fn no_positions_are_no_work() {
    for device in machines() {
        Case::<f32>::new((0, 3, 2, 4), 1).run(None, &device, 8);
        Case::<f32>::new((2, 0, 2, 4), 1).run(None, &device, 8);
    }
}
