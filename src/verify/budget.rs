//! Narrow numbers: no worse than twice the textbook in the same precision.
//!
//! Every error is measured in units of its own: the deviation `σ` that [`Uncertain`] finds for that
//! element at that point, if every step of the textbook rounds by itself. What is badly conditioned
//! has a large `σ`, whoever computes it; in units of it errors of different elements, cases and
//! algorithms are alike, namely sums of many independent errors with a mean square of one or less.
//! So with `Z = max |textbook − truth|/σ` over all elements of all tensors of all cases, ours pass if
//! everywhere
//!
//! ```text
//! |ours − truth| ≤ 2 Z σ + 1 ulp of the truth.
//! ```
//!
//! Why what is right passes: among `M` independent errors the largest is near `√(2 ln M)`, for the
//! textbook and for ours alike. With `M = 1000` the textbook's is below 2.6 with probability 1e-4
//! (`(1 − 0.0093)^1000`), and one of ours beyond twice that with probability 2e-4: together 2e-8 for
//! a tensor, even without the ulp. A quotient of the largest errors themselves would not do: they
//! are those of the one worst conditioned case, two single random numbers, whose quotient exceeds
//! two every fifth time.
//!
//! In bfloat16 the unit is one for all numbers of a tensor (`Errors::in_one_unit`).
//!
//! Why what is wrong does not: an error that a step makes beyond rounding, such as an exponential
//! that is off by ten units in the last place, is ten times `√12` of its own step's deviations, and
//! 2Z is about 7. The faults in `faults::narrow` show how small they may be.

use super::operator::{Finding, Operator, Ran, What, ensure, minus, normals, ran, stream};
use super::rounding::{Along, Halved, Linear, Uncertain};
use crate::tier::Tier;
use fortifai_oracle::{Scalar, constants};
use fortifai_stream::Stream;
use std::collections::BTreeMap;

/// One number of a tensor: how far ours and the textbook's are off, and how far they may be.
#[derive(Clone, Copy, Debug)]
struct Element {
    ours: f64,
    textbook: f64,
    deviation: f64,
    ulp: f64,
    /// Number of the case, from 1; 0 for none.
    case: usize,
    /// Which number of its tensor.
    index: usize,
}

/// All numbers of one tensor over many cases.
#[derive(Clone, Debug, Default)]
struct Errors {
    cases: usize,
    elements: Vec<Element>,
}

/// In what tensors are stored; arithmetic is in `f32` in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stored {
    /// `f32`.
    #[default]
    Single,
    /// bfloat16.
    Bf16,
}

impl Stored {
    /// The nearest number that can be stored.
    pub fn round(self, x: f64) -> f64 {
        match self {
            Self::Single => f64::from(x as f32),
            Self::Bf16 => f64::from(half::bf16::from_f64(x).to_f32()),
        }
    }

    /// The distance of the two stored numbers around this one: a power of two.
    pub fn ulp(self, x: f64) -> f64 {
        let (digits, least) = match self {
            Self::Single => (23, f64::from(f32::from_bits(1))),
            Self::Bf16 => (7, f64::from(half::bf16::from_bits(1).to_f32())),
        };
        let power = f64::from_bits(x.to_bits() & (0x7ff << 52));
        (power * 0.5f64.powi(digits)).max(least)
    }

    /// How far a gradient that was added to a number of its own size may differ from one that was
    /// added to zero, relative to the largest: some roundings. One that replaced the number differs
    /// by the number.
    fn accumulation(self) -> f64 {
        match self {
            Self::Single => 2f64.powi(-12),
            Self::Bf16 => 2f64.powi(-4),
        }
    }
}

/// Errors against the `f64` textbook, ours beside those of the textbook in `f32`, its results
/// rounded as they are stored. At least 32 cases are needed for a fair comparison of maxima.
#[derive(Debug)]
pub struct Budget {
    /// Gradient entries that are looked at per tensor and case, drawn at random if there are more.
    pub entries: usize,
    /// What an error may be in any case: where exponentials underflow.
    pub floor: f64,
    stored: Stored,
    tensors: BTreeMap<String, Errors>,
    /// The shapes and seeds of the cases.
    labels: Vec<String>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(Stored::Single)
    }
}

