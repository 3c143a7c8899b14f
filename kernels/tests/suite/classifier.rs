//! Tests of `classifier`.

mod case;

use crate::support::{assert_close, devices, normals};
use case::{Case, Member, Outcome, logit_gradient};
use fortifai_kernels::classifier::{Code, Shape};
use fortifai_kernels::{Device, Precision, Rung, Storage};
use fortifai_oracle::directional;
use fortifai_oracle::loss::{self, LossKind};

const RUNGS: [Rung; 2] = [Rung::Naive, Rung::Fast];

fn members() -> Vec<Member> {
    let focal = |gamma| (Code::focal(gamma), LossKind::Focal { gamma });
    let detached = |gamma| (Code::focal_detached(gamma), LossKind::FocalDetached { gamma });
    let tce = |gamma| (Code::tce(gamma), LossKind::Tce { gamma });
    let linear = |gamma| (Code::linear(gamma), LossKind::Linear { gamma });
    let drop_low = |q| (Code::drop_low(q), LossKind::DropLow { q });
    let smoothed = |epsilon| (Code::smoothed(epsilon), LossKind::LabelSmoothing { epsilon });
    vec![
        (Code::ce(), LossKind::Ce),
        tce(0.3),
        tce(0.9),
        tce(0.0),
        tce(1.0),
        focal(0.0),
        focal(0.5),
        focal(1.0),
        focal(2.0),
        focal(3.7),
        detached(0.0),
        detached(0.3),
        detached(2.0),
        linear(0.6),
        linear(1.0),
        drop_low(0.1),
        drop_low(0.6),
        (Code::masked(), LossKind::RandomMask),
        smoothed(0.1),
        smoothed(1.0),
    ]
}

/// `(n, c, v)` and the rows of a chunk: one row, one token, chunk − 1, chunk, chunk + 1, many.
const SHAPES: [((usize, usize, usize), usize); 7] = [
    ((1, 1, 1), 1),
    ((2, 3, 2), 128),
    ((7, 5, 31), 8),
    ((8, 8, 67), 8),
    ((9, 4, 130), 8),
    ((13, 8, 32), 3),
    ((17, 7, 29), 1),
];

/// Largest errors of the device and of the textbook in f32, and the largest value.
#[derive(Default)]
struct Errors {
    ours: f64,
    textbook: f64,
    largest: f64,
}

impl Errors {
    fn add(&mut self, ours: &[f64], textbook: &[f64], truth: &[f64]) {
        assert_eq!(ours.len(), truth.len());
        for ((ours, textbook), truth) in ours.iter().zip(textbook).zip(truth) {
            assert!(ours.is_finite(), "{ours} should be {truth}");
            self.ours = self.ours.max((ours - truth).abs());
            self.textbook = self.textbook.max((textbook - truth).abs());
            self.largest = self.largest.max(truth.abs());
        }
    }

    fn no_worse(&self, what: &str) {
        let ulp = (self.largest as f32).next_up() as f64 - f64::from(self.largest as f32);
        let allowed = 2.0 * self.textbook + ulp;
        assert!(self.ours <= allowed, "{what}: error {:e} beyond {allowed:e}", self.ours);
    }
}

