//! T1-6, solved: first passages of the walk `S = ξ_1 + ξ_2 + …`, `ξ = ln(X/m)`, to any accuracy.
//!
//! Two numbers that limit theory gives for many samples only are solutions of the same kind of
//! equation, `g(d) = r(d) + ∫_0^∞ k(d' | d) g(d') dd'` at the distance `d` from a boundary that the
//! walk approaches on average. Far from it `g` is constant, faster than `exp(−d/sd)`, so a short
//! interval is enough: Gauss–Legendre panels (Nyström), `g` constant beyond them, one linear solve.

use super::walk::{drift, tail_exponent};
use super::{DIVISOR, OWN, SAMPLES, divisor};
use crate::prediction::{Entry, Input};
use crate::refusal::{Refusal, require};
use crate::special::trigamma;
use nalgebra::{DMatrix, DVector};
use statrs::function::gamma::{gamma_lr, gamma_ur, ln_gamma};

/// Panels of one standard deviation, and how many; 10 nodes each.
const PANELS: usize = 24;

/// Positive nodes and weights of the Gauss–Legendre rule of order 10 on `[−1, 1]` (mpmath, 40
/// digits: the roots of `P_10`).
const RULE: [(f64, f64); 5] = [
    (0.148_874_338_981_631_22, 0.295_524_224_714_752_87),
    (0.433_395_394_129_247_2, 0.269_266_719_309_996_35),
    (0.679_409_568_299_024_4, 0.219_086_362_515_982_04),
    (0.865_063_366_688_984_5, 0.149_451_349_150_580_6),
    (0.973_906_528_517_171_7, 0.066_671_344_308_688_14),
];

/// The equation: what is earned on crossing, the density of a change of the distance by `step`, and
/// the probability of a larger change.
struct Passage<R, K, B> {
    reward: R,
    kernel: K,
    beyond: B,
    width: f64,
}

impl<R: Fn(f64) -> f64, K: Fn(f64) -> f64, B: Fn(f64) -> f64> Passage<R, K, B> {
    /// `g(d)`, or `g(∞)`.
    fn solve(&self, d: Option<f64>) -> Result<f64, Refusal> {
        let end = self.width * PANELS as f64;
        let mut nodes = panels(0.0, end, PANELS);
        // The far value is one more unknown: g(∞) = g(end).
        nodes.push((end, 0.0));
        let last = nodes.len() - 1;
        let moved = |from: f64, j: usize| match nodes[j] {
            _ if j == last => (self.beyond)(end - from),
            (to, weight) => weight * (self.kernel)(to - from),
        };
        let matrix = DMatrix::from_fn(last + 1, last + 1, |i, j| {
            f64::from(u8::from(i == j)) - moved(nodes[i].0, j)
        });
        let right = DVector::from_iterator(last + 1, nodes.iter().map(|&(d, _)| (self.reward)(d)));
        let solved = matrix.lu().solve(&right);
        let values = solved.ok_or_else(|| Refusal::new("The passage equation is singular."))?;
        Ok(match d {
            // Nyström's interpolation: the equation itself.
            Some(d) if d < end => {
                let inside: f64 = (0..=last).map(|j| moved(d, j) * values[j]).sum();
                (self.reward)(d) + inside
            }
            _ => values[last],
        })
    }
}

/// Nodes and weights of `count` equal panels of `[low, high]`.
fn panels(low: f64, high: f64, count: usize) -> Vec<(f64, f64)> {
    let half = 0.5 * (high - low) / count as f64;
    let mut nodes = Vec::with_capacity(10 * count);
    for panel in 0..count {
        let center = low + half * (2 * panel + 1) as f64;
        for (x, weight) in RULE {
            nodes.push((center - half * x, half * weight));
            nodes.push((center + half * x, half * weight));
        }
    }
    nodes
}

/// The density at `x` of `ln(X/m)` for `X ~ Gamma(shape, 2)`, i.e. `χ²` with `2·shape` degrees of
/// freedom.
fn step_density(shape: f64, m: f64, x: f64) -> f64 {
    let rate = 0.5 * m;
    (shape * (x + rate.ln()) - rate * x.exp() - ln_gamma(shape)).exp()
}

/// The stationary tail `P(σ²/σ_γ² > r)` of the floor map `y' = max(0, y + ξ)`, for `r ≥ 1`.
///
/// *Derivation.* The stationary `y` is the maximum of the walk (Lindley 1952). Under the tilt
/// `exp(κξ)`, which turns `χ²_ν` into `Gamma(ν/2 + κ, 2)`, the walk drifts up and
/// `P(max S > x) = e^{−κx} g(x)`, where `g(d)` is the tilted expectation of `exp(−κ·overshoot)` at
/// the distance `d` below the boundary. Its reward is `e^{κd} P(ξ > d)`.
///
/// ```
/// use fortifai_collapse::tce::{passage, walk};
/// let tail = passage::stationary_tail(20, 19.0, 4.0)?;
/// assert!(tail < walk::tail_bound(20, 19.0, 4.0)? && tail > 0.2);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-floor-tail`.
///
/// # Errors
/// If `r < 1`, `n` is outside `2..=10000` or the walk does not drift down.
pub fn stationary_tail(n: usize, m: f64, r: f64) -> Result<f64, Refusal> {
    require(r >= 1.0 && r.is_finite(), "r", r, "r ≥ 1")?;
    let kappa = tail_exponent(n, m)?;
    Ok(r.powf(-kappa) * overshoot_factor(n, m, kappa, Some(r.ln()))?)
}