impl Budget {
    /// A budget for tensors stored so.
    pub fn of(stored: Stored) -> Self {
        Self {
            entries: usize::MAX,
            floor: 0.0,
            stored,
            tensors: BTreeMap::new(),
            labels: Vec::new(),
        }
    }

    /// Outputs and gradients of one operator at one point, all inputs rounded as they are stored.
    /// The textbook's gradients come from dual numbers, one input at a time. Gradients begin at
    /// zero, so that theirs is the only rounding; once more they begin at random numbers of their
    /// own size, and must come out the same up to a few roundings.
    ///
    /// # Errors
    /// As the operator, or if gradients depend on what they begin at.
    pub fn check<O: Operator, T: Tier>(
        &mut self,
        op: &O,
        tier: &T,
        seed: u64,
    ) -> Result<(), Finding> {
        let label = format!("{}, seed {seed}", op.label());
        self.labels.push(label.clone());
        match self.stored {
            Stored::Single => self.compare::<f32, false, O, T>(op, tier, seed),
            Stored::Bf16 => self.compare::<Halved, true, O, T>(op, tier, seed),
        }
        .map_err(|found| found.of(&label))
    }

    fn compare<S: Linear, const HALF: bool, O: Operator, T: Tier>(
        &mut self,
        op: &O,
        tier: &T,
        seed: u64,
    ) -> Result<(), Finding> {
        let mut stream = stream(seed);
        let stored = self.stored;
        let round = |numbers: Vec<f64>| -> Vec<f64> {
            numbers.into_iter().map(|x| stored.round(x)).collect()
        };
        let point = round(op.point(&mut stream));
        let v = round(op.cotangent(&mut stream));
        let Ran { outputs, gradient } = ran(op, tier, &point, &v, &vec![0.0; point.len()])?;
        let textbook = round(values(op.textbook::<S>(&constants(&point))));
        let truth = op.textbook::<Uncertain<HALF>>(&constants(&point));
        let all =
            |tensors: &[(&str, usize)]| tensors.iter().flat_map(|tensor| 0..tensor.1).collect();
        let places: Vec<usize> = all(&op.outputs());
        self.add_tensors("", &op.outputs(), &places, &outputs, &textbook, &truth);
        if !op.differentiated() {
            return Ok(());
        }
        let (tensors, chosen) = choose(&op.inputs(), self.entries, &mut stream);
        let places: Vec<usize> = all(&op.inputs());
        let places: Vec<usize> = chosen.iter().map(|&j| places[j]).collect();
        let truth = gradient_by_definition::<Uncertain<HALF>, O>(op, &point, &v, &chosen);
        let textbook = round(values(gradient_by_definition::<S, O>(op, &point, &v, &chosen)));
        let ours: Vec<f64> = chosen.iter().map(|&j| gradient[j]).collect();
        self.add_tensors("d", &tensors, &places, &ours, &textbook, &truth);

        let start = round(starts(&gradient, &normals(&mut stream, point.len())));
        let added = ran(op, tier, &point, &v, &start)?.gradient;
        let mut first = 0;
        for (name, len) in op.inputs() {
            let range = first..first + len;
            first += len;
            let largest = |x: &[f64]| x.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            let size = largest(&gradient[range.clone()]).max(largest(&start[range.clone()]));
            let error = largest(&minus(&added[range.clone()], &gradient[range]));
            ensure(error <= stored.accumulation() * size, What::Consistency, || {
                format!(
                    "d{name} is not added to what was there: off by {error:e}, its largest {size:e}"
                )
            })?;
        }
        Ok(())
    }

