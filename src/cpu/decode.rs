//! Attention of one new token per row against the key-value cache.
//!
//! The cache is `[l, 2, slots, nh, ·]`. Values of a head are `[t, hs]`; its keys are
//! `[⌈t/16⌉, hs, 16]`, sixteen positions side by side, so that sixteen scores are sums of whole
//! vectors and need no sum across lanes.

use super::vectors::{Job, Vectors};
use super::{Real, lanes};
use crate::tier::{CacheRows, CacheShape};
use pulp::Simd;
use rayon::prelude::*;

/// Positions whose keys lie side by side.
const SIDE: usize = 16;

/// Products with fewer multiplications than this stay on one thread.
pub(crate) const PARALLEL_FROM: usize = 1 << 15;

/// Numbers in the cache.
pub fn cache_len(shape: CacheShape) -> usize {
    shape.layers * 2 * shape.slots * slot_len(shape)
}

/// Stores keys and values of whole prompts: `qkv [b, t, 3c]`, sequence `i` goes to `slots[i]`.
pub fn fill<R: Real>(
    cache: &mut [R],
    qkv: &[R],
    slots: &[u32],
    layer: usize,
    t: usize,
    shape: CacheShape,
) {
    let c = shape.nh * shape.hs;
    for (sequence, &slot) in qkv.chunks_exact(t * 3 * c).zip(slots) {
        for (position, token) in sequence.chunks_exact(3 * c).enumerate() {
            store(cache, token, slot as usize, position, layer, shape);
        }
    }
}

/// `out [rows, c]` from `qkv [rows, 3c]`: stores the new keys and values, then for each head
/// `softmax(q Kᵀ/√hs) V` over the row's positions, wherever in the cache they lie.
pub fn forward<R: Real>(
    out: &mut [R],
    cache: &mut [R],
    qkv: &[R],
    rows: CacheRows,
    layer: usize,
    shape: CacheShape,
) {
    let (hs, c) = (shape.hs, shape.nh * shape.hs);
    for ((token, &slot), &length) in qkv.chunks_exact(3 * c).zip(rows.slots).zip(rows.lengths) {
        store(cache, token, slot as usize, length as usize - 1, layer, shape);
    }
    let cache = &*cache;
    let head = |scores: &mut Vec<R>, (index, out): (usize, &mut [R])| {
        let (row, head) = (index / shape.nh, index % shape.nh);
        let past = &rows.ancestry[row * shape.t..][..rows.lengths[row] as usize];
        let q = &qkv[row * 3 * c + head * hs..][..hs];
        let part = |part| &cache[offset(layer, part, 0, head, shape)..];
        R::with_simd(Head { out, scores, q, keys: part(0), values: part(1), past, shape });
    };
    let scores = || vec![R::zero(); padded(shape)];
    let most = rows.lengths.iter().copied().max().unwrap_or(0) as usize;
    if rayon::current_num_threads() > 1 && rows.slots.len() * most * c >= PARALLEL_FROM {
        out.par_chunks_exact_mut(hs).enumerate().for_each_init(scores, head);
    } else {
        let mut scores = scores();
        out.chunks_exact_mut(hs).enumerate().for_each(|one| head(&mut scores, one));
    }
}

/// One head of one row. `keys` and `values` begin with this head of slot 0.
struct Head<'a, R> {
    out: &'a mut [R],
    scores: &'a mut [R],
    q: &'a [R],
    keys: &'a [R],
    values: &'a [R],
    past: &'a [u32],
    shape: CacheShape,
}

impl<R: Real> Job<R> for Head<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S)
    where
        R: Vectors<S>,
    {
        let Head { out, scores, q, keys, values, past, shape } = self;
        match SIDE / R::LANES {
            1 => score::<S, R, 1>(simd, scores, q, keys, past, shape),
            2 => score::<S, R, 2>(simd, scores, q, keys, past, shape),
            4 => score::<S, R, 4>(simd, scores, q, keys, past, shape),
            8 => score::<S, R, 8>(simd, scores, q, keys, past, shape),
            _ => score::<S, R, 16>(simd, scores, q, keys, past, shape),
        }
        let scores = &mut scores[..past.len()];
        let most = lanes::max(scores);
        let share = R::one() / lanes::exp_minus(scores, most);
        for score in scores.iter_mut() {
            *score *= share;
        }
        let (hs, per_slot) = (shape.hs, slot_len(shape));
        let mut done = 0;
        while done < hs {
            let columns = done..hs;
            let rows = past.iter().enumerate().map(|(position, &slot)| {
                &values[slot as usize * per_slot + position * hs..][columns.clone()]
            });
            let out = &mut out[columns.clone()];
            done += match columns.len() / R::LANES {
                0 => weighted_sums(out, scores, rows),
                1 => weighted_vectors::<S, R, 1>(simd, out, scores, rows),
                2 | 3 => weighted_vectors::<S, R, 2>(simd, out, scores, rows),
                _ => weighted_vectors::<S, R, 4>(simd, out, scores, rows),
            };
        }
    }
}

