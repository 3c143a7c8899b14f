//! Double precision: values, and the adjoint identity against dual numbers.

use super::budget::starts;
use super::operator::{Finding, Operator, Ran, What, dot, ensure, normals, ran, stream};
use crate::tier::Tier;
use fortifai_oracle::{directional, tangents};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

/// Largest error of an output, relative to the larger of one and its size.
pub const VALUE_TOLERANCE: f64 = 1e-12;

/// Sums smaller than this have lost their digits to underflow.
const UNDERFLOW: f64 = 1e-290;

/// Inputs that are looked at one by one when the identity fails: at least so many, then as many as
/// so many seconds allow.
const LEAST_UNITS: usize = 16;
const SEARCH_S: f64 = 1.0;

/// The checks of one operator in `f64`, with the worst errors and the branches seen so far.
#[derive(Debug, Default)]
pub struct Record {
    seen: RefCell<BTreeMap<&'static str, usize>>,
    worst: RefCell<Worst>,
}

/// The worst errors of the cases so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worst {
    /// Shapes and points.
    pub cases: usize,
    /// Of an output, relative to the larger of one and its size.
    pub value: f64,
    /// Of the adjoint identity, relative to the sum of the sizes of its terms.
    pub adjoint: f64,
}

impl Record {
    /// Forward equals the textbook to `1e-12·max(1, |value|)`, and for random `u` and `v`
    /// `|⟨v, J u⟩ − ⟨Jᵀ v, u⟩| ≤ tolerance·(Σ|v_i (J u)_i| + Σ|(Jᵀ v)_j u_j|)`.
    ///
    /// # Errors
    /// What is wrong: operator, shape, seed and, by one unit vector after the other, the worst
    /// entry of the gradient.
    pub fn check<O: Operator, T: Tier>(&self, op: &O, tier: &T, seed: u64) -> Result<(), Finding> {
        let name = || format!("{}, seed {seed}", op.label());
        let mut stream = stream(seed);
        let point = op.point(&mut stream);
        let v = op.cotangent(&mut stream);
        let u = normals(&mut stream, point.len());
        let truth = op.textbook::<f64>(&point);
        let moved = tangents(&op.textbook(&directional(&point, &u)));
        let from_zero = ran(op, tier, &point, &v, &vec![0.0; point.len()]);
        let from_zero = from_zero.map_err(|finding| finding.of(&name()))?.gradient;
        let start = starts(&from_zero, &normals(&mut stream, point.len()));
        let run = ran(op, tier, &point, &v, &start);
        let Ran { outputs, gradient } = run.map_err(|finding| finding.of(&name()))?;
        for branch in op.branches(&point) {
            *self.seen.borrow_mut().entry(branch).or_default() += 1;
        }
        let mut worst = self.worst.borrow_mut();
        worst.cases += 1;
        let lengths = (outputs.len(), gradient.len());
        ensure(lengths == (truth.len(), point.len()), What::Consistency, || {
            format!("{}: {lengths:?} outputs and gradients", name())
        })?;
        let mut places = op.outputs().into_iter().flat_map(|(name, len)| vec![name; len]);
        for (index, (&got, &truth)) in outputs.iter().zip(&truth).enumerate() {
            let place = places.next().unwrap_or("beyond");
            let error = (got - truth).abs() / truth.abs().max(1.0);
            worst.value = worst.value.max(error);
            ensure(error <= VALUE_TOLERANCE, What::Value, || {
                format!("{}: {place} {index}: {got} not {truth}", name())
            })?;
        }
        let (left, left_size) = dot(&v, &moved);
        let (right, right_size) = dot(&gradient, &u);
        let (error, size) = ((left - right).abs(), left_size + right_size);
        if size > UNDERFLOW {
            worst.adjoint = worst.adjoint.max(error / size);
        }
        ensure(error <= op.tolerance() * size + UNDERFLOW, What::Adjoint, || {
            format!(
                "{}: ⟨v, Ju⟩ = {left:e} but ⟨Jᵀv, u⟩ = {right:e}, sizes {size:e}{}",
                name(),
                worst_entry(op, &point, &v, &gradient)
            )
        })
    }

    /// The worst errors so far.
    pub fn worst(&self) -> Worst {
        *self.worst.borrow()
    }

    /// How often each branch was visited.
    pub fn branches(&self) -> BTreeMap<&'static str, usize> {
        self.seen.borrow().clone()
    }
}

/// Which entry of the gradient is farthest from `v·J e_j`, by one unit vector after the other. If there
/// is no time for all, some are looked at that are spread evenly, and the one that halving ends at: the
/// identity for a random `u` on either half of a range says in which half it fails more.
fn worst_entry<O: Operator>(op: &O, point: &[f64], v: &[f64], gradient: &[f64]) -> String {
    let along = |u: &[f64]| dot(v, &tangents(&op.textbook(&directional(point, u)))).0;
    let unit = |j: usize| -> f64 {
        let mut u = vec![0.0; point.len()];
        u[j] = 1.0;
        along(&u)
    };
    let mut worst = (f64::NEG_INFINITY, 0, 0.0);
    let mut look = |j: usize| {
        let truth = unit(j);
        let error = (gradient[j] - truth).abs();
        let error = if error.is_nan() { f64::INFINITY } else { error };
        if error > worst.0 {
            worst = (error, j, truth);
        }
    };
    let begun = Instant::now();
    look(0);
    let affordable = (SEARCH_S / begun.elapsed().as_secs_f64().max(1e-9)) as usize;
    let stride = point.len().div_ceil(affordable.max(LEAST_UNITS));
    if stride > 1 {
        let random = normals(&mut stream(0), point.len());
        let mut range = 0..point.len();
        while range.len() > 1 {
            let middle = range.start + range.len() / 2;
            let off = |half: &std::ops::Range<usize>| {
                let mut u = vec![0.0; point.len()];
                u[half.clone()].copy_from_slice(&random[half.clone()]);
                let error = (along(&u) - dot(gradient, &u).0).abs();
                if error.is_nan() { f64::INFINITY } else { error }
            };
            let halves = [range.start..middle, middle..range.end];
            let later = off(&halves[1]) > off(&halves[0]);
            range = halves[usize::from(later)].clone();
        }
        look(range.start);
    }
    (0..point.len()).step_by(stride).for_each(&mut look);
    let (_, j, truth) = worst;
    let place = match stride {
        1 => "worst entry".to_owned(),
        _ => format!("worst entry found by halving and among one in {stride}"),
    };
    format!("; {place}: d{} = {:e}, by definition {truth:e}", op.place(j), gradient[j])
}
