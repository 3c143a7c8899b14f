//! Generation with a key-value cache at size M: prompts of 32 tokens, 200 new tokens, greedy, f32.
//!
//! `cargo bench --bench generation` for criterion's statistics; with `--quick-table` it prints
//! tokens/s once per batch size, which is what `benches/compare_pytorch.py` puts beside
//! transformers' `generate`.

use criterion::{BenchmarkId, Criterion, Throughput};
use fortifai::Stream;
use fortifai::config::{DecodeConfig, ModelConfig};
use fortifai::cpu::Cpu;
use fortifai::model::{Activations, Gpt, GptDecoder};
use fortifai::sample::generate;
use std::time::{Duration, Instant};

const PROMPT: usize = 32;
const NEW: usize = 200;

fn model() -> Gpt<Cpu<f32>> {
    let config = ModelConfig { layers: 6, heads: 6, channels: 384, context: 256, vocab: 1024 };
    Gpt::new(Cpu::new(), config, 1).expect("model")
}

fn prompts(batch: usize) -> Vec<Vec<u32>> {
    let mut stream = Stream::new(1, "bench", 0, 0);
    (0..batch).map(|_| (0..PROMPT).map(|_| stream.below(1024) as u32).collect()).collect()
}

fn run(model: &Gpt<Cpu<f32>>, prompts: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let config = DecodeConfig {
        sample: false,
        min_new_tokens: NEW,
        max_new_tokens: NEW,
        ..DecodeConfig::default()
    };
    let mut decoder = GptDecoder::new(model, prompts.len(), 256).expect("decoder");
    let stream = |index| Stream::new(1, "bench", 1, index as u64);
    generate(&mut decoder, prompts, &config, None, stream).expect("generate")
}

/// The answer before the time: every token has the largest logit of a full recomputation, up to
/// rounding.
fn check(model: &Gpt<Cpu<f32>>, prompts: &[Vec<u32>]) {
    let texts = run(model, prompts);
    let whole = [prompts[0].clone(), texts[0].clone()].concat();
    let t = whole.len() - 1;
    let mut acts = Activations::new(&model.tier, &model.config, 1, t, false).expect("activations");
    let logits = model.logits(&mut acts, &whole[..t], t).expect("logits");
    for (position, row) in logits.chunks_exact(1024).enumerate().skip(PROMPT - 1) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let taken = row[whole[position + 1] as usize];
        assert!(most - taken <= 1e-4, "position {position}: {taken} instead of {most}");
    }
}

fn main() {
    // As the command runs it: inside the pool, not beside it.
    let pool = rayon::ThreadPoolBuilder::new().build().expect("pool");
    pool.install(measure);
}

fn measure() {
    let model = model();
    if std::env::args().any(|argument| argument == "--quick-table") {
        for batch in [1, 16] {
            let prompts = prompts(batch);
            check(&model, &prompts);
            let (mut runs, start) = (0, Instant::now());
            while start.elapsed().as_secs_f64() < 5.0 || runs < 3 {
                run(&model, &prompts);
                runs += 1;
            }
            let seconds = start.elapsed().as_secs_f64() / runs as f64;
            let tokens_per_s = (batch * NEW) as f64 / seconds;
            println!("{{\"batch\":{batch},\"tokens_per_s\":{tokens_per_s:.1},\"runs\":{runs}}}");
        }
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("generation");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for batch in [1, 16] {
        let prompts = prompts(batch);
        check(&model, &prompts);
        group.throughput(Throughput::Elements((batch * NEW) as u64));
        group.bench_function(BenchmarkId::new("M", batch), |bench| {
            bench.iter(|| run(&model, &prompts))
        });
    }
    group.finish();
    criterion.final_summary();
}
