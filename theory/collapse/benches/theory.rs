//! Simulated Gaussian chains: every sample drawn, and the law of the statistics drawn.
//!
//! `cargo bench -p fortifai-collapse --bench theory` for criterion's statistics; with
//! `--quick-table` it prints draws/s once per size, which is what `benches/compare_numpy.py` puts
//! beside numpy.

use criterion::{BenchmarkId, Criterion, Throughput};
use fortifai_collapse::gaussian::ensemble::Ensemble;
use fortifai_collapse::gaussian::{Divisor, Gaussian};
use fortifai_stream::Stream;
use statrs::function::gamma::digamma;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Samples per generation.
const SIZES: [usize; 3] = [10, 100, 1000];

/// Generations of every chain.
const GENERATIONS: usize = 50;

/// Samples drawn in all, about.
const DRAWS: usize = 40_000_000;

type Run = fn(&Ensemble) -> Vec<Gaussian>;

const WAYS: [(&str, Run); 2] = [
    ("every sample", |ensemble| {
        ensemble.by_every_sample(Gaussian::standard(Divisor::Unbiased)).expect("n is 2 or more")
    }),
    ("statistics", |ensemble| {
        ensemble.by_statistics(Gaussian::standard(Divisor::Unbiased)).expect("n is 2 or more")
    }),
];

fn ensemble(n: usize) -> Ensemble {
    let replicates = (DRAWS / n / GENERATIONS) as u64;
    Ensemble { n, generations: GENERATIONS, replicates, seed: 1 }
}

/// The answer before the time: `E ln σ_t² = t(ψ(ν/2) − ln(ν/2))`, within 6.5 standard errors.
fn check(n: usize, models: &[Gaussian]) -> f64 {
    let half = 0.5 * (n as f64 - 1.0);
    let logs: Vec<f64> = models.iter().map(|model| model.var.ln()).collect();
    let outcome = fortifai_collapse::Outcome::empirical(
        "ln σ²",
        &logs,
        GENERATIONS as f64 * (digamma(half) - half.ln()),
    );
    assert!(outcome.passed, "{outcome:?}");
    outcome.z
}

fn table() {
    for n in SIZES {
        let ensemble = ensemble(n);
        for (way, run) in WAYS {
            let z = check(n, &run(&ensemble));
            let mut best = f64::INFINITY;
            for _ in 0..5 {
                let start = Instant::now();
                black_box(run(&ensemble));
                best = best.min(start.elapsed().as_secs_f64());
            }
            let draws = (ensemble.replicates as usize * n * GENERATIONS) as f64;
            println!(
                "{{\"way\":\"{way}\",\"n\":{n},\"generations\":{GENERATIONS},\"replicates\":{},\
                 \"z\":{z:.3},\"time_s\":{best:.6},\"samples_per_s\":{:.4e},\"threads\":{}}}",
                ensemble.replicates,
                draws / best,
                rayon::current_num_threads()
            );
        }
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "--quick-table") {
        return table();
    }
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("theory");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for n in SIZES {
        let ensemble =
            Ensemble { replicates: (DRAWS / 10 / n / GENERATIONS) as u64, ..ensemble(n) };
        group.throughput(Throughput::Elements(ensemble.replicates * (n * GENERATIONS) as u64));
        for (way, run) in WAYS {
            group.bench_function(BenchmarkId::new(way, n), |bench| bench.iter(|| run(&ensemble)));
        }
    }
    let mut numbers = vec![0.0; 1 << 16];
    group.throughput(Throughput::Elements(numbers.len() as u64));
    let mut stream = Stream::new(1, "bench", 0, 0);
    group.bench_function("fill_normal", |bench| bench.iter(|| stream.fill_normal(&mut numbers)));
    group.bench_function("fill_uniform", |bench| bench.iter(|| stream.fill_uniform(&mut numbers)));
    group.finish();
    criterion.final_summary();
}
