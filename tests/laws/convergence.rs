//! What training converges to: closed forms of the trained law, reached by the project's own
//! gradients.
//!
//! A model that may choose its law `q` freely in a context whose next token follows `p` ends at
//!
//! | loss | law | why |
//! |---|---|---|
//! | CE | `q = p` | the gradient is `q − p` |
//! | TCE(γ), `Kγ ≥ 1` | `q_j = min(γ, p_j/M)`, water-filling | cross entropy under `max q ≤ γ` |
//! | TCE(γ), `Kγ < 1` | `γ` on the support, the rest keeps `1 − Kγ` | every seen token is masked |
//! | focal(γ) | `q_j ∝ p_j g(q_j)` | the gradient is `q·Σ_y p_y g(q_y) − p_j g(q_j)` |
//! | smoothed(ε) | `q = (1 − ε)p + ε/V` | cross entropy against that law |
//!
//! with `K` the number of tokens that `p` supports. Every solver here is a bisection of the
//! condition, not a gradient method.

use super::largest;
use crate::conformance::harness::extensive;
use fortifai::config::{ModelConfig, Schedule, TrainConfig};
use fortifai::cpu::Cpu;
use fortifai::loss::{Loss, Rule};
use fortifai::model::{Activations, Gpt};
use fortifai::tier::{ClassifierGradients, LinearShape, RowBuffers, Span, Tier};
use fortifai::train::{Blocks, Control, FitRequest, fit};
use fortifai_oracle::attention::softmax;

/// The root of a falling function between two points.
fn root(mut low: f64, mut high: f64, falling: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        let to = if falling(middle) > 0.0 { &mut low } else { &mut high };
        *to = middle;
    }
    0.5 * (low + high)
}

/// `min(γ, p_j/M)` with the `M` that makes the sum one. `γ` times the support is at least one.
fn water_filling(p: &[f64], gamma: f64) -> (Vec<f64>, f64) {
    let law = |m: f64| p.iter().map(|p| gamma.min(p / m)).collect::<Vec<_>>();
    let m = root(0.0, 1.0, |m| law(m).iter().sum::<f64>() - 1.0);
    (law(m), m)
}

/// `γ` on the support; the rest shares `1 − Kγ` as `u_j = a_j/(1 + a_j τ)`, with `a` the law at the
/// start and `K ln(γ Σu/(1 − Kγ)) + Σ ln u = Σ ln a`, which keeps the sum of the logits.
fn support_loss(p: &[f64], gamma: f64, start: &[f64]) -> Vec<f64> {
    let support = p.iter().filter(|&&p| p > 0.0).count() as f64;
    let left = 1.0 - support * gamma;
    let share = |tau: f64| -> Vec<f64> {
        let of = |(&p, &a): (&f64, &f64)| if p > 0.0 { 0.0 } else { a / (1.0 + a * tau) };
        p.iter().zip(start).map(of).collect()
    };
    let logs = |law: &[f64]| law.iter().filter(|&&x| x > 0.0).map(|x| x.ln()).sum::<f64>();
    let tau = root(0.0, 1e9, |tau| {
        let u = share(tau);
        support * (gamma * u.iter().sum::<f64>() / left).ln() + logs(&u) - logs(start)
    });
    let (u, total) = (share(tau), share(tau).iter().sum::<f64>());
    p.iter().zip(u).map(|(&p, u)| if p > 0.0 { gamma } else { left * u / total }).collect()
}

/// `q_j = λ p_j g(q_j)` with the `λ` that makes the sum one; `q/g(q)` rises, so each `q_j` is the
/// root of a falling function.
fn focal_fixed_point(p: &[f64], gamma: f64) -> Vec<f64> {
    let g = |q: f64| (1.0 - q).powf(gamma) - gamma * q * (1.0 - q).powf(gamma - 1.0) * q.ln();
    let law = |lambda: f64| -> Vec<f64> {
        p.iter().map(|p| root(0.0, 1.0, |q| lambda * p * g(q) - q)).collect()
    };
    law(root(0.0, 1e3, |lambda| 1.0 - law(lambda).iter().sum::<f64>()))
}

