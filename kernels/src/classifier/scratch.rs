//! The classifier's scratch memory, cut out of one stretch of `f32`.

use super::{Shape, capacity, stride};
use crate::{Element, Precision, Storage, ViewMut};

/// Scratch for chunks of `rows` rows.
#[derive(Debug)]
pub(super) struct Scratch<'a, A: Storage> {
    /// `[rows, stride]`, and room for the shares of split products.
    pub logits: ViewMut<'a, f32>,
    /// Of the rows that wait for the backward products, `[capacity, stride]`.
    pub dz: ViewMut<'a, A>,
    /// `[capacity, c]`.
    pub kept_x: ViewMut<'a, A>,
    /// `[capacity, c]`.
    pub kept_dx: ViewMut<'a, f32>,
    /// What the gradient pass needs of each row, `[rows, 4]`.
    pub saved: ViewMut<'a, f32>,
    /// Where each row of the chunk waits, `[rows]`.
    pub place: ViewMut<'a, u32>,
    /// The rows that wait, `[capacity]`.
    pub waiting: ViewMut<'a, u32>,
    /// How many wait, and how many are multiplied now.
    pub state: ViewMut<'a, u32>,
}

/// Pieces begin on multiples of this many `f32`, 256 bytes.
const ALIGN: usize = 64;

/// Numbers of each piece in the order of [`Scratch`], then of the whole.
fn sizes(chunk: usize, shape: Shape, precision: Precision) -> ([usize; 8], usize) {
    let (rows, waiting) = (chunk.min(shape.n), capacity(chunk, shape.n));
    let stored = |numbers: usize| match precision {
        Precision::F32 => numbers,
        Precision::Bf16 => numbers.div_ceil(2),
    };
    let pieces = [
        rows * stride(shape.v),
        stored(waiting * stride(shape.v)),
        stored(waiting * shape.c),
        waiting * shape.c,
        4 * rows,
        rows,
        waiting,
        2,
    ];
    let pieces = pieces.map(|numbers| numbers.next_multiple_of(ALIGN));
    (pieces, pieces.iter().sum())
}

/// `f32` numbers that [`Scratch::cut`] takes.
pub(super) fn len(chunk: usize, shape: Shape, precision: Precision) -> usize {
    sizes(chunk, shape, precision).1
}

impl<'a, A: Storage> Scratch<'a, A> {
    pub(super) fn cut(workspace: ViewMut<'a, f32>, chunk: usize, shape: Shape) -> Self {
        let (pieces, _) = sizes(chunk, shape, A::PRECISION);
        let mut rest = Some(workspace);
        let mut pieces = pieces.into_iter();
        let mut next = || {
            let whole = rest.take().expect("scratch");
            let (piece, after) = whole.split_at(pieces.next().expect("eight pieces"));
            rest = Some(after);
            piece
        };
        fn of<U: Element>(piece: ViewMut<f32>) -> ViewMut<U> {
            piece.cast()
        }
        Self {
            logits: next(),
            dz: of(next()),
            kept_x: of(next()),
            kept_dx: next(),
            saved: next(),
            place: of(next()),
            waiting: of(next()),
            state: of(next()),
        }
    }
}
