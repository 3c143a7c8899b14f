//! The classifier's scratch memory, cut out of one stretch of `f32`.

use super::{Shape, stride};
use crate::{Element, Storage, ViewMut, matmul};

/// Scratch for chunks of `rows` rows.
#[derive(Debug)]
pub(super) struct Scratch<'a, A: Storage> {
    /// `[rows, stride]`; a kept row's gradient stands over its logits, in the storage.
    pub logits: ViewMut<'a, f32>,
    /// Shares of split products.
    pub shares: ViewMut<'a, f32>,
    /// `[rows, c]`.
    pub kept_x: ViewMut<'a, A>,
    /// `[rows, c]`.
    pub kept_dx: ViewMut<'a, f32>,
    /// The kept rows in the order of their gradients, `[rows]`.
    pub order: ViewMut<'a, u32>,
    /// From where to where rows move, `[rows / 2, 2]`.
    pub moves: ViewMut<'a, u32>,
    /// How many rows are kept, and how many move.
    pub state: ViewMut<'a, u32>,
}

/// Pieces begin on multiples of this many `f32`, 256 bytes.
const ALIGN: usize = 64;

/// Numbers of each piece in the order of [`Scratch`], then of the whole.
fn sizes(chunk: usize, shape: Shape) -> ([usize; 7], usize) {
    let Shape { n, c, v } = shape;
    let rows = chunk.min(n);
    let shares = |rows| matmul::scratch(v, c, rows).max(matmul::scratch(rows, c, v));
    let pieces = [
        rows * stride(v),
        // Of a whole chunk and of the last.
        shares(rows).max(shares(n % chunk.max(1))),
        rows * c,
        rows * c,
        rows,
        rows / 2 * 2,
        2,
    ];
    let pieces = pieces.map(|numbers| numbers.next_multiple_of(ALIGN));
    (pieces, pieces.iter().sum())
}

/// `f32` numbers that [`Scratch::cut`] takes.
pub(super) fn len(chunk: usize, shape: Shape) -> usize {
    sizes(chunk, shape).1
}

impl<'a, A: Storage> Scratch<'a, A> {
    pub(super) fn cut(workspace: ViewMut<'a, f32>, chunk: usize, shape: Shape) -> Self {
        let (pieces, _) = sizes(chunk, shape);
        let mut rest = Some(workspace);
        let mut pieces = pieces.into_iter();
        let mut next = || {
            let whole = rest.take().expect("scratch");
            let (piece, after) = whole.split_at(pieces.next().expect("seven pieces"));
            rest = Some(after);
            piece
        };
        fn of<U: Element>(piece: ViewMut<f32>) -> ViewMut<U> {
            piece.cast()
        }
        Self {
            logits: next(),
            shares: next(),
            kept_x: of(next()),
            kept_dx: next(),
            order: of(next()),
            moves: of(next()),
            state: of(next()),
        }
    }
}
