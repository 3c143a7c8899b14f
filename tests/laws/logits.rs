//! Laws of the loss as a function of the logits, through the fused classifier.

use super::{agree, hold, hold_for_all, permutation, reordered};
use crate::conformance::harness::{Finding, ensure};
use fortifai::Stream;
use fortifai::cpu::Cpu;
use fortifai::loss::Rule;
use fortifai::tier::LinearShape;
use fortifai::verify::operators::classifier::{Classifier, Member, members};
use fortifai_oracle::loss::{LossKind, confidence};
use quickcheck::{Arbitrary, Gen, TestResult};

/// At least two logits up to ±32 in steps of 2⁻¹⁶, of which sums and differences are exact.
#[derive(Clone, Debug)]
struct Row {
    z: Vec<f64>,
    target: u32,
}

impl Arbitrary for Row {
    fn arbitrary(g: &mut Gen) -> Self {
        let v = 2 + usize::arbitrary(g) % g.size();
        // Sometimes one token is certain, sometimes all are about alike.
        let step = *g.choose(&[1.0, 8.0, 64.0]).unwrap() / 65536.0;
        let z = (0..v).map(|_| step * f64::from(i16::arbitrary(g))).collect();
        Self { z, target: (usize::arbitrary(g) % v) as u32 }
    }

    /// One logit fewer, or one logit half as large and whole.
    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let (row, target) = (self.clone(), self.target as usize);
        let shorter = (0..row.z.len()).filter(move |&k| row.z.len() > 2 && k != target);
        let row = self.clone();
        let shorter = shorter.map(move |k| {
            let mut z = row.z.clone();
            z.remove(k);
            Self { z, target: row.target - u32::from(k < target) }
        });
        let row = self.clone();
        let simpler = (0..row.z.len()).filter_map(move |k| {
            let mut z = row.z.clone();
            z[k] = (0.5 * z[k]).trunc();
            (z[k] != row.z[k]).then_some(Self { z, target: row.target })
        });
        Box::new(shorter.chain(simpler))
    }
}

struct Verdict {
    loss: f64,
    p: f64,
    kept: bool,
    dz: Vec<f64>,
}

/// The classifier with the unit matrix as weight and the logits as its input.
fn classify(rule: &Rule, row: &Row) -> Verdict {
    let v = row.z.len();
    let unit = (0..v * v).map(|index| if index / v == index % v { 1.0 } else { 0.0 });
    let op = Classifier {
        shape: LinearShape { n: 1, c: v, oc: v },
        member: Member::Known(rule.clone(), LossKind::Ce),
        targets: vec![row.target],
        mask: vec![true],
        point: row.z.iter().copied().chain(unit).collect(),
    };
    let (rows, mut dz) = op.rows(&Cpu::<f64>::new(), &vec![0.0; op.point.len()], 1.0).unwrap();
    dz.truncate(v);
    Verdict { loss: rows[0][0], p: rows[2][0], kept: rows[3][0] == 1.0, dz }
}

fn sum_of(dz: &[f64], power: i32) -> f64 {
    dz.iter().map(|x| x.abs().powi(power)).sum()
}

#[test]
fn a_shift_of_all_logits_changes_nothing() {
    fn law(row: Row, steps: i16) -> Result<(), Finding> {
        let shift = f64::from(steps) / 1024.0;
        let moved = Row { z: row.z.iter().map(|z| z + shift).collect(), ..row };
        for rule in members().iter().map(Member::rule) {
            let (before, after) = (classify(&rule, &row), classify(&rule, &moved));
            let name = || format!("{rule:?} shifted by {shift}");
            // Bit for bit, since the largest logit is subtracted first; only the mean of all
            // logits is rounded before that.
            let tolerance = if rule.needs_uniform() { 1e-13 } else { 0.0 };
            let close = |a: f64, b: f64| (a - b).abs() <= tolerance * b.abs().max(1.0);
            ensure(close(after.loss, before.loss) && after.p == before.p, || {
                format!("{}: loss {} not {}", name(), after.loss, before.loss)
            })?;
            ensure(after.kept == before.kept, || format!("{}: kept {}", name(), after.kept))?;
            agree(&after.dz, &before.dz, tolerance, before.loss.abs().max(1.0), name)?;
        }
        Ok(())
    }
    hold(law as fn(Row, i16) -> Result<(), Finding>);
}

