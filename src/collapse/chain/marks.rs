//! Tokens of a training text that count differently: what a treatment says of them.

use super::Chain;
use crate::Result;
use crate::collapse::protocol::Piece;
use crate::collapse::saved::Kind;
use crate::collapse::stream::{Text, marks_of_real};
use crate::train::Weight;

/// Tokens of the training text that count differently, and text that is trained on beside it.
pub(super) struct Marked {
    /// 1 for a marked token of the training stream, 0 for another.
    pub marks: Vec<u32>,
    /// Further text, all of it marked.
    pub more: Vec<u32>,
    /// What marked tokens count.
    pub marked: Weight,
    /// What the others count.
    pub others: Weight,
}

impl Chain<'_> {
    /// What the arm's treatment says of single tokens, beside the training stream.
    pub(super) fn marks(
        &self,
        train: &[Piece],
        real: &Text,
        synthetic: &[Text],
        g: usize,
    ) -> Result<Option<Marked>> {
        let of_real = marks_of_real(train, real, synthetic);
        match (self.arm.treatment.real, self.arm.treatment.unlearn) {
            (Some(weight), _) => {
                let tokens = (of_real.len() - 1).max(1) as f64;
                let share = of_real.iter().filter(|mark| **mark == 1).count() as f64 / tokens;
                let mixed = share > 0.0 && share < 1.0;
                Ok(mixed.then(|| Marked {
                    marks: of_real,
                    more: Vec::new(),
                    marked: Weight::Times(weight / share),
                    others: Weight::Times((1.0 - weight) / (1.0 - share)),
                }))
            }
            (_, Some(weight)) if g > 0 => Ok(Some(Marked {
                marks: vec![0; of_real.len()],
                more: self.saved.text(Kind::Flawed, g - 1)?.split_off(1),
                marked: Weight::Unlearn(weight),
                others: Weight::Times(1.0),
            })),
            _ => Ok(None),
        }
    }
}