#[test]
fn the_solvers_give_the_published_values() {
    // Water-filling: algebra (M = 0.75). Focal: the fixed points 0.694 at p = 0.9 and γ = 2.
    let (q, m) = water_filling(&[0.55, 0.25, 0.1, 0.06, 0.04], 0.4);
    let truth = [0.4, 1.0 / 3.0, 2.0 / 15.0, 0.08, 4.0 / 75.0];
    assert!((m - 0.75).abs() <= 1e-14, "{m}");
    assert!(q.iter().zip(truth).all(|(q, truth)| (q - truth).abs() <= 1e-14), "{q:?}");
    let q = focal_fixed_point(&[0.9, 0.1], 2.0);
    assert!((q[0] - 0.694).abs() <= 5e-4 && (q[0] + q[1] - 1.0).abs() <= 1e-14, "{q:?}");
    // Two tokens of which one is never seen: the seen one stops at γ.
    let q = support_loss(&[1.0, 0.0], 0.7, &[0.5, 0.5]);
    assert!((q[0] - 0.7).abs() <= 1e-14 && (q[1] - 0.3).abs() <= 1e-14, "{q:?}");
}

/// One context: its logits are the weight of a classifier whose only channel is one, and its next
/// tokens are the rows of the batch.
struct Context {
    tier: Cpu<f64>,
    shape: LinearShape,
    rule: Rule,
    targets: Vec<u32>,
    ones: Vec<f64>,
    z: Vec<f64>,
    gradient: Vec<f64>,
    dx: Vec<f64>,
    rows: RowBuffers<Vec<f64>>,
    workspace: Vec<f64>,
}

impl Context {
    /// Token `j` follows `counts[j]` times; the model starts at the law `start`.
    fn new(counts: &[usize], rule: Rule, start: &[f64]) -> Self {
        let targets: Vec<u32> = counts
            .iter()
            .enumerate()
            .flat_map(|(token, &count)| vec![token as u32; count])
            .collect();
        let n = targets.len();
        let (tier, shape) = (Cpu::new(), LinearShape { n, c: 1, oc: counts.len() });
        let [loss, nll, probability, kept] = [(); 4].map(|()| vec![0.0; n]);
        Self {
            tier,
            shape,
            rule,
            targets,
            ones: vec![1.0; n],
            z: start.iter().map(|p| p.ln()).collect(),
            gradient: vec![0.0; counts.len()],
            dx: vec![0.0; n],
            rows: RowBuffers { loss, nll, probability, kept },
            workspace: vec![0.0; tier.classifier_workspace(shape)],
        }
    }

    /// One step down the mean loss; the share of kept rows.
    fn step(&mut self, rate: f64) -> f64 {
        self.gradient.fill(0.0);
        let scale = 1.0 / self.shape.n as f64;
        let to = ClassifierGradients { dx: &mut self.dx, gradients: &mut self.gradient, scale };
        let weight = Span { start: 0, len: self.z.len() };
        self.tier
            .classifier(
                &mut self.rows,
                Some(to),
                &self.ones,
                &self.targets,
                None,
                &self.z,
                weight,
                &self.rule,
                &mut self.workspace,
                self.shape,
            )
            .unwrap();
        self.z.iter_mut().zip(&self.gradient).for_each(|(z, g)| *z -= rate * g);
        self.rows.kept.iter().sum::<f64>() * scale
    }

    fn law(&self) -> Vec<f64> {
        softmax(&self.z)
    }
}

/// Runs the work in one thread: problems this small are not worth sharing out.
fn alone<X: Send>(work: impl FnOnce() -> X + Send) -> X {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(work)
}

fn shares(counts: &[usize]) -> Vec<f64> {
    let n: usize = counts.iter().sum();
    counts.iter().map(|&count| count as f64 / n as f64).collect()
}

fn distance(q: &[f64], truth: &[f64]) -> f64 {
    largest(&q.iter().zip(truth).map(|(q, truth)| q - truth).collect::<Vec<_>>())
}

const COUNTS: [&[usize]; 4] = [&[9, 1], &[11, 5, 2, 2], &[3, 8, 4, 5, 2, 2], &[7, 7, 6]];

#[test]
fn smooth_losses_converge_to_their_closed_forms() {
    // The step is far below the 4 that a ½-Lipschitz gradient allows, and each of 3,000 steps
    // shrinks the error by about the least probability: what remains is rounding.
    alone(|| {
        for counts in COUNTS {
            let p = shares(counts);
            let v = p.len() as f64;
            let smoothed = p.iter().map(|p| 0.8 * p + 0.2 / v).collect();
            for (rule, truth) in [
                (Rule::Ce, p.clone()),
                (Rule::Smoothed(0.2), smoothed),
                (Rule::Focal(1.0), focal_fixed_point(&p, 1.0)),
                (Rule::Focal(2.0), focal_fixed_point(&p, 2.0)),
            ] {
                let mut context = Context::new(counts, rule, &vec![1.0 / v; p.len()]);
                for _ in 0..3000 {
                    context.step(0.5);
                }
                let (q, name) = (context.law(), &context.rule);
                let error = distance(&q, &truth);
                assert!(error <= 1e-10, "{name:?} on {p:?}: {q:?} not {truth:?}, {error:e}");
            }
        }
    });
}

