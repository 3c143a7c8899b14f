//! The loss family at its edges, through the classifier.
//!
//! With as many channels as tokens and the unit matrix as weight, the logits are the inputs.

use super::harness::*;
use fortifai::Stream;
use fortifai::cpu::Cpu;
use fortifai::loss::{RowLoss, RowStats, Rule};
use fortifai::tier::{LinearShape, Tier};
use fortifai::verify::operators::classifier::{Classifier, Member, members};
use fortifai_oracle::loss::LossKind;
use std::sync::Arc;

/// What the classifier says about given logits.
#[derive(Clone, Debug, PartialEq)]
struct Verdict {
    loss: Vec<f64>,
    p: Vec<f64>,
    kept: Vec<f64>,
    /// Gradient of the logits, row by row, and of the weight.
    dx: Vec<f64>,
    dweight: Vec<f64>,
}

fn classify<T: Tier>(
    tier: &T,
    rule: Rule,
    logits: &[&[f64]],
    targets: &[u32],
    mask: Option<&[bool]>,
) -> Verdict {
    let (n, v) = (logits.len(), logits[0].len());
    let unit = (0..v * v).map(|index| if index / v == index % v { 1.0 } else { 0.0 });
    let op = Classifier {
        shape: LinearShape { n, c: v, oc: v },
        member: Member::Known(rule, LossKind::Ce),
        targets: targets.to_vec(),
        mask: mask.map_or(vec![true; n], <[bool]>::to_vec),
        point: logits.concat().into_iter().chain(unit).collect(),
    };
    verdict(tier, &op)
}

fn verdict<T: Tier>(tier: &T, op: &Classifier) -> Verdict {
    let LinearShape { n, c, .. } = op.shape;
    let (mut rows, gradient) = op.rows(tier, &vec![0.0; op.point.len()], 1.0).unwrap();
    assert!(gradient.iter().all(|g| !g.is_nan()), "{}: {gradient:?}", op.label());
    let (dx, dweight) = gradient.split_at(n * c);
    let [loss, _, p, kept] = std::array::from_fn(|index| std::mem::take(&mut rows[index]));
    assert!(loss.iter().chain(&p).all(|x| !x.is_nan()), "{}: {loss:?} {p:?}", op.label());
    Verdict { loss, p, kept, dx: dx.to_vec(), dweight: dweight.to_vec() }
}

impl Verdict {
    fn is_zero(&self) -> bool {
        [&self.loss, &self.kept, &self.dx, &self.dweight]
            .iter()
            .all(|part| part.iter().all(|&x| x == 0.0))
    }
}

/// Runs the check in both precisions.
macro_rules! in_both_precisions {
    ($check:ident) => {
        $check(&Cpu::<f32>::new());
        $check(&Cpu::<f64>::new());
    };
}

fn random(rule: Rule, seed: u64) -> Classifier {
    let n = 1 + seed as usize % 13;
    Classifier::new((n, 5, 11), Member::Known(rule, LossKind::Ce), seed)
}

#[test]
fn gamma_zero_is_exactly_zero() {
    fn check<T: Tier>(tier: &T) {
        for seed in 0..20 {
            assert!(verdict(tier, &random(Rule::Tce(0.0), seed)).is_zero(), "seed {seed}");
        }
        // p underflows to zero, which is not above γ = 0 either.
        let sure: &[f64] = &[0.0, -2000.0, -2000.0];
        let row = classify(tier, Rule::Tce(0.0), &[sure, sure], &[1, 0], None);
        assert!(row.p[0] == 0.0 && row.p[1] == 1.0 && row.is_zero(), "{row:?}");
        // Any other γ keeps such a token.
        let row = classify(tier, Rule::Tce(1e-30), &[sure], &[1], None);
        assert_eq!((row.loss[0], row.kept[0]), (2000.0, 1.0));
        assert_eq!(row.dx, [1.0, -1.0, 0.0]);
    }
    in_both_precisions!(check);
}

#[test]
fn gamma_one_and_focal_zero_are_cross_entropy_bit_for_bit() {
    fn check<T: Tier>(tier: &T) {
        for seed in 0..40 {
            let truth = verdict(tier, &random(Rule::Ce, seed));
            for rule in [
                Rule::Tce(1.0),
                Rule::Focal(0.0),
                Rule::FocalDetached(0.0),
                Rule::Linear(0.0),
                Rule::DropLow(0.0),
            ] {
                let name = format!("{rule:?}, seed {seed}");
                assert_eq!(verdict(tier, &random(rule, seed)), truth, "{name}");
            }
        }
        // A certain token too.
        let sure: &[f64] = &[0.0, -2000.0];
        for rule in [Rule::Ce, Rule::Tce(1.0), Rule::Focal(0.0), Rule::DropLow(0.0)] {
            let row = classify(tier, rule, &[sure, sure], &[0, 1], None);
            assert_eq!((&row.loss[..], &row.kept[..]), (&[0.0, 2000.0][..], &[1.0, 1.0][..]));
        }
    }
    in_both_precisions!(check);
}