/// Over all members and shapes. The shim's schedules take turns; a GPU does everything.
fn values_and_gradients<A: Storage + PartialEq>(devices: &[Device]) {
    let (mut moved, mut dropped) = (false, false);
    for (index, member) in members().into_iter().enumerate() {
        let mut errors: [Errors; 5] = Default::default();
        for (turn, ((n, c, v), chunk)) in SHAPES.into_iter().enumerate() {
            let case = Case::<A>::new(n, c, v, member, 100 * index as u64 + n as u64);
            let (truth, textbook) = (case.textbook::<f64>(), case.textbook::<f32>());
            let kept = |rows: &[f64]| rows.iter().filter(|&&kept| kept == 1.0).count();
            let part = |rows: &[f64]| (1..rows.len()).contains(&kept(rows));
            dropped |= part(&truth.rows[3]);
            moved |= truth.rows[3].chunks(chunk).any(|rows| rows[kept(rows)..].contains(&1.0));
            // The naive rung, too, meets every shape.
            let naive = if (index + turn) % 3 == 0 { &RUNGS[..] } else { &RUNGS[1..] };
            for &rung in naive {
                let ours = case.run(&devices[(index + turn) % devices.len()], (chunk, rung));
                assert_eq!(ours.rows[3], truth.rows[3], "{member:?} {n} {v}: kept rows");
                for (errors, i) in errors.iter_mut().zip(0..3) {
                    errors.add(&ours.rows[i], &textbook.rows[i], &truth.rows[i]);
                }
                match A::PRECISION {
                    Precision::F32 => {
                        errors[3].add(&ours.dx, &textbook.dx, &truth.dx);
                        errors[4].add(&ours.dweight, &textbook.dweight, &truth.dweight);
                    }
                    // dz is rounded to 8 bits, dx once more.
                    Precision::Bf16 => {
                        assert_close(&ours.dx, &truth.dx, 1.0 / 128.0, "dx");
                        assert_close(&ours.dweight, &truth.dweight, 1.0 / 256.0, "dweight");
                    }
                }
            }
        }
        for (errors, what) in errors.iter().zip(["loss", "nll", "p", "dx", "dweight"]) {
            errors.no_worse(&format!("{:?} {:?} {what}", member.1, A::PRECISION));
        }
    }
    assert!(moved && dropped, "the shapes reach rows that move and rows that are dropped");
}

#[test]
fn values_and_gradients_are_no_worse_than_the_textbook() {
    let (hosts, gpus): (Vec<_>, Vec<_>) = devices().into_iter().partition(Device::is_host);
    for machine in [hosts, gpus].iter().filter(|machine| !machine.is_empty()) {
        values_and_gradients::<f32>(machine);
        values_and_gradients::<half::bf16>(machine);
    }
}

#[test]
fn the_tests_gradient_is_the_derivative_of_the_oracles_loss() {
    for (index, member) in members().into_iter().enumerate() {
        let case = Case::<f32>::new(4, 3, 9, member, index as u64);
        for (i, z) in case.logits::<f64>().iter().enumerate() {
            let (target, mask) = (case.targets[i] as usize, case.mask[i] != 0);
            let gradient = logit_gradient(z, target, member.1, mask);
            for (k, entry) in gradient.iter().enumerate() {
                let mut direction = vec![0.0; z.len()];
                direction[k] = 1.0;
                let truth = loss::row_loss(&directional(z, &direction), target, member.1, mask).eps;
                assert!((entry - truth).abs() <= 1e-14, "{member:?}: {entry} not {truth}");
            }
        }
    }
}

/// Rows of the given logits: the channels are the tokens, the table is the identity.
fn of_logits(rows: &[Vec<f32>], targets: &[u32], member: Member) -> Case<f32> {
    let (n, v) = (rows.len(), rows[0].len());
    let mut weight = vec![0.0; v * v];
    weight.iter_mut().step_by(v + 1).for_each(|entry| *entry = 1.0);
    Case {
        shape: Shape { n, c: v, v },
        member,
        x: rows.concat(),
        weight,
        targets: targets.to_vec(),
        mask: vec![1; n],
        dx: normals(1, n * v),
        dweight: normals(2, v * v),
        scale: 0.5,
    }
}

#[test]
fn equality_keeps_the_row() {
    // Equal logits: p is exactly 1/2, 1/4.
    let rows = |v: usize| vec![vec![1.5f32; v]; 3];
    let cases = [
        (2, Code::tce(0.5), true),
        (2, Code::tce(f64::from(0.5f32.next_down())), false),
        (2, Code::drop_low(0.5), true),
        (2, Code::drop_low(f64::from(0.5f32.next_up())), false),
        (4, Code::tce(0.25), true),
        (4, Code::tce(f64::from(0.25f32.next_down())), false),
        (4, Code::drop_low(0.25), true),
        (4, Code::drop_low(f64::from(0.25f32.next_up())), false),
    ];
    for device in devices() {
        for ((v, code, kept), rung) in cases.into_iter().flat_map(|c| RUNGS.map(|r| (c, r))) {
            let case = of_logits(&rows(v), &[0, 1, 0], (code, LossKind::Ce));
            let ours = case.run(&device, (2, rung));
            let count = if kept { 1.0 } else { 0.0 };
            assert_close(&ours.rows[0], &[count * (v as f64).ln(); 3], 1e-7, "loss");
            assert_eq!(ours.rows[2], [1.0 / v as f64; 3]);
            assert_eq!(ours.rows[3], [count; 3], "{code:?}");
            assert_ne!(untouched(&case, &ours), kept, "{code:?}");
        }
    }
}