#[test]
fn truncation_converges_to_water_filling() {
    // A capped token goes up while it is kept and down while it is not: it is at the cap only on
    // average. A step of rate η moves no logit by more than η and so no probability by more than
    // η/2; two steps up and two steps down are allowed. Rates fall as 1/step, with a sum large
    // enough for the slowest direction (a rate of about M·min p). A start above the cap comes in; a
    // law below it stays there, but for one step.
    alone(|| {
        for counts in COUNTS {
            let (p, v) = (shares(counts), counts.len());
            let even = vec![1.0 / v as f64; v];
            let mut confident = vec![0.05 / (v - 1) as f64; v];
            confident[v - 1] = 0.95;
            let steps = if extensive() { 100_000 } else { 15_000 };
            let gammas = [0.35, 0.6, 0.9].into_iter();
            for (gamma, start) in gammas.flat_map(|gamma| [(gamma, &even), (gamma, &confident)]) {
                // At Kγ = 1 the law is known but not how often its tokens are kept.
                if gamma * v as f64 <= 1.0 {
                    continue;
                }
                let (truth, m) = water_filling(&p, gamma);
                let mut context = Context::new(counts, Rule::Tce(gamma), start);
                let (mut rate, mut inside) = (0.0, false);
                let (mut kept, mut time) = (0.0, 0.0);
                let name = || format!("γ {gamma} on {p:?} from {start:?}");
                for step in 0..steps {
                    rate = f64::min(0.5, 30.0 / (step + 1) as f64);
                    let share = context.step(rate);
                    let most = largest(&context.law());
                    assert!(!inside || most <= gamma + 0.5 * rate, "{}: {most}", name());
                    inside |= most <= gamma;
                    if step >= steps / 2 {
                        (kept, time) = (kept + rate * share, time + rate);
                    }
                }
                let q = context.law();
                let (error, tolerance) = (distance(&q, &truth), 2.0 * rate);
                assert!(error <= tolerance, "{}: {q:?} not {truth:?}, {error:e}", name());
                // The share of rows that are kept there is M: the others are masked in vain.
                let error = (kept / time - m).abs();
                assert!(error <= 1e-3, "{}: {} kept, not {m}", name(), kept / time);
            }
        }
    });
}

#[test]
fn truncation_freezes_where_the_support_cannot_fill_the_law() {
    // Fewer seen tokens than 1/γ: all end masked, and the unseen ones keep what is left. The flow
    // is followed in steps of η, each of which moves a probability by at most η/2: the last steps
    // overshoot the cap by as much, and the path's own error is of the order of η.
    let rate = 1e-3;
    alone(|| {
        for (counts, gamma, start) in [
            (&[7, 3, 0, 0, 0, 0][..], 0.3, &[0.1, 0.2, 0.25, 0.2, 0.15, 0.1][..]),
            (&[5, 0, 0], 0.8, &[0.3, 0.2, 0.5]),
            (&[1, 0, 4, 0, 0], 0.4, &[0.2; 5]),
            (&[1, 0], 0.7, &[0.5, 0.5]),
        ] {
            let p = shares(counts);
            let truth = support_loss(&p, gamma, start);
            let mut context = Context::new(counts, Rule::Tce(gamma), start);
            let sum: f64 = context.z.iter().sum();
            let mut steps = 0;
            while context.step(rate) > 0.0 {
                steps += 1;
                assert!(steps < 60_000, "γ {gamma} on {p:?} does not freeze: {:?}", context.law());
            }
            assert!(context.gradient.iter().all(|&g| g == 0.0));
            let q = context.law();
            let error = distance(&q, &truth);
            assert!(error <= 2.0 * rate, "γ {gamma} on {p:?}: {q:?} not {truth:?}, {error:e}");
            // The gradients of a row sum to zero, so the sum of the logits has not moved.
            let drift = (context.z.iter().sum::<f64>() - sum).abs();
            assert!(drift <= 1e-12, "γ {gamma} on {p:?}: the logits drift by {drift:e}");
        }
    });
}

/// How often token `b` follows token `a`, `[a][b]`: rows and columns sum to six.
const SOURCE: [[usize; 3]; 3] = [[4, 1, 1], [1, 3, 2], [1, 2, 3]];

