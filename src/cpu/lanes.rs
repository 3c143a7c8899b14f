//! Sums and maxima over a slice in a fixed order that SIMD can follow.
//!
//! Element `i` belongs to lane `i mod 16`; the lanes are added as a binary tree. The order depends
//! on the length alone, never on the machine's vector width.

use super::Real;

/// Number of partial sums.
pub const LANES: usize = 16;

/// `Σ x_i`.
///
/// Proved: `lane_sum_error` in `theory/proofs/lanes.v`.
/// Proved: `lanes_gappa` in `theory/proofs/lanes_gappa`.
#[inline(always)]
pub fn sum<R: Real>(x: &[R]) -> R {
    let mut lanes = [R::zero(); LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += value;
    }
    tree(lanes)
}

/// `Σ x_i y_i`.
#[inline(always)]
pub fn dot<R: Real>(x: &[R], y: &[R]) -> R {
    let mut lanes = [R::zero(); LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest = xs.remainder().iter().zip(ys.remainder());
    for (a, b) in xs.zip(ys) {
        for ((lane, &p), &q) in lanes.iter_mut().zip(a).zip(b) {
            *lane += p * q;
        }
    }
    for (lane, (&p, &q)) in lanes.iter_mut().zip(rest) {
        *lane += p * q;
    }
    tree(lanes)
}

/// `Σ (x_i − mean)²`.
#[inline(always)]
pub fn sum_of_squares_about<R: Real>(x: &[R], mean: R) -> R {
    let mut lanes = [R::zero(); LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += (value - mean) * (value - mean);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += (value - mean) * (value - mean);
    }
    tree(lanes)
}

/// The largest entry; minus infinity for an empty slice. A NaN may be passed over: it shows in the
/// sum of exponentials that follows.
#[inline(always)]
pub fn max<R: Real>(x: &[R]) -> R {
    let mut lanes = [R::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = lane.max(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = lane.max(value);
    }
    lanes.into_iter().fold(R::NEG_INFINITY, |most, lane| most.max(lane))
}

/// `x_i ← e^(x_i − shift)`; returns the sum of the new values.
///
/// Proved: `softmax_shift_invariant` in `theory/proofs/softmax.v`.
/// Proved: `lse_bounds` in `theory/proofs/softmax.v`.
/// Proved: `lse_lipschitz` in `theory/proofs/softmax.v`.
#[inline(always)]
pub fn exp_minus<R: Real>(x: &mut [R], shift: R) -> R {
    for value in x.iter_mut() {
        *value = (*value - shift).exp();
    }
    sum(x)
}

#[inline(always)]
fn tree<R: Real>(lanes: [R; LANES]) -> R {
    let eight: [R; 8] = std::array::from_fn(|i| lanes[i] + lanes[i + 8]);
    let four: [R; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agree_with_plain_loops_on_integers() {
        for length in 0..70usize {
            let x: Vec<f64> = (0..length).map(|i| (i * i % 17) as f64 - 5.0).collect();
            let y: Vec<f64> = (0..length).map(|i| (i % 5) as f64).collect();
            assert_eq!(sum(&x), x.iter().sum::<f64>());
            assert_eq!(dot(&x, &y), x.iter().zip(&y).map(|(a, b)| a * b).sum::<f64>());
            let about: f64 = x.iter().map(|a| (a - 2.0) * (a - 2.0)).sum();
            assert_eq!(sum_of_squares_about(&x, 2.0), about);
            assert_eq!(max(&x), x.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        }
    }
}