    fn add_tensors<const HALF: bool>(
        &mut self,
        prefix: &str,
        tensors: &[(&'static str, usize)],
        places: &[usize],
        ours: &[f64],
        textbook: &[f64],
        truth: &[Uncertain<HALF>],
    ) {
        // What is returned is stored; in `f32` it is what was computed.
        let stored: Vec<_> = truth.iter().map(|truth| Scalar::stored(*truth)).collect();
        let deviation: Vec<f64> = stored.iter().map(|truth| truth.variance().sqrt()).collect();
        let truth: Vec<f64> = stored.iter().map(|truth| truth.value).collect();
        let mut start = 0;
        for (name, len) in tensors {
            let range = start..start + len;
            let compared = [&ours[range.clone()], &textbook[range.clone()], &truth[range.clone()]];
            self.add_at(
                &format!("{prefix}{name}"),
                &places[range.clone()],
                compared,
                &deviation[range],
            );
            start += len;
        }
    }

    /// Whether anything was compared.
    pub(super) fn any(&self) -> bool {
        !self.labels.is_empty()
    }

    /// One tensor of one case: ours, the textbook's, the truth and how far computed numbers deviate
    /// from it.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn add(
        &mut self,
        name: &str,
        ours: &[f64],
        textbook: &[f64],
        truth: &[f64],
        deviation: &[f64],
    ) {
        let places: Vec<usize> = (0..truth.len()).collect();
        self.add_at(name, &places, [ours, textbook, truth], deviation);
    }

    /// As [`Budget::add`], the numbers being those at these places of their tensor.
    fn add_at(
        &mut self,
        name: &str,
        places: &[usize],
        [ours, textbook, truth]: [&[f64]; 3],
        deviation: &[f64],
    ) {
        let lens = [ours.len(), textbook.len(), deviation.len(), places.len()];
        assert_eq!(lens, [truth.len(); 4], "{name}: lengths");
        let errors = self.tensors.entry(name.into()).or_default();
        errors.cases += 1;
        for (i, &truth) in truth.iter().enumerate() {
            errors.elements.push(Element {
                ours: (ours[i] - truth).abs(),
                textbook: (textbook[i] - truth).abs(),
                deviation: deviation[i],
                ulp: self.stored.ulp(truth).max(self.floor),
                case: self.labels.len(),
                index: places[i],
            });
        }
    }

    /// For every tensor how much of what is allowed was used where that was most; at most 1 passes.
    pub fn used(&self) -> Vec<Used> {
        if self.stored == Stored::Bf16 {
            let tensors = self.tensors.iter().map(|(name, errors)| (name, errors.in_one_unit()));
            let used = |(name, errors): (&String, Errors)| {
                errors.used(name, errors.textbook(), &self.labels)
            };
            return tensors.map(used).collect();
        }
        // In units of their own the errors of all tensors are alike.
        let textbook = self.tensors.values().map(Errors::textbook).fold(0.0, f64::max);
        let used = |(name, errors): (&String, &Errors)| errors.used(name, textbook, &self.labels);
        self.tensors.iter().map(used).collect()
    }
}

impl Errors {
    /// All numbers in one unit, so that the largest errors themselves are compared, and the ulp is
    /// that of the largest: a device that stores bfloat16 multiplies it, too, and what it holds
    /// between two products of one operator is no tensor that the textbook could store.
    fn in_one_unit(&self) -> Self {
        let ulp = self.elements.iter().fold(0.0f64, |most, element| most.max(element.ulp));
        let common = |element: &Element| Element { deviation: 1.0, ulp, ..*element };
        Self { cases: self.cases, elements: self.elements.iter().map(common).collect() }
    }

    /// The largest of these errors in deviations of its own.
    fn largest(&self, error: fn(&Element) -> f64) -> f64 {
        let known = self.elements.iter().filter(|element| element.deviation > 0.0);
        known.map(|element| error(element) / element.deviation).fold(0.0, f64::max)
    }

    fn textbook(&self) -> f64 {
        self.largest(|element| element.textbook)
    }

