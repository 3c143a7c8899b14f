//! T2-4: two tokens retrained to convergence each generation, `X' ~ Bin(n, clip(X/n, 1 − γ, γ))`.

use super::{GAMMA, OWN, SAMPLES, require_count, require_probability, require_size};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::special::deviance::binomial_law;

/// The largest `n`: the solution costs `n³/24` multiplications.
const LARGEST: usize = 2000;
/// The largest `n²t` of a law after `t` generations.
const WORK: f64 = 8e9;

/// The stationary law of the count `X`, by elimination without subtractions.
///
/// The chain is symmetric under `X → n − X`, so the pairs `{x, n − x}` form a chain of half the
/// size. Grassmann, Taksar, Heyman 1985: every entry keeps its relative accuracy, even where the
/// chain is nearly reducible (`γ → 1`).
///
/// ```
/// let law = fortifai_collapse::tce::clip_chain::stationary(30, 0.85)?;
/// assert!((law.iter().sum::<f64>() - 1.0).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-clip-chain`.
///
/// # Errors
/// If `n` is outside `1..=2000` or `gamma` outside `[½, 1)` (at 1 either token may die out).
pub fn stationary(n: usize, gamma: f64) -> Result<Vec<f64>, Refusal> {
    require_chain(n, gamma)?;
    let states = n / 2 + 1;
    let mut rows: Vec<Vec<f64>> =
        (0..states).map(|x| fold(&binomial_law(n, clip(x as f64 / n as f64, gamma)))).collect();
    for last in (1..states).rev() {
        let (kept, gone) = rows.split_at_mut(last);
        let gone = &gone[0];
        let out: f64 = gone[..last].iter().sum();
        for row in kept {
            let share = row[last] / out;
            row[last] = share;
            row[..last].iter_mut().zip(gone).for_each(|(to, from)| *to += share * from);
        }
    }
    let mut folded = vec![1.0; states];
    for x in 1..states {
        folded[x] = (0..x).map(|y| folded[y] * rows[y][x]).sum();
    }
    let total: f64 = folded.iter().sum();
    let unfold = |x: usize| {
        let share = if 2 * x == n { 1.0 } else { 0.5 };
        share * folded[x.min(n - x)] / total
    };
    Ok((0..=n).map(unfold).collect())
}

/// What is learnt from the share `x`: `clip(x, 1 − γ, γ)`.
pub(super) fn clip(x: f64, gamma: f64) -> f64 {
    x.clamp(1.0 - gamma, gamma)
}

/// The masses of `{x, n − x}`.
fn fold(law: &[f64]) -> Vec<f64> {
    let n = law.len() - 1;
    let pair = |x: usize| if 2 * x == n { law[x] } else { law[x] + law[n - x] };
    (0..=n / 2).map(pair).collect()
}

/// `E 2q(1 − q)` of the learnt law `q = clip(X/n)` in the long run.
///
/// ```
/// let h = fortifai_collapse::tce::clip_chain::model_heterozygosity(30, 0.85)?;
/// assert!((h - 0.381_164_008_725_887_1).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-clip-chain`.
///
/// # Errors
/// As [`stationary`].
pub fn model_heterozygosity(n: usize, gamma: f64) -> Result<f64, Refusal> {
    Ok(mean_of(&stationary(n, gamma)?, |x| clip(x, gamma)))
}

/// `E 2x(1 − x)` of the share `x = X/n` of a sample in the long run.
///
/// ```
/// let h = fortifai_collapse::tce::clip_chain::sample_heterozygosity(30, 0.85)?;
/// assert!((h - 0.368_458_541_768_357_5).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-clip-chain`.
///
/// # Errors
/// As [`stationary`].
pub fn sample_heterozygosity(n: usize, gamma: f64) -> Result<f64, Refusal> {
    Ok(mean_of(&stationary(n, gamma)?, |x| x))
}

fn mean_of(law: &[f64], learnt: impl Fn(f64) -> f64) -> f64 {
    let n = (law.len() - 1) as f64;
    let term = |(x, mass): (usize, &f64)| {
        let q = learnt(x as f64 / n);
        mass * 2.0 * q * (1.0 - q)
    };
    law.iter().enumerate().map(term).sum()
}