/// Whether the gradients are what they were.
fn untouched<A: Storage>(case: &Case<A>, ours: &Outcome) -> bool {
    let same = |ours: &[f64], start: &mut dyn Iterator<Item = f32>| {
        ours.iter().zip(start).all(|(ours, start)| ours.to_bits() == f64::from(start).to_bits())
    };
    same(&ours.dx, &mut case.dx.iter().map(|x| x.wide()))
        && same(&ours.dweight, &mut case.dweight.iter().copied())
}

#[test]
fn certain_and_hopeless_rows_are_finite() {
    // Logits 0 and −2000: p is 1 and 1 − p is 0, or the other way round.
    let logits = vec![vec![0.0f32, -2000.0, -2000.0]; 2];
    let codes = [
        (Code::tce(0.0), [0.0, 0.0], [0.0, 0.0]),
        (Code::tce(0.5), [0.0, 2000.0], [0.0, 1.0]),
        (Code::ce(), [0.0, 2000.0], [1.0, 1.0]),
        (Code::focal(0.5), [0.0, 2000.0], [0.0, 1.0]),
        (Code::focal(1.0), [0.0, 2000.0], [0.0, 1.0]),
        (Code::focal(2.0), [0.0, 2000.0], [0.0, 1.0]),
        (Code::focal(0.0), [0.0, 2000.0], [1.0, 1.0]),
        (Code::focal_detached(0.3), [0.0, 2000.0], [0.0, 1.0]),
        (Code::linear(1.0), [0.0, 2000.0], [0.0, 1.0]),
        (Code::drop_low(1.0), [0.0, 0.0], [1.0, 0.0]),
        (Code::smoothed(0.25), [0.25 * 4000.0 / 3.0, 1500.0 + 0.25 * 4000.0 / 3.0], [1.0, 1.0]),
    ];
    for device in devices() {
        for ((code, loss, kept), rung) in codes.into_iter().flat_map(|c| RUNGS.map(|r| (c, r))) {
            let case = of_logits(&logits, &[0, 1], (code, LossKind::Ce));
            let ours = case.run(&device, (2, rung));
            assert_close(&ours.rows[0], &loss, 1e-6, "loss");
            assert_eq!(ours.rows[1..], [[0.0, 2000.0], [1.0, 0.0], kept], "{code:?} {rung:?}");
            let finite = ours.dx.iter().chain(&ours.dweight).all(|x| x.is_finite());
            assert!(finite, "{code:?} {rung:?} {ours:?}");
        }
    }
}

#[test]
fn a_confident_row_keeps_its_digits() {
    // Logits 0 and −40: with e = e^−40, 1 − p = e/(1 + e) and −ln p = ln(1 + e), both e.
    let e = (-40f64).exp();
    let cases = [(Code::ce(), e, e), (Code::linear(1.0), e * e, e * e)];
    for device in devices() {
        for ((code, loss, slope), rung) in cases.into_iter().flat_map(|c| RUNGS.map(|r| (c, r))) {
            let mut case = of_logits(&[vec![0.0, -40.0]], &[0], (code, LossKind::Ce));
            (case.dx, case.scale) = (vec![0.0; 2], 1.0);
            let ours = case.run(&device, (1, rung));
            assert!((ours.rows[0][0] - loss).abs() <= 5e-7 * loss, "{code:?} {:?}", ours.rows);
            let errors = [ours.dx[0] + slope, ours.dx[1] - slope];
            assert!(errors.iter().all(|error| error.abs() <= 5e-7 * slope), "{code:?} {errors:?}");
        }
    }
}

fn dropped_leave_no_trace<A: Storage + PartialEq>(device: &Device) {
    for (rung, chunk) in RUNGS.into_iter().flat_map(|rung| [(rung, 4), (rung, 16)]) {
        let mut case = Case::<A>::new(11, 5, 13, (Code::tce(0.0), LossKind::Tce { gamma: 0.0 }), 3);
        let ours = case.run(device, (chunk, rung));
        assert_eq!((&ours.rows[0], &ours.rows[3]), (&vec![0.0; 11], &vec![0.0; 11]));
        assert!(untouched(&case, &ours), "{rung:?}: every row dropped by the threshold");
        case.member = (Code::masked(), LossKind::RandomMask);
        case.mask.fill(0);
        let ours = case.run(device, (chunk, rung));
        assert!(untouched(&case, &ours), "{rung:?}: every row dropped by the mask");
        // One kept row in the last chunk; the others' dx stay.
        case.mask[10] = 1;
        let ours = case.run(device, (chunk, rung));
        let start: Vec<f64> = case.dx.iter().map(|x| f64::from(x.wide())).collect();
        assert_eq!(ours.dx[..50], start[..50]);
        assert!(ours.dx[50..] != start[50..] && ours.rows[3][10] == 1.0);
    }
}

