//! T4: gradients by finite differences, their bounds, and what a calibrated model masks.

use super::{compare, known};
use crate::check::{Guard, Outcome, Plan};
use crate::stats::replicates;
use crate::tce::{calibrated, flow, focal, gradient};
use fortifai_stream::Stream;
use nalgebra::DMatrix;

/// The guards of this part.
pub const GRADIENT: &[Guard] = &[
    Guard {
        name: "tce-gradients",
        covers: &["T4"],
        about: "Gradients of random logits by differences; their bounds; their calibrated mean.",
        replicates: 300,
        run: gradients,
    },
    Guard {
        name: "tce-dirichlet",
        covers: &["T4"],
        about: "The masked share of calibrated contexts drawn from a Dirichlet law.",
        replicates: 100_000,
        run: dirichlet,
    },
    Guard {
        name: "tce-focal",
        covers: &["T4"],
        about: "Descent on focal loss ends at its fixed point; the largest weight by search.",
        replicates: 1,
        run: focal_loss,
    },
];

fn softmax(z: &[f64]) -> Vec<f64> {
    let e: Vec<f64> = z.iter().map(|z| z.exp()).collect();
    let total: f64 = e.iter().sum();
    e.iter().map(|e| e / total).collect()
}

/// What one random case contributes.
struct Case {
    /// Largest difference of the gradient from central differences: truncated and focal loss.
    off: [f64; 2],
    /// The same without the mask, with the factor detached, and with the target's sign forgotten.
    wrong: [f64; 3],
    /// Norm over the least and the largest admitted.
    bounds: [f64; 2],
    /// Largest eigenvalue of the Hessian.
    curvature: f64,
}

fn case(seed: u64, item: u64) -> Case {
    let mut stream = Stream::new(seed, "tce-gradients", 0, item);
    let v = 2 + stream.below(7);
    let z: Vec<f64> = (0..v).map(|_| 1.5 * stream.normal()).collect();
    let (y, g) = (stream.below(v), 0.5 + 2.5 * stream.uniform());
    let p = softmax(&z);
    // Half of the cases are masked; the threshold stays clear of the probability.
    let masked = item.is_multiple_of(2);
    let gamma = if masked { 0.9 * p[y] } else { 0.5 * (p[y] + 1.0) };
    // The mask is a constant: central differences of step 1e-6 err by 1e-10.
    let difference = |loss: &dyn Fn(f64) -> f64, k: usize| {
        let at = |step: f64| {
            let mut moved = z.clone();
            moved[k] += step;
            loss(softmax(&moved)[y])
        };
        (at(1e-6) - at(-1e-6)) / 2e-6
    };
    let truncated = |q: f64| if p[y] <= gamma { -q.ln() } else { 0.0 };
    let focal_loss = |q: f64| -(1.0 - q).powf(g) * q.ln();
    let weight = known(focal::weight(g, p[y]));
    let kept = if masked { 0.0 } else { 1.0 };
    let mut result = Case { off: [0.0; 2], wrong: [0.0; 3], bounds: [0.0; 2], curvature: 0.0 };
    let mut square = 0.0;
    for k in 0..v {
        let direction = p[k] - f64::from(u8::from(k == y));
        square += direction * direction;
        let (first, second) = (difference(&truncated, k), difference(&focal_loss, k));
        let worst = |worst: &mut f64, off: f64| *worst = worst.max(off.abs());
        worst(&mut result.off[0], first - kept * direction);
        worst(&mut result.off[1], second - weight * direction);
        worst(&mut result.wrong[0], first - direction);
        worst(&mut result.wrong[1], second - (1.0 - p[y]).powf(g) * direction);
        worst(&mut result.wrong[2], first - kept * p[k]);
    }
    let (least, most) = known(gradient::norms(p[y], v));
    result.bounds = [square.sqrt() / least, square.sqrt() / most];
    let hessian = DMatrix::from_fn(v, v, |i, j| {
        let diagonal = if i == j { p[i] } else { 0.0 };
        diagonal - p[i] * p[j]
    });
    result.curvature = hessian.symmetric_eigenvalues().max();
    result
}

