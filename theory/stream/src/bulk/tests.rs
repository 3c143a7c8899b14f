use super::*;
use rand_core_09::RngCore;
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

/// False-alarm rate of each statistical test; there are six.
const LEVEL: f64 = 4e-9;

fn stream(item: u64) -> Stream {
    Stream::new(1, "bulk test", 0, item)
}

#[test]
fn uniform_numbers_are_those_of_single_draws() {
    for (before, length) in [(0, 1), (0, 128), (0, 1000), (3, 129), (5, 700), (8, 256), (1, 7)] {
        let (mut bulk, mut single) = (stream(before), stream(before));
        for _ in 0..before {
            assert_eq!(bulk.next_u64(), single.next_u64());
        }
        let mut out = vec![f64::NAN; length as usize];
        bulk.fill_uniform(&mut out);
        assert!(out.iter().all(|x| *x == single.uniform()), "{before} {length}");
        assert_eq!(bulk.next_u64(), single.next_u64(), "{before} {length}");
    }
    // After an odd number of 32-bit words.
    let (mut bulk, mut single) = (stream(0), stream(0));
    assert_eq!(RngCore::next_u32(&mut bulk), RngCore::next_u32(&mut single));
    let mut out = [f64::NAN; 300];
    bulk.fill_uniform(&mut out);
    assert!(out.iter().all(|x| *x == single.uniform()));
}

#[test]
fn normal_numbers_have_the_same_bits_with_and_without_vectors() {
    let mut out = [f64::NAN; 2 * CHUNK + 40];
    stream(1).fill_normal(&mut out);
    let key = stream(1).key();
    let mut plain = [f64::NAN; 3 * CHUNK];
    for (counter, chunk) in plain.chunks_exact_mut(CHUNK).enumerate() {
        normal_chunk(&key, (counter * LANES) as u64, chunk.try_into().unwrap());
    }
    assert_eq!(out, plain[..out.len()]);
    // Pinned, so that no machine, compiler or change gives other bits unnoticed.
    let bits: Vec<u64> = [out[0], out[1], out[64], out[295]].map(f64::to_bits).to_vec();
    assert_eq!(bits, PINNED, "{bits:#x?}");
}

/// Regression values: this code's own, of the day it was written.
const PINNED: [u64; 4] =
    [0xbfde74d05d3d8842, 0xbfc247e4abbd0559, 0x3fd40651de51fe58, 0x3fe4f7ca921bb4d7];

#[test]
fn normal_numbers_are_those_of_box_and_muller() {
    // With the platform's logarithm and cosine, from the words of `rand_chacha`'s own key stream.
    let mut words = stream(3);
    for _ in 0..10_000 {
        let (a, b) = (words.next_u64(), words.next_u64());
        let u = 1.0 - (a >> 12) as f64 * 2f64.powi(-52);
        let angle = ((b >> 12) as f64 * 2f64.powi(-52) - 0.5) * FRAC_PI_2;
        let r = (-2.0 * u.ln()).sqrt();
        let (mut x, mut y) = (r * angle.cos(), r * angle.sin());
        if b & 1 == 1 {
            (x, y) = (y, x);
        }
        if b & 2 == 2 {
            (x, y) = (-x, -y);
        }
        let (p, q) = normal_pair(a, b);
        assert!((p - x).abs() <= 1e-14 && (q - y).abs() <= 1e-14, "{p} {x} {q} {y}");
    }
}

#[test]
fn every_length_is_filled_and_the_stream_goes_on() {
    for length in 0..400 {
        let mut one = stream(length);
        let mut out = vec![f64::NAN; length as usize];
        one.fill_normal(&mut out);
        assert!(out.iter().all(|x| x.is_finite()), "{length}");
        let mut next = vec![f64::NAN; length as usize];
        one.fill_normal(&mut next);
        assert!(out.iter().all(|x| !next.contains(x)), "{length}: numbers repeat");
    }
}