#[test]
fn equality_keeps_the_token() {
    fn check<T: Tier>(tier: &T) {
        // v equal logits: p is exactly 1/v for a power of two.
        for v in [2usize, 4, 8, 64] {
            let (z, p) = (vec![0.75; v], 1.0 / v as f64);
            // One step of f32 below, so that both precisions see another number.
            let below = f64::from((p as f32).next_down());
            let above = f64::from((p as f32).next_up());
            for (rule, kept) in [
                (Rule::Tce(p), true),
                (Rule::Tce(below), false),
                (Rule::Tce(above), true),
                (Rule::DropLow(p), true),
                (Rule::DropLow(below), true),
                (Rule::DropLow(above), false),
            ] {
                let name = format!("{rule:?} v {v}");
                let row = classify(tier, rule, &[&z[..]], &[v as u32 - 1], None);
                assert_eq!(row.p[0], p, "{name}");
                assert_eq!(row.kept[0] == 1.0, kept, "{name}");
                assert_eq!(row.is_zero(), !kept, "{name}");
            }
        }
    }
    in_both_precisions!(check);
}

#[test]
fn focal_of_a_certain_token_is_zero_and_not_nan() {
    fn check<T: Tier>(tier: &T) {
        let sure: &[f64] = &[0.0, -2000.0, -3000.0];
        for gamma in [1e-3, 0.5, 1.0, 1.5, 2.0, 5.0] {
            for rule in [Rule::Focal(gamma), Rule::FocalDetached(gamma)] {
                let name = format!("{rule:?}");
                let row = classify(tier, rule, &[sure], &[0], None);
                assert!(row.p[0] == 1.0 && row.is_zero(), "{name}: {row:?}");
            }
        }
        let row = classify(tier, Rule::Linear(1.0), &[sure], &[0], None);
        assert!(row.is_zero(), "{row:?}");
    }
    in_both_precisions!(check);
}

#[test]
fn a_confident_row_keeps_its_digits() {
    // Logits 0 and −d: 1 − p = e/(1 + e) and −ln p = ln(1 + e) with e = exp(−d), far below one
    // rounding of p. Eight roundings of relative error are allowed for exp (2), sum, quotient,
    // logarithm, power and product.
    fn check<T: Tier>(tier: &T) {
        use fortifai::cpu::Real;
        let tolerance = 8.0 * T::Number::EPSILON.wide();
        let close = |got: f64, truth: f64, what: &str| {
            let error = (got - truth).abs();
            // Below the smallest normal f32 digits may go.
            let allowed = tolerance * truth.abs() + f64::from(f32::MIN_POSITIVE);
            assert!(error <= allowed, "{what}: {got:e} not {truth:e}");
        };
        for d in [2.0f64, 5.0, 10.0, 16.0, 20.0, 40.0, 80.0] {
            let e = (-d).exp();
            let (q, nll) = (e / (1.0 + e), e.ln_1p());
            let row = classify(tier, Rule::Ce, &[&[0.0, -d]], &[0], None);
            close(row.loss[0], nll, "ce loss");
            close(row.dx[0], -q, "ce gradient at the target");
            close(row.dx[1], q, "ce gradient");
            let row = classify(tier, Rule::Focal(2.0), &[&[0.0, -d]], &[0], None);
            close(row.loss[0], q * q * nll, "focal loss");
            let slope = q * q + 2.0 * (1.0 - q) * q * nll;
            close(row.dx[0], -slope * q, "focal gradient at the target");
            close(row.dx[1], slope * q, "focal gradient");
            let row = classify(tier, Rule::Linear(1.0), &[&[0.0, -d]], &[0], None);
            close(row.loss[0], q * nll, "linear loss");
            close(row.dx[0], -q * q, "linear gradient at the target");
        }
    }
    in_both_precisions!(check);
}