/// The constant `C = lim r^κ P(σ²/σ_γ² > r)` of the floor map.
///
/// ```
/// let constant = fortifai_collapse::tce::passage::tail_constant(100, 99.0)?;
/// let rough = (-0.5826 * (2.0f64 / 99.0).sqrt()).exp();
/// assert!((constant / rough - 1.0).abs() <= 0.01);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-floor-tail`.
///
/// # Errors
/// If `n` is outside `2..=10000` or the walk does not drift down.
pub fn tail_constant(n: usize, m: f64) -> Result<f64, Refusal> {
    overshoot_factor(n, m, tail_exponent(n, m)?, None)
}

/// The tilted expectation of `exp(−κ·overshoot)` at the distance `d`, or far away.
fn overshoot_factor(n: usize, m: f64, kappa: f64, d: Option<f64>) -> Result<f64, Refusal> {
    super::require_size("n", n, 10_000)?;
    let a = 0.5 * (n as f64 - 1.0);
    let rate = 0.5 * m;
    let passage = Passage {
        reward: |d: f64| (kappa * d).exp() * gamma_ur(a, rate * d.exp()),
        kernel: |step: f64| step_density(a + kappa, m, -step),
        beyond: |step: f64| lower(a + kappa, rate * (-step).exp()),
        width: trigamma(a).sqrt(),
    };
    passage.solve(d)
}

/// The expected number of generations until `σ ≤ σ_γ` from `L = ln(σ_0²/σ_γ²) ≥ 0`, nothing being
/// masked on the way: `E T = (L + E overshoot)/|E ξ|`, exactly (Wald).
///
/// The overshoot at the distance `d` has the reward `∫_{−∞}^{−d} P(ξ < u) du`.
///
/// ```
/// let time = fortifai_collapse::tce::passage::hitting_time(20, 19.0, 2.0)?;
/// let rough = (2.0 + 0.5826 * (2.0f64 / 19.0).sqrt()) * 19.0;
/// assert!((time / rough - 1.0).abs() <= 0.05);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-hitting-time`.
///
/// # Errors
/// If `start` is negative, `n` is outside `2..=10000` or the walk does not drift down.
pub fn hitting_time(n: usize, m: f64, start: f64) -> Result<f64, Refusal> {
    super::require_size("n", n, 10_000)?;
    require(start >= 0.0 && start.is_finite(), "L", start, "L ≥ 0")?;
    let speed = -drift(n, m)?;
    let a = 0.5 * (n as f64 - 1.0);
    let rate = 0.5 * m;
    let width = trigamma(a).sqrt();
    // The left tail of ξ decays as exp(a·x).
    let reach = 12.0 * width + 45.0 / a;
    let count = (reach / width).ceil() as usize;
    let reward = |d: f64| -> f64 {
        let nodes = panels(d, d + reach, count);
        nodes.iter().map(|&(u, weight)| weight * lower(a, rate * (-u).exp())).sum()
    };
    let kernel = |step: f64| step_density(a, m, step);
    let beyond = |step: f64| gamma_ur(a, rate * step.exp());
    let overshoot = Passage { reward, kernel, beyond, width }.solve(Some(start))?;
    Ok((start + overshoot) / speed)
}

/// The lower regularised incomplete gamma function, also where its argument has underflowed.
fn lower(a: f64, x: f64) -> f64 {
    if x > 0.0 { gamma_lr(a, x) } else { 0.0 }
}

const THRESHOLD: Input =
    Input { name: "r", meaning: "variance over the floor's, at least 1", example: "4" };
const START: Input =
    Input { name: "L", meaning: "ln(sigma0^2/sigma_gamma^2), at least 0", example: "2" };
const DOMAIN: &str = "2 ≤ n ≤ 10000, divisor > 2 exp(psi((n-1)/2))";

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "stationary tail of the floor map",
        formula: "P(sigma^2/sigma_gamma^2 > r), Lindley equation",
        domain: DOMAIN,
        inputs: &[SAMPLES, DIVISOR, THRESHOLD],
        value: |inputs| {
            let n = inputs.count("n")?;
            stationary_tail(n, divisor(inputs, n)?, inputs.number("r")?)
        },
        ..OWN
    },
    Entry {
        name: "constant of the stationary tail of the floor map",
        formula: "C = lim r^kappa P(sigma^2/sigma_gamma^2 > r)",
        domain: DOMAIN,
        inputs: &[SAMPLES, DIVISOR],
        value: |inputs| {
            let n = inputs.count("n")?;
            tail_constant(n, divisor(inputs, n)?)
        },
        ..OWN
    },
    Entry {
        name: "expected generations until the floor",
        formula: "E T = (L + E overshoot)/|rate|, renewal equation",
        domain: DOMAIN,
        inputs: &[SAMPLES, DIVISOR, START],
        value: |inputs| {
            let n = inputs.count("n")?;
            hitting_time(n, divisor(inputs, n)?, inputs.number("L")?)
        },
        ..OWN
    },
];