#[test]
fn logarithm_and_angle_are_as_good_as_double_precision_allows() {
    let mut stream = stream(2);
    for index in 0..20_000u32 {
        let u = (1.0 - stream.uniform()) * 2f64.powi(-(index as i32 % 50));
        let error = (ln(u) - u.ln()).abs();
        assert!(error <= 4.0 * f64::EPSILON * u.ln().abs(), "ln {u}: {error:e}");
        let x = (stream.uniform() - 0.5) * FRAC_PI_2;
        let (sin, cos) = sin_cos(x);
        assert!((sin - x.sin()).abs() <= 2.0 * f64::EPSILON * x.sin().abs(), "sin {x}");
        assert!((cos - x.cos()).abs() <= 2.0 * f64::EPSILON, "cos {x}");
    }
    assert_eq!(ln(1.0), 0.0);
    assert_eq!(ln(0.5), -LN_2);
}

/// Two million normal numbers, of which a short last block and the scalar end are part.
fn samples() -> Vec<f64> {
    let mut all = Vec::new();
    for item in 0..2000 {
        let mut out = vec![0.0; 1000 + item as usize % 30];
        stream(item).fill_normal(&mut out);
        all.extend(out);
    }
    all
}

#[test]
fn the_law_is_normal() {
    let mut samples = samples();
    let n = samples.len() as f64;
    // Moments 0, 1, 0, 3 with variances 1, 2, 15, 96: |z| ≤ 6.5.
    for (power, mean, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
        let moment = samples.iter().map(|x| x.powi(power)).sum::<f64>() / n;
        let z = (moment - mean) / (variance / n).sqrt();
        assert!(z.abs() <= 6.5, "moment {power}: z = {z}");
    }
    // Kolmogorov and Smirnov: D√n ≤ √(ln(2/level)/2); a standard deviation of 1.01 is rejected.
    samples.sort_by(f64::total_cmp);
    let limit = (0.5 * (2.0 / LEVEL).ln()).sqrt();
    let distance = |sd: f64| {
        let law = Normal::new(0.0, sd).unwrap();
        let both = samples.iter().enumerate().map(|(i, &x)| {
            let p = law.cdf(x);
            (p - i as f64 / n).max((i + 1) as f64 / n - p)
        });
        both.fold(0.0, f64::max) * n.sqrt()
    };
    assert!(distance(1.0) <= limit, "{}", distance(1.0));
    assert!(distance(1.01) > limit);
}

#[test]
fn the_tails_are_as_heavy_as_they_should_be() {
    let samples = samples();
    let n = samples.len() as u64;
    for bound in [3.0, 4.0, 4.5] {
        let p = 2.0 * Normal::standard().sf(bound);
        let hits = samples.iter().filter(|x| x.abs() > bound).count() as u64;
        let law = Binomial::new(p, n).unwrap();
        let (below, above) = (law.cdf(hits), law.sf(hits.saturating_sub(1)));
        assert!(below >= 0.5 * LEVEL && above >= 0.5 * LEVEL, "{hits} of {n} beyond {bound}");
        // Power: half the tail's mass would be noticed.
        assert!(bound > 4.0 || Binomial::new(0.5 * p, n).unwrap().sf(hits - 1) < 0.5 * LEVEL);
    }
}

#[test]
fn neighbours_are_independent() {
    // Products of numbers at a distance of 1, 2, 8, 63, 64, 65 have mean 0 and variance 1.
    let samples = samples();
    for lag in [1, 2, 8, 63, 64, 65] {
        let products: Vec<f64> = samples.iter().zip(&samples[lag..]).map(|(a, b)| a * b).collect();
        let squares: Vec<f64> = samples
            .iter()
            .zip(&samples[lag..])
            .map(|(a, b)| (a * a - 1.0) * (b * b - 1.0) / 2.0)
            .collect();
        for products in [products, squares] {
            let z = products.iter().sum::<f64>() / (products.len() as f64).sqrt();
            assert!(z.abs() <= 6.5, "lag {lag}: z = {z}");
        }
    }
}
