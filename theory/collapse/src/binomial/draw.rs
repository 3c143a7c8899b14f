//! Exact draws: binomial, multinomial, and subsets without replacement.

use fortifai_stream::Stream;

/// Below this expected number of successes the counts are searched from zero upwards.
const SEARCHED_BELOW: f64 = 10.0;

/// The number of successes among `n` trials of probability `p`.
///
/// Few expected successes are found by inversion, many by Hörmann's transformed rejection
/// (W. Hörmann 1993, "The generation of binomial random variates"); both are exact up to the
/// rounding of the weights (1e-13 relative). Guard: `binomial-draws`.
///
/// # Panics
/// If `p` is outside `[0, 1]`.
pub fn draw(n: u64, p: f64, stream: &mut Stream) -> u64 {
    assert!((0.0..=1.0).contains(&p), "binomial::draw: the probability {p} is outside [0, 1]");
    if p > 0.5 {
        return n - lower(n, 1.0 - p, stream);
    }
    lower(n, p, stream)
}

/// How often each of the given weights is drawn among `n` draws with replacement: a chain of
/// binomials, each among the draws and the weight that the ones before have left. With fewer draws
/// than weights, the draws are made one by one.
///
/// # Panics
/// If the weights are negative or sum to zero while `n` is positive.
pub fn multinomial(n: u64, weights: &[f64], stream: &mut Stream, mut add: impl FnMut(usize, u64)) {
    if n == 0 {
        return;
    }
    // Sums from the back, so that no weight is lost to the cancellation of a running difference.
    let mut tails = vec![0.0; weights.len() + 1];
    for (index, &weight) in weights.iter().enumerate().rev() {
        assert!(weight >= 0.0, "binomial::multinomial: the weight {weight} is negative");
        tails[index] = tails[index + 1] + weight;
    }
    let total = tails[0];
    assert!(total > 0.0 && total.is_finite(), "binomial::multinomial: weights sum to {total}");
    if (n as usize) < weights.len() / 4 {
        for _ in 0..n {
            // The token whose tail is the last one above the level: tails fall.
            let level = stream.uniform() * total;
            add(tails.partition_point(|&tail| tail > level) - 1, 1);
        }
        return;
    }
    let mut left = n;
    for (index, &weight) in weights.iter().enumerate() {
        if left == 0 {
            return;
        }
        if weight > 0.0 {
            let taken = if tails[index + 1] > 0.0 {
                draw(left, (weight / tails[index]).min(1.0), stream)
            } else {
                left
            };
            if taken > 0 {
                add(index, taken);
            }
            left -= taken;
        }
    }
}

/// How often each category stands among `count` items taken without replacement from `counts`:
/// every item is taken with probability (wanted)/(left), in order.
///
/// # Panics
/// If fewer than `count` items are there.
pub fn draws_without_replacement(counts: &[u64], count: u64, stream: &mut Stream) -> Vec<u64> {
    let mut left: u64 = counts.iter().sum();
    assert!(count <= left, "draws_without_replacement: {count} of {left} items");
    let mut wanted = count;
    let mut taken = vec![0; counts.len()];
    for (taken, &items) in taken.iter_mut().zip(counts) {
        for _ in 0..items {
            if (stream.below(left as usize) as u64) < wanted {
                *taken += 1;
                wanted -= 1;
            }
            left -= 1;
        }
    }
    taken
}

/// How often each category stands among `count` items drawn from `counts`.
///
/// # Panics
/// If items that are not replaced run out.
pub(crate) fn resampled(
    counts: &[u64],
    count: u64,
    with_replacement: bool,
    stream: &mut Stream,
) -> Vec<u64> {
    if !with_replacement {
        return draws_without_replacement(counts, count, stream);
    }
    let weights: Vec<f64> = counts.iter().map(|&c| c as f64).collect();
    let mut drawn = vec![0; counts.len()];
    multinomial(count, &weights, stream, |category, times| drawn[category] += times);
    drawn
}

fn lower(n: u64, p: f64, stream: &mut Stream) -> u64 {
    if n == 0 || p == 0.0 {
        return 0;
    }
    if n as f64 * p < SEARCHED_BELOW {
        return searched(n, p, stream);
    }
    rejected(n, p, stream)
}

/// Inversion: walks up from zero. A level that rounding has left above the whole sum starts anew.
fn searched(n: u64, p: f64, stream: &mut Stream) -> u64 {
    let odds = p / (1.0 - p);
    let none = (n as f64 * (-p).ln_1p()).exp();
    loop {
        let mut level = stream.uniform();
        let mut weight = none;
        for k in 0..=n {
            if level < weight {
                return k;
            }
            level -= weight;
            weight *= (n - k) as f64 / (k + 1) as f64 * odds;
            if weight == 0.0 {
                break;
            }
        }
    }
}

/// Transformed rejection with a squeeze, for `p ≤ 1/2` and `n p ≥ 10`.
fn rejected(n: u64, p: f64, stream: &mut Stream) -> u64 {
    let size = n as f64;
    let q = 1.0 - p;
    let spread = (size * p * q).sqrt();
    let b = 1.15 + 2.53 * spread;
    let a = -0.0873 + 0.0248 * b + 0.01 * p;
    let center = size * p + 0.5;
    let squeeze = 0.92 - 4.2 / b;
    let alpha = (2.83 + 5.1 / b) * spread;
    let mode = ((size + 1.0) * p).floor();
    let log_weight = |k: f64| {
        // ln of P(k)/P(mode), by Stirling's formula for each factorial.
        let (below, above) = (size - mode + 1.0, size - k + 1.0);
        (mode + 0.5) * ((mode + 1.0) * q / (p * below)).ln()
            + stirling_rest(mode)
            + stirling_rest(size - mode)
            + (size + 1.0) * (below / above).ln()
            + (k + 0.5) * (above * p / (q * (k + 1.0))).ln()
            - stirling_rest(k)
            - stirling_rest(size - k)
    };
    loop {
        let u = stream.uniform() - 0.5;
        let v = stream.uniform();
        let depth = 0.5 - u.abs();
        let k = ((2.0 * a / depth + b) * u + center).floor();
        if depth >= 0.07 && v <= squeeze {
            return k as u64;
        }
        if !(0.0..=size).contains(&k) {
            continue;
        }
        if (v * alpha / (a / (depth * depth) + b)).ln() <= log_weight(k) {
            return k as u64;
        }
    }
}

/// `ln k! − [(k + ½) ln(k + 1) − (k + 1) + ½ ln 2π]`: Stirling's series in `1/(k + 1)`, from a
/// table (mpmath, 40 digits) for the first ten.
fn stirling_rest(k: f64) -> f64 {
    const FIRST: [f64; 10] = [
        0.081_061_466_795_327_26,
        0.041_340_695_955_409_3,
        0.027_677_925_684_998_34,
        0.020_790_672_103_765_093,
        0.016_644_691_189_821_193,
        0.013_876_128_823_070_748,
        0.011_896_709_945_891_77,
        0.010_411_265_261_972_096,
        0.009_255_462_182_712_733,
        0.008_330_563_433_362_87,
    ];
    if k < 10.0 {
        return FIRST[k as usize];
    }
    let x = 1.0 / (k + 1.0);
    let y = x * x;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - y / 1680.0) * y) * y) * x
}
