//! Attention of one new token per row against the key-value cache `[l, 2, slots, t, c]`.

use super::{Real, lanes, simd};
use crate::tier::{CacheRows, CacheShape};
use rayon::prelude::*;

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
        for part in 0..2 {
            let start = offset(layer, part, slot as usize, shape);
            let rows = cache[start..][..t * c].chunks_exact_mut(c);
            for (row, token) in rows.zip(sequence.chunks_exact(3 * c)) {
                row.copy_from_slice(&token[(part + 1) * c..(part + 2) * c]);
            }
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
    let c = shape.nh * shape.hs;
    for ((token, &slot), &length) in qkv.chunks_exact(3 * c).zip(rows.slots).zip(rows.lengths) {
        for part in 0..2 {
            let start = offset(layer, part, slot as usize, shape) + (length as usize - 1) * c;
            cache[start..start + c].copy_from_slice(&token[(part + 1) * c..(part + 2) * c]);
        }
    }
    let keys = &cache[offset(layer, 0, 0, shape)..][..shape.slots * shape.t * c];
    let values = &cache[offset(layer, 1, 0, shape)..][..shape.slots * shape.t * c];
    let per_row = rows.ancestry.chunks_exact(shape.t).zip(rows.lengths);
    out.par_chunks_exact_mut(c)
        .zip(qkv.par_chunks_exact(3 * c))
        .zip(per_row.collect::<Vec<_>>())
        .for_each_init(
            || vec![R::zero(); shape.nh * shape.t],
            |scores, ((out, token), (ancestry, &length))| {
                let past = &ancestry[..length as usize];
                simd(
                    #[inline(always)]
                    || attend(out, scores, &token[..c], keys, values, past, shape),
                );
            },
        );
}

/// One row: positions outside, heads inside, so that keys and values are read as they lie.
#[inline(always)]
fn attend<R: Real>(
    out: &mut [R],
    scores: &mut [R],
    q: &[R],
    keys: &[R],
    values: &[R],
    past: &[u32],
    shape: CacheShape,
) {
    let (hs, c) = (shape.hs, q.len());
    let scale = R::of(1.0 / (hs as f64).sqrt());
    let place = |position: usize, slot: u32| (slot as usize * shape.t + position) * c;
    for (position, &slot) in past.iter().enumerate() {
        let key = &keys[place(position, slot)..][..c];
        for (head, (q, key)) in q.chunks_exact(hs).zip(key.chunks_exact(hs)).enumerate() {
            scores[head * past.len() + position] = lanes::dot(q, key) * scale;
        }
    }
    for scores in scores.chunks_exact_mut(past.len()).take(shape.nh) {
        let most = lanes::max(scores);
        let share = R::one() / lanes::exp_minus(scores, most);
        for score in scores {
            *score *= share;
        }
    }
    out.fill(R::zero());
    for (position, &slot) in past.iter().enumerate() {
        let value = &values[place(position, slot)..][..c];
        for (head, (out, value)) in out.chunks_exact_mut(hs).zip(value.chunks_exact(hs)).enumerate()
        {
            let share = scores[head * past.len() + position];
            for (sum, &value) in out.iter_mut().zip(value) {
                *sum += share * value;
            }
        }
    }
}

fn offset(layer: usize, part: usize, slot: usize, shape: CacheShape) -> usize {
    ((layer * 2 + part) * shape.slots + slot) * shape.t * shape.nh * shape.hs
}