#[test]
fn rows_that_the_loss_drops_leave_no_trace() {
    for device in devices() {
        dropped_leave_no_trace::<f32>(&device);
        dropped_leave_no_trace::<half::bf16>(&device);
    }
}

#[test]
fn a_target_beyond_the_vocabulary_spoils_its_own_row_alone() {
    for device in devices() {
        let losses = [
            (Code::ce(), LossKind::Ce),
            (Code::tce(0.9), LossKind::Tce { gamma: 0.9 }),
            (Code::drop_low(0.01), LossKind::DropLow { q: 0.01 }),
            (Code::focal(2.0), LossKind::Focal { gamma: 2.0 }),
        ];
        for (rung, loss) in RUNGS.into_iter().flat_map(|rung| losses.map(|loss| (rung, loss))) {
            let mut case = Case::<f32>::new(3, 4, 40, loss, 8);
            let truth = case.run(&device, (2, rung));
            case.targets[0] = 40;
            let ours = case.run(&device, (2, rung));
            for (ours, truth) in ours.rows[..3].iter().zip(&truth.rows) {
                assert!(ours[0].is_nan() && ours[1..] == truth[1..]);
            }
            assert!(ours.dx[..4].iter().all(|x| x.is_nan()) && ours.dx[4..] == truth.dx[4..]);
        }
    }
}

#[test]
fn more_rows_than_a_block_has_threads_find_their_places() {
    // Every third row is kept; dx tells where each one's gradient went.
    let mut case = Case::<f32>::new(1_100, 1, 2, (Code::masked(), LossKind::RandomMask), 5);
    case.mask.iter_mut().enumerate().for_each(|(row, mask)| *mask = u8::from(row % 3 == 1));
    let truth = case.textbook::<f64>();
    for device in devices() {
        for chunk in [1_100, 1_060, 170] {
            let ours = case.run(&device, (chunk, Rung::Fast));
            assert_eq!(ours.rows[3], truth.rows[3]);
            assert_close(&ours.dx, &truth.dx, 1e-6, "dx");
            assert_close(&ours.dweight, &truth.dweight, 1e-6, "dweight");
        }
    }
}

fn one_answer<A: Storage + PartialEq>() {
    let devices: Vec<Device> = devices().into_iter().filter(|device| device.is_host()).collect();
    // Several warps and several numbers per thread; then products whose terms are split; then rows
    // of which shared memory holds less than half.
    for (n, v, chunk) in [(3, 4_133, 3), (18, 1_061, 18), (2, 131_077, 2)] {
        let case = Case::<A>::new(n, 3, v, (Code::ce(), LossKind::Ce), 4);
        let truth = case.textbook::<f64>();
        let run = |device: &Device| case.run(device, (chunk, Rung::Fast));
        let answers: Vec<Outcome> = devices.iter().map(run).collect();
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "schedules change the answer");
        let Some(answer) = answers.first() else { return };
        assert!(run(&devices[0]) == *answer, "two runs differ");
        let tolerance = if A::PRECISION == Precision::F32 { 1e-5 } else { 1.0 / 128.0 };
        assert_close(&answer.rows[0], &truth.rows[0], 1e-5, "loss");
        assert_close(&answer.dx, &truth.dx, tolerance, "dx");
        assert_close(&answer.dweight, &truth.dweight, tolerance, "dweight");
    }
}

#[test]
fn every_schedule_and_run_gives_the_same_bits() {
    one_answer::<f32>();
    one_answer::<half::bf16>();
}

#[test]
fn no_rows_are_no_work() {
    for device in devices() {
        let case = Case::<f32>::new(0, 3, 5, (Code::ce(), LossKind::Ce), 1);
        assert!(untouched(&case, &case.run(&device, (4, Rung::Fast))));
    }
}
