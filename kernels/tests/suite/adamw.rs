//! Tests of `adamw`.

use crate::support::{Budget, Guarded, devices, normals, same_bits, wide};
use fortifai_kernels::adamw::{self, Step};
use fortifai_kernels::{Device, Rung};
use fortifai_oracle::adamw::{AdamW, Moments, step};
use half::bf16;

const LENGTHS: [usize; 13] = [1, 2, 7, 31, 32, 33, 127, 129, 768, 1023, 1024, 2051, 4100];
const SETTINGS: AdamW = AdamW { lr: 1e-2, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 };
const SCALE: f64 = 0.25;

fn scalars(number: i32) -> Step {
    let AdamW { lr, beta1, beta2, eps, weight_decay } = SETTINGS;
    Step {
        shrink: (1.0 - lr * weight_decay) as f32,
        rate: (lr / (1.0 - beta1.powi(number))) as f32,
        root_correct2: (1.0 / (1.0 - beta2.powi(number)).sqrt()) as f32,
        beta1: beta1 as f32,
        beta2: beta2 as f32,
        one_minus1: (1.0 - beta1) as f32,
        one_minus2: (1.0 - beta2) as f32,
        epsilon: eps as f32,
        gradient_scale: SCALE as f32,
    }
}

/// Parameters, both moments, and the gradient of a step.
struct Case {
    p: Vec<f32>,
    m: Vec<f32>,
    v: Vec<f32>,
    g: Vec<f32>,
}

impl Case {
    fn of(len: usize) -> Self {
        let seed = 4 * len as u64;
        let v = normals::<f32>(seed + 2, len).into_iter().map(|x| x * x).collect();
        let (p, m, g) = (normals(seed, len), normals(seed + 1, len), normals(seed + 3, len));
        Self { p, m, v, g }
    }

    fn textbook<S: fortifai_oracle::Scalar>(&self) -> [Vec<f64>; 3] {
        let of = |x: f32| S::from_f64(f64::from(x));
        let after: Vec<Moments<S>> = (0..self.p.len())
            .map(|i| {
                let state = Moments { param: of(self.p[i]), m: of(self.m[i]), v: of(self.v[i]) };
                step(state, of(self.g[i]) * S::from_f64(SCALE), 3, &SETTINGS)
            })
            .collect();
        let all = |part: fn(&Moments<S>) -> S| after.iter().map(|x| part(x).value()).collect();
        [all(|x| x.param), all(|x| x.m), all(|x| x.v)]
    }

    /// Parameters, moments, and the rounded parameters.
    fn run(&self, device: &Device, rung: Rung, pad: usize, with_narrow: bool) -> Vec<Vec<f64>> {
        let guarded = |values: &[f32]| Guarded::of(device, values, pad, 3.5);
        let (mut p, mut m, mut v) = (guarded(&self.p), guarded(&self.m), guarded(&self.v));
        let mut g = guarded(&self.g);
        let nan = vec![bf16::NAN; self.p.len()];
        let mut narrow = Guarded::of(device, &nan, pad, bf16::from_f32(3.5));
        let rounded = with_narrow.then(|| narrow.view_mut());
        let (on_p, on_m, on_v, on_g) = (p.view_mut(), m.view_mut(), v.view_mut(), g.view_mut());
        adamw::step_with(rung, device, on_p, rounded, on_m, on_v, on_g.view(), scalars(3)).unwrap();
        let [p, m, v] = [p, m, v].map(|on| on.read(device));
        let narrow = narrow.read(device);
        if with_narrow {
            let again = p.iter().map(|&p| bf16::from_f32(p)).collect::<Vec<_>>();
            assert!(narrow == again, "narrow is the new parameter, rounded");
        } else {
            assert!(narrow.iter().all(|x| x.is_nan()), "narrow was not asked for");
        }
        vec![wide(&p), wide(&m), wide(&v)]
    }
}

#[test]
fn a_step_is_no_worse_than_the_textbook_in_f32() {
    let (devices, mut budgets) = (devices(), <[Budget; 3]>::default());
    if devices.is_empty() {
        return; // said aloud by `devices`
    }
    for (len, pad) in LENGTHS.into_iter().flat_map(|len| [(len, 16), (len, 4), (len, 5)]) {
        let case = Case::of(len);
        let (truth, plain) = (case.textbook::<f64>(), case.textbook::<f32>());
        for narrow in [true, false] {
            let results = same_bits(&devices, |device| {
                let fast = case.run(device, Rung::Fast, pad, narrow);
                assert!(fast == case.run(device, Rung::Naive, pad, narrow), "the rungs agree");
                fast
            });
            for result in results {
                for (index, budget) in budgets.iter_mut().enumerate() {
                    budget.add(&result[index], &plain[index], &truth[index]);
                }
            }
        }
    }
    for (budget, what) in budgets.iter().zip(["parameters", "first moment", "second moment"]) {
        budget.assert_no_worse::<f32>(what);
    }
}

#[test]
fn narrowing_rounds_to_nearest_even() {
    let devices = devices();
    for (len, pad) in LENGTHS.into_iter().flat_map(|len| [(len, 16), (len, 5)]) {
        let mut params = normals::<f32>(len as u64, len);
        // Ties to both sides, the largest number, which becomes infinite, and the smallest.
        let ties = [0x3f80_8000, 0x3f81_8000, 0x7f7f_ffff, 1].map(f32::from_bits);
        params.iter_mut().zip(ties).for_each(|(to, tie)| *to = tie);
        let truth: Vec<bf16> = params.iter().map(|&p| bf16::from_f32(p)).collect();
        for device in &devices {
            for rung in [Rung::Fast, Rung::Naive] {
                let mut on = Guarded::of(device, &params, pad, 3.5);
                let mut narrow =
                    Guarded::of(device, &vec![bf16::NAN; len], pad, bf16::from_f32(3.5));
                let (to, from) = (narrow.view_mut(), on.view_mut());
                adamw::narrow_with(rung, device, to, from.view()).unwrap();
                assert!(narrow.read(device) == truth, "{rung:?}, {len} numbers");
            }
        }
    }
}