/// A text that reads, in blocks of two, every word `a b` with the token `c` after it exactly
/// `SOURCE[a][b]·SOURCE[b][c]` times: it is the source itself, without sampling noise, and nothing
/// before `a` tells more. A word leads from its first token to `c`; the text is a circuit through
/// all words (Hierholzer), which exists because the columns sum to six as well.
fn text() -> Vec<u32> {
    let mut words: Vec<Vec<(usize, usize)>> = vec![Vec::new(); 3];
    for (words, after) in words.iter_mut().zip(&SOURCE) {
        for (b, (&first, after)) in after.iter().zip(&SOURCE).enumerate() {
            for (c, &second) in after.iter().enumerate() {
                words.extend(vec![(b, c); first * second]);
            }
        }
    }
    let mut path = vec![(0, 0)];
    let mut circuit = Vec::new();
    while let Some(&(_, at)) = path.last() {
        match words[at].pop() {
            Some(word) => path.push(word),
            None => circuit.extend(path.pop()),
        }
    }
    circuit.reverse();
    let tokens = circuit[1..].iter().flat_map(|&(b, c)| [b as u32, c as u32]);
    std::iter::once(0).chain(tokens).collect()
}

/// Steps of the tiny transformer.
const STEPS: usize = 1000;

/// The law after every token of every pair, `[a][b][position]`, of a tiny transformer trained on
/// the whole text at every step.
fn trained(loss: Loss) -> Vec<[Vec<f64>; 2]> {
    let shape = ModelConfig { layers: 1, heads: 2, channels: 8, context: 2, vocab: 3 };
    let mut model = Gpt::new(Cpu::<f64>::new(), shape, 1).unwrap();
    let text = text();
    let train = Blocks::new(&text, 2, "source").unwrap();
    assert_eq!((train.count(), text[0]), (108, text[text.len() - 1]));
    let config = TrainConfig {
        epochs: STEPS as f64,
        batch: train.count(),
        learning_rate: 1e-2,
        schedule: Schedule::Linear,
        weight_decay: 0.0,
        clip_norm: 0.0,
        ..TrainConfig::default()
    };
    let request = FitRequest {
        train,
        validation: None,
        loss,
        config: &config,
        seed: 1,
        generation: 0,
        marks: None,
    };
    let fit = alone(|| fit(&mut model, &request, &mut |_| Control::Continue)).unwrap();
    assert!(fit.steps == STEPS && !fit.diverged, "{loss}: {fit:?}");
    let mut acts = Activations::new(&model.tier, &model.config, 1, 2, false).unwrap();
    let pairs = (0..9).map(|index| [index / 3, index % 3]);
    pairs
        .map(|tokens| {
            let logits = model.logits(&mut acts, &tokens, 2).unwrap();
            [softmax(&logits[..3]), softmax(&logits[3..])]
        })
        .collect()
}

/// Trains and compares in every context with the law that follows from the source's.
fn check_trained(loss: Loss, tolerance: f64, truth: impl Fn(&[f64]) -> Vec<f64>) {
    let mut worst = 0.0f64;
    for (index, laws) in trained(loss).iter().enumerate() {
        for (last, law) in [index / 3, index % 3].into_iter().zip(laws) {
            let truth = truth(&shares(&SOURCE[last]));
            let error = distance(law, &truth);
            worst = worst.max(error);
            assert!(
                error <= tolerance,
                "{loss} after {last} of pair {index}: {law:?} not {truth:?}, {error:e}"
            );
        }
    }
    println!("{loss}: a trained transformer is within {worst:.1e} of the closed form");
}

#[test]
fn a_transformer_trained_by_cross_entropy_learns_the_source() {
    // Every step sees the whole text, so there is no sampling noise: what is left is the distance
    // to the minimum after all steps of a rate that falls to zero.
    check_trained(Loss::Ce, 2e-4, <[f64]>::to_vec);
}

#[test]
fn a_transformer_trained_by_truncation_learns_the_capped_source() {
    // Two of three contexts have a token above 0.45. Its probability swings about the cap by what
    // an Adam step moves it.
    check_trained(Loss::Tce { gamma: 0.45 }, 3e-3, |p| water_filling(p, 0.45).0);
}

#[test]
fn a_transformer_trained_by_focal_loss_learns_its_fixed_point() {
    check_trained(Loss::Focal { gamma: 2.0 }, 2e-4, |p| focal_fixed_point(p, 2.0));
}
