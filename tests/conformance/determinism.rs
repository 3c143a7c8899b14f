//! The same bits for every number of threads, and what training does at the edges of the losses.

use super::model::{Case, gradients};
use fortifai::config::{ModelConfig, TrainConfig};
use fortifai::cpu::{Cpu, Real};
use fortifai::loss::{Denominator, Loss, Rule};
use fortifai::model::Gpt;
use fortifai::train::{Blocks, Control, Fit, FitRequest, fit};
use fortifai::{Error, Stream};
use rayon::ThreadPoolBuilder;

fn in_pool<X: Send>(threads: usize, work: impl FnOnce() -> X + Send) -> X {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// Large enough for products to be shared out, with pieces that do not divide evenly.
fn config() -> ModelConfig {
    ModelConfig { layers: 2, heads: 5, channels: 65, context: 67, vocab: 131 }
}

fn check_gradients<R: Real>() {
    let case = Case::new(config(), 3, 67, 0.1, 1);
    for rule in [Rule::Ce, Rule::Tce(0.01), Rule::Masked, Rule::Smoothed(0.1)] {
        let run = || {
            let model = case.model(Cpu::<R>::new()).unwrap();
            gradients(&model, case.batch(), &rule, 1e-2, &vec![0.0; case.params.len()])
        };
        let (truth, scores) = in_pool(1, run).unwrap();
        assert!(truth.iter().any(|&g| g != 0.0));
        for threads in [2, 3] {
            let (gradient, again) = in_pool(threads, run).unwrap();
            assert_eq!(again.loss, scores.loss, "{rule:?}, {threads} threads");
            let differ = gradient.iter().zip(&truth).filter(|(a, b)| a != b).count();
            assert_eq!(differ, 0, "{rule:?}, {threads} threads: gradients that differ");
        }
    }
}

#[test]
fn gradients_have_the_same_bits_for_every_number_of_threads() {
    check_gradients::<f32>();
    check_gradients::<f64>();
}

/// A short training: the weights it ends with and how it went.
fn train<R: Real>(loss: Loss, config: &TrainConfig, shape: &ModelConfig) -> (Vec<R>, Fit) {
    let mut stream = Stream::new(9, "conformance-text", 0, 0);
    let text: Vec<u32> = (0..shape.context * 8 + 1)
        .map(|index| ((index * index) % 7 + stream.below(3)) as u32 % shape.vocab as u32)
        .collect();
    let mut model = Gpt::new(Cpu::<R>::new(), shape.clone(), 3).unwrap();
    let request = FitRequest {
        train: Blocks::new(&text, shape.context, "training text").unwrap(),
        validation: None,
        loss,
        config,
        seed: 5,
        generation: 1,
        marks: None,
    };
    let fit = fit(&mut model, &request, &mut |_| Control::Continue).unwrap();
    (model.get_params().unwrap(), fit)
}

fn steps(batch: usize, accumulation: usize) -> TrainConfig {
    TrainConfig { epochs: 2.0, batch, accumulation, warmup: 1, ..TrainConfig::default() }
}

#[test]
fn training_has_the_same_bits_for_every_number_of_threads() {
    for loss in [Loss::Ce, Loss::Tce { gamma: 0.3 }, Loss::RandomMask { keep: 0.5 }] {
        let run = || train::<f32>(loss, &steps(4, 2), &config());
        let (truth, fit) = in_pool(1, run);
        assert!(fit.steps == 4 && !fit.diverged, "{fit:?}");
        for threads in [2, 3] {
            let (params, again) = in_pool(threads, run);
            assert_eq!(again.history, fit.history, "{loss}, {threads} threads");
            assert!(params == truth, "{loss}, {threads} threads: weights differ");
        }
    }
}

fn small() -> ModelConfig {
    ModelConfig { layers: 1, heads: 2, channels: 8, context: 6, vocab: 10 }
}

#[test]
fn training_with_gamma_one_is_cross_entropy_bit_for_bit() {
    for denominator in [Denominator::All, Denominator::Kept] {
        let config = TrainConfig { denominator, ..steps(4, 1) };
        let truth = train::<f32>(Loss::Ce, &config, &small());
        for loss in [
            Loss::Tce { gamma: 1.0 },
            Loss::Focal { gamma: 0.0 },
            Loss::FocalDetached { gamma: 0.0 },
            Loss::DropLow { q: 0.0 },
            Loss::RandomMask { keep: 1.0 },
        ] {
            let (params, fit) = train::<f32>(loss, &config, &small());
            assert_eq!(params, truth.0, "{loss} {denominator:?}");
            assert_eq!(fit.history, truth.1.history, "{loss} {denominator:?}");
        }
    }
}

fn check_nothing_kept<R: Real>() {
    let start = Gpt::new(Cpu::<R>::new(), small(), 3).unwrap().get_params().unwrap();
    for denominator in [Denominator::All, Denominator::Kept] {
        let config = TrainConfig { denominator, weight_decay: 0.0, ..steps(4, 2) };
        for loss in
            [Loss::Tce { gamma: 0.0 }, Loss::DropLow { q: 1.0 }, Loss::RandomMask { keep: 0.0 }]
        {
            let (params, fit) = train::<R>(loss, &config, &small());
            assert_eq!(params, start, "{loss} {denominator:?}");
            assert!(!fit.diverged && fit.kept_fraction == 0.0, "{loss} {denominator:?}: {fit:?}");
            assert!(fit.history.iter().all(|point| point.loss_nats == 0.0), "{loss}: {fit:?}");
        }
    }
}

#[test]
fn training_on_nothing_changes_nothing() {
    check_nothing_kept::<f32>();
    check_nothing_kept::<f64>();
}

#[test]
fn a_stop_is_an_error_that_says_so() {
    let shape = small();
    let text: Vec<u32> = (0..50).map(|index| index % 10).collect();
    let mut model = Gpt::new(Cpu::<f32>::new(), shape, 3).unwrap();
    let config = steps(4, 1);
    let request = FitRequest {
        train: Blocks::new(&text, 6, "training text").unwrap(),
        validation: None,
        loss: Loss::Ce,
        config: &config,
        seed: 5,
        generation: 1,
        marks: None,
    };
    let result = fit(&mut model, &request, &mut |_| Control::Stop);
    assert!(matches!(result, Err(Error::Stopped(_))));
}