/// The law of the count after `generations ≥ 1` generations, the first of them drawn from the
/// learnt `clip(p, 1 − γ, γ)`.
///
/// ```
/// let law = fortifai_collapse::tce::clip_chain::law_after(2, 0.75, 0.9, 1)?;
/// assert_eq!(law, [0.0625, 0.375, 0.5625]);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-clip-chain`.
///
/// # Errors
/// If `n` is outside `1..=2000`, `gamma` outside `[½, 1]`, `p` no probability, `generations` 0, or
/// `n²·generations` above 8e9.
pub fn law_after(n: usize, gamma: f64, p: f64, generations: usize) -> Result<Vec<f64>, Refusal> {
    require_count("n", n, 1)?;
    require_size("n", n, LARGEST)?;
    require((0.5..=1.0).contains(&gamma), "gamma", gamma, "1/2 ≤ gamma ≤ 1")?;
    require_probability("p", p)?;
    require_count("t", generations, 1)?;
    let work = (n * n) as f64 * generations as f64;
    require(work <= WORK, "n² t", work, "at most 8e9 (for the cost of the solution)")?;
    let mut law = binomial_law(n, clip(p, gamma));
    if generations == 1 {
        return Ok(law);
    }
    let rows: Vec<Vec<f64>> =
        (0..=n).map(|x| binomial_law(n, clip(x as f64 / n as f64, gamma))).collect();
    for _ in 1..generations {
        let mut next = vec![0.0; n + 1];
        for (mass, row) in law.iter().zip(&rows) {
            next.iter_mut().zip(row).for_each(|(next, p)| *next += mass * p);
        }
        law = next;
    }
    Ok(law)
}

/// `E 2q(1 − q)` of the learnt law after `generations` generations from the truth `p`.
///
/// ```
/// use fortifai_collapse::tce::clip_chain::heterozygosity_after;
/// // γ = 1 is plain cross entropy: H_0 (1 − 1/n)^t.
/// let h = heterozygosity_after(12, 1.0, 0.5, 7)?;
/// assert!((h - 0.5 * (11.0f64 / 12.0).powi(7)).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-clip-chain`.
///
/// # Errors
/// As [`law_after`].
pub fn heterozygosity_after(n: usize, gamma: f64, p: f64, t: usize) -> Result<f64, Refusal> {
    if t == 0 {
        require_probability("p", p)?;
        return Ok(2.0 * p * (1.0 - p));
    }
    Ok(mean_of(&law_after(n, gamma, p, t)?, |x| clip(x, gamma)))
}

/// `E H = (2γ − 1)/ln(γ/(1 − γ))` of the reflected diffusion, the limit for many samples.
///
/// *Derivation.* The variance `p(1 − p)/n` per generation and reflection at `1 − γ` and `γ` give the
/// stationary density `∝ 1/(p(1 − p))`, whose integral is `2 ln(γ/(1 − γ))`; `2p(1 − p)` times it
/// integrates to `2(2γ − 1)`.
///
/// ```
/// let h = fortifai_collapse::tce::clip_chain::diffusion_heterozygosity(0.8)?;
/// assert!((h - 0.432_808_512_266_689).abs() <= 1e-15);
/// assert_eq!(fortifai_collapse::tce::clip_chain::diffusion_heterozygosity(0.5)?, 0.5);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guard `tce-clip-chain`.
///
/// # Errors
/// If `gamma` is outside `[½, 1)`.
pub fn diffusion_heterozygosity(gamma: f64) -> Result<f64, Refusal> {
    require_inner(gamma)?;
    // ln(γ/(1 − γ)) = 2 artanh(2γ − 1).
    let spread = 2.0 * gamma - 1.0;
    Ok(if spread == 0.0 { 0.5 } else { 0.5 * spread / spread.atanh() })
}

/// The effective boundary of the shares `X/n`, `γ_e = γ + 0.5826 √(γ(1 − γ)/n)`, at most 1
/// (Siegmund's correction for the overshoot).
///
/// ```
/// let boundary = fortifai_collapse::tce::clip_chain::effective_cap(100, 0.8)?;
/// assert!((boundary - 0.8 - 0.058_26 * 0.4).abs() <= 1e-6);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the guards `tce-clip-chain` and `tce-filter-chain`.
///
/// # Errors
/// If `n` is 0 or `gamma` outside `[½, 1)`.
pub fn effective_cap(n: usize, gamma: f64) -> Result<f64, Refusal> {
    require_count("n", n, 1)?;
    require_inner(gamma)?;
    let shift = super::walk::SIEGMUND * (gamma * (1.0 - gamma) / n as f64).sqrt();
    Ok((gamma + shift).min(1.0))
}

