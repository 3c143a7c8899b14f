//! Many numbers at once.
//!
//! Everything here is additions, multiplications, divisions, square roots and bit operations, each
//! of them correctly rounded on every machine and none contracted, so the numbers have the same
//! bits everywhere; only the width of the vectors is chosen at run time.

use crate::Stream;
use crate::chacha::{LANES, WORDS, blocks};
use std::f64::consts::{FRAC_PI_2, LN_2, SQRT_2};

/// Numbers made together.
const CHUNK: usize = LANES * WORDS;

/// From how many left numbers on a whole chunk is made for them.
const WORTH_A_CHUNK: usize = 24;

impl Stream {
    /// Fills `out` with uniform numbers in `[0, 1)`: the very numbers that as many calls of
    /// [`Stream::uniform`] return, several times faster.
    pub fn fill_uniform(&mut self, out: &mut [f64]) {
        let words_to_boundary = (16 - (self.engine.get_word_pos() % 16) as usize) % 16;
        // On an odd place the numbers straddle the blocks, which only single draws can do.
        if words_to_boundary % 2 == 1 {
            out.iter_mut().for_each(|x| *x = self.uniform());
            return;
        }
        let (first, rest) = out.split_at_mut((words_to_boundary / 2).min(out.len()));
        first.iter_mut().for_each(|x| *x = self.uniform());
        let (chunks, last) = rest.split_at_mut(rest.len() / CHUNK * CHUNK);
        if !chunks.is_empty() {
            let counter = self.skip_blocks(chunks.len() / CHUNK);
            pulp::Arch::new().dispatch(Uniforms { key: self.key(), counter, out: chunks });
        }
        last.iter_mut().for_each(|x| *x = self.uniform());
    }

    /// Fills `out` with standard normal numbers by the method of Box and Muller, both branches:
    /// with `u` uniform on `(0, 1]` and an angle `φ`, `√(−2 ln u)·cos φ` and `√(−2 ln u)·sin φ`.
    ///
    /// `u` and `φ` have 52 random bits, so no number is beyond ±8.49, where a normal number is with
    /// probability 2e-17. The numbers depend on the place in the stream and on the length of
    /// `out`; they are not those of [`Stream::normal`].
    ///
    /// ```
    /// let mut samples = [0.0; 1000];
    /// fortifai_stream::Stream::new(1, "example", 0, 0).fill_normal(&mut samples);
    /// // The mean of 1000 has standard error 1/√1000: six of them.
    /// assert!((samples.iter().sum::<f64>() / 1000.0).abs() < 0.19);
    /// ```
    pub fn fill_normal(&mut self, out: &mut [f64]) {
        let mut whole = out.len() / CHUNK * CHUNK;
        if out.len() - whole >= WORTH_A_CHUNK {
            whole = out.len();
        }
        let (chunks, last) = out.split_at_mut(whole);
        if !chunks.is_empty() {
            let counter = self.skip_blocks(chunks.len().div_ceil(CHUNK));
            pulp::Arch::new().dispatch(Normals { key: self.key(), counter, out: chunks });
        }
        for pair in last.chunks_mut(2) {
            let two = normal_pair(self.next_u64(), self.next_u64());
            pair.copy_from_slice(&[two.0, two.1][..pair.len()]);
        }
    }

    /// The number of the next untouched block; `chunks` times sixteen blocks from there on are
    /// taken.
    fn skip_blocks(&mut self, chunks: usize) -> u64 {
        let counter = self.engine.get_word_pos().div_ceil(16);
        self.engine.set_word_pos((counter + (chunks * LANES) as u128) * 16);
        counter as u64
    }

    fn key(&self) -> [u32; 8] {
        let seed = self.engine.get_seed();
        std::array::from_fn(|i| {
            u32::from_le_bytes(seed[4 * i..4 * i + 4].try_into().expect("four bytes"))
        })
    }
}

/// Uniform numbers in the order of the key stream.
struct Uniforms<'a> {
    key: [u32; 8],
    counter: u64,
    out: &'a mut [f64],
}

impl pulp::NullaryFnOnce for Uniforms<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let mut counter = self.counter;
        for chunk in self.out.chunks_exact_mut(CHUNK) {
            let words = blocks(&self.key, counter);
            for (lane, block) in chunk.chunks_exact_mut(WORDS).enumerate() {
                for (word, x) in block.iter_mut().enumerate() {
                    *x = (words[word][lane] >> 11) as f64 * (1.0 / (1u64 << 53) as f64);
                }
            }
            counter += LANES as u64;
        }
    }
}

