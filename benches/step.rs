//! Training steps of the sizes S, M and L: forward, backward, AdamW, in f32.
//!
//! `cargo bench --bench step` for criterion's statistics; with `--quick-table` it prints tokens/s
//! and peak memory once per size, which is what `benches/compare_pytorch.py` puts beside PyTorch.

use criterion::{BenchmarkId, Criterion, Throughput};
use fortifai::Stream;
use fortifai::config::{ModelConfig, TrainConfig};
use fortifai::cpu::Cpu;
use fortifai::loss::{Loss, Rule};
use fortifai::model::{Activations, Batch, Gpt};
use fortifai::train::Optimiser;
use std::time::{Duration, Instant};

/// Name, shape, sequences per step.
fn sizes() -> [(&'static str, ModelConfig, usize, usize); 3] {
    let shape = |layers, heads, channels, context, vocab| ModelConfig {
        layers,
        heads,
        channels,
        context,
        vocab,
    };
    [
        ("S", shape(4, 4, 128, 128, 256), 16, 128),
        ("M", shape(6, 6, 384, 256, 1024), 8, 256),
        ("L", shape(12, 12, 768, 1024, 50304), 2, 256),
    ]
}

struct Bench {
    model: Gpt<Cpu<f32>>,
    optimiser: Optimiser<Cpu<f32>>,
    acts: Activations<Cpu<f32>>,
    gradients: Vec<f32>,
    config: TrainConfig,
    tokens: Vec<u32>,
    targets: Vec<u32>,
    t: usize,
}

impl Bench {
    fn new(config: &ModelConfig, b: usize, t: usize) -> Self {
        let tier = Cpu::new();
        let model = Gpt::new(tier, config.clone(), 1).expect("model");
        let optimiser = Optimiser::new(&model).expect("optimiser");
        let acts = Activations::new(&tier, config, b, t, true).expect("activations");
        let gradients = vec![0.0; model.layout.len];
        let mut stream = Stream::new(1, "bench", 0, 0);
        let mut draw = || (0..b * t).map(|_| stream.below(config.vocab) as u32).collect();
        let (tokens, targets) = (draw(), draw());
        let config = TrainConfig { learning_rate: 1e-4, ..TrainConfig::default() };
        Self { model, optimiser, acts, gradients, config, tokens, targets, t }
    }

    fn step(&mut self, rule: &Rule) -> f64 {
        self.gradients.fill(0.0);
        let batch = Batch { tokens: &self.tokens, targets: &self.targets, mask: None, t: self.t };
        let scale = 1.0 / self.tokens.len() as f64;
        let scores = self
            .model
            .accumulate_gradients(&mut self.gradients, &mut self.acts, batch, rule, scale)
            .expect("step");
        let rate = self.config.learning_rate;
        self.optimiser
            .step(&mut self.model, &self.gradients, &self.config, rate, 1.0)
            .expect("adamw");
        scores.nll.iter().sum::<f64>() * scale
    }
}

/// The answer before the time: at the start the loss is that of a nearly uniform guess, and it
/// falls when the same batch is seen again.
fn check(bench: &mut Bench, vocab: usize, rule: &Rule) {
    let first = bench.step(rule);
    let second = bench.step(rule);
    assert!((first - (vocab as f64).ln()).abs() <= 0.5, "loss {first} at the start");
    assert!(second < first, "the loss rose from {first} to {second}");
}

fn table(only: Option<&str>, seconds: f64) {
    for (name, config, b, t) in sizes() {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let mut bench = Bench::new(&config, b, t);
        let rule = Loss::Ce.rule(1.0);
        check(&mut bench, config.vocab, &rule);
        let (mut steps, mut best) = (0, f64::INFINITY);
        let start = Instant::now();
        while start.elapsed().as_secs_f64() < seconds || steps < 3 {
            let step = Instant::now();
            bench.step(&rule);
            best = best.min(step.elapsed().as_secs_f64());
            steps += 1;
        }
        let mean = start.elapsed().as_secs_f64() / steps as f64;
        let tokens = (b * t) as f64;
        println!(
            "{{\"size\":\"{name}\",\"tokens_per_s\":{:.1},\"best_tokens_per_s\":{:.1},\
             \"steps\":{steps},\"peak_memory_mib\":{:.0},\"threads\":{}}}",
            tokens / mean,
            tokens / best,
            peak_memory_mib(),
            rayon::current_num_threads()
        );
    }
}

/// The process's largest resident set (`VmHWM`).
fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("");
    let kib = line.split_whitespace().nth(1).and_then(|word| word.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

fn main() {
    // As the command runs it: inside the pool, not beside it.
    let pool = rayon::ThreadPoolBuilder::new().build().expect("pool");
    pool.install(measure);
}

fn measure() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--quick-table") {
        return table(arguments.get(at + 1).map(String::as_str), 10.0);
    }
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("step");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for (name, config, b, t) in sizes() {
        let mut bench = Bench::new(&config, b, t);
        group.throughput(Throughput::Elements((b * t) as u64));
        for loss in ["ce", "tce:0.9"] {
            let rule = loss.parse::<Loss>().expect("loss").rule(1.0);
            check(&mut bench, config.vocab, &Loss::Ce.rule(1.0));
            group
                .bench_function(BenchmarkId::new(name, loss), |run| run.iter(|| bench.step(&rule)));
            bench = Bench::new(&config, b, t);
        }
    }
    group.finish();
    criterion.final_summary();
}