/// `scores_j ← q·k_j/√hs` for the positions of `past`: four sums over every fourth channel, added
/// as a tree.
#[inline(always)]
fn score<S: Simd, R: Vectors<S>, const NV: usize>(
    simd: S,
    scores: &mut [R],
    q: &[R],
    keys: &[R],
    past: &[u32],
    shape: CacheShape,
) {
    let (hs, per_slot) = (shape.hs, slot_len(shape));
    let scale = R::of(1.0 / (hs as f64).sqrt());
    for ((block, slots), scores) in past.chunks(SIDE).enumerate().zip(scores.chunks_exact_mut(SIDE))
    {
        for (index, &slot) in slots.iter().enumerate() {
            if slots[..index].contains(&slot) {
                continue;
            }
            let keys = &keys[slot as usize * per_slot + block * hs * SIDE..][..hs * SIDE];
            let mut sums = [[R::splat(simd, R::zero()); NV]; 4];
            let mut fours = keys.chunks_exact(4 * SIDE);
            let mut qs = q.chunks_exact(4);
            for (keys, q) in fours.by_ref().zip(qs.by_ref()) {
                let keys = R::vectors(keys);
                for (l, sums) in sums.iter_mut().enumerate() {
                    let q = R::splat(simd, q[l]);
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = R::fused(simd, q, keys[l * NV + v], *sum);
                    }
                }
            }
            let rest = fours.remainder().chunks_exact(SIDE).zip(qs.remainder());
            for ((keys, &q), sums) in rest.zip(&mut sums) {
                let keys = R::vectors(keys);
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = R::fused(simd, R::splat(simd, q), keys[v], *sum);
                }
            }
            let mut dots = [R::zero(); SIDE];
            for (v, dots) in R::vectors_mut(&mut dots).iter_mut().enumerate() {
                let even = R::plus(simd, sums[0][v], sums[2][v]);
                *dots = R::plus(simd, even, R::plus(simd, sums[1][v], sums[3][v]));
            }
            for ((score, &dot), &own) in scores.iter_mut().zip(&dots).zip(slots) {
                if own == slot {
                    *score = dot * scale;
                }
            }
        }
    }
}

/// The first `NV` vectors of `Σ_j share_j row_j`; returns how many numbers that is.
#[inline(always)]
fn weighted_vectors<'a, S: Simd, R: Vectors<S>, const NV: usize>(
    simd: S,
    out: &mut [R],
    shares: &[R],
    rows: impl Iterator<Item = &'a [R]>,
) -> usize {
    let width = NV * R::LANES;
    let mut sums = [R::splat(simd, R::zero()); NV];
    for (row, &share) in rows.zip(shares) {
        let (row, share) = (R::vectors(&row[..width]), R::splat(simd, share));
        for (v, sum) in sums.iter_mut().enumerate() {
            *sum = R::fused(simd, share, row[v], *sum);
        }
    }
    R::vectors_mut(&mut out[..width]).copy_from_slice(&sums);
    width
}

/// The same for less than a vector.
#[inline(always)]
fn weighted_sums<'a, R: Real>(
    out: &mut [R],
    shares: &[R],
    rows: impl Iterator<Item = &'a [R]>,
) -> usize {
    out.fill(R::zero());
    for (row, &share) in rows.zip(shares) {
        for (sum, &value) in out.iter_mut().zip(row) {
            *sum = share.mul_add(value, *sum);
        }
    }
    out.len()
}

/// Stores one token's key and value.
fn store<R: Real>(
    cache: &mut [R],
    token: &[R],
    slot: usize,
    position: usize,
    layer: usize,
    shape: CacheShape,
) {
    let (hs, c) = (shape.hs, shape.nh * shape.hs);
    let heads = token[c..2 * c].chunks_exact(hs).zip(token[2 * c..].chunks_exact(hs));
    for (head, (key, value)) in heads.enumerate() {
        let start = offset(layer, 0, slot, head, shape) + position / SIDE * hs * SIDE;
        let column = cache[start..][..hs * SIDE].iter_mut().skip(position % SIDE).step_by(SIDE);
        for (to, &from) in column.zip(key) {
            *to = from;
        }
        let start = offset(layer, 1, slot, head, shape) + position * hs;
        cache[start..start + hs].copy_from_slice(value);
    }
}

/// Positions of a slot, rounded up to whole blocks.
fn padded(shape: CacheShape) -> usize {
    shape.t.next_multiple_of(SIDE)
}

/// Numbers of one part of one slot.
fn slot_len(shape: CacheShape) -> usize {
    shape.nh * padded(shape) * shape.hs
}

fn offset(layer: usize, part: usize, slot: usize, head: usize, shape: CacheShape) -> usize {
    ((layer * 2 + part) * shape.slots + slot) * slot_len(shape) + head * padded(shape) * shape.hs
}
