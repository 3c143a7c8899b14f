//! The fused classifier: values and gradients of every rule.

use crate::cpu::classifier::chunk_rows;
use crate::loss::{RowLoss, Rule};
use crate::tier::{ClassifierGradients, LinearShape, RowBuffers, Tier};
use crate::verify::buffers::*;
use crate::verify::operator::*;
use fortifai_oracle::loss::{self, LossKind};
use fortifai_oracle::{Scalar, linear};
use fortifai_stream::Stream;
use std::sync::Arc;

/// A rule and its definition.
#[derive(Clone, Debug)]
pub enum Member {
    /// One of the oracle's family.
    Known(Rule, LossKind),
    /// `f = ½ nll² + ½ε·uniform_nll²`, so that `a = nll` and `b = ε·uniform_nll`.
    Custom(f64),
}

impl Member {
    /// Its name, as in a list of losses.
    pub fn name(&self) -> String {
        match self {
            Self::Known(rule, _) => format!("{rule:?}").to_lowercase(),
            Self::Custom(_) => "custom".into(),
        }
    }

    /// What [`Classifier::branches`] must visit over many points.
    pub fn branches(&self) -> Vec<&'static str> {
        let rows: &[&str] = match self {
            Self::Known(Rule::Tce(0.0), _) => &["dropped"],
            Self::Known(Rule::Tce(gamma), _) if *gamma < 1.0 => &["kept", "dropped"],
            Self::Known(Rule::DropLow(_) | Rule::Masked, _) => &["kept", "dropped"],
            _ => &["kept"],
        };
        [&["p above ½", "p up to ½", "several chunks", "one chunk"], rows].concat()
    }

    /// What the classifier is given.
    pub fn rule(&self) -> Rule {
        match self {
            Self::Known(rule, _) => rule.clone(),
            &Self::Custom(epsilon) => Rule::Custom(Arc::new(move |row| RowLoss {
                f: 0.5 * (row.nll * row.nll + epsilon * row.uniform_nll * row.uniform_nll),
                a: row.nll,
                b: epsilon * row.uniform_nll,
            })),
        }
    }

    fn loss<S: Scalar>(&self, logits: &[S], target: usize, mask: bool) -> S {
        match *self {
            Self::Known(_, kind) => loss::row_loss(logits, target, kind, mask),
            Self::Custom(epsilon) => {
                let row = loss::confidence(logits, target);
                let half = S::from_f64(0.5);
                half * row.nll * row.nll
                    + half * S::from_f64(epsilon) * row.uniform_nll * row.uniform_nll
            }
        }
    }

    fn keeps<S: Scalar>(&self, logits: &[S], target: usize, mask: bool) -> bool {
        match *self {
            Self::Known(_, kind) => loss::keeps(logits, target, kind, mask),
            Self::Custom(_) => true,
        }
    }

    /// Whether a row of this `1 − p` is kept is a matter of when its weight underflows.
    fn vanishes(&self, q: f64) -> bool {
        let weight = match *self {
            Self::Known(Rule::Focal(gamma) | Rule::FocalDetached(gamma), _) => q.powf(gamma),
            Self::Known(Rule::Linear(1.0), _) => q,
            _ => 1.0,
        };
        weight < 1e-30
    }

    /// The probability at which the rule changes its mind.
    fn threshold(&self) -> Option<f64> {
        match *self {
            Self::Known(_, LossKind::Tce { gamma }) => Some(gamma),
            Self::Known(_, LossKind::DropLow { q }) => Some(q),
            _ => None,
        }
    }
}

/// Every member of the family.
pub fn members() -> Vec<Member> {
    let known = |rule, kind| Member::Known(rule, kind);
    vec![
        known(Rule::Ce, LossKind::Ce),
        known(Rule::Tce(0.3), LossKind::Tce { gamma: 0.3 }),
        known(Rule::Tce(0.9), LossKind::Tce { gamma: 0.9 }),
        known(Rule::Tce(0.0), LossKind::Tce { gamma: 0.0 }),
        known(Rule::Tce(1.0), LossKind::Tce { gamma: 1.0 }),
        known(Rule::Focal(2.0), LossKind::Focal { gamma: 2.0 }),
        known(Rule::Focal(1.0), LossKind::Focal { gamma: 1.0 }),
        known(Rule::Focal(0.5), LossKind::Focal { gamma: 0.5 }),
        known(Rule::Focal(3.7), LossKind::Focal { gamma: 3.7 }),
        known(Rule::FocalDetached(2.0), LossKind::FocalDetached { gamma: 2.0 }),
        known(Rule::FocalDetached(0.3), LossKind::FocalDetached { gamma: 0.3 }),
        known(Rule::Linear(0.6), LossKind::Linear { gamma: 0.6 }),
        known(Rule::Linear(1.0), LossKind::Linear { gamma: 1.0 }),
        known(Rule::DropLow(0.1), LossKind::DropLow { q: 0.1 }),
        known(Rule::DropLow(0.6), LossKind::DropLow { q: 0.6 }),
        known(Rule::Masked, LossKind::RandomMask),
        known(Rule::Smoothed(0.1), LossKind::LabelSmoothing { epsilon: 0.1 }),
        known(Rule::Smoothed(1.0), LossKind::LabelSmoothing { epsilon: 1.0 }),
        Member::Custom(0.25),
    ]
}