    /// With the textbook's largest error, in deviations, as the measure.
    fn used(&self, name: &str, textbook: f64, labels: &[String]) -> Used {
        let mut case = 0;
        let mut worst = Used {
            tensor: name.into(),
            cases: self.cases,
            elements: self.elements.len(),
            ours: self.largest(|element| element.ours),
            textbook,
            error: 0.0,
            allowed: 0.0,
            used: 0.0,
            label: String::new(),
            index: 0,
        };
        for element in &self.elements {
            let own = textbook * element.deviation;
            let allowed = 2.0 * own.max(element.textbook) + element.ulp;
            // A NaN must not vanish in a maximum.
            let used = element.ours / allowed;
            let used = if used.is_nan() { f64::INFINITY } else { used };
            if used > worst.used {
                (worst.used, worst.error, worst.allowed) = (used, element.ours, allowed);
                (case, worst.index) = (element.case, element.index);
            }
        }
        worst.label =
            case.checked_sub(1).and_then(|case| labels.get(case)).cloned().unwrap_or_default();
        worst
    }
}

/// How far one tensor is from the truth in narrow numbers.
#[derive(Clone, Debug)]
pub struct Used {
    /// Its name; gradients begin with `d`.
    pub tensor: String,
    /// Points compared.
    pub cases: usize,
    /// Numbers compared.
    pub elements: usize,
    /// The largest error in deviations of its own.
    pub ours: f64,
    /// The textbook's, over all tensors.
    pub textbook: f64,
    /// The error where most of what is allowed was used.
    pub error: f64,
    /// What is allowed there.
    pub allowed: f64,
    /// Their ratio.
    pub used: f64,
    /// Shape and seed of the case it was in.
    pub label: String,
    /// Which number of the tensor it was.
    pub index: usize,
}

/// What gradients begin at: random numbers, each of the size of the entry that will be added to it,
/// so that the sum rounds in the gradient's own last place; and a thousandth of the largest entry
/// where there is next to nothing to add.
pub(super) fn starts(gradient: &[f64], normals: &[f64]) -> Vec<f64> {
    let largest = gradient.iter().fold(0.0, |most: f64, entry| most.max(entry.abs()));
    let floor = if largest > 0.0 { 1e-3 * largest } else { 1.0 };
    gradient.iter().zip(normals).map(|(entry, normal)| normal * entry.abs().max(floor)).collect()
}

fn values<S: Scalar>(numbers: Vec<S>) -> Vec<f64> {
    numbers.into_iter().map(Scalar::value).collect()
}

/// The deviation that one number of an operator has in single precision: an output, or an entry of the
/// gradient.
pub(super) fn deviation<O: Operator>(
    op: &O,
    point: &[f64],
    v: &[f64],
    (gradient, index): (bool, usize),
) -> f64 {
    let number: Uncertain<false> = match gradient {
        true => gradient_by_definition(op, point, v, &[index])[0],
        false => op.textbook(&constants(point))[index],
    };
    number.variance().sqrt()
}

/// At most so many entries of every tensor: how many of each, and which of the whole point.
fn choose(
    tensors: &[(&'static str, usize)],
    entries: usize,
    stream: &mut Stream,
) -> (Vec<(&'static str, usize)>, Vec<usize>) {
    let (mut counts, mut chosen, mut first) = (Vec::new(), Vec::new(), 0);
    for &(name, len) in tensors {
        match len > entries {
            true => chosen.extend((0..entries).map(|_| first + stream.below(len))),
            false => chosen.extend(first..first + len),
        }
        counts.push((name, len.min(entries)));
        first += len;
    }
    (counts, chosen)
}

/// The chosen entries of `Jᵀ v`, one input at a time, by dual numbers over `S`.
fn gradient_by_definition<S: Linear, O: Operator>(
    op: &O,
    point: &[f64],
    v: &[f64],
    chosen: &[usize],
) -> Vec<S> {
    let mut duals: Vec<Along<S>> = constants(point);
    let v: Vec<S> = constants(v);
    chosen
        .iter()
        .map(|&j| {
            duals[j].slope = S::one();
            let outputs = op.textbook(&duals);
            duals[j].slope = S::zero();
            S::sum(outputs.iter().zip(&v).map(|(output, &v)| output.slope.times(v)))
        })
        .collect()
}