/// Normal numbers: of each chunk the first half has the cosines, the second the sines.
struct Normals<'a> {
    key: [u32; 8],
    counter: u64,
    out: &'a mut [f64],
}

impl pulp::NullaryFnOnce for Normals<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let mut counter = self.counter;
        let mut chunks = self.out.chunks_exact_mut(CHUNK);
        for chunk in &mut chunks {
            normal_chunk(&self.key, counter, chunk.try_into().expect("a whole chunk"));
            counter += LANES as u64;
        }
        let rest = chunks.into_remainder();
        if !rest.is_empty() {
            let mut chunk = [0.0; CHUNK];
            normal_chunk(&self.key, counter, &mut chunk);
            rest.copy_from_slice(&chunk[..rest.len()]);
        }
    }
}

#[inline(always)]
fn normal_chunk(key: &[u32; 8], counter: u64, out: &mut [f64; CHUNK]) {
    let words = blocks(key, counter);
    let (radii, angles) = words.as_flattened().split_at(CHUNK / 2);
    let (cosines, sines) = out.split_at_mut(CHUNK / 2);
    for k in 0..CHUNK / 2 {
        (cosines[k], sines[k]) = normal_pair(radii[k], angles[k]);
    }
}

/// Two independent normal numbers. The angle is uniform on `[−π/4, π/4)` by its upper 52 bits; bit
/// 0 exchanges cosine and sine, bit 1 changes both signs, which covers the circle.
#[inline(always)]
fn normal_pair(radius: u64, angle: u64) -> (f64, f64) {
    let r = (-2.0 * ln(2.0 - one_to_two(radius))).sqrt();
    let (sin, cos) = sin_cos((one_to_two(angle) - 1.5) * FRAC_PI_2);
    let (sin, cos) = ((r * sin).to_bits(), (r * cos).to_bits());
    let exchange = (sin ^ cos) & 0u64.wrapping_sub(angle & 1);
    let sign = (angle & 2) << 62;
    (f64::from_bits(cos ^ exchange ^ sign), f64::from_bits(sin ^ exchange ^ sign))
}

/// The upper 52 bits as a number in `[1, 2)`.
#[inline(always)]
fn one_to_two(bits: u64) -> f64 {
    f64::from_bits((bits >> 12) | 1.0f64.to_bits())
}

/// `ln u` for normal `u ≤ 1`: with `u = 2^e m`, `m` in `[√½, √2)`, it is `e ln 2 + 2 artanh s` with
/// `s = (m − 1)/(m + 1)`, `s² < 0.0295`; the first omitted term of the series is below 1e-16
/// relative.
#[inline(always)]
fn ln(u: f64) -> f64 {
    const BIAS: u64 = 1023;
    // 2^52: its last bit is worth one.
    const WHOLE: f64 = (1u64 << 52) as f64;
    let half_root = (0.5 * SQRT_2).to_bits();
    let biased = u.to_bits().wrapping_sub(half_root).wrapping_add(BIAS << 52) >> 52;
    let m = f64::from_bits(u.to_bits().wrapping_sub(biased.wrapping_sub(BIAS) << 52));
    let e = f64::from_bits(WHOLE.to_bits() | biased) - (WHOLE + BIAS as f64);
    let s = (m - 1.0) / (m + 1.0);
    let y = s * s;
    let mut series = 1.0 / 19.0;
    for odd in [17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        series = series * y + 1.0 / odd;
    }
    e * LN_2 + 2.0 * s * series
}

/// `sin x` and `cos x` for `|x| ≤ π/4` by their series up to `x¹⁵/15!` and `x¹⁶/16!`; the first
/// omitted terms are below 1e-16.
#[inline(always)]
fn sin_cos(x: f64) -> (f64, f64) {
    let y = x * x;
    let (mut sin, mut cos) = (SERIES[1].0, SERIES[0].1 * y + SERIES[1].1);
    for (s, c) in &SERIES[2..] {
        sin = sin * y + s;
        cos = cos * y + c;
    }
    (x * sin, cos)
}

/// `(−1)^k/(2k + 1)!` and `(−1)^k/(2k)!` for `k` from 8 down to 0.
const SERIES: [(f64, f64); 9] = {
    let mut series = [(0.0, 0.0); 9];
    let (mut k, mut factorial) = (0, 1.0);
    while k < 9 {
        let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
        let next = factorial * (2 * k + 1) as f64;
        series[8 - k] = (sign / next, sign / factorial);
        factorial = next * (2 * k + 2) as f64;
        k += 1;
    }
    series
};

#[cfg(test)]
mod tests;