/// How many times longer rows are far out.
const FAR: f64 = 300.0;

/// A classifier at a point whose rows are clear of the rule's threshold.
#[derive(Debug)]
pub struct Classifier {
    /// Rows, channels, vocabulary (`oc`).
    pub shape: LinearShape,
    /// The loss.
    pub member: Member,
    /// Right tokens, `[n]`.
    pub targets: Vec<u32>,
    /// For [`Rule::Masked`].
    pub mask: Vec<bool>,
    /// `x` and `weight`.
    pub point: Vec<f64>,
}

impl Classifier {
    /// Half of the targets are the likeliest token.
    pub fn new((n, c, v): (usize, usize, usize), member: Member, seed: u64) -> Self {
        let mut stream = Stream::new(seed, "conformance-classifier", 0, 0);
        let weight = normals(&mut stream, v * c);
        let (mut x, mut targets, mut mask) = (Vec::new(), Vec::new(), Vec::new());
        while targets.len() < n {
            let size = (1.0 + 3.0 * stream.uniform()) / (c as f64).sqrt();
            let row: Vec<f64> = normals(&mut stream, c).iter().map(|x| size * x).collect();
            let logits = linear::transposed(&row, &weight);
            let likeliest =
                (0..v).reduce(|a, b| if logits[b] > logits[a] { b } else { a }).unwrap_or(0);
            let target = if stream.below(2) == 0 { likeliest } else { stream.below(v) };
            let loss::Confidence { p, q, .. } = loss::confidence(&logits, target);
            let near = member.threshold().is_some_and(|at| (p - at).abs() <= 1e-4);
            if v > 1 && (near || member.vanishes(q)) {
                continue;
            }
            x.extend(row);
            targets.push(target as u32);
            mask.push(stream.below(2) == 0);
        }
        let point = [x, weight].concat();
        Self { shape: LinearShape { n, c, oc: v }, member, targets, mask, point }
    }

    /// Whether rows are far longer than [`Classifier::new`] makes them.
    fn far(&self) -> bool {
        let LinearShape { n, c, .. } = self.shape;
        self.point[..n * c].iter().any(|x| x.abs() * (c as f64).sqrt() > FAR / 3.0)
    }

    fn logits<S: Scalar>(&self, point: &[S]) -> Vec<Vec<S>> {
        let LinearShape { n, c, .. } = self.shape;
        let (x, weight) = point.split_at(n * c);
        x.chunks_exact(c).map(|x| linear::transposed(x, weight)).collect()
    }

    /// `[loss, nll, p, kept]`, each `[n]`, and `[dx, dweight]` on top of `start`.
    ///
    /// # Errors
    /// As the tier, or if a guard was written to.
    pub fn rows<T: Tier>(
        &self,
        tier: &T,
        start: &[f64],
        scale: f64,
    ) -> Result<(Vec<Vec<f64>>, Vec<f64>), Finding> {
        let LinearShape { n, c, .. } = self.shape;
        let (x, weight) = self.point.split_at(n * c);
        let (dx, dweight) = start.split_at(n * c);
        let mut params = Arena::of_parameters();
        let span = params.push(weight);
        let params = params.upload(tier)?;
        let mut arena = Arena::of_gradients();
        arena.push(dweight);
        let (mut dx, mut gradients) = (gradient_act(tier, dx)?, arena.upload(tier)?);
        let (targets, rule) = (&self.targets[..], self.member.rule());
        let mask = matches!(rule, Rule::Masked).then_some(&self.mask[..]);
        let x = act(tier, x)?;
        let run = |to: Option<ClassifierGradients<T>>| -> Result<Vec<Vec<f64>>, Finding> {
            let [loss, nll, probability, kept] = blanks_wide(tier, [n; 4])?;
            let mut rows = RowBuffers { loss, nll, probability, kept };
            let mut work = blank_wide(tier, tier.classifier_workspace(self.shape))?;
            let shape = self.shape;
            tier.classifier(
                &mut rows, to, &x, targets, mask, &params, span, &rule, &mut work, shape,
            )?;
            let wide = [rows.loss, rows.nll, rows.probability, rows.kept];
            wide.iter().map(|wide| read_wide(tier, wide, n)).collect()
        };
        let to = ClassifierGradients { dx: &mut dx, gradients: &mut gradients, scale };
        let outputs = run(Some(to))?;
        let alone = run(None)?;
        ensure(outputs == alone, What::Consistency, || {
            format!("{}: values without gradients differ: {alone:?} not {outputs:?}", self.label())
        })?;
        Ok((outputs, [read(tier, &dx, n * c)?, arena.read(tier, &gradients)?].concat()))
    }
}