#[test]
fn extreme_logits_give_numbers() {
    fn check<T: Tier>(tier: &T) {
        for size in [80.0, 87.2, 88.8, 104.0, 700.0, 750.0, 1e4] {
            let rows: [&[f64]; 4] = [
                &[size, -size, 0.0],
                &[-size, -size, -size],
                &[size, size, -size],
                &[0.0, 1.0, size],
            ];
            for target in 0..3 {
                for member in members() {
                    // `verdict` refuses NaN.
                    let row = classify(tier, member.rule(), &rows, &[target; 4], None);
                    let finite = row.loss.iter().chain(&row.dx).all(|x| x.is_finite());
                    assert!(finite, "{member:?} at ±{size}: {row:?}");
                }
            }
            let row = classify(tier, Rule::Ce, &rows, &[1; 4], None);
            assert_eq!(
                row.loss[0],
                <T::Number as fortifai::cpu::Real>::wide(<T::Number as fortifai::cpu::Real>::of(
                    2.0 * size
                ))
            );
        }
    }
    in_both_precisions!(check);
}

#[test]
fn a_weight_of_zero_wins_over_an_infinite_loss() {
    fn check<T: Tier>(tier: &T) {
        // One logit is minus infinity: its probability is zero and its loss infinite.
        let never: &[f64] = &[0.0, f64::NEG_INFINITY];
        // Only the gradient of the weight meets 0·∞ in its products, so look at rows alone.
        let rows = |rule: Rule, mask: bool| {
            let op = Classifier {
                shape: LinearShape { n: 1, c: 1, oc: 2 },
                member: Member::Known(rule, LossKind::Ce),
                targets: vec![1],
                mask: vec![mask],
                point: vec![1.0, never[0], never[1]],
            };
            op.rows(tier, &[0.0; 3], 1.0).unwrap().0
        };
        for rule in [Rule::Tce(0.0), Rule::DropLow(0.1), Rule::Masked] {
            let name = format!("{rule:?}");
            let rows = rows(rule, false);
            assert_eq!((rows[0][0], rows[1][0], rows[2][0]), (0.0, f64::INFINITY, 0.0), "{name}");
        }
        for rule in [Rule::Ce, Rule::Tce(0.5), Rule::Focal(2.0), Rule::Linear(1.0)] {
            let name = format!("{rule:?}");
            let rows = rows(rule, true);
            assert_eq!((rows[0][0], rows[3][0]), (f64::INFINITY, 1.0), "{name}");
        }
    }
    in_both_precisions!(check);
}

#[test]
fn a_factor_of_zero_wins_over_an_infinite_number() {
    // No softmax gives this row; a rule must hold by itself.
    let row = RowStats { p: 0.0, q: 0.0, nll: f64::INFINITY, uniform_nll: 0.0, kept: false };
    for rule in [
        Rule::Tce(0.0),
        Rule::Masked,
        Rule::DropLow(0.5),
        Rule::Focal(2.0),
        Rule::FocalDetached(0.5),
        Rule::Linear(1.0),
    ] {
        let loss = rule.row(row);
        assert_eq!(loss, RowLoss { f: 0.0, a: 0.0, b: 0.0 }, "{rule:?}");
    }
}

#[test]
fn gradients_of_the_logits_sum_to_zero_in_every_row() {
    let tier = Cpu::<f64>::new();
    for member in members() {
        for seed in 0..12 {
            let mut stream = Stream::new(seed, "conformance-rows", 0, 0);
            let v = 2 + stream.below(30);
            let z: Vec<f64> = normals(&mut stream, v).iter().map(|z| 3.0 * z).collect();
            let target = stream.below(v) as u32;
            let row = classify(&tier, member.rule(), &[&z[..]], &[target], None);
            let (sum, size) = dot(&row.dx, &vec![1.0; v]);
            assert!(sum.abs() <= 1e-15 * size, "{member:?}, seed {seed}: {sum:e} of {size:e}");
        }
    }
}

#[test]
fn all_dropped_rows_give_exact_zeros() {
    fn check<T: Tier>(tier: &T) {
        let sure: &[f64] = &[9.0, -3.0, 0.5];
        let row = classify(tier, Rule::Tce(0.4), &[sure; 3], &[0; 3], None);
        assert!(row.is_zero(), "{row:?}");
        let row = classify(tier, Rule::Masked, &[sure; 3], &[0, 1, 2], Some(&[false; 3]));
        assert!(row.is_zero(), "{row:?}");
        // None dropped is cross entropy.
        let all = classify(tier, Rule::Masked, &[sure; 3], &[0, 1, 2], Some(&[true; 3]));
        assert_eq!(all, classify(tier, Rule::Ce, &[sure; 3], &[0, 1, 2], None));
    }
    in_both_precisions!(check);
}

