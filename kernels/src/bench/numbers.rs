//! Inputs: a million normal numbers, repeated. Which ones matters little to a time, but they are of
//! the size that models have, and neither zero nor equal.

use crate::{Buffer, Device, Result, Storage};

/// A prime, so that rows of a matrix differ.
const POOL: usize = 1_048_573;

/// A counter's hash (splitmix64, Steele, Lea and Flood 2014), uniform in `[0, 1)`.
fn uniform(counter: u64) -> f64 {
    let mut x = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// `len` normal numbers of this standard deviation, on the device.
pub(super) fn normals<A: Storage>(
    device: &Device,
    seed: u64,
    deviation: f64,
    len: usize,
) -> Result<Buffer<A>> {
    let base = seed << 32;
    let normal = |i: u64| {
        // Box and Muller 1958.
        let (u, w) = (1.0 - uniform(base + 2 * i), uniform(base + 2 * i + 1));
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * w).cos()
    };
    let pool: Vec<A> =
        (0..len.min(POOL) as u64).map(|i| A::of((deviation * normal(i)) as f32)).collect();
    let mut buffer = Buffer::zeros(device, len)?;
    for start in (0..len).step_by(POOL) {
        let end = len.min(start + POOL);
        buffer.slice_mut(start..end).upload(device, &pool[..end - start])?;
    }
    Ok(buffer)
}

/// `len` numbers below `bound`.
pub(super) fn below(seed: u64, bound: usize, len: usize) -> Vec<u32> {
    let draw = |i: usize| (uniform((seed << 32) + i as u64) * bound as f64) as u32;
    (0..len).map(draw).collect()
}

/// `len` numbers in `[0, 1)`.
pub(super) fn uniforms(seed: u64, len: usize) -> Vec<f64> {
    (0..len).map(|i| uniform((seed << 32) + i as u64)).collect()
}

#[cfg(test)]
mod tests {
    use super::{below, uniforms};

    #[test]
    fn numbers_are_spread_evenly() {
        // The mean of a million uniform numbers has a standard deviation of 2.9e-4.
        let draws = uniforms(3, 1_000_000);
        let mean = draws.iter().sum::<f64>() / 1e6;
        assert!((mean - 0.5).abs() < 0.002, "{mean}");
        let tokens = below(1, 7, 7000);
        for token in 0..7 {
            let count = tokens.iter().filter(|&&it| it == token).count();
            assert!((800..1200).contains(&count), "{count} of {token}");
        }
    }
}
