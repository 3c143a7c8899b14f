//! Token and position embedding: `out_i = wte[token_i] + wpe[position_i]`.

use super::{ROW_PIECE, Real};
use rayon::prelude::*;

/// `out [n, c] ← wte [v, c][tokens] + wpe [t, c][positions]`.
pub fn forward<R: Real>(
    out: &mut [R],
    tokens: &[u32],
    positions: &[u32],
    wte: &[R],
    wpe: &[R],
    c: usize,
) {
    assert_eq!(out.len(), tokens.len() * c, "embedding::forward: out must be [n, c]");
    assert_eq!(tokens.len(), positions.len(), "embedding::forward: one position per token");
    let pieces = out.par_chunks_mut(ROW_PIECE * c);
    let indices = tokens.par_chunks(ROW_PIECE).zip(positions.par_chunks(ROW_PIECE));
    pieces.zip(indices).for_each(|(out, (tokens, positions))| {
        for (out, (&token, &position)) in out.chunks_exact_mut(c).zip(tokens.iter().zip(positions))
        {
            let word = &wte[token as usize * c..][..c];
            let place = &wpe[position as usize * c..][..c];
            for ((out, &a), &b) in out.iter_mut().zip(word).zip(place) {
                *out = a + b;
            }
        }
    });
}

/// `dwte[token_i] += dout_i`, `dwpe[position_i] += dout_i`, from the first row to the last.
pub fn backward<R: Real>(
    dwte: &mut [R],
    dwpe: &mut [R],
    dout: &[R],
    tokens: &[u32],
    positions: &[u32],
    c: usize,
) {
    assert_eq!(dout.len(), tokens.len() * c, "embedding::backward: dout must be [n, c]");
    rayon::join(|| scatter_add(dwte, dout, tokens, c), || scatter_add(dwpe, dout, positions, c));
}

fn scatter_add<R: Real>(table: &mut [R], rows: &[R], indices: &[u32], c: usize) {
    for (row, &index) in rows.chunks_exact(c).zip(indices) {
        for (sum, &value) in table[index as usize * c..][..c].iter_mut().zip(row) {
            *sum += value;
        }
    }
}
