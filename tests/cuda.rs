//! The CUDA tier, on the kernels' shim and on a GPU where there is one.

use fortifai::Stream;
use fortifai::config::{DecodeConfig, ModelConfig, TrainConfig};
use fortifai::cpu::Cpu;
use fortifai::cuda::{Cuda, Weights};
use fortifai::loss::Rule;
use fortifai::model::{Activations, Batch, Gpt, GptDecoder};
use fortifai::sample::{Decoder, generate};
use fortifai::tier::Tier;
use fortifai::train::Optimiser;
use fortifai::verify::budget::Stored;
use fortifai::verify::device;
use fortifai::verify::plan::Plan;
use fortifai_kernels::{Device, Schedule};
use half::bf16;

/// Whether the shim is asked for: it compiles every kernel file with a C++ compiler first.
pub fn shim_asked() -> bool {
    let asked = ["EXTENSIVE", "REQUIRE_CUDA_HOST"]
        .iter()
        .any(|variable| std::env::var(variable).is_ok_and(|value| value == "1"));
    if !asked {
        eprintln!("SKIPPED the CUDA tier on the shim: EXTENSIVE=1 or REQUIRE_CUDA_HOST=1 runs it");
    }
    asked
}

/// The shim where it is asked for, and the first GPU. `REQUIRE_CUDA_HOST=1` and `REQUIRE_CUDA=1`
/// turn a missing one into a failure.
fn devices() -> Vec<Device> {
    let needed = |variable: &str| std::env::var(variable).is_ok_and(|value| value == "1");
    let shim = shim_asked().then(|| Device::host(Schedule::default()));
    let gpu = Some(Device::cuda(0));
    let mut devices = Vec::new();
    for (variable, device) in [("REQUIRE_CUDA_HOST", shim), ("REQUIRE_CUDA", gpu)] {
        match device {
            Some(Ok(device)) => devices.push(device),
            Some(Err(reason)) => {
                assert!(!needed(variable), "{variable}=1 but: {reason}");
                eprintln!("SKIPPED the CUDA tier on a device: {reason}");
            }
            None => {}
        }
    }
    devices
}

fn certify<A: Weights>(device: &Device, stored: Stored) {
    let plan = Plan { operator: None, seed: 1, cases: 0, shape: None };
    let tier = Cuda::<A>::new(device.clone()).unwrap();
    let certificate = device::run(&tier, stored, &plan, |_| {});
    for check in &certificate.checks {
        let (name, error, tolerance) = (&check.name, check.max_error, check.tolerance);
        println!("{} {stored:?} {name}: {error:.1e} of {tolerance:.0e}", device.name());
        let detail = check.detail.as_deref().unwrap_or_default();
        assert!(check.passed, "{} {stored:?} {name}: {error:e} {detail}", device.name());
    }
    assert!(certificate.passed && certificate.checks.len() > 40, "{}", certificate.checks.len());
}

#[test]
fn every_operator_and_whole_models_pass_in_f32() {
    devices().iter().for_each(|device| certify::<f32>(device, Stored::Single));
}

#[test]
fn every_operator_and_whole_models_pass_in_bf16() {
    devices().iter().for_each(|device| certify::<bf16>(device, Stored::Bf16));
}

/// Losses and final parameters of some AdamW steps under TCE on random tokens.
fn train<T: Tier<Number = f32>>(tier: &T, steps: usize) -> (Vec<f64>, Vec<f32>) {
    let config = ModelConfig { layers: 2, heads: 2, channels: 16, context: 12, vocab: 29 };
    let (b, t) = (3, 12);
    let mut model = Gpt::new(tier.clone(), config.clone(), 1).unwrap();
    let mut optimiser = Optimiser::new(&model).unwrap();
    let mut acts = Activations::new(tier, &config, b, t, true).unwrap();
    let mut gradients = tier.param(model.layout.len).unwrap();
    let settings = TrainConfig { learning_rate: 3e-3, ..TrainConfig::default() };
    let mut stream = Stream::new(1, "cuda-training", 0, 0);
    let tokens: Vec<u32> = (0..b * t + 1).map(|_| stream.below(config.vocab) as u32).collect();
    let batch = Batch { tokens: &tokens[..b * t], targets: &tokens[1..], mask: None, t };
    let mut losses = Vec::new();
    for step in 0..steps {
        tier.zero_param(&mut gradients).unwrap();
        let scale = 1.0 / (b * t) as f64;
        let rule = if step % 2 == 0 { Rule::Ce } else { Rule::Tce(0.9) };
        let scores =
            model.accumulate_gradients(&mut gradients, &mut acts, batch, &rule, scale).unwrap();
        losses.push(scores.nll.iter().sum::<f64>() * scale);
        optimiser.step(&mut model, &gradients, &settings, settings.learning_rate, 1.0).unwrap();
    }
    (losses, model.get_params().unwrap())
}

