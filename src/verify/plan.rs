//! What is checked: operators, seeds, and one shape after the other.

use super::visit::letters;
use fortifai_stream::Stream;
use std::collections::BTreeMap;
use std::time::Instant;

/// What is checked, and how much of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Only the operators whose names contain this; with a shape, the one that has this name.
    pub operator: Option<String>,
    /// The seed of shapes and points.
    pub seed: u64,
    /// Random shapes per operator, beside the fixed ones; with a shape of its own, points.
    pub cases: usize,
    /// This shape alone: a size for each letter of the one operator that is named.
    pub shape: Option<BTreeMap<String, usize>>,
}

impl Plan {
    /// Shapes and points per operator.
    pub(super) fn items(&self) -> u64 {
        (if self.shape.is_some() { self.cases } else { RAGGED.len() + self.cases }) as u64
    }

    /// The shapes of one item.
    pub(super) fn shapes(&self, item: u64) -> Shapes<'_> {
        Shapes {
            stream: Stream::new(self.seed, "verify-shapes", 0, item),
            item: item as usize,
            seed: self.seed.wrapping_add(item),
            own: self.shape.as_ref(),
            asked: Vec::new(),
            on_device: false,
        }
    }

    /// The shapes of one item on a device.
    pub(super) fn device_shapes(&self, item: u64) -> Shapes<'_> {
        Shapes { on_device: true, ..self.shapes(item) }
    }

    /// The time for one operator's cases: a shape of one's own may be as large that some must do.
    pub(super) fn time(&self) -> Time {
        Time(self.shape.is_some().then(Instant::now))
    }

    /// Whether this operator is meant: with a shape of its own by its whole name.
    pub(super) fn names(&self, operator: &str) -> bool {
        match (&self.operator, &self.shape) {
            (None, _) => true,
            (Some(name), Some(_)) => operator == name,
            (Some(part), None) => operator.contains(part.as_str()),
        }
    }

    /// Whether branches are demanded: fewer random shapes do not reach all of them, and a single
    /// shape is not meant to.
    pub(super) fn demands_branches(&self) -> bool {
        self.shape.is_none() && self.cases >= ENOUGH_FOR_BRANCHES
    }

    /// The letters of an operator's sizes, as [`Plan::shape`] has them.
    pub fn letters(operator: &str) -> Vec<&'static str> {
        letters(operator)
    }
}

/// Seconds for the cases of one part of the checks in a shape of one's own.
const LONGEST_S: f64 = 20.0;

/// Since when cases are worked on, where they may take too long.
pub(super) struct Time(Option<Instant>);

impl Time {
    pub(super) fn is_left(&self) -> bool {
        self.0.is_none_or(|begun| begun.elapsed().as_secs_f64() < LONGEST_S)
    }
}

/// From so many random shapes up every branch is demanded.
pub const ENOUGH_FOR_BRANCHES: usize = 16;

/// Sizes at and beside those at which a tier may change its ways: ones, primes, vector widths and
/// tile sizes, each plus and minus one.
pub(super) const RAGGED: [usize; 16] = [1, 2, 3, 5, 7, 13, 15, 16, 17, 31, 32, 33, 61, 63, 64, 65];

/// One size of each of some dimensions: from [`RAGGED`] up to `most` for the first few items, then
/// uniform; or the plan's own.
pub(super) struct Shapes<'a> {
    stream: Stream,
    /// Number of the case.
    pub item: usize,
    /// That of the operator's point; with the shape it names all of a case.
    pub seed: u64,
    pub own: Option<&'a BTreeMap<String, usize>>,
    pub asked: Vec<&'static str>,
    /// Whether they are for a device, which may have kernels that large shapes alone are given to.
    on_device: bool,
}

impl Shapes<'_> {
    pub(super) fn pick(&mut self, letter: &'static str, most: usize) -> usize {
        self.asked.push(letter);
        if let Some(own) = self.own {
            return own[letter];
        }
        if self.item < 2 * RAGGED.len() || self.stream.below(2) == 0 {
            let fits = RAGGED.iter().filter(|&&size| size <= most).count();
            return RAGGED[self.stream.below(fits)];
        }
        1 + self.stream.below(most)
    }

    /// Whether this is the item of that number, at which an operator may have a shape of its own
    /// making, large enough to be worked off in pieces.
    pub(super) fn is(&self, item: usize) -> bool {
        self.own.is_none() && self.item == item
    }

    /// As [`Shapes::is`], on a device alone.
    pub(super) fn is_on_device(&self, item: usize) -> bool {
        self.on_device && self.is(item)
    }
}
