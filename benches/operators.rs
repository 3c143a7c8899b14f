//! The CPU operators one by one, at the shapes of a training step of size M, in f32.

use criterion::{Criterion, Throughput};
use fortifai::Stream;
use fortifai::cpu::matmul::{Write, matmul};
use fortifai::cpu::{Cpu, attention, gelu, layernorm};
use fortifai::loss::Loss;
use fortifai::tier::{ClassifierGradients, LinearShape, RowBuffers, Span, Tier};
use ndarray::{Array2, Array3, Array4, Array5};
use std::time::Duration;

const N: usize = 2048;
const C: usize = 384;
const V: usize = 1024;

fn numbers(len: usize, item: u64) -> Vec<f32> {
    let mut stream = Stream::new(1, "bench", 0, item);
    (0..len).map(|_| stream.normal() as f32).collect()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("operators");
    group.sample_size(10).measurement_time(Duration::from_secs(3));

    let a = Array2::from_shape_vec((N, C), numbers(N * C, 0)).expect("a");
    let b = Array2::from_shape_vec((C, 4 * C), numbers(4 * C * C, 1)).expect("b");
    let mut out = Array2::from_elem((N, 4 * C), 0.0f32);
    group.throughput(Throughput::Elements((2 * N * C * 4 * C) as u64));
    group.bench_function("matmul 2048x384x1536 (elements are FLOP)", |bench| {
        bench.iter(|| matmul(out.view_mut(), a.view(), b.view(), 1.0, Write::Overwrite))
    });

    let x = numbers(N * 4 * C, 2);
    let (mut d, mut y) = (numbers(N * 4 * C, 3), vec![0.0f32; N * 4 * C]);
    group.throughput(Throughput::Elements((N * 4 * C) as u64));
    group.bench_function("gelu forward", |bench| bench.iter(|| gelu::forward(&mut y, &x)));
    group
        .bench_function("gelu backward", |bench| bench.iter(|| gelu::backward(&mut d, &mut y, &x)));

    let (weight, bias) = (numbers(C, 4), numbers(C, 5));
    let (mut mean, mut rstd) = (vec![0.0; N], vec![0.0; N]);
    let (mut dweight, mut dbias) = (vec![0.0f32; C], vec![0.0f32; C]);
    group.throughput(Throughput::Elements((N * C) as u64));
    group.bench_function("layernorm forward", |bench| {
        bench.iter(|| {
            let out = &mut y[..N * C];
            layernorm::forward(out, &mut mean, &mut rstd, &x[..N * C], &weight, &bias)
        })
    });
    group.bench_function("layernorm backward", |bench| {
        bench.iter(|| {
            layernorm::backward(
                &mut d[..N * C],
                &mut dweight,
                &mut dbias,
                &mean,
                &rstd,
                &y[..N * C],
                &x[..N * C],
                &weight,
            )
        })
    });

    let (batch, t, nh, hs) = (8, 256, 6, 64);
    let qkv = Array5::from_shape_vec((batch, t, 3, nh, hs), numbers(3 * N * C, 6)).expect("qkv");
    let dout = Array4::from_shape_vec((batch, t, nh, hs), numbers(N * C, 7)).expect("dout");
    let mut dqkv = Array5::<f32>::zeros((batch, t, 3, nh, hs));
    let mut attended = Array4::<f32>::zeros((batch, t, nh, hs));
    let mut lse = Array3::<f32>::zeros((batch, nh, t));
    let workers = rayon::current_num_threads();
    let mut workspace = vec![0.0f32; attention::workspace_per_worker(t) * workers];
    group.throughput(Throughput::Elements(N as u64));
    group.bench_function("attention forward (elements are tokens)", |bench| {
        bench.iter(|| {
            attention::forward(attended.view_mut(), lse.view_mut(), qkv.view(), &mut workspace)
        })
    });
    group.bench_function("attention backward (elements are tokens)", |bench| {
        bench.iter(|| {
            attention::backward(
                dqkv.view_mut(),
                dout.view(),
                qkv.view(),
                attended.view(),
                lse.view(),
                &mut workspace,
            )
        })
    });

    let tier = Cpu::<f32>::new();
    let shape = LinearShape { n: N, c: C, oc: V };
    let buffer = |len| tier.act(len).expect("buffer");
    let (input, weights) = (numbers(N * C, 8), numbers(V * C, 9));
    let mut stream = Stream::new(1, "bench", 1, 0);
    let targets: Vec<u32> = (0..N).map(|_| stream.below(V) as u32).collect();
    let mut rows =
        RowBuffers { loss: buffer(N), nll: buffer(N), probability: buffer(N), kept: buffer(N) };
    let (mut dx, mut gradients) = (buffer(N * C), buffer(V * C));
    let mut workspace = buffer(tier.classifier_workspace(shape));
    for loss in ["ce", "tce:0.9", "focal:2", "random-mask:0.5"] {
        let rule = loss.parse::<Loss>().expect("loss").rule(1.0);
        let mask: Vec<bool> = (0..N).map(|_| stream.uniform() < 0.5).collect();
        group.bench_function(format!("classifier {loss} (elements are tokens)"), |bench| {
            bench.iter(|| {
                let to = ClassifierGradients {
                    dx: &mut dx,
                    gradients: &mut gradients,
                    scale: 1.0 / N as f64,
                };
                tier.classifier(
                    &mut rows,
                    Some(to),
                    &input,
                    &targets,
                    Some(&mask),
                    &weights,
                    Span { start: 0, len: V * C },
                    &rule,
                    &mut workspace,
                    shape,
                )
                .expect("classifier")
            })
        });
    }
    group.finish();
    criterion.final_summary();
}