#[test]
fn dropped_rows_take_no_part() {
    // A batch with dropped rows has the gradients of the batch of its kept rows, bit for bit, since
    // compaction leaves the same products. First, last, all but one, every second row dropped.
    fn check<T: Tier>(tier: &T) {
        type Drops = fn(usize, usize) -> bool;
        let patterns: [(&str, Drops); 5] = [
            ("first", |row, _| row == 0),
            ("last", |row, n| row + 1 == n),
            ("all but one", |row, n| row != n / 2),
            ("every second", |row, _| row % 2 == 0),
            ("none", |_, _| false),
        ];
        for (name, drops) in patterns {
            for n in [2, 3, 17, 33] {
                let (c, v) = (4, 9);
                let member = Member::Known(Rule::Masked, LossKind::RandomMask);
                let mut op = Classifier::new((n, c, v), member, n as u64);
                op.mask = (0..n).map(|row| !drops(row, n)).collect();
                let whole = verdict(tier, &op);
                let kept: Vec<usize> = (0..n).filter(|&row| !drops(row, n)).collect();
                let x = kept.iter().flat_map(|row| op.point[row * c..(row + 1) * c].to_vec());
                let part = Classifier {
                    shape: LinearShape { n: kept.len(), c, oc: v },
                    member: Member::Known(Rule::Ce, LossKind::Ce),
                    targets: kept.iter().map(|&row| op.targets[row]).collect(),
                    mask: vec![true; kept.len()],
                    point: x.chain(op.point[n * c..].to_vec()).collect(),
                };
                let part = verdict(tier, &part);
                let name = format!("{name} of {n}");
                assert_eq!(whole.dweight, part.dweight, "{name}");
                for row in 0..n {
                    let dx = &whole.dx[row * c..(row + 1) * c];
                    match kept.iter().position(|&k| k == row) {
                        Some(at) => {
                            assert_eq!(dx, &part.dx[at * c..(at + 1) * c], "{name} row {row}");
                            assert_eq!(whole.loss[row], part.loss[at], "{name} row {row}");
                        }
                        None => assert!(dx.iter().all(|&g| g == 0.0), "{name} row {row}"),
                    }
                }
            }
        }
    }
    in_both_precisions!(check);
}

#[test]
fn compaction_over_several_chunks_is_the_kept_rows_batch() {
    // 1,600 rows in chunks of 512, about a third of them kept and one chunk dropped altogether:
    // against the kept rows alone, up to the order of sums.
    let tier = Cpu::<f64>::new();
    let (n, c, v) = (1600, 3, 6);
    let member = Member::Known(Rule::Masked, LossKind::RandomMask);
    let mut op = Classifier::new((n, c, v), member, 1);
    for (row, mask) in op.mask.iter_mut().enumerate() {
        *mask = row % 3 == 0 && !(512..1024).contains(&row);
    }
    let kept: Vec<usize> = (0..n).filter(|&row| op.mask[row]).collect();
    let x = kept.iter().flat_map(|row| op.point[row * c..(row + 1) * c].to_vec());
    let part = Classifier {
        shape: LinearShape { n: kept.len(), c, oc: v },
        member: Member::Known(Rule::Ce, LossKind::Ce),
        targets: kept.iter().map(|&row| op.targets[row]).collect(),
        mask: vec![true; kept.len()],
        point: x.chain(op.point[n * c..].to_vec()).collect(),
    };
    let (whole, part) = (verdict(&tier, &op), verdict(&tier, &part));
    for (got, truth) in whole.dweight.iter().zip(&part.dweight) {
        assert!((got - truth).abs() <= 1e-13 * truth.abs().max(1.0), "{got} not {truth}");
    }
    for (at, &row) in kept.iter().enumerate() {
        let (got, truth) = (&whole.dx[row * c..(row + 1) * c], &part.dx[at * c..(at + 1) * c]);
        assert_eq!(got, truth, "row {row}");
    }
    let dropped = (0..n).filter(|&row| !op.mask[row]);
    for row in dropped {
        assert!(whole.dx[row * c..(row + 1) * c].iter().all(|&g| g == 0.0), "row {row}");
    }
}

#[test]
fn a_custom_rule_that_restates_a_built_in_one_agrees_with_it() {
    let tier = Cpu::<f64>::new();
    let custom = || {
        Rule::Custom(Arc::new(|row| match row.p <= 0.4 {
            true => RowLoss { f: row.nll, a: 1.0, b: 0.0 },
            false => RowLoss { f: 0.0, a: 0.0, b: 0.0 },
        }))
    };
    for seed in 0..20 {
        let (ours, theirs) = (random(Rule::Tce(0.4), seed), random(custom(), seed));
        assert_eq!(verdict(&tier, &ours), verdict(&tier, &theirs), "seed {seed}");
    }
}