#[test]
fn truncation_and_its_complement_share_out_cross_entropy() {
    fn law(row: Row, threshold: u16) -> Result<(), Finding> {
        let gamma = f64::from(threshold) / 65536.0;
        let whole = classify(&Rule::Ce, &row);
        let low = classify(&Rule::Tce(gamma), &row);
        let high = classify(&Rule::DropLow(gamma.next_up()), &row);
        // γ = 0 drops even a probability that underflows to zero.
        if gamma == 0.0 {
            return ensure(low.loss == 0.0 && !low.kept, || "γ = 0 keeps".into());
        }
        ensure(low.kept != high.kept, || format!("γ {gamma}: kept {} twice", low.kept))?;
        ensure(low.loss + high.loss == whole.loss, || {
            format!("γ {gamma}: {} + {} is not {}", low.loss, high.loss, whole.loss)
        })?;
        let sum: Vec<f64> = low.dz.iter().zip(&high.dz).map(|(a, b)| a + b).collect();
        agree(&sum, &whole.dz, 0.0, 0.0, || format!("γ {gamma}: gradients"))
    }
    hold(law as fn(Row, u16) -> Result<(), Finding>);
}

#[test]
fn gradient_norms_lie_between_their_bounds() {
    // Of all laws p with p_t = p, spreading 1 − p evenly over the other V − 1
    // tokens gives the shortest p − e, one token with all of it the longest.
    fn law(row: Row) -> Result<(), Finding> {
        let v = row.z.len() as f64;
        let Verdict { dz, .. } = classify(&Rule::Ce, &row);
        let q = confidence(&row.z, row.target as usize).q;
        // Roundings of V terms.
        let (above, below) = (1.0 + 1e-14 * v, 1.0 - 1e-14 * v);
        let (one, two) = (sum_of(&dz, 1), sum_of(&dz, 2).sqrt());
        let most = dz.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        let is = |value: f64, truth: f64| value <= truth * above && value >= truth * below;
        ensure(is(one, 2.0 * q), || format!("‖p−e‖₁ = {one:e} but 1−p = {q:e}"))?;
        ensure(is(most, q), || format!("‖p−e‖∞ = {most:e} but 1−p = {q:e}"))?;
        let (low, high) = (q * (v / (v - 1.0)).sqrt(), q * 2f64.sqrt());
        // Squares of numbers below 1e-150 underflow.
        ensure(q < 1e-150 || (two >= low * below && two <= high * above), || {
            format!("‖p−e‖₂ = {two:e} is not in [{low:e}, {high:e}]")
        })
    }
    hold(law as fn(Row) -> Result<(), Finding>);
}

#[test]
fn both_bounds_of_the_norm_are_attained() {
    for v in [2usize, 3, 7, 64] {
        for target in [-3.0, 0.0, 2.5] {
            for others in [0.0, -1e4] {
                // The other logits are all alike, or all but one are out of the question.
                let mut z = vec![others; v];
                (z[0], z[v - 1]) = (target, 0.0);
                let row = Row { z, target: 0 };
                let Verdict { dz, .. } = classify(&Rule::Ce, &row);
                let q = confidence(&row.z, 0).q;
                let tokens = if others == 0.0 { v } else { 2 } as f64;
                let truth = q * (tokens / (tokens - 1.0)).sqrt();
                let norm = sum_of(&dz, 2).sqrt();
                assert!((norm - truth).abs() <= 1e-14 * truth, "{row:?}: {norm} not {truth}");
            }
        }
    }
}

#[test]
fn loss_and_gradient_jump_at_gamma() {
    fn law(row: Row) -> TestResult {
        let v = row.z.len() as f64;
        let gamma = classify(&Rule::Ce, &row).p;
        if gamma == 0.0 {
            return TestResult::discard();
        }
        let (at, below) =
            (classify(&Rule::Tce(gamma), &row), classify(&Rule::Tce(gamma.next_down()), &row));
        let q = confidence(&row.z, row.target as usize).q;
        let norm = sum_of(&at.dz, 2).sqrt();
        let bounds = [(v / (v - 1.0)).sqrt(), 2f64.sqrt()].map(|factor| factor * q);
        // The probability is rounded once, which moves its logarithm by about 2⁻⁵³.
        let jump = (at.loss + gamma.ln()).abs();
        let holds = at.kept
            && !below.kept
            && below.loss == 0.0
            && below.dz.iter().all(|&g| g == 0.0)
            && jump <= 4.0 * f64::EPSILON + 1e-14 * at.loss
            && (q < 1e-150 || norm >= bounds[0] * (1.0 - 1e-14 * v))
            && norm <= bounds[1] * (1.0 + 1e-14 * v);
        match holds {
            true => TestResult::passed(),
            false => TestResult::error(format!(
                "γ = p = {gamma}: kept {} and {}, loss {} and {}, norm {norm:e} of {bounds:?}",
                at.kept, below.kept, at.loss, below.loss
            )),
        }
    }
    hold(law as fn(Row) -> TestResult);
}