fn gradients(plan: &Plan) -> Vec<Outcome> {
    let cases = replicates(plan.replicates, |item| case(plan.seed, item));
    let worst = |of: &dyn Fn(&Case) -> f64| cases.iter().map(of).fold(0.0, f64::max);
    let least = cases.iter().map(|case| case.bounds[0]).fold(f64::INFINITY, f64::min);
    let finite = |name: &str, off: f64, wrong: &[(&str, f64)]| {
        let outcome = Outcome::deterministic(name, off, 0.0, 1e-7);
        wrong.iter().fold(outcome, |outcome, (name, wrong)| outcome.mistake(name, off - wrong))
    };
    // The bounds are met by two tokens exactly, and by the vertices: an equal rest and a single one.
    let norm = |p: &[f64]| {
        let square: f64 = p[1..].iter().map(|p| p * p).sum();
        ((1.0 - p[0]) * (1.0 - p[0]) + square).sqrt()
    };
    let (low, high) = known(gradient::jump(0.9, 5));
    // A calibrated model: E|p − e|² and the mean gradient, by the sum over all targets.
    let p = [0.6, 0.25, 0.1, 0.05];
    let (gamma, mut square, mut mean) = (0.5, 0.0, [0.0; 4]);
    for y in 0..4 {
        for k in 0..4 {
            let direction = p[k] - f64::from(u8::from(k == y));
            square += p[y] * direction * direction;
            mean[k] += if p[y] <= gamma { p[y] * direction } else { 0.0 };
        }
    }
    let unmasked = vec![0.0; 4];
    let swapped: Vec<f64> = mean.iter().map(|x| -x).collect();
    vec![
        finite(
            "truncated loss against differences",
            worst(&|case| case.off[0]),
            &[
                ("no mask", worst(&|case| case.wrong[0])),
                ("target forgotten", worst(&|case| case.wrong[2])),
            ],
        ),
        finite(
            "focal loss against differences",
            worst(&|case| case.off[1]),
            &[("factor detached", worst(&|case| case.wrong[1])), ("no factor", 1.0)],
        ),
        // 1e-12: rounding of a ratio.
        Outcome::deterministic("least norm, the smallest ratio", least.min(1.0), 1.0, 1e-12)
            .mistake("√2 for √(V/(V−1))", 2.0 - worst(&|case| case.bounds[1]).min(0.99))
            .mistake("squared", 0.5),
        Outcome::deterministic(
            "largest norm, the largest ratio",
            worst(&|case| case.bounds[1]).max(1.0),
            1.0,
            1e-12,
        )
        .mistake("without √2", 2f64.sqrt())
        .mistake("2 for √2", 0.5f64.sqrt()),
        Outcome::deterministic(
            "least jump is reached",
            norm(&[0.9, 0.025, 0.025, 0.025, 0.025]),
            low,
            1e-15,
        )
        .mistake("V for V − 1", 0.1)
        .mistake("√2", high),
        Outcome::deterministic(
            "largest jump is reached",
            norm(&[0.9, 0.1, 0.0, 0.0, 0.0]),
            high,
            1e-15,
        )
        .mistake("1-norm", 0.2)
        .mistake("least jump", low),
        Outcome::deterministic(
            "curvature stays below a half",
            worst(&|case| case.curvature).max(0.5),
            gradient::CURVATURE,
            1e-12,
        )
        .mistake("a quarter", 0.25)
        .mistake("one", 1.0),
        Outcome::deterministic(
            "calibrated squared gradient",
            square,
            known(gradient::calibrated_square(&p)),
            1e-15,
        )
        .mistake("Σ p²", p.iter().map(|p| p * p).sum())
        .mistake("one", 1.0),
        compare(
            "calibrated gradient",
            &known(gradient::calibrated(&p, gamma)),
            &mean,
            1e-15,
            &[("zero, as if calibration were stationary", unmasked), ("sign", swapped)],
        ),
    ]
}

fn dirichlet(plan: &Plan) -> Vec<Outcome> {
    // Dirichlet(½, …) rows are squares of normal numbers over their sum.
    let case = |k: usize, gamma: f64, generation: u64| {
        let hits = replicates(plan.replicates, |item| {
            let mut stream = Stream::new(plan.seed, "tce-dirichlet", generation, item);
            let squares: Vec<f64> = (0..k).map(|_| stream.normal().powi(2)).collect();
            let total: f64 = squares.iter().sum();
            let p: Vec<f64> = squares.iter().map(|square| square / total).collect();
            known(calibrated::masked_share(&p, gamma))
        });
        let share = |k, a, gamma| known(calibrated::masked_dirichlet(k, a, gamma));
        let predicted = share(k, 0.5, gamma);
        let own = crate::special::beta_tail::beta_tail(0.5, 0.5 * (k as f64 - 1.0), gamma);
        Outcome::empirical(format!("masked share, {k} tokens, threshold {gamma}"), &hits, predicted)
            .mistake("a for a + 1", own)
            .mistake("K for K − 1", share(k + 1, 0.5, gamma))
            .mistake("uniform laws", share(k, 1.0, gamma))
    };
    vec![case(6, 0.7, 0), case(3, 0.3, 1)]
}

fn focal_loss(_: &Plan) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (p, g) in [(&[0.9, 0.1][..], 2.0), (&[0.7, 0.2, 0.09, 0.01], 1.0), (&[0.5, 0.3, 0.2], 0.5)]
    {
        let start = vec![1.0 / p.len() as f64; p.len()];
        let weight = |q: f64| known(focal::weight(g, q));
        let q = known(flow(p, &start, weight, 0.5, 4000));
        let fixed = known(focal::learnt(p, g));
        let detached = known(flow(p, &start, |q| (1.0 - q).powf(g), 0.5, 4000));
        // The flow is smooth and its slowest rate above 0.005 per step: nothing but rounding is left.
        outcomes.push(compare(
            &format!("end of descent, exponent {g}, {} tokens", p.len()),
            &q,
            &fixed,
            1e-8,
            &[("the data", p.to_vec()), ("factor detached", detached)],
        ));
    }
    for (g, truth) in [(1.0, 1.0 + (-2f64).exp()), (2.0, f64::NAN), (5.0, f64::NAN)] {
        let weight = |k: usize| known(focal::weight(g, k as f64 / 100_000.0));
        let most = (1..100_000).map(weight).fold(0.0, f64::max);
        let predicted = known(focal::largest_weight(g)).1;
        // A grid of 1e-5 misses the maximum by at most 1e-8; the first case is known by algebra.
        let found = if truth.is_nan() { most } else { truth };
        outcomes.push(
            Outcome::deterministic(format!("largest weight, exponent {g}"), found, predicted, 1e-8)
                .mistake("one", 1.0)
                .mistake("of the exponent above", known(focal::largest_weight(g + 1.0)).1),
        );
    }
    outcomes
}