fn require_inner(gamma: f64) -> Result<(), Refusal> {
    require((0.5..1.0).contains(&gamma), "gamma", gamma, "1/2 ≤ gamma < 1")
}

fn require_chain(n: usize, gamma: f64) -> Result<(), Refusal> {
    require_count("n", n, 1)?;
    require_size("n", n, LARGEST)?;
    require_inner(gamma)
}

const DOMAIN: &str = "1 ≤ n ≤ 2000, 1/2 ≤ gamma < 1";

/// The entries of this part.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "T2",
        name: "heterozygosity of the learnt law in the long run, two tokens",
        formula: "K=2 chain stationary E 2q(1-q)",
        domain: DOMAIN,
        inputs: &[SAMPLES, GAMMA],
        value: |inputs| model_heterozygosity(inputs.count("n")?, inputs.number("gamma")?),
        ..OWN
    },
    Entry {
        id: "T2",
        name: "heterozygosity of the samples in the long run, two tokens",
        formula: "K=2 chain stationary E 2x(1-x)",
        domain: DOMAIN,
        inputs: &[SAMPLES, GAMMA],
        value: |inputs| sample_heterozygosity(inputs.count("n")?, inputs.number("gamma")?),
        ..OWN
    },
    Entry {
        id: "T2",
        name: "heterozygosity in the long run for many samples",
        formula: "reflecting diffusion E H=(2g-1)/ln(g/(1-g))",
        kind: Kind::Asymptotic,
        domain: "1/2 ≤ gamma < 1",
        digits: Digits::Elementary,
        inputs: &[GAMMA],
        value: |inputs| diffusion_heterozygosity(inputs.number("gamma")?),
        ..OWN
    },
    Entry {
        id: "T2",
        name: "heterozygosity of the samples in the long run, with Siegmund's correction",
        formula: "E 2x(1-x) ~ (2g-1)/ln(g/(1-g)), g = gamma+0.5826 sqrt(gamma(1-gamma)/n)",
        kind: Kind::Asymptotic,
        domain: "n ≥ 1, 1/2 ≤ gamma < 1, g < 1",
        digits: Digits::Elementary,
        inputs: &[SAMPLES, GAMMA],
        value: |inputs| {
            let cap = effective_cap(inputs.count("n")?, inputs.number("gamma")?)?;
            diffusion_heterozygosity(cap)
        },
        ..OWN
    },
    Entry {
        id: "T2",
        name: "heterozygosity of the samples as gamma tends to 1",
        formula: "E 2x(1-x) ~ 2(n-1)(1-gamma)",
        kind: Kind::Asymptotic,
        domain: "n ≥ 1, 1/2 ≤ gamma < 1, n (1-gamma) much less than 1",
        digits: Digits::Elementary,
        inputs: &[SAMPLES, GAMMA],
        value: |inputs| {
            let (n, gamma) = (inputs.count("n")?, inputs.number("gamma")?);
            require_count("n", n, 1)?;
            require_inner(gamma)?;
            Ok(2.0 * (n as f64 - 1.0) * (1.0 - gamma))
        },
        ..OWN
    },
    Entry {
        id: "T2",
        name: "generations between the two monopolies as gamma tends to 1",
        formula: "switching time ~ 1/(1-gamma)",
        kind: Kind::Asymptotic,
        domain: "1/2 ≤ gamma < 1",
        digits: Digits::Elementary,
        inputs: &[GAMMA],
        value: |inputs| {
            let gamma = inputs.number("gamma")?;
            require_inner(gamma)?;
            Ok(1.0 / (1.0 - gamma))
        },
        ..OWN
    },
    Entry {
        id: "T3",
        name: "heterozygosity of a two-token context after t generations",
        formula: "E 2q(1-q) after t, X' ~ Bin(n, clip(X/n,1-gamma,gamma))",
        domain: "1 ≤ n ≤ 2000, 1/2 ≤ gamma ≤ 1, n² t ≤ 8e9",
        inputs: &[
            SAMPLES,
            GAMMA,
            Input { name: "p", meaning: "true probability of the first token", example: "0.3" },
            Input { name: "t", meaning: "generations", example: "10" },
        ],
        value: |inputs| {
            heterozygosity_after(
                inputs.count("n")?,
                inputs.number("gamma")?,
                inputs.number("p")?,
                inputs.count("t")?,
            )
        },
        ..OWN
    },
];