#[test]
fn training_follows_the_losses_of_the_cpu_and_repeats_to_the_bit() {
    const STEPS: usize = 40;
    let (truth, _) = train(&Cpu::<f32>::new(), STEPS);
    assert!(truth[STEPS - 1] < 0.7 * truth[0], "{truth:?}");
    for device in devices() {
        let tier = Cuda::<f32>::new(device.clone()).unwrap();
        let (losses, params) = train(&tier, STEPS);
        for (step, (loss, truth)) in losses.iter().zip(&truth).enumerate() {
            let error = (loss - truth).abs();
            assert!(error <= 1e-4 * truth, "{} step {step}: {loss}, CPU {truth}", device.name());
        }
        assert_eq!((losses, params), train(&tier, STEPS), "{} repeats", device.name());
        let tier = Cuda::<bf16>::new(device.clone()).unwrap();
        let (losses, _) = train(&tier, STEPS);
        for (step, (loss, truth)) in losses.iter().zip(&truth).enumerate() {
            let error = (loss - truth).abs();
            assert!(
                error <= 0.01 * truth,
                "{} bf16 step {step}: {loss}, CPU {truth}",
                device.name()
            );
        }
    }
}

/// Texts that a small model continues some prompts with.
fn texts<T: Tier<Number = f32>>(tier: &T, decode: &DecodeConfig) -> Vec<Vec<u32>> {
    let config = ModelConfig { layers: 2, heads: 2, channels: 16, context: 24, vocab: 29 };
    let mut model = Gpt::new(tier.clone(), config, 1).unwrap();
    // At its beginning a model finds all tokens alike.
    let sharp: Vec<f32> = model.get_params().unwrap().iter().map(|x| 6.0 * x).collect();
    model.set_params(&sharp).unwrap();
    let prompts: Vec<Vec<u32>> =
        (0..9).map(|i| (0..=i % 4).map(|j| (5 * i + j) % 29).collect()).collect();
    let mut decoder = GptDecoder::new(&model, 5, 24).unwrap();
    assert_eq!(decoder.choose_by(Some(decode)), tier.chooses());
    generate(&mut decoder, &prompts, decode, Some(3), |i| Stream::new(7, "texts", 0, i as u64))
        .unwrap()
}

/// A device chooses its tokens itself, and for the same uniform numbers the same ones as the CPU; with a penalty
/// or a barred end the CPU does.
#[test]
fn devices_write_the_texts_of_the_cpu() {
    let plain = DecodeConfig { max_new_tokens: 18, min_new_tokens: 0, ..DecodeConfig::default() };
    for decode in [
        DecodeConfig { sample: false, ..plain.clone() },
        plain.clone(),
        DecodeConfig { temperature: 0.7, top_k: 9, ..plain.clone() },
        DecodeConfig { temperature: 1.3, top_p: 0.8, ..plain.clone() },
        DecodeConfig { repetition_penalty: 1.3, ..plain.clone() },
        DecodeConfig { min_new_tokens: 6, ..plain.clone() },
        DecodeConfig { sample: false, beams: 2, ..plain.clone() },
    ] {
        let truth = texts(&Cpu::<f32>::new(), &decode);
        assert!(truth.iter().map(Vec::len).sum::<usize>() > 60, "{truth:?}");
        for device in devices() {
            let ours = texts(&Cuda::<f32>::new(device.clone()).unwrap(), &decode);
            assert_eq!(ours, truth, "{} {decode:?}", device.name());
        }
    }
}
