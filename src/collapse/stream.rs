//! A text as one stream of tokens, cut into the units that protocols choose from.

use super::protocol::{Piece, Source};
use std::ops::Range;

/// Tokens without a leading end token, and where each unit ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// The units, in order, without gaps.
    pub units: Vec<Range<usize>>,
}

impl Text {
    /// A stream, its leading end token left out. A unit is a document with its end token, or with
    /// `block` so many tokens, the last unit being what remains.
    ///
    /// Proved: `units_cover_every_token` in `theory/proofs/rows.smt2`.
    /// Proved: `no_unit_is_longer_than_a_block` in `theory/proofs/rows.smt2`.
    pub fn new(mut tokens: Vec<u32>, end: u32, block: Option<usize>) -> Self {
        if tokens.first() == Some(&end) {
            tokens.remove(0);
        }
        let mut units = Vec::new();
        let mut start = 0;
        for place in 1..=tokens.len() {
            let full = match block {
                Some(block) => place - start == block,
                None => tokens[place - 1] == end,
            };
            if full || place == tokens.len() {
                units.push(start..place);
                start = place;
            }
        }
        Self { tokens, units }
    }

    /// The lengths of the units.
    pub fn lengths(&self) -> Vec<usize> {
        self.units.iter().map(Range::len).collect()
    }
}

/// The stream that the pieces make up: the end token, then unit after unit.
pub fn assemble(pieces: &[Piece], real: &Text, synthetic: &[Text], end: u32) -> Vec<u32> {
    let mut stream = vec![end];
    for piece in pieces {
        let text = match piece.source {
            Source::Real => real,
            Source::Synthetic(g) => &synthetic[g],
        };
        for &unit in &piece.units {
            stream.extend_from_slice(&text.tokens[text.units[unit].clone()]);
        }
    }
    stream
}

/// Beside [`assemble`]'s stream: 1 where a token comes from the real text, else 0.
pub fn marks_of_real(pieces: &[Piece], real: &Text, synthetic: &[Text]) -> Vec<u32> {
    let mut marks = vec![0];
    for piece in pieces {
        let (text, mark) = match piece.source {
            Source::Real => (real, 1),
            Source::Synthetic(g) => (&synthetic[g], 0),
        };
        let tokens = piece.units.iter().map(|&unit| text.units[unit].len()).sum();
        marks.extend(std::iter::repeat_n(mark, tokens));
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_cover_the_text_and_assemble_to_it() {
        let tokens = vec![0, 1, 2, 0, 0, 3, 0, 4];
        for block in [None, Some(1), Some(3), Some(7), Some(100)] {
            let text = Text::new(tokens.clone(), 0, block);
            assert_eq!(text.lengths().iter().sum::<usize>(), 7);
            let all = Piece { source: Source::Real, units: (0..text.units.len()).collect() };
            assert_eq!(assemble(&[all], &text, &[], 0), tokens);
        }
        assert_eq!(Text::new(tokens, 0, None).lengths(), [3, 1, 2, 1]);
        assert_eq!(Text::new(vec![0], 0, None), Text::default());
    }
}
