//! Gradient flow of one context, step by step.

use super::{require_law, require_positive};
use crate::refusal::{Refusal, require};

/// The law `q = softmax(z)` after `steps` steps of gradient descent of size `eta` on the mean loss of
/// data with the law `data`, from `start`.
///
/// The loss enters by its weight `g(q) = −q f'(q)`, where `f` is the loss of a token of probability
/// `q`: `z_j += η [p_j g(q_j) − q_j Σ_i p_i g(q_i)]`. `|_| 1.0` is cross entropy,
/// `|q| if q <= gamma { 1.0 } else { 0.0 }` the truncated one, [`super::focal::weight`] the focal one.
/// Near a jump of `g` the end oscillates within `2η` of the sliding mode.
///
/// | argument | shape | meaning |
/// |---|---|---|
/// | `data` | `[v]` | the law of the data |
/// | `start` | `[v]` | the model's law at the start; a zero stays zero |
///
/// ```
/// // Cross entropy learns the data.
/// let q = fortifai_collapse::tce::flow(&[0.7, 0.3], &[0.5, 0.5], |_| 1.0, 0.5, 200)?;
/// assert!((q[0] - 0.7).abs() <= 1e-12);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guards `tce-water-filling`, `tce-support-loss` and `tce-focal`.
///
/// # Errors
/// If `data` or `start` is no law, their lengths differ, or `eta` is not positive.
pub fn flow(
    data: &[f64],
    start: &[f64],
    g: impl Fn(f64) -> f64,
    eta: f64,
    steps: usize,
) -> Result<Vec<f64>, Refusal> {
    Ok(flow_with_mask(data, start, g, eta, steps)?.0)
}

/// The same, with the mean of `Σ_i p_i g(q_i)` over the second half of the steps: for the truncated
/// loss the share of tokens that is kept.
///
/// ```
/// use fortifai_collapse::tce::flow::flow_with_mask;
/// let keep = |q: f64| if q <= 0.8 { 1.0 } else { 0.0 };
/// let (_, kept) = flow_with_mask(&[0.9, 0.1], &[0.5, 0.5], keep, 0.01, 20_000)?;
/// assert!((kept - 0.5).abs() <= 0.02);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-water-filling`.
///
/// # Errors
/// As [`flow`].
pub fn flow_with_mask(
    data: &[f64],
    start: &[f64],
    g: impl Fn(f64) -> f64,
    eta: f64,
    steps: usize,
) -> Result<(Vec<f64>, f64), Refusal> {
    require_law("data", data)?;
    require_law("start", start)?;
    let (v, known) = (start.len(), data.len());
    require(v == known, "tokens of the start", v, &format!("{known}, as in the data,"))?;
    require_positive("eta", eta)?;
    let mut z: Vec<f64> = start.iter().map(|q| q.ln()).collect();
    let mut q = start.to_vec();
    let mut pull = vec![0.0; v];
    let (mut kept, mut counted) = (0.0, 0usize);
    for step in 0..steps {
        let mut share = 0.0;
        for ((pull, p), q) in pull.iter_mut().zip(data).zip(&q) {
            *pull = if *p > 0.0 { p * g(*q) } else { 0.0 };
            share += *pull;
        }
        if 2 * step >= steps {
            kept += share;
            counted += 1;
        }
        for ((z, pull), q) in z.iter_mut().zip(&pull).zip(&q) {
            *z += eta * (pull - q * share);
        }
        softmax(&z, &mut q);
    }
    Ok((q, kept / counted.max(1) as f64))
}

/// `q = softmax(z)`, shifted by the largest logit.
fn softmax(z: &[f64], q: &mut [f64]) {
    let top = z.iter().fold(f64::NEG_INFINITY, |top, &z| top.max(z));
    let mut total = 0.0;
    for (q, z) in q.iter_mut().zip(z) {
        *q = (z - top).exp();
        total += *q;
    }
    q.iter_mut().for_each(|q| *q /= total);
}