impl Operator for Classifier {
    fn label(&self) -> String {
        let LinearShape { n, c, oc } = self.shape;
        let far = if self.far() { " far out" } else { "" };
        format!("classifier n {n} c {c} v {oc} {:?}{far}", self.member)
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let LinearShape { n, c, oc } = self.shape;
        vec![("x", n * c), ("weight", oc * c)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        ["loss", "nll", "p", "kept"].into_iter().map(|name| (name, self.shape.n)).collect()
    }
    fn point(&self, _stream: &mut Stream) -> Vec<f64> {
        self.point.clone()
    }
    /// The exponential of some hundreds has so many times its argument's rounding.
    fn tolerance(&self) -> f64 {
        if self.far() { 1e-12 } else { 1e-13 }
    }
    /// One scale for all losses; the other outputs have no gradient.
    fn cotangent(&self, stream: &mut Stream) -> Vec<f64> {
        let mut cotangent = vec![stream.normal(); self.shape.n];
        cotangent.resize(4 * self.shape.n, 0.0);
        cotangent
    }
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S> {
        let logits = self.logits(point);
        let rows = || logits.iter().zip(&self.targets).zip(&self.mask);
        let confidence = |z: &[S], t: u32| loss::confidence(z, t as usize);
        let mut outputs: Vec<S> =
            rows().map(|((z, &t), &mask)| self.member.loss(z, t as usize, mask)).collect();
        outputs.extend(rows().map(|((z, &t), _)| confidence(z, t).nll));
        outputs.extend(rows().map(|((z, &t), _)| confidence(z, t).p));
        outputs.extend(rows().map(|((z, &t), &mask)| {
            // A row of one token is certain: focal's and linear(1)'s weight is zero there, and the
            // row takes no part although no threshold drops it.
            let weight = match self.member {
                Member::Known(_, LossKind::Focal { .. } | LossKind::FocalDetached { .. })
                | Member::Known(_, LossKind::Linear { gamma: 1.0 }) => confidence(z, t).q,
                Member::Custom(_) => confidence(z, t).uniform_nll,
                _ => S::one(),
            };
            let kept = self.member.keeps(z, t as usize, mask) && weight.value() > 0.0;
            S::from_f64(if kept { 1.0 } else { 0.0 })
        }));
        outputs
    }
    fn run<T: Tier>(
        &self,
        tier: &T,
        point: &[f64],
        cotangent: &[f64],
        start: &[f64],
    ) -> Result<Ran, Finding> {
        let at = Self {
            shape: self.shape,
            member: self.member.clone(),
            targets: self.targets.clone(),
            mask: self.mask.clone(),
            point: point.to_vec(),
        };
        let (outputs, gradient) = at.rows(tier, start, cotangent[0])?;
        Ok(Ran { outputs: outputs.concat(), gradient: minus(&gradient, start) })
    }
    /// Logits of some hundreds to a thousand, where every probability is next to 0 or 1. Not for losses
    /// whose weight vanishes there: whether they keep a row is a matter of when a power underflows.
    fn extreme(mut self) -> Option<Self> {
        if matches!(
            self.member,
            Member::Known(Rule::Focal(_) | Rule::FocalDetached(_) | Rule::Linear(1.0), _)
        ) {
            return None;
        }
        let LinearShape { n, c, .. } = self.shape;
        self.point[..n * c].iter_mut().for_each(|x| *x *= FAR);
        Some(self)
    }
    fn branches(&self, point: &[f64]) -> Vec<&'static str> {
        let LinearShape { n, oc, .. } = self.shape;
        let mut branches = vec![if n > chunk_rows(n, oc) { "several chunks" } else { "one chunk" }];
        for ((z, &t), &mask) in self.logits(point).iter().zip(&self.targets).zip(&self.mask) {
            let kept = self.member.keeps(z, t as usize, mask);
            branches.push(if kept { "kept" } else { "dropped" });
            let p = loss::confidence(z, t as usize).p;
            branches.push(if p > 0.5 { "p above ½" } else { "p up to ½" });
        }
        branches
    }
}
