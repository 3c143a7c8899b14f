//! The loss family beside PyTorch: per-token losses, their mean, its gradient.
//!
//! The classifier itself is what runs: with the identity as its weight, its logits are its inputs
//! and the gradient of its inputs is the gradient of the logits, both exactly.

use super::certificate::{Certificate, largest, max_difference};
use super::golden::{missing, numbers, parse_loss, tokens};
use crate::Result;
use crate::cpu::Cpu;
use crate::loss::Loss;
use crate::tier::{ClassifierGradients, LinearShape, RowBuffers, Span, Tier};
use serde_json::Value;
use std::path::Path;

/// `|a − b| ≤ 1e-12·max(1, max|b|)` per tensor.
const TOLERANCE: f64 = 1e-12;

pub(super) fn check(json: &Value, path: &Path) -> Result<Certificate> {
    let mut certificate = Certificate::default();
    let cases = json["cases"].as_array().filter(|cases| !cases.is_empty());
    for (index, case) in cases.ok_or_else(|| missing(path, "cases"))?.iter().enumerate() {
        let loss = parse_loss(&case["loss"], path)?;
        if matches!(loss, Loss::RandomMask { .. } | Loss::TceDynamic { .. }) {
            return Err(missing(
                path,
                &format!("cases[{index}].loss: {loss} is not a function of the logits"),
            ));
        }
        let field = |what: &str| missing(path, &format!("cases[{index}].{what}"));
        let rows = |key: &str| -> Result<Vec<Vec<f64>>> {
            let rows = case[key].as_array().ok_or_else(|| field(key))?;
            rows.iter().map(|row| numbers(row).ok_or_else(|| field(key))).collect()
        };
        let logits = rows("logits")?;
        let (n, v) = (logits.len(), logits.first().map_or(0, Vec::len));
        let targets = tokens(&case["target"]).ok_or_else(|| field("target"))?;
        let shapes_match = n > 0
            && v > 0
            && targets.len() == n
            && logits.iter().all(|row| row.len() == v)
            && targets.iter().all(|&target| (target as usize) < v);
        if !shapes_match {
            return Err(field("logits and target of matching shape"));
        }
        let per_token = numbers(&case["per_token"]).ok_or_else(|| field("per_token"))?;
        let mean = case["mean"].as_f64().ok_or_else(|| field("mean"))?;
        let (losses, gradient) = classify(&logits.concat(), &targets, &loss.rule(1.0), v)?;
        let name = |what: &str| format!("case {index} {loss} [{n}, {v}] {what}");
        let mut push = |what: &str, ours: &[f64], truth: &[f64]| {
            let error = max_difference(ours, truth) / largest(truth).max(1.0);
            certificate.push(name(what), error, TOLERANCE);
        };
        push("per token", &losses, &per_token);
        push("mean", &[losses.iter().sum::<f64>() / n as f64], &[mean]);
        let truth = rows("grad_logits")?;
        if truth.len() != n || truth.iter().any(|row| row.len() != v) {
            return Err(field("grad_logits of the shape of logits"));
        }
        push("gradient", &gradient, &truth.concat());
    }
    Ok(certificate)
}

/// Losses `[n]` and the gradient of their mean `[n, v]`.
fn classify(
    logits: &[f64],
    targets: &[u32],
    rule: &crate::loss::Rule,
    v: usize,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let tier = Cpu::<f64>::new();
    let n = targets.len();
    let shape = LinearShape { n, c: v, oc: v };
    let weight = Span { start: 0, len: v * v };
    let mut identity = tier.param(v * v)?;
    for diagonal in identity.iter_mut().step_by(v + 1) {
        *diagonal = 1.0;
    }
    let (mut dx, mut dweight) = (tier.act(n * v)?, tier.param(v * v)?);
    let mut rows = RowBuffers {
        loss: tier.wide(n)?,
        nll: tier.wide(n)?,
        probability: tier.wide(n)?,
        kept: tier.wide(n)?,
    };
    let mut workspace = tier.wide(tier.classifier_workspace(shape))?;
    let to = ClassifierGradients { dx: &mut dx, gradients: &mut dweight, scale: 1.0 / n as f64 };
    let x = logits.to_vec();
    let (targets, mask) = (targets, None);
    tier.classifier(
        &mut rows,
        Some(to),
        &x,
        targets,
        mask,
        &identity,
        weight,
        rule,
        &mut workspace,
        shape,
    )?;
    Ok((rows.loss, dx))
}
