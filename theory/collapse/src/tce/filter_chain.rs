//! T2-5: the trap of implementing the loss as a filter of the data, two tokens.
//!
//! Dropping the samples whose probability exceeds `γ` and counting the rest learns
//! `q' ∝ p·1[q ≤ γ]`: the majority token is deleted, and the model collapses to the other one.

use super::clip_chain::effective_cap;
use super::water_filling::ROUNDING;
use super::{GAMMA, OWN, SAMPLES, require_count, require_size};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::special::deviance::binomial_law;
use nalgebra::{DMatrix, DVector};

const LARGEST: usize = 2000;

/// The expected number of generations until only one token is left, from the true probability `p` of
/// the first.
///
/// *Derivation.* While the model `x/n` lies in `[1 − γ, γ]` nothing is dropped and
/// `X' ~ Bin(n, X/n)`; outside, the likelier token, of probability `q`, is dropped: a sample of it
/// alone leaves nothing to fit and the model stays, any other brings the monopoly of the other
/// token. With `e_x` the expected number that is left, `e_0 = e_n = 0`, `e_x = 1/(1 − q^n)` outside
/// and `e_x = 1 + Σ P_xy e_y` inside: a linear system, halved by `e_x = e_{n−x}`.
///
/// ```
/// let time = fortifai_collapse::tce::filter_chain::collapse_time(20, 0.8, 0.5)?;
/// assert!((time - 13.800_495_248_571_467).abs() <= 1e-12);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-filter-chain`.
///
/// # Errors
/// If `n` is outside `1..=2000`, `gamma` outside `[½, 1]` or `p` outside `(0, 1)`.
pub fn collapse_time(n: usize, gamma: f64, p: f64) -> Result<f64, Refusal> {
    require_chain(n, gamma, p)?;
    require_size("n", n, LARGEST)?;
    let inside = |x: usize| x > 0 && is_kept(x as f64 / n as f64, gamma);
    let states: Vec<usize> = (0..=n / 2).filter(|&x| inside(x)).collect();
    let place = |x: usize| states.binary_search(&x.min(n - x)).ok();
    let size = states.len();
    let mut matrix = DMatrix::identity(size, size);
    let mut right = DVector::from_element(size, 1.0);
    for (i, &x) in states.iter().enumerate() {
        for (y, mass) in binomial_law(n, x as f64 / n as f64).into_iter().enumerate() {
            match place(y) {
                Some(j) => matrix[(i, j)] -= mass,
                None => right[i] += mass * outside(y as f64 / n as f64, n),
            }
        }
    }
    let singular = || Refusal::new("The collapse-time equation is singular.");
    let times = matrix.lu().solve(&right).ok_or_else(singular)?;
    if !is_kept(p, gamma) {
        return Ok(outside(p, n));
    }
    let left = |y: usize| match place(y) {
        Some(j) => times[j],
        None => outside(y as f64 / n as f64, n),
    };
    Ok(1.0 + binomial_law(n, p).iter().enumerate().map(|(y, mass)| mass * left(y)).sum::<f64>())
}

/// What is left outside `[1 − γ, γ]`: the generations until a sample holds the rarer token.
fn outside(x: f64, n: usize) -> f64 {
    let rare = x.min(1.0 - x);
    if rare <= 0.0 { 0.0 } else { -1.0 / (n as f64 * (-rare).ln_1p()).exp_m1() }
}

/// Whether neither token is dropped; equality keeps, also after a rounding of `1 − γ`.
pub(super) fn is_kept(x: f64, gamma: f64) -> bool {
    let cap = gamma * (1.0 + ROUNDING);
    x <= cap && 1.0 - x <= cap
}

/// The same for many samples, `1 + 2n[h(p) − h(g)]` with the binary entropy `h` in nats and the
/// boundary `g = (⌊nγ⌋ + ½)/n + 0.5826 √(γ(1 − γ)/n)`; plain cross entropy takes about `2n h(p)`.
///
/// *Derivation.* `2n h` solves `½ (p(1 − p)/n) e'' = −1`. The walk leaves the band over its overshoot
/// (Siegmund), which on counts is measured from half way between the last kept share and the next.
///
/// ```
/// let time = fortifai_collapse::tce::filter_chain::diffusion_time(100, 0.8, 0.5)?;
/// assert!((time - 48.0).abs() <= 1.0);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-filter-chain`.
///
/// # Errors
/// If `n` is 0, `gamma` is outside `[½, 1)` or `p` outside `(1 − g, g)`.
pub fn diffusion_time(n: usize, gamma: f64, p: f64) -> Result<f64, Refusal> {
    require_chain(n, gamma, p)?;
    let lattice = ((n as f64 * gamma * (1.0 + ROUNDING)).floor() + 0.5) / n as f64;
    let cap = (effective_cap(n, gamma)? - gamma + lattice).min(1.0);
    require(p < cap && p > 1.0 - cap, "p", p, &format!("{} < p < {cap}", 1.0 - cap))?;
    let entropy = |p: f64| if p < 1.0 { -p * p.ln() - (1.0 - p) * (-p).ln_1p() } else { 0.0 };
    Ok(1.0 + 2.0 * n as f64 * (entropy(p) - entropy(cap)))
}

fn require_chain(n: usize, gamma: f64, p: f64) -> Result<(), Refusal> {
    require_count("n", n, 1)?;
    require((0.5..=1.0).contains(&gamma), "gamma", gamma, "1/2 ≤ gamma ≤ 1")?;
    require(p > 0.0 && p < 1.0, "p", p, "0 < p < 1")
}

const FIRST: Input =
    Input { name: "p", meaning: "true probability of the first token", example: "0.5" };

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "T2",
        name: "generations until collapse when the loss is mistaken for a filter",
        formula: "filter-then-count E T, K=2",
        domain: "1 ≤ n ≤ 2000, 1/2 ≤ gamma ≤ 1, 0 < p < 1",
        inputs: &[SAMPLES, GAMMA, FIRST],
        value: |inputs| {
            collapse_time(inputs.count("n")?, inputs.number("gamma")?, inputs.number("p")?)
        },
        ..OWN
    },
    Entry {
        id: "T2",
        name: "the same for many samples",
        formula: "E T ~ 1+2n[h(p)-h(g)], g = (floor(n gamma)+1/2)/n+0.5826 sqrt(gamma(1-gamma)/n)",
        kind: Kind::Asymptotic,
        domain: "1/2 ≤ gamma < 1, 1-g < p < g",
        digits: Digits::Elementary,
        inputs: &[SAMPLES, GAMMA, FIRST],
        value: |inputs| {
            diffusion_time(inputs.count("n")?, inputs.number("gamma")?, inputs.number("p")?)
        },
        ..OWN
    },
];