#[test]
fn kept_rows_grow_with_gamma() {
    let tier = Cpu::<f64>::new();
    let shapes = (1..30usize, 1..6usize, 2..20usize);
    hold_for_all((40, 2000), (shapes, 0.0..1.0, 0.0..1.0, 0..1u64 << 32), |case| {
        let (shape, one, other, seed) = case;
        let (low, high) = if one < other { (one, other) } else { (other, one) };
        let rows = |rule: Rule| {
            let op = Classifier::new(shape, Member::Known(rule, LossKind::Ce), seed);
            op.rows(&tier, &vec![0.0; op.point.len()], 1.0).unwrap().0
        };
        let all = rows(Rule::Ce);
        let mut before = vec![0.0; shape.0];
        for gamma in [0.0, low, high, 1.0] {
            let now = rows(Rule::Tce(gamma));
            for row in 0..shape.0 {
                let (kept, p) = (now[3][row], all[2][row]);
                ensure(kept >= before[row], || format!("γ {gamma} drops row {row} again"))?;
                ensure((kept == 1.0) == (p <= gamma), || format!("γ {gamma} row {row}: p {p}"))?;
                let loss = if kept == 1.0 { all[0][row] } else { 0.0 };
                ensure(now[0][row] == loss, || format!("γ {gamma} row {row}: {}", now[0][row]))?;
            }
            before = now[3].clone();
        }
        ensure(before.iter().all(|&kept| kept == 1.0), || "γ = 1 drops".into())
    });
}

/// Rows, channels, tokens; which member; the seed.
type Case = ((usize, usize, usize), usize, u64);

fn cases() -> impl proptest::strategy::Strategy<Value = Case> {
    ((1..40usize, 1..9usize, 2..40usize), 0..members().len(), 0..1u64 << 32)
}

#[test]
fn permuting_the_rows_permutes_the_result() {
    let tier = Cpu::<f64>::new();
    hold_for_all((60, 3000), cases(), |((n, c, v), member, seed)| {
        let op = Classifier::new((n, c, v), members()[member].clone(), seed);
        let order = permutation(n, &mut Stream::new(seed, "laws-rows", 0, 0));
        let (x, weight) = op.point.split_at(n * c);
        let moved = Classifier {
            targets: reordered(&op.targets, 1, &order),
            mask: reordered(&op.mask, 1, &order),
            point: [reordered(x, c, &order), weight.to_vec()].concat(),
            shape: op.shape,
            member: op.member.clone(),
        };
        let zero = vec![0.0; op.point.len()];
        let ((before, gradient), (after, moved)) =
            (op.rows(&tier, &zero, 1.0).unwrap(), moved.rows(&tier, &zero, 1.0).unwrap());
        let name = || format!("{:?} in the order {order:?}", op.member);
        for (before, after) in before.iter().zip(&after) {
            agree(after, &reordered(before, 1, &order), 0.0, 0.0, name)?;
        }
        let ((dx, dweight), (moved_dx, moved_dweight)) =
            (gradient.split_at(n * c), moved.split_at(n * c));
        agree(moved_dx, &reordered(dx, c, &order), 0.0, 0.0, || format!("{}: dx", name()))?;
        // The rows are summed in another order.
        let size = n as f64 * super::largest(x).max(1.0);
        agree(moved_dweight, dweight, 1e-14, size, || format!("{}: dweight", name()))
    });
}

#[test]
fn permuting_the_vocabulary_permutes_the_result() {
    let tier = Cpu::<f64>::new();
    hold_for_all((60, 3000), cases(), |((n, c, v), member, seed)| {
        let op = Classifier::new((n, c, v), members()[member].clone(), seed);
        let order = permutation(v, &mut Stream::new(seed, "laws-vocabulary", 0, 0));
        let name_of = |token: u32| order.iter().position(|&old| old == token as usize).unwrap();
        let (x, weight) = op.point.split_at(n * c);
        let moved = Classifier {
            targets: op.targets.iter().map(|&target| name_of(target) as u32).collect(),
            mask: op.mask.clone(),
            point: [x.to_vec(), reordered(weight, c, &order)].concat(),
            shape: op.shape,
            member: op.member.clone(),
        };
        let zero = vec![0.0; op.point.len()];
        let ((before, gradient), (after, moved)) =
            (op.rows(&tier, &zero, 1.0).unwrap(), moved.rows(&tier, &zero, 1.0).unwrap());
        let name = || format!("{:?} in the order {order:?}", op.member);
        // The exponentials of a row are summed in another order.
        for (before, after) in before.iter().zip(&after) {
            agree(after, before, 1e-13, super::largest(before).max(1.0), name)?;
        }
        let ((dx, dweight), (moved_dx, moved_dweight)) =
            (gradient.split_at(n * c), moved.split_at(n * c));
        let size = super::largest(&gradient).max(1.0);
        agree(moved_dx, dx, 1e-13, size, || format!("{}: dx", name()))?;
        let dweight = reordered(dweight, c, &order);
        agree(moved_dweight, &dweight, 1e-13, size, || format!("{}: dweight", name()))
    });
}
